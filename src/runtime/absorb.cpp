#include "runtime/absorb.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "ops/op_def.h"
#include "ops/quantized.h"

namespace eke {
namespace {

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

bool is_8bit(DType dtype) { return dtype == DType::u8 || dtype == DType::i8; }

// The parameters of a Q or DQ node whose scale and zero point are constants; none when it is blocked.
std::optional<QParams> params_of(const Graph& graph, const Node& node, int rank) {
  std::int64_t axis = 1, block = 0;
  if (const auto* q = std::get_if<op::QuantizeLinear>(&node.op)) axis = q->axis, block = q->block_size;
  if (const auto* dq = std::get_if<op::DequantizeLinear>(&node.op)) axis = dq->axis, block = dq->block_size;
  const Tensor* scale = node.in.size() > 1 ? graph.constant(node.in[1]) : nullptr;
  if (scale == nullptr || block != 0 || scale->shape().rank() > 1) return std::nullopt;
  QParams params{.scale = as_floats(*scale), .zero_point = std::vector<std::int32_t>(scale->count(), 0)};
  if (scale->count() != 1) params.axis = static_cast<int>(axis < 0 ? axis + rank : axis);
  if (node.in.size() > 2 && node.in[2] != kNoValue) {
    const Tensor* zero_point = graph.constant(node.in[2]);
    if (zero_point == nullptr || zero_point->count() != scale->count()) return std::nullopt;
    for (std::int64_t i = 0; i < zero_point->count(); ++i)
      params.zero_point[static_cast<std::size_t>(i)] =
          static_cast<std::int32_t>(element_as_int(zero_point->view(), i));
  }
  return params;
}

// Per-tensor weights and per-channel weights alike as one scale a channel.
std::vector<float> channel_scales(const QParams& params, std::int64_t channels) {
  return params.per_tensor() ? std::vector<float>(static_cast<std::size_t>(channels), params.scale[0])
                             : params.scale;
}

Tensor dequantized(const Tensor& tensor) {
  const QParams& params = *tensor.type().quant;
  const Shape& shape = tensor.shape();
  const std::int64_t inner = params.per_tensor() ? 1 : shape.count(params.axis + 1, shape.rank());
  const std::int64_t channels = params.per_tensor() ? 1 : shape[params.axis];
  Tensor result(DType::f32, shape);
  const auto values = result.mutable_values<float>();
  for (std::int64_t i = 0; i < tensor.count(); ++i)
    values[static_cast<std::size_t>(i)] = quantized::dequantize(
        quantized::load(tensor.view(), i),
        quantized::params(tensor.type(), static_cast<std::size_t>(i / inner % channels)));
  return result;
}

class Absorber {
 public:
  Absorber(Graph graph, std::vector<LowerNote>* notes)
      : graph_(std::move(graph)),
        notes_(notes),
        readers_(consumers(graph_)),
        quantized_(graph_.values.size()) {}

  Graph run() {
    source_ = std::exchange(graph_.nodes, {});
    for (std::size_t i = 0; i < graph_.values.size(); ++i) quantized_[i] = kNoValue;
    for (const Node& node : source_) visit(node);
    for (ValueId& id : graph_.outputs) id = output(id);
    return std::move(graph_);
  }

 private:
  // --- values ----------------------------------------------------------------------------------------------

  // The quantized tensor that a float value is the dequantization of, or kNoValue.
  ValueId quantized(ValueId id) const { return id == kNoValue ? kNoValue : quantized_[index(id)]; }

  void set_quantized(ValueId real, ValueId q) { quantized_[index(real)] = q; }

  ValueId add_value(const std::string& name, Type type) {
    const ValueId id = graph_.add_value(name, std::move(type));
    quantized_.push_back(kNoValue);
    return id;
  }

  ValueId add_constant(const std::string& name, Tensor tensor) {
    const ValueId id = graph_.add_constant(name, std::move(tensor));
    quantized_.push_back(kNoValue);
    return id;
  }

  ValueId resolved(ValueId id) const {
    const auto alias = alias_.find(id);
    return alias == alias_.end() ? id : alias->second;
  }

