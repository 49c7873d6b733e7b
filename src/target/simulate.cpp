#include "target/simulate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "ops/infer.h"
#include "passes/rewriter.h"
#include "quant/qparams.h"
#include "tensor/values.h"

namespace eke {
namespace {

std::string name_of(const Graph& graph, const Node& node) {
  return node.name.empty() ? graph[node.out[0]].name : node.name;
}

bool is_activation(const Op& op) {
  const auto* unary = std::get_if<op::Unary>(&op);
  const auto* binary = std::get_if<op::Binary>(&op);
  return holds_any<op::Clip, op::LeakyRelu>(op) || (unary && unary->fn == op::UnaryFn::Relu) ||
         (binary && binary->fn == op::BinaryFn::PRelu);
}

bool is_layer_before_activation(const Op& op) {
  const auto* binary = std::get_if<op::Binary>(&op);
  return def(op).quant.kind == QuantRule::Kind::weighted ||
         std::holds_alternative<op::BatchNormalization>(op) || (binary && binary->fn != op::BinaryFn::PRelu);
}

// Puts the roundings of the DLA into the float graph of an export.
class DlaRoundings {
 public:
  explicit DlaRoundings(const DlaExport& exported) : r_(exported.graph) {
    for (const CacheEntry& entry : exported.cache.entries) scales_[entry.tensor] = entry.scale;
    half_layers_.insert(exported.fp16_layers.begin(), exported.fp16_layers.end());
    for (const PlacedNode& node : exported.plan.nodes)
      if (node.raised) half_layers_.insert(node.name);
  }

  Graph run() {
    r_.for_each_node([&] { visit(); });
    Graph graph = std::move(r_).finish();
    for (ValueId& out : graph.outputs) round_output(graph, out);
    return infer_types(std::move(graph));
  }

 private:
  void visit() {
    const bool half = half_layers_.contains(r_.node().name);
    const int weight = def(r_.node().op).quant.weight;
    for (std::size_t i = 0; i < r_.node().in.size(); ++i) {
      const ValueId id = r_.in(i);
      if (id == kNoValue || r_.type(id).dtype != DType::f32) continue;
      if (!r_.constant(id))
        r_.set_input(i, half ? as_half(read(id)) : read(id));
      else if (half)
        r_.set_input(i, half_constant(id));
      else if (static_cast<int>(i) == weight)
        r_.set_input(i, weights(id));
    }
    if (half)
      for (const ValueId id : r_.node().out)
        if (id != kNoValue) half_values_.insert(r_.graph()[id].name);
  }

  // A value as its readers find it.
  ValueId read(ValueId id) {
    const std::string name = r_.graph()[id].name;
    const auto scale = scales_.find(name);
    const bool half = half_values_.contains(name);
    if ((!half && scale == scales_.end()) || rounded_behind(id)) return id;
    const auto [at, added] = read_.try_emplace(id, id);
    if (added && half) at->second = as_half(id);
    if (added && scale != scales_.end()) {
      const ValueId s = r_.add_constant(name + "_scale", Tensor::scalar(scale->second)),
                    z = r_.add_constant(name + "_zero_point", Tensor::scalar(std::int8_t{0}));
      const ValueId q = r_.insert(op::QuantizeLinear{}, {at->second, s, z}, name + "_quantize");
      at->second = r_.insert(op::DequantizeLinear{}, {q, s, z}, name + "_dequantize");
    }
    return at->second;
  }

  // The current node is the activation of the layer that makes the value, which nothing else reads.
  bool rounded_behind(ValueId id) {
    const Node* maker = r_.producer(id);
    return is_activation(r_.node().op) && r_.in(0) == id && r_.single_use(id) && maker &&
           is_layer_before_activation(maker->op) && !half_layers_.contains(r_.node().name) &&
           !half_layers_.contains(maker->name);
  }

  ValueId as_half(ValueId id) {
    const auto [at, added] = halved_.try_emplace(id, id);
    if (added) {
      const std::string name = r_.graph()[id].name;
      const ValueId half = r_.insert(op::Cast{.to = DType::f16}, {id}, name + "_to_fp16");
      at->second = r_.insert(op::Cast{.to = DType::f32}, {half}, name + "_from_fp16");
      halved_[at->second] = at->second;
    }
    return halved_.at(id);
  }

  ValueId half_constant(ValueId id) {
    return r_.add_constant(r_.graph()[id].name + "_fp16",
                           converted(converted(*r_.constant(id), DType::f16), DType::f32));
  }

  ValueId weights(ValueId id) {
    const auto [at, added] = weights_.try_emplace(id, id);
    if (!added) return at->second;
    const std::string name = r_.graph()[id].name;
    const int axis = weight_axis(r_.node().op);
    QuantizedWeights made = quantize_weights(*r_.constant(id), axis, {}, {}, {});
    const auto channels = static_cast<std::int64_t>(made.scale.size());
    const ValueId q = r_.add_constant(name + "_int8", std::move(made.weights)),
                  s = r_.add_constant(name + "_scale", Tensor::from<float>({channels}, made.scale));
    return at->second = r_.insert(op::DequantizeLinear{.axis = axis}, {q, s}, name + "_dequantize");
  }

