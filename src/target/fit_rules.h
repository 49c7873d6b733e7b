// The rules of fit_dla, one function a kind: each walks over the graph once.
#pragma once

#include <vector>

#include "passes/rewriter.h"
#include "target/fit.h"

namespace eke {

struct FitRun {
  Rewriter& r;
  const FitOptions& options;
  std::vector<FitChange>& changes;

  std::string name() const {
    const Node& node = r.node();
    return node.name.empty() ? r.graph()[r.out()].name : node.name;
  }
  void changed(std::string what, std::string why, bool exact = true) {
    changes.push_back({name(), std::move(what), std::move(why), exact});
  }
};

void fit_poolings(FitRun& run);     // fit_pool.cpp: global and large windows
void fit_activations(FitRun& run);  // fit_activation.cpp: activations and arithmetic with constants
void fit_vectors(FitRun& run);      // fit_vector.cpp: matrix products as convolutions, no Flatten between
void fit_shapes(FitRun& run);       // fit_shape.cpp: strided slices, paddings

// Takes reshapes, and with `cut` softmax and normalization, off the outputs.
void fit_outputs(Graph& graph, const FitOptions& options, Fitted& fitted);  // fit_output.cpp
// Takes what the DLA lacks at the end of a network off, with `cut`.
void fit_tail(Graph& graph, const FitOptions& options, Fitted& fitted);  // fit_tail.cpp

}  // namespace eke
