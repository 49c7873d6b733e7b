#include "train/recompute.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/error.h"

namespace eke {
namespace {

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

// The index of the node that makes the loss: what stands before it is the forward part.
std::size_t loss_node(const Graph& graph) {
  const int loss = producers(graph)[index(graph.outputs[0])];
  check(loss >= 0, "the loss is no result of a node");
  return static_cast<std::size_t>(loss);
}

bool is_image(const Graph& graph, ValueId id) {
  return id != kNoValue && graph[id].type.dtype == DType::f32 && graph[id].type.shape.rank() == 4;
}

// Bytes of images that are in memory after each node of the forward part for those that follow it there.
struct Flow {
  std::vector<std::int64_t> live, made;  // per node; made: the sum of all images up to it
  std::vector<std::size_t> last;         // per value: its last reader in the forward part
};

Flow flow_of(const Graph& graph, std::size_t border) {
  Flow flow{std::vector<std::int64_t>(border), std::vector<std::int64_t>(border),
            std::vector<std::size_t>(graph.values.size())};
  for (std::size_t i = 0; i < border; ++i)
    for (const ValueId id : graph.nodes[i].in)
      if (id != kNoValue) flow.last[index(id)] = i;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < border; ++i) {
    for (const ValueId id : graph.nodes[i].out) {
      if (!is_image(graph, id)) continue;
      const std::int64_t bytes = graph[id].type.shape.count() * 4;
      sum += bytes;
      for (std::size_t k = i; k < flow.last[index(id)]; ++k) flow.live[k] += bytes;
    }
    flow.made[i] = sum;
  }
  return flow;
}

// The nodes after which segments end: the narrowest places near equal parts of all that is made.
std::vector<std::size_t> borders_of(const Flow& flow, int segments) {
  std::vector<std::size_t> borders;
  if (flow.made.empty()) return borders;
  const double part = static_cast<double>(flow.made.back()) / segments;
  for (int s = 1; s < segments; ++s) {
    std::size_t best = flow.made.size();
    for (std::size_t i = 0; i < flow.made.size(); ++i) {
      const double away = static_cast<double>(flow.made[i]) - s * part;
      if (away < -part / 2 || away > part / 2) continue;
      if (best == flow.made.size() || flow.live[i] < flow.live[best]) best = i;
    }
    if (best < flow.made.size()) borders.push_back(best);
  }
  return borders;
}

class Recomputer {
 public:
  Recomputer(Graph graph, const std::set<ValueId>& again)
      : graph_(std::move(graph)), border_(loss_node(graph_)) {
    for (std::size_t i = 0; i < border_; ++i)
      for (const ValueId id : graph_.nodes[i].out)
        if (again.contains(id)) sources_.emplace(id, graph_.nodes[i]);
  }

  Graph run() && {
    std::vector<Node> nodes = std::exchange(graph_.nodes, {});
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (i > border_)
        for (ValueId& id : nodes[i].in) id = copy_of(id);
      out_.push_back(std::move(nodes[i]));
    }
    graph_.nodes = std::move(out_);
    return std::move(graph_);
  }

 private:
  ValueId copy_of(ValueId id) {
    const auto source = sources_.find(id);
    if (source == sources_.end()) return id;
    if (const auto made = copies_.find(id); made != copies_.end()) return made->second;
    Node copy = source->second;
    copy.name += "_again";
    for (ValueId& in : copy.in) in = copy_of(in);
    for (ValueId& out : copy.out) {
      if (out == kNoValue) continue;
      const ValueId twin = graph_.add_value(graph_[out].name + "_again", graph_[out].type);
      copies_[out] = twin;
      out = twin;
    }
    out_.push_back(std::move(copy));
    return copies_.at(id);
  }

  Graph graph_;
  std::size_t border_;
  std::map<ValueId, Node> sources_;    // of what is computed again
  std::map<ValueId, ValueId> copies_;  // the second time
  std::vector<Node> out_;
};

}  // namespace

std::set<ValueId> cheap_values(const Graph& graph) {
  const std::size_t border = loss_node(graph);
  const auto readers = consumers(graph);
  std::set<ValueId> values;
  for (std::size_t i = 0; i < border; ++i) {
    const Node& node = graph.nodes[i];
    const bool cheap = std::holds_alternative<op::BatchNormalization>(node.op) ||
                       std::holds_alternative<op::QuantizeLinear>(node.op) ||
                       std::holds_alternative<op::DequantizeLinear>(node.op);
    if (!cheap || is_graph_output(graph, node.out[0])) continue;
    const auto& uses = readers[index(node.in[0])];
    if (values.contains(node.in[0]) ||
        std::ranges::any_of(uses, [&](int use) { return static_cast<std::size_t>(use) > border; }))
      values.insert(node.out[0]);
  }
  return values;
}

std::set<ValueId> values_inside(const Graph& graph, int segments) {
  const std::size_t border = loss_node(graph);
  const Flow flow = flow_of(graph, border);
  const std::vector<std::size_t> borders = borders_of(flow, segments);
  std::set<ValueId> values;
  for (std::size_t i = 0; i < border; ++i)
    for (const ValueId id : graph.nodes[i].out) {
      const bool crosses = std::ranges::any_of(
          borders, [&](std::size_t b) { return i <= b && id != kNoValue && flow.last[index(id)] > b; });
      if (is_image(graph, id) && !crosses && !is_graph_output(graph, id)) values.insert(id);
    }
  return values;
}

Graph recompute(Graph graph, const std::set<ValueId>& again) {
  return Recomputer(std::move(graph), again).run();
}

}  // namespace eke