  // The float value itself: where only its quantized tensor exists so far, a DequantizeLinear makes it; that of a constant
  // is another constant.
  ValueId real(ValueId id) {
    const ValueId q = quantized(id);
    if (q == kNoValue || materialized_.contains(id)) return resolved(id);
    if (const Tensor* constant = graph_.constant(q)) {
      materialized_[id] = true;
      alias_[id] = add_constant(graph_[id].name, dequantized(*constant));
      return alias_[id];
    }
    materialized_[id] = true;
    graph_.nodes.push_back({op::DequantizeLinear{}, {q}, {id}, graph_[id].name + "_dequantize"});
    return id;
  }

  // Graph outputs keep their names: one that became an alias is copied.
  ValueId output(ValueId id) {
    if (!alias_.contains(id)) return real(id);
    graph_.nodes.push_back({op::Identity{}, {alias_.at(id)}, {id}, graph_[id].name});
    alias_.erase(id);
    return id;
  }

  // The parameters to which the only reader of a float value rounds it, looking through operators that only
  // move elements.
  std::optional<Type> rounded_to(ValueId id) const {
    while (true) {
      const auto& uses = readers_[index(id)];
      if (uses.size() != 1 || is_graph_output(graph_, id)) return std::nullopt;
      const Node& reader = source_[static_cast<std::size_t>(uses[0])];
      if (std::holds_alternative<op::QuantizeLinear>(reader.op)) {
        auto params = params_of(graph_, reader, graph_[id].type.shape.rank());
        const DType dtype = graph_[reader.out[0]].type.dtype;
        if (!params || !params->per_tensor() || !is_8bit(dtype)) return std::nullopt;
        return Type{dtype, {}, std::move(params)};
      }
      if (!only_moves(reader) || reader.in[0] != id) return std::nullopt;
      id = reader.out[0];
    }
  }

  bool only_moves(const Node& node) const {
    if (node.out.size() != 1 && !std::holds_alternative<op::Split>(node.op)) return false;
    if (const auto* resize = std::get_if<op::Resize>(&node.op)) return resize->mode == "nearest";
    if (const auto* pad = std::get_if<op::Pad>(&node.op); pad != nullptr && pad->mode == "constant")
      return node.in.size() < 3 || node.in[2] == kNoValue || is_zero(node.in[2]);
    return def(node.op).quant.kind == QuantRule::Kind::same_scale;
  }

  bool is_zero(ValueId id) const {
    const Tensor* tensor = graph_.constant(id);
    return tensor != nullptr && tensor->count() == 1 && element_as_double(tensor->view(), 0) == 0;
  }

  // --- nodes -----------------------------------------------------------------------------------------------

  void visit(const Node& node) {
    if (std::holds_alternative<op::DequantizeLinear>(node.op) && visit_dequantize(node)) return;
    if (std::holds_alternative<op::QuantizeLinear>(node.op) && visit_quantize(node)) return;
    if (only_moves(node) && visit_move(node)) return;
    switch (def(node.op).quant.kind) {
      case QuantRule::Kind::joined_scale:
        if (visit_join(node)) return;
        break;
      case QuantRule::Kind::weighted:
        if (visit_weighted(node)) return;
        break;
      case QuantRule::Kind::same_scale:  // for example a linear Resize
      case QuantRule::Kind::own_scale:
        if (visit_own_scale(node)) return;
        break;
      case QuantRule::Kind::float_only:
        break;
    }
    keep_in_float(node);
  }

  void keep_in_float(Node node) {
    for (ValueId& id : node.in)
      if (id != kNoValue) id = real(id);
    graph_.nodes.push_back(std::move(node));
  }

  bool visit_dequantize(const Node& node) {
    const ValueId x = resolved(node.in[0]);
    const Type type = graph_[x].type;
    auto params = params_of(graph_, node, type.shape.rank());
    if (!params) return false;
    if (graph_.constant(x) != nullptr) {
      if (size_of(type.dtype) == 2) return false;
      set_quantized(node.out[0],
                    add_constant(graph_[x].name, graph_.constant(x)->with_quant(std::move(params))));
      return true;
    }
    if (!params->per_tensor() || !is_8bit(type.dtype)) return false;
    if (type.quant && type.quant != params) return false;
    graph_[x].type.quant = std::move(params);
    set_quantized(node.out[0], x);
    return true;
  }

