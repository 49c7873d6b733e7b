#include "target/scale_groups.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/op_def.h"

namespace eke {
namespace {

class UnionFind {
 public:
  explicit UnionFind(std::size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), 0); }

  std::size_t find(std::size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(std::size_t a, std::size_t b) { parent_[find(b)] = find(a); }

 private:
  std::vector<std::size_t> parent_;
};

bool passes_through(const Op& op) {
  return std::holds_alternative<op::Identity>(op) || std::holds_alternative<op::Dropout>(op) ||
         std::holds_alternative<op::QuantizeLinear>(op) || std::holds_alternative<op::DequantizeLinear>(op);
}

// The values that a node ties, as indexes of its inputs followed by that of its first output; empty: none.
std::vector<ValueId> tied(const Graph& graph, const Node& node) {
  const auto data_inputs = [&] {
    std::vector<ValueId> ids;
    for (const ValueId id : node.in)
      if (id != kNoValue && !graph.constant(id)) ids.push_back(id);
    return ids;
  };
  const bool elementwise =
      std::holds_alternative<op::Binary>(node.op) || std::holds_alternative<op::Variadic>(node.op);
  if (elementwise) return data_inputs();
  const bool moves =
      std::holds_alternative<op::Concat>(node.op) || std::holds_alternative<op::MaxPool>(node.op) ||
      std::holds_alternative<op::AveragePool>(node.op) ||
      std::holds_alternative<op::GlobalMaxPool>(node.op) || std::holds_alternative<op::Reshape>(node.op) ||
      std::holds_alternative<op::Transpose>(node.op) || std::holds_alternative<op::Slice>(node.op) ||
      std::holds_alternative<op::Split>(node.op);
  if (!moves) return {};
  std::vector<ValueId> ids = data_inputs();
  ids.insert(ids.end(), node.out.begin(), node.out.end());
  std::erase(ids, kNoValue);
  return ids;
}

}  // namespace

ValueId origin(const Graph& graph, const std::vector<int>& producers, ValueId id) {
  while (true) {
    const int maker = producers[static_cast<std::size_t>(id)];
    if (maker < 0 || !passes_through(graph.nodes[static_cast<std::size_t>(maker)].op)) return id;
    id = graph.nodes[static_cast<std::size_t>(maker)].in[0];
  }
}

std::vector<ScaleGroup> scale_groups(const Graph& graph, const std::vector<bool>& on_dla) {
  const std::vector<int> makers = producers(graph);
  UnionFind sets(graph.values.size());
  std::vector<std::pair<std::size_t, std::string>> reasons;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!on_dla[n]) continue;
    const std::vector<ValueId> ids = tied(graph, graph.nodes[n]);
    if (ids.size() < 2) continue;
    const auto first = static_cast<std::size_t>(origin(graph, makers, ids[0]));
    for (const ValueId id : ids) sets.join(first, static_cast<std::size_t>(origin(graph, makers, id)));
    const Node& node = graph.nodes[n];
    reasons.emplace_back(first, node.name.empty() ? graph[node.out[0]].name : node.name);
  }
  std::map<std::size_t, ScaleGroup> groups;
  for (std::size_t i = 0; i < graph.values.size(); ++i)
    groups[sets.find(i)].tensors.push_back(graph.values[i].name);
  for (const auto& [member, name] : reasons) groups[sets.find(member)].because.push_back(name);
  std::vector<ScaleGroup> result;
  for (auto& [root, group] : groups)
    if (group.tensors.size() > 1) result.push_back(std::move(group));
  return result;
}

std::map<std::string, TensorScale> tensor_scales(const Graph& graph) {
  const std::vector<int> makers = producers(graph);
  std::map<std::string, TensorScale> scales;
  for (const Node& node : graph.nodes) {
    if (!std::holds_alternative<op::QuantizeLinear>(node.op) || graph.constant(node.in[0])) continue;
    const Tensor* scale = node.in.size() > 1 ? graph.constant(node.in[1]) : nullptr;
    if (!scale || scale->count() != 1) continue;
    const Tensor* zero = node.in.size() > 2 ? graph.constant(node.in[2]) : nullptr;
    TensorScale entry{static_cast<float>(element_as_double(scale->view(), 0)), 0,
                      zero ? zero->dtype() : DType::u8};
    if (zero) entry.zero_point = static_cast<std::int32_t>(element_as_int(zero->view(), 0));
    scales.emplace(graph[origin(graph, makers, node.in[0])].name, entry);
  }
  return scales;
}

float symmetric_scale(const TensorScale& s) {
  const bool is_signed = s.dtype == DType::i8;
  const int lo = is_signed ? -127 : 0, hi = is_signed ? 127 : 255;
  const auto magnitude =
      static_cast<float>(std::max(std::abs(lo - s.zero_point), std::abs(hi - s.zero_point)));
  return is_signed && s.zero_point == 0 ? s.scale : s.scale * magnitude / 127.f;
}

}  // namespace eke
