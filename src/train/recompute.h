// Values of the forward part of a training step that its backward part computes again, instead of finding them in
// memory. Internal to train.
#pragma once

#include <cstdint>
#include <set>

#include "graph/graph.h"

namespace eke {

// Normalized and rounded values, which cost little, where the input of the normalization or rounding stays in memory
// anyhow, since its gradient reads it. The loss is the graph's first output.
std::set<ValueId> cheap_values(const Graph& graph);

// All images between the borders of `segments` segments of the forward part, of about equal size (Chen et al., Training
// Deep Nets with Sublinear Memory Cost, 2016): what crosses a border stays.
std::set<ValueId> values_inside(const Graph& graph, int segments);

// The nodes after the loss read copies of the values in `again`, made where they are first needed from what stays.
Graph recompute(Graph graph, const std::set<ValueId>& again);

}  // namespace eke
