// The parts of a network between values that everything passes through: residual blocks, inverted residuals, fire
// modules. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace eke {

struct NetworkBlock {
  std::string reads, makes;         // values: between them, nothing else goes in or comes out
  std::vector<std::string> layers;  // by label (keep.h), in the order of the graph
};

// Of a graph with one input. Borders are single values for which `is_border` holds, or the only output. Neighbours are
// joined until a block has `fewest` of the given layers; the last one ends before a pooling that no layer follows. What lies between the last border and several outputs is in no
// block; blocks without a layer are left out.
std::vector<NetworkBlock> find_network_blocks(const Graph& graph, const std::set<std::string>& layers,
                                              std::size_t fewest,
                                              const std::function<bool(ValueId)>& is_border);

}  // namespace eke