  bool visit_quantize(const Node& node) {
    const ValueId out = node.out[0];
    auto params = params_of(graph_, node, graph_[out].type.shape.rank());
    if (!params || !params->per_tensor() || !is_8bit(graph_[out].type.dtype)) return false;
    graph_[out].type.quant = params;
    const ValueId q = quantized(node.in[0]);
    if (q == kNoValue) {
      graph_.nodes.push_back({op::QuantizeLinear{}, {resolved(node.in[0])}, {out}, node.name});
    } else if (graph_[q].type.quant == params && graph_[q].type.dtype == graph_[out].type.dtype) {
      alias_[out] = q;
    } else {
      graph_.nodes.push_back({op::QuantizeLinear{}, {q}, {out}, node.name});
    }
    return true;
  }

  ValueId add_quantized_output(ValueId real_out, const Type& like) {
    const ValueId q =
        add_value(graph_[real_out].name + "_q", {like.dtype, graph_[real_out].type.shape, like.quant});
    set_quantized(real_out, q);
    return q;
  }

  bool visit_move(const Node& node) {
    const ValueId q = quantized(node.in[0]);
    if (q == kNoValue || !graph_[q].type.quant->per_tensor() || !is_8bit(graph_[q].type.dtype)) return false;
    Node moved = node;
    moved.in[0] = q;
    const Type like = graph_[q].type;
    for (ValueId& id : moved.out)
      if (id != kNoValue) id = add_quantized_output(id, like);
    graph_.nodes.push_back(std::move(moved));
    return true;
  }

  bool visit_join(const Node& node) {
    Node joined = node;
    bool same = true;
    for (ValueId& id : joined.in) {
      id = quantized(id);
      if (id == kNoValue || !graph_[id].type.quant->per_tensor() || !is_8bit(graph_[id].type.dtype))
        return false;
      same = same && graph_[id].type.quant == graph_[joined.in[0]].type.quant &&
             graph_[id].type.dtype == graph_[joined.in[0]].type.dtype;
    }
    auto like = rounded_to(node.out[0]);
    if (!like && same) like = graph_[joined.in[0]].type;
    if (!like) return false;
    joined.out[0] = add_quantized_output(node.out[0], *like);
    graph_.nodes.push_back(std::move(joined));
    return true;
  }

  // Elementwise functions, additions, averages: quantized in, quantized out. Further inputs are parameters,
  // which stay as they are.
  bool visit_own_scale(const Node& node) {
    const auto like = rounded_to(node.out[0]);
    // An average that is not rounded leaves in float, as a sum of products does.
    const bool leaves_in_float = !like && std::holds_alternative<op::GlobalAveragePool>(node.op);
    if ((!like && !leaves_in_float) || node.out.size() != 1) return false;
    const auto* binary = std::get_if<op::Binary>(&node.op);
    Node integer = node;
    bool any = false;
    for (std::size_t i = 0; i < integer.in.size(); ++i) {
      const ValueId q = quantized(integer.in[i]);
      if (q != kNoValue) {
        if (!graph_[q].type.quant->per_tensor() || !is_8bit(graph_[q].type.dtype)) return false;
        any = any || graph_.constant(q) == nullptr;
        integer.in[i] = q;
      } else if (integer.in[i] != kNoValue && graph_.constant(integer.in[i]) == nullptr) {
        return false;
      }
    }
    if (!any) return false;
    if (binary != nullptr && !has_integer_form(*binary, integer)) return false;
    if (like) integer.out[0] = add_quantized_output(node.out[0], *like);
    graph_.nodes.push_back(std::move(integer));
    return true;
  }

