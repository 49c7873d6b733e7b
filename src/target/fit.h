// Rewrites a float network so that it stays on the Deep Learning Accelerator: what the DLA lacks becomes what it
// has. The result is portable ONNX, to be calibrated or trained further like any other model. All rewrites mean
// the same in real numbers, unless FitOptions::approximate allows others; agreement() measures it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/threads.h"
#include "graph/graph.h"
#include "target/dla_rules.h"

namespace eke {

struct FitOptions {
  DlaTarget target = {};
  bool cut = false;          // takes a final softmax, normalization or decoding off, for the host to do
  bool approximate = false;  // allows replacements that do not mean the same
};

struct FitChange {
  std::string node, what, why;
  bool exact = true;
};

struct Fitted {
  Graph graph;
  std::vector<FitChange> changes;
  std::vector<std::string> for_host;  // what the host has to do with the outputs now
  // The part of it that is a graph, from outputs of `graph` (and its inputs, where it reads them) to outputs of the
  // original, by their names.
  std::optional<Graph> host;
};

// `graph` is a float one with all types known; it is simplified first. Throws where it has Q/DQ nodes: fit the
// float model, then quantize it.
Fitted fit_dla(const Graph& graph, const FitOptions& options);

// How alike the outputs of two graphs are on random inputs, element by element in order: shapes may differ. Of
// an output that one graph computes further (a softmax cut off) nothing is compared.
struct Agreement {
  std::int64_t elements = 0;
  double largest_difference = 0;  // in parts of the range of the original's output
  double cosine = 1;              // the least over the inputs
};
Agreement agreement(const Graph& original, const Graph& fitted, const Threads& threads, int inputs = 4,
                    std::uint64_t seed = 0);
// The same with the host's part behind it.
Agreement agreement(const Graph& original, const Fitted& fitted, const Threads& threads, int inputs = 4,
                    std::uint64_t seed = 0);

}  // namespace eke
