#include "runtime/lower.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "ops/op_def.h"
#include "ops/quantized.h"
#include "passes/passes.h"
#include "runtime/absorb.h"

namespace eke {
namespace {

bool is_binary(const Node& node, op::BinaryFn fn) {
  const auto* binary = std::get_if<op::Binary>(&node.op);
  return binary != nullptr && binary->fn == fn;
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

// Relu or Clip after an Add becomes its clamp, as fuse_activation does for products.
Graph fuse_add_clamp(Graph graph) {
  const auto readers = consumers(graph);
  std::vector<bool> gone(graph.nodes.size());
  for (Node& node : graph.nodes) {
    if (!is_binary(node, op::BinaryFn::Add)) continue;
    const auto& uses = readers[static_cast<std::size_t>(node.out[0])];
    if (uses.size() != 1 || is_graph_output(graph, node.out[0])) continue;
    const auto next = static_cast<std::size_t>(uses[0]);
    const auto clamp = clamp_of(graph, graph.nodes[next]);
    if (!clamp || graph.nodes[next].in[0] != node.out[0]) continue;
    std::get<op::Binary>(node.op).clamp = *clamp;
    node.out = graph.nodes[next].out;
    gone[next] = true;
  }
  std::vector<Node> kept;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (!gone[i]) kept.push_back(std::move(graph.nodes[i]));
  graph.nodes = std::move(kept);
  // A fused Add now stands before values that its reader's other inputs may define: only constants, by
  // clamp_of.
  return graph;
}

ValueId dequantized(Graph& graph, std::vector<Node>& nodes, ValueId q, ValueId scale, ValueId zero_point,
                    std::int64_t axis, const Node& node) {
  const ValueId out = graph.add_value(graph[q].name + "_dequantized", Type{DType::f32, graph[q].type.shape});
  nodes.push_back(
      {op::DequantizeLinear{.axis = axis}, {q, scale, zero_point}, {out}, node.name + "_dequantize"});
  return out;
}

void quantize_result(Graph& graph, std::vector<Node>& nodes, Node product, ValueId scale, ValueId zero_point,
                     ValueId out) {
  const ValueId real = graph.add_value(graph[out].name + "_real", Type{DType::f32, graph[out].type.shape});
  const std::string name = product.name;
  product.out = {real};
  nodes.push_back(std::move(product));
  nodes.push_back({op::QuantizeLinear{}, {real, scale, zero_point}, {out}, name + "_quantize"});
}

// The bias of QLinearConv is int32 on the scale sx * sw.
ValueId qlinear_bias(Graph& graph, std::vector<Node>& nodes, const Node& node) {
  if (node.in.size() < 9 || node.in[8] == kNoValue) return kNoValue;
  const Tensor* input_scale = graph.constant(node.in[1]);
  const Tensor* weight_scale = graph.constant(node.in[4]);
  if (input_scale == nullptr || weight_scale == nullptr) return kNoValue;
  std::vector<float> scale = as_floats(*weight_scale);
  for (float& s : scale) s *= as_floats(*input_scale)[0];
  const Shape shape = scale.size() == 1 ? Shape{} : Shape{static_cast<std::int64_t>(scale.size())};
  const ValueId id = graph.add_constant(node.name + "_bias_scale", Tensor::from<float>(shape, scale));
  return dequantized(graph, nodes, node.in[8], id, kNoValue, 0, node);
}

// QLinearConv and QLinearMatMul as the DequantizeLinear, product, QuantizeLinear that they abbreviate, so
// that both styles of quantized model land on the same integer kernels.
Graph expand_qlinear(Graph graph) {
  std::vector<Node> nodes;
  for (Node& node : std::exchange(graph.nodes, {})) {
    const bool constant_scales = std::all_of(node.in.begin(), node.in.end(), [&](ValueId id) {
      return id == kNoValue || id == node.in[0] || graph.constant(id) != nullptr;
    });
    if (const auto* conv = std::get_if<op::QLinearConv>(&node.op); conv != nullptr && constant_scales) {
      const ValueId x = dequantized(graph, nodes, node.in[0], node.in[1], node.in[2], 1, node);
      const ValueId w = dequantized(graph, nodes, node.in[3], node.in[4], node.in[5], 0, node);
      const ValueId b = qlinear_bias(graph, nodes, node);
      op::Conv plain{.auto_pad = conv->auto_pad,
                     .kernel_shape = conv->kernel_shape,
                     .strides = conv->strides,
                     .pads = conv->pads,
                     .dilations = conv->dilations,
                     .group = conv->group};
      quantize_result(graph, nodes, {plain, {x, w, b}, {}, node.name}, node.in[6], node.in[7], node.out[0]);
    } else if (std::holds_alternative<op::QLinearMatMul>(node.op) && constant_scales) {
      const ValueId a = dequantized(graph, nodes, node.in[0], node.in[1], node.in[2], 0, node);
      const ValueId b = dequantized(graph, nodes, node.in[3], node.in[4], node.in[5], 1, node);
      quantize_result(graph, nodes, {op::MatMul{}, {a, b}, {}, node.name}, node.in[6], node.in[7],
                      node.out[0]);
    } else {
      nodes.push_back(std::move(node));
    }
  }
  graph.nodes = std::move(nodes);
  return graph;
}

bool is_quantized(const Graph& graph, ValueId id) {
  return id != kNoValue && graph[id].type.quant.has_value();
}

// The convolution that an integer Add can take over (rule 6), if its input `slot` is one.
std::optional<std::size_t> fusible_conv(const Graph& graph, const Node& add, std::size_t slot,
                                        const std::vector<int>& producer,
                                        const std::vector<std::vector<int>>& readers) {
  const ValueId id = add.in[slot];
  const int index = producer[static_cast<std::size_t>(id)];
  if (index < 0 || readers[static_cast<std::size_t>(id)].size() != 1 || is_graph_output(graph, id)) return {};
  const Node& node = graph.nodes[static_cast<std::size_t>(index)];
  const auto* conv = std::get_if<op::Conv>(&node.op);
  if (conv == nullptr || conv->clamp.active() || node.in.size() > 4) return {};
  const ValueId other = add.in[1 - slot];
  if (!is_quantized(graph, id) || graph[other].type.shape != graph[id].type.shape) return {};
  if (graph.constant(other) != nullptr) return {};  // lies in the graph's layout
  return static_cast<std::size_t>(index);
}

Graph fuse_quantized_residual(Graph graph) {
  const auto producer = producers(graph);
  const auto readers = consumers(graph);
  std::vector<bool> gone(graph.nodes.size());
  for (Node& add : graph.nodes) {
    if (!is_binary(add, op::BinaryFn::Add) || !is_quantized(graph, add.out[0])) continue;
    if (!is_quantized(graph, add.in[0]) || !is_quantized(graph, add.in[1])) continue;
    const auto first = fusible_conv(graph, add, 0, producer, readers);
    const auto second = fusible_conv(graph, add, 1, producer, readers);
    if (!first && !second) continue;
    // Of two convolutions the later one: the other's result is needed in memory anyway.
    const std::size_t slot = !first || (second && *second > *first) ? 1 : 0;
    const std::size_t index = slot == 1 ? *second : *first;
    const Type& mid = graph[add.in[slot]].type;
    Node fused = graph.nodes[index];
    auto& conv = std::get<op::Conv>(fused.op);
    conv.mid = {mid.quant->scale[0], mid.quant->zero_point[0], mid.dtype};
    conv.clamp = std::get<op::Binary>(add.op).clamp;
    fused.in.resize(4, kNoValue);
    fused.in.push_back(add.in[1 - slot]);
    fused.out = add.out;
    add = std::move(fused);
    gone[index] = true;
  }
  std::vector<Node> kept;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (!gone[i]) kept.push_back(std::move(graph.nodes[i]));
  graph.nodes = std::move(kept);
  return graph;
}

Type as_uint8(Type type) {
  type.dtype = DType::u8;
  for (std::int32_t& z : type.quant->zero_point) z += 128;
  return type;
}

Tensor as_uint8(const Tensor& tensor) {
  Tensor shifted(as_uint8(tensor.type()));
  const auto from = tensor.values<std::int8_t>();
  const auto to = shifted.mutable_values<std::uint8_t>();
  std::transform(from.begin(), from.end(), to.begin(),
                 [](std::int8_t q) { return static_cast<std::uint8_t>(q + 128); });
  return shifted;
}

// Activations are stored as uint8 alone: int8 ones are shifted by 128 together with their zero point. Where
// the graph itself takes or gives int8, a change of scale stands at the edge.
Graph store_as_uint8(Graph graph) {
  std::set<ValueId> weights;
  for (const Node& node : graph.nodes) {
    const QuantRule& rule = def(node.op).quant;
    if (rule.kind == QuantRule::Kind::weighted && rule.weight < static_cast<int>(node.in.size()))
      weights.insert(node.in[static_cast<std::size_t>(rule.weight)]);
  }
  std::vector<Node> before, after;
  const std::size_t count = graph.values.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto id = static_cast<ValueId>(i);
    const Type type = graph.values[i].type;
    if (!type.quant || type.dtype != DType::i8 || !type.quant->per_tensor() || weights.contains(id)) continue;
    if (graph.values[i].constant) {
      const Tensor shifted = as_uint8(*graph.values[i].constant);
      graph.values[i].type = shifted.type();
      graph.values[i].constant = std::make_shared<const Tensor>(shifted);
      continue;
    }
    const bool is_input = std::find(graph.inputs.begin(), graph.inputs.end(), id) != graph.inputs.end();
    if (!is_input && !is_graph_output(graph, id)) {
      graph.values[i].type = as_uint8(type);
      continue;
    }
    const ValueId inner = graph.add_value(graph.values[i].name + "_u8", as_uint8(type));
    for (Node& node : graph.nodes) {
      std::replace(node.in.begin(), node.in.end(), id, inner);
      if (!is_input) std::replace(node.out.begin(), node.out.end(), id, inner);
    }
    const std::string name = graph.values[i].name + "_shift";
    if (is_input)
      before.push_back({op::QuantizeLinear{}, {id}, {inner}, name});
    else
      after.push_back({op::QuantizeLinear{}, {inner}, {id}, name});
  }
  for (Node& node : graph.nodes)
    if (auto* conv = std::get_if<op::Conv>(&node.op); conv != nullptr && conv->mid.dtype == DType::i8)
      conv->mid = {conv->mid.scale, conv->mid.zero_point + 128, DType::u8};
  before.insert(before.end(), graph.nodes.begin(), graph.nodes.end());
  before.insert(before.end(), after.begin(), after.end());
  graph.nodes = std::move(before);
  return graph;
}

Graph without_dead_nodes(Graph graph) {
  std::vector<bool> live(graph.values.size());
  for (ValueId id : graph.outputs) live[static_cast<std::size_t>(id)] = true;
  std::vector<Node> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool used = std::any_of(node->out.begin(), node->out.end(), [&](ValueId id) {
      return id != kNoValue && live[static_cast<std::size_t>(id)];
    });
    if (!used) continue;
    for (ValueId id : node->in)
      if (id != kNoValue) live[static_cast<std::size_t>(id)] = true;
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());
  graph.nodes = std::move(kept);
  compact(graph);
  return graph;
}

}  // namespace

Graph lower(Graph graph, std::vector<LowerNote>* notes) {
  graph = run_passes(expand_qlinear(std::move(graph)), lowering_passes());
  graph = fuse_add_clamp(std::move(graph));
  graph = absorb_quantization(std::move(graph), notes);
  graph = fuse_quantized_residual(std::move(graph));
  graph = without_dead_nodes(store_as_uint8(std::move(graph)));
  verify(graph);
  return graph;
}

}  // namespace eke