  // Two quantized tensors: rules 8 and 9. One, with a float constant: a function of one element (rule 12).
  bool has_integer_form(const op::Binary& binary, const Node& node) const {
    const bool a = graph_[node.in[0]].type.quant.has_value(), b = graph_[node.in[1]].type.quant.has_value();
    if (a && b)
      return binary.fn == op::BinaryFn::Add || binary.fn == op::BinaryFn::Sub ||
             binary.fn == op::BinaryFn::Mul;
    const ValueId constant = a ? node.in[1] : node.in[0];
    return graph_[constant].type.dtype == DType::f32 && !binary.clamp.active();
  }

  // --- products with constant weights ----------------------------------------------------------------------

  bool visit_weighted(const Node& node) {
    const ValueId x = quantized(node.in[0]);
    if (x == kNoValue) return false;
    if (const auto reason = why_float(node, x); !reason.empty()) {
      if (notes_ != nullptr) notes_->push_back({node.name, reason});
      return false;
    }
    emit_weighted(node, x);
    return true;
  }

  std::string why_float(const Node& node, ValueId x) const {
    if (std::holds_alternative<op::ConvTranspose>(node.op)) return "ConvTranspose has no integer form";
    if (!graph_[x].type.quant->per_tensor() || !is_8bit(graph_[x].type.dtype))
      return "its input is not quantized per tensor to 8 bits";
    const ValueId w = quantized(node.in[1]);
    if (w == kNoValue || graph_.constant(w) == nullptr) return "its weights are not quantized constants";
    if (!is_8bit(graph_[w].type.dtype)) return "its weights are not 8-bit integers";
    const int axis = graph_[w].type.quant->axis;
    if (axis >= 0 && axis != weight_axis(node))
      return "its weights are quantized along another axis than output channels";
    if (const auto* gemm = std::get_if<op::Gemm>(&node.op))
      if (gemm->alpha != 1 || (gemm->beta != 1 && node.in.size() > 2) || gemm->transA != 0)
        return "Gemm with alpha, beta or transA has no integer form";
    if (std::holds_alternative<op::MatMul>(node.op) && graph_[w].type.shape.rank() != 2)
      return "MatMul by weights that are not a matrix has no integer form";
    if (node.in.size() > 2 && node.in[2] != kNoValue && quantized(node.in[2]) == kNoValue &&
        graph_.constant(node.in[2]) == nullptr)
      return "its bias is not constant";
    if (node.in.size() > 3 && node.in[3] != kNoValue && graph_.constant(node.in[3]) == nullptr)
      return "the slope of its PRelu is not constant";
    return {};
  }

  int weight_axis(const Node& node) const {
    if (const auto* gemm = std::get_if<op::Gemm>(&node.op)) return gemm->transB != 0 ? 0 : 1;
    return std::holds_alternative<op::MatMul>(node.op) ? 1 : 0;
  }

  void emit_weighted(const Node& node, ValueId x) {
    Node integer = node;
    const std::int64_t channels = graph_[node.in[1]].type.shape[weight_axis(node)];
    integer.in[0] = x;
    integer.in[1] = weights(quantized(node.in[1]));
    const std::vector<float> weight_scale = channel_scales(*graph_[integer.in[1]].type.quant, channels);
    if (node.in.size() > 2 && node.in[2] != kNoValue)
      integer.in[2] = bias(node.in[2], graph_[x].type.quant->scale[0], weight_scale, node.name);
    const auto like = rounded_to(node.out[0]);
    if (node.in.size() > 4 && node.in[4] != kNoValue) {
      const ValueId residual = quantized(node.in[4]);
      if (!like || residual == kNoValue || graph_.constant(residual) != nullptr)
        return emit_apart(std::move(integer), node);
      integer.in[4] = residual;
    }
    if (like) integer.out[0] = add_quantized_output(node.out[0], *like);
    graph_.nodes.push_back(std::move(integer));
  }

