#include "train/rewrite.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"

namespace eke {
namespace {

const op::BatchNormalization* norm_of(const Node& node) {
  return std::get_if<op::BatchNormalization>(&node.op);
}

void append_split(const Node& node, std::vector<Node>& nodes) {
  op::BatchNormalization norm = *norm_of(node);
  norm.training_mode = 0;
  const ValueId mean = node.out[3], variance = node.out[4];
  nodes.push_back({op::BatchStatistics{}, {node.in[0]}, {mean, variance}, node.name + "_statistics"});
  nodes.push_back({norm, {node.in[0], node.in[1], node.in[2], mean, variance}, {node.out[0]}, node.name});
  const op::MovingAverage follow{norm.momentum};
  nodes.push_back({follow, {node.in[3], mean}, {node.out[1]}, node.name + "_running_mean"});
  nodes.push_back({follow, {node.in[4], variance}, {node.out[2]}, node.name + "_running_var"});
}

// The bounds of a Relu or of a Clip by constants.
std::optional<op::Clamp> clamp_of(const Graph& graph, const Node& node) {
  if (const auto* unary = std::get_if<op::Unary>(&node.op);
      unary != nullptr && unary->fn == op::UnaryFn::Relu)
    return op::Clamp{.lo = 0};
  if (!std::holds_alternative<op::Clip>(node.op)) return std::nullopt;
  op::Clamp clamp;
  for (std::size_t i = 1; i < node.in.size(); ++i) {
    if (node.in[i] == kNoValue) continue;
    const Tensor* bound = graph.constant(node.in[i]);
    if (bound == nullptr || bound->count() != 1) return std::nullopt;
    (i == 1 ? clamp.lo : clamp.hi) = static_cast<float>(element_as_double(bound->view(), 0));
  }
  return clamp;
}

void erase_nodes(Graph& graph, const std::vector<bool>& gone) {
  std::vector<Node> kept;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (!gone[i]) kept.push_back(std::move(graph.nodes[i]));
  graph.nodes = std::move(kept);
}

Graph fuse_forward_clamps(Graph graph) {
  const auto readers = consumers(graph);
  std::vector<bool> gone(graph.nodes.size());
  for (Node& node : graph.nodes) {
    auto* norm = std::get_if<op::BatchNormalization>(&node.op);
    if (norm == nullptr || norm->training_mode != 0 || norm->clamp.active()) continue;
    const auto& uses = readers[static_cast<std::size_t>(node.out[0])];
    if (uses.size() != 1 || is_graph_output(graph, node.out[0])) continue;
    const Node& next = graph.nodes[static_cast<std::size_t>(uses[0])];
    const auto clamp = clamp_of(graph, next);
    if (!clamp || next.in[0] != node.out[0]) continue;
    norm->clamp = *clamp;
    node.out[0] = next.out[0];
    gone[static_cast<std::size_t>(uses[0])] = true;
  }
  erase_nodes(graph, gone);
  return graph;
}

Graph fuse_gradient_clamps(Graph graph) {
  const auto readers = consumers(graph);
  const auto producer = producers(graph);
  std::vector<bool> gone(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const auto* mask = std::get_if<op::ClampGrad>(&node.op);
    if (mask == nullptr || producer[static_cast<std::size_t>(node.in[1])] < 0) continue;
    const Node& source =
        graph.nodes[static_cast<std::size_t>(producer[static_cast<std::size_t>(node.in[1])])];
    const auto* norm = norm_of(source);
    const auto& uses = readers[static_cast<std::size_t>(node.out[0])];
    if (norm == nullptr || norm->clamp != mask->clamp || uses.size() != 1 ||
        is_graph_output(graph, node.out[0]))
      continue;
    Node& next = graph.nodes[static_cast<std::size_t>(uses[0])];
    auto* gradient = std::get_if<op::BatchNormalizationGrad>(&next.op);
    if (gradient == nullptr || next.in[0] != node.out[0] || next.in[1] != source.in[0]) continue;
    gradient->clamp = mask->clamp;
    next.in[0] = node.in[0];
    gone[i] = true;
  }
  erase_nodes(graph, gone);
  return graph;
}

}  // namespace

Graph split_batch_norm(Graph graph) {
  std::vector<Node> nodes;
  for (Node& node : std::exchange(graph.nodes, {})) {
    if (norm_of(node) != nullptr && norm_of(node)->training_mode != 0)
      append_split(node, nodes);
    else
      nodes.push_back(std::move(node));
  }
  graph.nodes = std::move(nodes);
  return graph;
}

Graph fuse_norm_clamps(Graph graph) { return fuse_gradient_clamps(fuse_forward_clamps(std::move(graph))); }

std::vector<Node> update_early(const Graph& graph, const std::vector<StepState>& states) {
  std::map<ValueId, ValueId> replaced;  // output of an update: the state that it replaces
  for (const StepState& state : states) replaced[state.out] = state.in;
  const auto is_update = [&](const Node& node) {
    return std::ranges::any_of(node.out, [&](ValueId id) { return replaced.contains(id); });
  };
  std::vector<int> readers(graph.values.size());  // of each value that are not yet emitted
  for (const Node& node : graph.nodes)
    for (const ValueId id : node.in)
      if (id != kNoValue) ++readers[static_cast<std::size_t>(id)];
  std::vector<bool> made(graph.values.size());
  const auto producer = producers(graph);
  for (std::size_t i = 0; i < made.size(); ++i) made[i] = producer[i] < 0;

  std::vector<Node> ordered;
  std::vector<const Node*> waiting;
  const auto emit = [&](const Node& node) {
    ordered.push_back(node);
    for (const ValueId id : node.in)
      if (id != kNoValue) --readers[static_cast<std::size_t>(id)];
    for (const ValueId id : node.out)
      if (id != kNoValue) made[static_cast<std::size_t>(id)] = true;
  };
  const auto ready = [&](const Node& node) {
    return std::ranges::all_of(
               node.in, [&](ValueId id) { return id == kNoValue || made[static_cast<std::size_t>(id)]; }) &&
           std::ranges::all_of(node.out, [&](ValueId id) {
             const auto it = replaced.find(id);
             return it == replaced.end() ||
                    readers[static_cast<std::size_t>(it->second)] == std::ranges::count(node.in, it->second);
           });
  };
  const auto emit_waiting = [&] {
    for (bool any = true; any;) {
      any = false;
      for (const Node*& node : waiting)
        if (node != nullptr && ready(*node)) {
          emit(*std::exchange(node, nullptr));
          any = true;
        }
      std::erase(waiting, nullptr);
    }
  };
  for (const Node& node : graph.nodes)
    if (is_update(node)) waiting.push_back(&node);
  emit_waiting();
  for (const Node& node : graph.nodes) {
    if (is_update(node)) continue;
    emit(node);
    emit_waiting();
  }
  check(waiting.empty(), "{} updates cannot be put in order", waiting.size());
  return ordered;
}

}  // namespace eke