  // Outputs keep their names.
  void round_output(Graph& graph, ValueId& out) const {
    const std::string name = graph[out].name;
    ValueId id = out;
    if (half_values_.contains(name)) {
      id = graph.add_node(op::Cast{.to = DType::f16}, {id}, name + "_to_fp16");
      id = graph.add_node(op::Cast{.to = DType::f32}, {id}, name + "_from_fp16");
    }
    if (const auto scale = scales_.find(name); scale != scales_.end()) {
      const ValueId s = graph.add_constant(name + "_scale", Tensor::scalar(scale->second)),
                    z = graph.add_constant(name + "_zero_point", Tensor::scalar(std::int8_t{0}));
      id = graph.add_node(op::QuantizeLinear{}, {id, s, z}, name + "_quantize");
      id = graph.add_node(op::DequantizeLinear{}, {id, s, z}, name + "_dequantize");
    }
    if (id == out) return;
    graph[out].name = name + "_unrounded";
    graph[id].name = name;
    out = id;
  }

  Rewriter r_;
  std::map<std::string, float> scales_;
  std::set<std::string> half_layers_, half_values_;
  std::map<ValueId, ValueId> read_, halved_, weights_;
};

std::vector<std::string> names_on_dla(const DlaPlan& plan) {
  std::vector<std::string> names;
  for (const PlacedNode& node : plan.nodes)
    if (node.engine == Engine::dla) names.push_back(node.name);
  return names;
}

// Roundings on the longest way from the inputs to each value, of those that `counts` says yes to.
template <class Counts>
std::vector<int> depths(const Graph& graph, Counts counts) {
  std::vector<int> depth(graph.values.size(), 0);
  for (const Node& node : graph.nodes) {
    int most = 0;
    for (const ValueId id : node.in)
      if (id != kNoValue) most = std::max(most, depth[static_cast<std::size_t>(id)]);
    if (counts(node)) ++most;
    for (const ValueId id : node.out)
      if (id != kNoValue) depth[static_cast<std::size_t>(id)] = most;
  }
  return depth;
}

}  // namespace

Graph round_ties_away(Graph graph, const std::vector<std::string>& names) {
  const std::set<std::string> wanted(names.begin(), names.end());
  const std::vector<int> makers = producers(graph);
  const auto rounds_away = [&](const Node& node) {
    if (!std::holds_alternative<op::QuantizeLinear>(node.op)) return false;
    int maker = makers[static_cast<std::size_t>(node.in[0])];
    while (maker >= 0 && std::holds_alternative<op::Cast>(graph.nodes[static_cast<std::size_t>(maker)].op))
      maker = makers[static_cast<std::size_t>(graph.nodes[static_cast<std::size_t>(maker)].in[0])];
    return maker >= 0 && wanted.contains(name_of(graph, graph.nodes[static_cast<std::size_t>(maker)]));
  };
  const std::vector<int> depth = depths(graph, rounds_away);
  // Of the stored tensors, also behind what only moves their elements.
  std::map<ValueId, ValueId> nudged;
  const auto scale_of = [&](ValueId q, ValueId scale) {
    const Tensor* value = graph.constant(scale);
    const int steps = depth[static_cast<std::size_t>(q)];
    if (!value || value->count() != 1 || steps == 0) return scale;
    const double smaller = element_as_double(value->view(), 0) * std::pow(1 - kTieNudge, steps);
    return graph.add_constant(graph[scale].name + "_ties_away", Tensor::scalar(static_cast<float>(smaller)));
  };
  for (Node& node : graph.nodes) {
    const bool stores = std::holds_alternative<op::QuantizeLinear>(node.op) && !graph.constant(node.in[0]);
    if (stores) {
      node.in[1] = scale_of(node.out[0], node.in[1]);
      nudged[node.out[0]] = node.in[1];
    } else if (const auto found = nudged.find(node.in.empty() ? kNoValue : node.in[0]);
               found != nudged.end()) {
      if (std::holds_alternative<op::DequantizeLinear>(node.op))
        node.in[1] = found->second;
      else
        for (const ValueId id : node.out) nudged[id] = found->second;
    }
  }
  return infer_types(std::move(graph));
}

Simulated simulate_gpu(const Graph& graph) {
  QdqExport made = export_qdq(graph, false);
  return {infer_types(std::move(made.graph)), std::move(made.notes)};
}

Simulated simulate_dla(const Graph& graph, const DlaTarget& target) {
  if (is_strongly_typed(target.version)) {
    QdqExport made = export_qdq(graph, true);
    const DlaPlan plan = plan_dla(made.graph, target);
    return {round_ties_away(std::move(made.graph), names_on_dla(plan)), std::move(made.notes)};
  }
  DlaExport made = export_dla(graph, target);
  Graph rounded = DlaRoundings(made).run();
  return {round_ties_away(std::move(rounded), names_on_dla(made.plan)), std::move(made.notes)};
}

}  // namespace eke