  // An integer convolution with a float residual: the sum is a float Add of its own.
  void emit_apart(Node integer, const Node& node) {
    const ValueId sum = add_value(graph_[node.out[0]].name + "_sum", graph_[node.out[0]].type);
    auto& conv = std::get<op::Conv>(integer.op);
    const op::Clamp clamp = std::exchange(conv.clamp, {});
    integer.in.pop_back();
    integer.out[0] = sum;
    const ValueId residual = real(node.in[4]);
    graph_.nodes.push_back(std::move(integer));
    graph_.nodes.push_back(
        {op::Binary{.fn = op::BinaryFn::Add, .clamp = clamp}, {sum, residual}, node.out, node.name + "_add"});
  }

  // Weights with zero point 0. Asymmetric ones need nine bits: they become int16 constants, which the tactics
  // split into two int8 halves.
  ValueId weights(ValueId q) {
    const Tensor source = *graph_.constant(q);
    QParams params = *source.type().quant;
    if (source.dtype() == DType::i8 && std::all_of(params.zero_point.begin(), params.zero_point.end(),
                                                   [](std::int32_t z) { return z == 0; }))
      return q;
    const Shape& shape = source.shape();
    const std::int64_t inner = params.per_tensor() ? 1 : shape.count(params.axis + 1, shape.rank());
    const std::int64_t channels = params.per_tensor() ? 1 : shape[params.axis];
    Tensor wide(DType::i16, shape);
    auto values = wide.mutable_values<std::int16_t>();
    std::int16_t lo = 0, hi = 0;
    for (std::int64_t i = 0; i < source.count(); ++i) {
      const auto z = params.zero_point[static_cast<std::size_t>((i / inner) % channels)];
      const auto value = static_cast<std::int16_t>(element_as_int(source.view(), i) - z);
      values[static_cast<std::size_t>(i)] = value;
      lo = std::min(lo, value);
      hi = std::max(hi, value);
    }
    std::fill(params.zero_point.begin(), params.zero_point.end(), 0);
    const bool narrow = lo >= -128 && hi <= 127;
    return add_constant(graph_[q].name, (narrow ? converted(wide, DType::i8) : wide).with_quant(params));
  }

  // int32 on the scale sx * sw[c], one value a channel.
  ValueId bias(ValueId id, float input_scale, const std::vector<float>& weight_scale,
               const std::string& node) {
    const ValueId q = quantized(id);
    const auto channels = static_cast<std::int64_t>(weight_scale.size());
    Tensor result(DType::i32, {channels});
    auto values = result.mutable_values<std::int32_t>();
    const Tensor& source = *graph_.constant(q == kNoValue ? id : q);
    for (std::size_t c = 0; c < values.size(); ++c) {
      const std::int64_t i = source.count() == 1 ? 0 : static_cast<std::int64_t>(c);
      const double accumulator_scale = static_cast<double>(input_scale) * weight_scale[c];
      if (q == kNoValue) {
        values[c] = quantized::quantize_bias(static_cast<float>(element_as_double(source.view(), i)),
                                             input_scale, weight_scale[c]);
        continue;
      }
      const QParams& params = *source.type().quant;
      const std::size_t p = params.per_tensor() ? 0 : c;
      const auto stored = element_as_int(source.view(), i) - params.zero_point[p];
      const double scale = params.scale[p];
      // Tools form this scale in float32; a difference in its last bits is not meant.
      const bool same = std::abs(scale - accumulator_scale) <= 1e-5 * accumulator_scale;
      values[c] = same ? static_cast<std::int32_t>(stored)
                       : quantized::quantize_bias(static_cast<float>(static_cast<double>(stored) * scale),
                                                  input_scale, weight_scale[c]);
    }
    return add_constant(node + "_bias_i32", std::move(result));
  }

  Graph graph_;
  std::vector<LowerNote>* notes_;
  std::vector<Node> source_;
  std::vector<std::vector<int>> readers_;
  std::vector<ValueId> quantized_;
  std::map<ValueId, ValueId> alias_;      // outputs of Q nodes that round to what their input is already
  std::map<ValueId, bool> materialized_;  // float values that a DequantizeLinear has made
};

}  // namespace

Graph absorb_quantization(Graph graph, std::vector<LowerNote>* notes) {
  return Absorber(std::move(graph), notes).run();
}

}  // namespace eke
