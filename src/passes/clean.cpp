// Constants computed ahead, nodes without readers dropped, equal values shared.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "ops/infer.h"
#include "ops/op_def.h"
#include "passes/pass_list.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

// Bounds what a small file can make of itself (Expand, Tile, ConstantOfShape), and the time spent on it.
constexpr std::int64_t kMaxFoldedBytes = 64 << 20;
constexpr std::int64_t kMaxFoldedMacs = std::int64_t{1} << 30;

// A DequantizeLinear of constants says on which grid weights lie: folded, a quantized model would be a float
// one.
bool is_foldable(const Graph& graph, const Node& node) {
  if (std::holds_alternative<op::DequantizeLinear>(node.op)) return false;
  const auto is_known = [&](ValueId id) { return id == kNoValue || graph.constant(id); };
  if (!std::all_of(node.in.begin(), node.in.end(), is_known)) return false;
  std::int64_t bytes = 0;
  for (const ValueId id : node.out)
    if (id != kNoValue)
      bytes += static_cast<std::int64_t>(byte_size(graph[id].type.dtype, graph[id].type.shape));
  return bytes <= kMaxFoldedBytes && cost_of(graph, node).macs <= kMaxFoldedMacs;
}

// Of the first elements: weights that begin alike are rare, and compared.
std::size_t hash_of(const Tensor& tensor) {
  constexpr std::size_t kBytes = 256;
  const std::string_view bytes(static_cast<const char*>(tensor.data()), std::min(tensor.bytes(), kBytes));
  std::size_t hash = std::hash<std::string_view>{}(bytes);
  for (const std::int64_t extent : tensor.shape()) hash = hash * 31 + static_cast<std::size_t>(extent);
  return hash * 31 + static_cast<std::size_t>(tensor.dtype());
}

// Every reader of a constant reads the first one that is equal to it.
void share_constants(Graph& graph) {
  std::unordered_multimap<std::size_t, ValueId> seen;
  std::vector<ValueId> shared(graph.values.size());
  for (std::size_t i = 0; i < shared.size(); ++i) {
    const auto id = static_cast<ValueId>(i);
    shared[i] = id;
    const Tensor* tensor = graph.constant(id);
    if (!tensor) continue;
    const std::size_t hash = hash_of(*tensor);
    const auto [begin, end] = seen.equal_range(hash);
    const auto same =
        std::find_if(begin, end, [&](const auto& entry) { return *graph.constant(entry.second) == *tensor; });
    if (same == end)
      seen.emplace(hash, id);
    else
      shared[i] = same->second;
  }
  for (Node& node : graph.nodes)
    for (ValueId& id : node.in)
      if (id != kNoValue) id = shared[static_cast<std::size_t>(id)];
}

// Each reader keeps a DequantizeLinear of its own, as other engines expect of a quantized model.
bool is_shareable(const Graph& graph, const Node& node) {
  return !std::holds_alternative<op::DequantizeLinear>(node.op) &&
         std::none_of(node.out.begin(), node.out.end(),
                      [&](ValueId id) { return id == kNoValue || is_graph_output(graph, id); });
}

}  // namespace

Graph fold_constants(Graph graph) {
  std::vector<Node> kept;
  for (Node& node : graph.nodes) {
    if (!is_foldable(graph, node)) {
      kept.push_back(std::move(node));
      continue;
    }
    std::vector<Tensor> results = evaluate_constant(graph, node);
    for (std::size_t i = 0; i < results.size(); ++i)
      if (node.out[i] != kNoValue)
        graph[node.out[i]].constant = std::make_shared<const Tensor>(std::move(results[i]));
  }
  graph.nodes = std::move(kept);
  return infer_types(std::move(graph));
}

Graph eliminate_dead(Graph graph) {
  remove_dead_nodes(graph);
  compact(graph);
  return graph;
}

Graph eliminate_common(Graph graph) {
  share_constants(graph);
  std::map<std::vector<ValueId>, std::vector<std::size_t>> by_inputs;
  std::vector<ValueId> replaced(graph.values.size());
  for (std::size_t i = 0; i < replaced.size(); ++i) replaced[i] = static_cast<ValueId>(i);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    Node& node = graph.nodes[i];
    for (ValueId& id : node.in)
      if (id != kNoValue) id = replaced[static_cast<std::size_t>(id)];
    std::vector<std::size_t>& candidates = by_inputs[node.in];
    const auto same = std::find_if(candidates.begin(), candidates.end(), [&](std::size_t j) {
      return graph.nodes[j].op == node.op && graph.nodes[j].out.size() == node.out.size();
    });
    if (same == candidates.end()) {
      if (std::find(node.out.begin(), node.out.end(), kNoValue) == node.out.end()) candidates.push_back(i);
    } else if (is_shareable(graph, node)) {
      for (std::size_t k = 0; k < node.out.size(); ++k)
        replaced[static_cast<std::size_t>(node.out[k])] = graph.nodes[*same].out[k];
    }
  }
  remove_dead_nodes(graph);
  compact(graph);
  return graph;
}

}  // namespace eke
