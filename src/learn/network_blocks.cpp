#include "learn/network_blocks.h"

#include <algorithm>

#include "quant/keep.h"

namespace eke {
namespace {

// Per value: the last node that reads it; the number of nodes where it leaves the graph.
std::vector<std::size_t> last_reads(const Graph& graph) {
  std::vector<std::size_t> last(graph.values.size());
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const ValueId id : graph.nodes[n].in) {
      if (id != kNoValue) last[static_cast<std::size_t>(id)] = n;
    }
  }
  for (const ValueId id : graph.outputs) last[static_cast<std::size_t>(id)] = graph.nodes.size();
  return last;
}

}  // namespace

std::vector<NetworkBlock> find_network_blocks(const Graph& graph, const std::set<std::string>& layers,
                                              std::size_t fewest,
                                              const std::function<bool(ValueId)>& is_border) {
  if (graph.inputs.size() != 1) return {};
  const std::vector<std::size_t> last = last_reads(graph);
  std::set<ValueId> alive{graph.inputs[0]};
  std::vector<NetworkBlock> blocks;
  NetworkBlock block{.reads = graph[graph.inputs[0]].name, .makes = {}, .layers = {}};
  std::string last_border;    // within the block
  std::size_t before_it = 0;  // of the block's layers
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (const std::string name(label(graph, node)); layers.contains(name)) block.layers.push_back(name);
    for (const ValueId id : node.out) {
      if (id != kNoValue && last[static_cast<std::size_t>(id)] > n) alive.insert(id);
    }
    std::erase_if(alive, [&](ValueId id) { return last[static_cast<std::size_t>(id)] <= n; });
    if (alive.size() != 1) continue;
    const ValueId border = *alive.begin();
    const bool ends = n + 1 == graph.nodes.size();
    if (!ends && !is_border(border)) continue;
    // At the end, what follows the last layer is no part of a block.
    if (!ends || last_border.empty() || before_it < block.layers.size()) {
      last_border = graph[border].name;
      before_it = block.layers.size();
    }
    if (!ends && block.layers.size() < fewest) continue;
    block.makes = last_border;
    if (!block.layers.empty()) blocks.push_back(block);
    block = {.reads = graph[border].name, .makes = {}, .layers = {}};
    last_border.clear();
  }
  return blocks;
}

}  // namespace eke
