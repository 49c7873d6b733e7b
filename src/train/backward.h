// Reverse-mode differentiation, graph to graph: the gradient of a scalar as nodes appended to the graph that computes it
// (Griewank and Walther, Evaluating Derivatives, chapter 3).
#pragma once

#include <vector>

#include "graph/graph.h"

namespace eke {

struct Backward {
  Graph graph;                     // the given one, with the same ids, and more nodes at its end
  std::vector<ValueId> gradients;  // of each value asked for; kNoValue where the loss does not depend on it
};

// The gradients of `loss` (one element, float32 or float64) with respect to the values `wrt`. The types of `graph` are
// known. Throws an Error that names the node where a gradient would have to pass an operator that has none.
Backward backward(Graph graph, ValueId loss, const std::vector<ValueId>& wrt);

}  // namespace eke
