// The decoding at the end of a network (boxes from anchors, for example), which the DLA lacks: with `cut` it becomes a
// graph of its own, for the host.
#include <fmt/format.h>

#include <algorithm>

#include "target/dla_plan.h"
#include "target/fit_rules.h"

namespace eke {
namespace {

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

// Nodes that the DLA does not take, and all that reads what they make.
std::vector<bool> tail_of(const Graph& graph, const DlaPlan& plan) {
  std::vector<bool> made(graph.values.size(), false), tail(graph.nodes.size(), false);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    tail[n] = plan.nodes[n].engine == Engine::gpu ||
              std::ranges::any_of(node.in, [&](ValueId id) { return id != kNoValue && made[index(id)]; });
    for (const ValueId id : node.out)
      if (id != kNoValue) made[index(id)] = tail[n];
  }
  return tail;
}

// Work of the host is no convolution or matrix product, and something is left before it.
bool is_worth_cutting(const DlaPlan& plan, const std::vector<bool>& tail) {
  bool any = false, left = false;
  for (std::size_t n = 0; n < tail.size(); ++n) {
    if (tail[n] && plan.nodes[n].cost.macs > 0) return false;
    any = any || tail[n];
    left = left || (!tail[n] && plan.nodes[n].engine == Engine::dla);
  }
  return any && left;
}

Graph part_of(const Graph& graph, const std::vector<bool>& tail, bool wanted) {
  Graph part = graph;
  part.nodes.clear();
  for (std::size_t n = 0; n < tail.size(); ++n)
    if (tail[n] == wanted) part.nodes.push_back(graph.nodes[n]);
  return part;
}

}  // namespace

void fit_tail(Graph& graph, const FitOptions& options, Fitted& fitted) {
  const DlaPlan plan = plan_dla(graph, options.target);
  const std::vector<bool> tail = tail_of(graph, plan);
  if (!options.cut || !is_worth_cutting(plan, tail)) return;
  const std::vector<int> makers = producers(graph);
  std::vector<ValueId> crossing;
  for (std::size_t n = 0; n < tail.size(); ++n) {
    if (!tail[n]) continue;
    for (const ValueId id : graph.nodes[n].in) {
      if (id == kNoValue || graph.constant(id) || std::ranges::find(crossing, id) != crossing.end()) continue;
      const int maker = makers[index(id)];
      if (maker < 0 || !tail[static_cast<std::size_t>(maker)]) crossing.push_back(id);
    }
  }
  Graph host = part_of(graph, tail, true), rest = part_of(graph, tail, false);
  const auto in_tail = [&](ValueId id) {
    return makers[index(id)] >= 0 && tail[static_cast<std::size_t>(makers[index(id)])];
  };
  std::erase_if(host.outputs, [&](ValueId id) { return !in_tail(id); });
  std::erase_if(rest.outputs, in_tail);
  host.inputs = crossing;
  for (const ValueId id : crossing)
    if (makers[index(id)] >= 0 && !is_graph_output(rest, id)) rest.outputs.push_back(id);
  remove_dead_nodes(rest);
  compact(rest);
  compact(host);
  fitted.for_host.push_back(fmt::format("{} nodes behind the last layers that the DLA takes, from {} tensors",
                                        host.nodes.size(), crossing.size()));
  fitted.host = std::move(host);
  graph = std::move(rest);
}

}  // namespace eke
