#include "runtime/blocks.h"

#include <algorithm>

namespace eke {
namespace {

constexpr std::size_t kResidual = 4;  // the operand of a Conv that is added to its result

bool is_convolution(const Graph& graph, const Node& node) {
  return std::holds_alternative<op::Conv>(node.op) && graph[node.in[0]].type.shape.rank() == 4;
}

bool is_depthwise(const Graph& graph, const Node& node) {
  if (!is_convolution(graph, node)) return false;
  const std::int64_t group = std::get<op::Conv>(node.op).group;
  return group > 1 && group == graph[node.in[0]].type.shape[1] && group == graph[node.out[0]].type.shape[1];
}

std::int64_t bytes_of(const Type& type) {
  return static_cast<std::int64_t>(byte_size(type.dtype, type.shape));
}

std::int64_t weight_bytes(const Graph& graph, const Block& block) {
  std::int64_t bytes = 0;
  for (const std::size_t node : block.nodes) bytes += bytes_of(graph[graph.nodes[node].in[1]].type);
  return bytes;
}

class Finder {
 public:
  explicit Finder(const Graph& graph)
      : graph_(graph), producer_(producers(graph)), readers_(consumers(graph)), taken_(graph.nodes.size()) {}

  std::vector<Block> run() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (taken_[i] || !is_depthwise(graph_, graph_.nodes[i])) continue;
      Block block{{i}};
      const int before = producer_[static_cast<std::size_t>(graph_.nodes[i].in[0])];
      if (before >= 0 && joins(static_cast<std::size_t>(before), i))
        block.nodes.insert(block.nodes.begin(), static_cast<std::size_t>(before));
      const auto& readers = readers_[static_cast<std::size_t>(graph_.nodes[i].out[0])];
      if (readers.size() == 1 && joins(i, static_cast<std::size_t>(readers[0])))
        block.nodes.push_back(static_cast<std::size_t>(readers[0]));
      if (block.nodes.size() == 1) continue;
      for (const std::size_t node : block.nodes) taken_[node] = true;
      result_.push_back(std::move(block));
    }
    return std::move(result_);
  }

 private:
  // True where `next` alone reads what `first` makes, as that which it convolves.
  bool joins(std::size_t first, std::size_t next) const {
    const Node &a = graph_.nodes[first], &b = graph_.nodes[next];
    if (taken_[first] || taken_[next] || !is_convolution(graph_, a) || !is_convolution(graph_, b))
      return false;
    return b.in[0] == a.out[0] && readers_[static_cast<std::size_t>(a.out[0])].size() == 1 &&
           std::ranges::count(b.in, a.out[0]) == 1 && !is_graph_output(graph_, a.out[0]) &&
           a.in.size() <= kResidual;
  }

  const Graph& graph_;
  std::vector<int> producer_;
  std::vector<std::vector<int>> readers_;
  std::vector<bool> taken_;
  std::vector<Block> result_;
};

}  // namespace

std::vector<Block> find_blocks(const Graph& graph) { return Finder(graph).run(); }

std::int64_t inner_bytes(const Graph& graph, const Block& block) {
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i + 1 < block.nodes.size(); ++i)
    bytes += bytes_of(graph[graph.nodes[block.nodes[i]].out[0]].type);
  return bytes;
}

bool can_fuse(const Graph& graph, const Block& block, Isa isa, Floats floats) {
  return std::ranges::all_of(block.nodes, [&](std::size_t node) {
    Query query{graph, graph.nodes[node], isa};
    query.floats = floats;
    return first_legal(query).strips;
  });
}

// What lies in between stays in the cache anyway where it is small, does not matter beside what goes in and out where that is
// more, and has to pay for weights that are read again for each strip. Measured on MobileNets with 1 MiB of L2 cache.
bool fuses_by_rule(const Graph& graph, const Block& block, Isa isa, Floats floats) {
  constexpr std::int64_t kLeastBytes = 512 * 1024, kLeastOverWeights = 4;
  const Type& in = graph[graph.nodes[block.nodes.front()].in[0]].type;
  const Type& out = graph[graph.nodes[block.nodes.back()].out[0]].type;
  const std::int64_t images = std::max<std::int64_t>(in.shape[0], 1), between = inner_bytes(graph, block);
  return between >= images * kLeastBytes && between >= bytes_of(in) + bytes_of(out) &&
         between >= images * kLeastOverWeights * weight_bytes(graph, block) &&
         can_fuse(graph, block, isa, floats);
}

}  // namespace eke
