// Rewrites of the graph of a training step, Graph to Graph, after differentiation and before compilation: what keeps its
// memory and its passes over memory low. Internal to train; the results are never saved.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "train/step_graph.h"

namespace eke {

// BatchNormalization in training mode as BatchStatistics, a normalization by them, and moving averages.
Graph split_batch_norm(Graph graph);

// A Relu or Clip after a BatchNormalization becomes its clamp, and the ClampGrad before a BatchNormalizationGrad the
// clamp of that: the mask is computed again from the input, and needs no memory.
Graph fuse_norm_clamps(Graph graph);

// The nodes in an order in which each update of a state stands as soon as its inputs exist and all other readers of the
// old state are done, so that gradients die early and states can be updated in place.
std::vector<Node> update_early(const Graph& graph, const std::vector<StepState>& states);

}  // namespace eke
