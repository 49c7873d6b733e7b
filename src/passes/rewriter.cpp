#include "passes/rewriter.h"

#include <algorithm>

#include "ops/infer.h"

namespace eke {
namespace {

bool is_used(const Node& node, const std::vector<int>& uses) {
  return std::any_of(node.out.begin(), node.out.end(),
                     [&](ValueId id) { return id != kNoValue && uses[static_cast<std::size_t>(id)] > 0; });
}

}  // namespace

void Rewriter::index() {
  if (indexed_) return;
  producers_ = producers(graph_);
  // What a rewrite leaves behind reads nothing any more.
  uses_.assign(graph_.values.size(), 0);
  for (const ValueId id : graph_.outputs) ++uses_[static_cast<std::size_t>(id)];
  for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node) {
    const bool live = is_used(*node, uses_);
    for (const ValueId id : node->in)
      if (live && id != kNoValue) ++uses_[static_cast<std::size_t>(id)];
  }
  indexed_ = true;
}

bool Rewriter::is_live(const Node& node) {
  index();
  return is_used(node, uses_);
}

int Rewriter::producer_index(ValueId id) {
  if (id == kNoValue) return -1;
  index();
  return producers_[static_cast<std::size_t>(id)];
}

const Node* Rewriter::producer(ValueId id) {
  const int i = producer_index(id);
  return i < 0 ? nullptr : &graph_.nodes[static_cast<std::size_t>(i)];
}

int Rewriter::uses(ValueId id) {
  index();
  return uses_[static_cast<std::size_t>(id)];
}

void Rewriter::replace(Op op, std::vector<ValueId> in, const std::string& name) {
  Node& node = graph_.nodes[at_];
  if (!name.empty()) node.name = name;
  node.op = std::move(op);
  node.in = std::move(in);
  node.out.resize(1);
  change();
}

void Rewriter::set_input(std::size_t i, ValueId id) {
  graph_.nodes[at_].in.at(i) = id;
  change();
}

ValueId Rewriter::insert(Op op, std::vector<ValueId> in, const std::string& name) {
  const ValueId out = graph_.add_node(std::move(op), std::move(in), name);
  std::rotate(graph_.nodes.begin() + static_cast<std::ptrdiff_t>(at_), graph_.nodes.end() - 1,
              graph_.nodes.end());
  infer_node(graph_, graph_.nodes[at_]);
  ++at_;
  change();
  return out;
}

ValueId Rewriter::add_constant(const std::string& name, Tensor tensor) {
  change();
  return graph_.add_constant(name, std::move(tensor));
}

ValueId Rewriter::replace_constant(ValueId id, Tensor tensor) {
  if (uses(id) > 1) return add_constant(graph_[id].name, std::move(tensor));
  changed_ = true;
  graph_[id].type = tensor.type();
  graph_[id].constant = std::make_shared<const Tensor>(std::move(tensor));
  return id;
}

bool Rewriter::bypass(ValueId id) {
  const ValueId gone = out();
  if (is_output(gone)) {
    const int maker = producer_index(id);
    if (maker < 0 || is_output(id)) return false;
    std::vector<ValueId>& made = graph_.nodes[static_cast<std::size_t>(maker)].out;
    replace_uses(graph_, id, gone);
    std::replace(made.begin(), made.end(), id, gone);
  } else {
    replace_uses(graph_, gone, id);
  }
  graph_.nodes[at_].in.clear();
  graph_.nodes[at_].out.clear();
  change();
  return true;
}

Graph Rewriter::finish() && {
  if (!changed_) return std::move(graph_);
  std::erase_if(graph_.nodes, [](const Node& node) { return node.out.empty(); });
  remove_dead_nodes(graph_);
  return infer_types(std::move(graph_));
}

void remove_dead_nodes(Graph& graph) {
  std::vector<bool> live(graph.values.size(), false);
  const auto is_live = [&](ValueId id) { return id != kNoValue && live[static_cast<std::size_t>(id)]; };
  const auto mark = [&](ValueId id) {
    if (id != kNoValue) live[static_cast<std::size_t>(id)] = true;
  };
  std::for_each(graph.outputs.begin(), graph.outputs.end(), mark);
  std::vector<Node> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (std::none_of(node->out.begin(), node->out.end(), is_live)) continue;
    std::for_each(node->in.begin(), node->in.end(), mark);
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());
  graph.nodes = std::move(kept);
}

std::optional<float> uniform(const Tensor* tensor) {
  if (!tensor || tensor->dtype() != DType::f32 || tensor->count() == 0) return std::nullopt;
  const auto values = tensor->values<float>();
  const bool same = std::all_of(values.begin(), values.end(), [&](float v) { return v == values[0]; });
  return same ? std::optional(values[0]) : std::nullopt;
}

std::optional<std::vector<double>> per_channel(const Tensor* tensor, const Shape& out, int axis) {
  if (!tensor || tensor->dtype() != DType::f32 || axis >= out.rank() || tensor->shape().rank() > out.rank())
    return std::nullopt;
  const auto channels = static_cast<std::size_t>(out[axis]);
  if (const auto value = uniform(tensor); value && tensor->count() == 1)
    return std::vector<double>(channels, static_cast<double>(*value));
  const int shift = out.rank() - tensor->shape().rank();
  for (int i = 0; i < tensor->shape().rank(); ++i)
    if (tensor->shape()[i] != (i + shift == axis ? out[axis] : 1)) return std::nullopt;
  if (tensor->count() != out[axis]) return std::nullopt;
  const auto values = tensor->values<float>();
  return std::vector<double>(values.begin(), values.end());
}

}  // namespace eke
