// The graph of a training step: a network with its loss, gradients and updates. Internal to train.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "train/step.h"

namespace eke {

// A tensor that lives from step to step: an input of the graph, and the output that replaces it.
struct StepState {
  std::string name;        // as TrainStep::state() shows it
  std::string parameter;   // the constant of the portable graph that it replaces; empty: none
  std::string average_of;  // the parameter of which it is the moving average; empty: none
  ValueId in = kNoValue, out = kNoValue;
  Tensor initial;
};

struct StepGraph {
  Graph
      graph;  // inputs: images, labels, R, T, teacher (when distilling), states; outputs: loss, output, states
  std::vector<StepState> states;
  bool distills = false;
  double recomputed_share = 0;  // of the forward part's multiplications, how many are done twice
};

// With more than one segment (recompute.h) the step needs less memory and more time.
StepGraph make_step_graph(const Graph& network, const StepOptions& options, int segments = 1);

}  // namespace eke
