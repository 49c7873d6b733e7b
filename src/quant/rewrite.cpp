#include "quant/rewrite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "base/error.h"
#include "quant/keep.h"
#include "quant/placement.h"

namespace eke {
namespace {

using Kind = QuantRule::Kind;

void check_weights_are_finite(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (rule_of(graph, node) != Kind::weighted) continue;  // a clamp may well be infinite
    for (const ValueId id : node.in) {
      const Tensor* constant = id == kNoValue ? nullptr : graph.constant(id);
      if (!constant || constant->dtype() != DType::f32) continue;
      for (const float value : constant->values<float>()) {
        check(std::isfinite(value), "weights '{}' of node '{}' hold {}; train or export the model again",
              graph[id].name, label(graph, node), std::isnan(value) ? "NaN" : "an infinity");
      }
    }
  }
}

void check_is_float(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    const bool quantized = std::holds_alternative<op::QuantizeLinear>(node.op) ||
                           std::holds_alternative<op::DequantizeLinear>(node.op);
    check(!quantized, "the model is quantized already: node '{}' is {}; start from the float model",
          label(graph, node), op_name(node.op));
  }
}

// Where the maker of a value bounds it by itself.
Range bounded_by_maker(const Graph& graph, const Node* maker, Range range) {
  if (!maker) return range;
  float lo = -std::numeric_limits<float>::infinity(), hi = std::numeric_limits<float>::infinity();
  if (const auto* unary = std::get_if<op::Unary>(&maker->op); unary && unary->fn == op::UnaryFn::Relu) lo = 0;
  if (std::holds_alternative<op::Clip>(maker->op)) {
    const auto bound = [&](std::size_t i, float& to) {
      const Tensor* given = i < maker->in.size() ? graph.constant(maker->in[i]) : nullptr;
      if (given) to = static_cast<float>(element_as_double(given->view(), 0));
    };
    bound(1, lo);
    bound(2, hi);
  }
  if (lo > hi) return range;
  return {std::clamp(range.lo, lo, hi), std::clamp(range.hi, lo, hi)};
}

Tensor scaled(const Tensor& tensor, float factor) {
  Tensor result = tensor;
  if (factor != 1) {
    for (float& x : result.mutable_values<float>()) x *= factor;
  }
  return result;
}

// ONNX's TensorProto.DataType.
constexpr std::int64_t kOnnxU16 = 4, kOnnxI16 = 5;

// What is put where values and weights are rounded.
enum class Emit { linear, fake };

class Rewriter {
 public:
  Rewriter(const Graph& graph, const Ranges& ranges, const RewriteOptions& options, Emit emit,
           const QuantizedWeightsByNode& given)
      : graph_(graph),
        ranges_(ranges),
        options_(options),
        given_(given),
        emit_(emit),
        placement_(place(graph, options)),
        is_wide_(graph.values.size(), options.wide) {
    const std::vector<int> makers = producers(graph);
    makers_.resize(makers.size());
    for (std::size_t v = 0; v < makers.size(); ++v) {
      makers_[v] = makers[v] < 0 ? nullptr : &graph.nodes[static_cast<std::size_t>(makers[v])];
    }
    const std::vector<std::string> wide = match_nodes(graph, options.wide_nodes);
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      for (const ValueId id : graph.nodes[n].out) {
        if (!wide[n].empty() && placement_.is_quantized(id))
          is_wide_[index(placement_.scale_of[index(id)])] = true;
      }
    }
    check(emit == Emit::linear || std::ranges::find(is_wide_, true) == is_wide_.end(),
          "training simulates activations of 8 bits; leave nodes in float instead of 16 bits");
  }

  Graph run() {
    out_ = graph_;
    out_.nodes.clear();
    read_.resize(graph_.values.size());
    for (std::size_t v = 0; v < read_.size(); ++v) read_[v] = static_cast<ValueId>(v);
    for (const ValueId input : graph_.inputs) {
      if (placement_.is_quantized(input)) quantize_value(input, input);
    }
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      with_context([&] { return fmt::format("node '{}'", label(graph_, graph_.nodes[n])); },
                   [&] { emit(n); });
    }
    compact(out_);
    verify(out_);
    return std::move(out_);
  }
  QuantReport take_report() { return std::move(report_); }
  QuantizedWeightsByNode take_weights() { return std::move(weights_); }
  std::vector<FakeScale> take_scales() { return std::move(scales_); }

 private:
  static std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

  // How what uses the scale of `leader` is stored.
  ActivationScheme scheme_of(ValueId leader) const {
    return is_wide_[index(leader)] ? in_16_bits(options_.activations) : options_.activations;
  }

  const CalibratedRange& range_of(ValueId id) const {
    const auto found = ranges_.find(graph_[id].name);
    check(found != ranges_.end(), "tensor '{}' has no range; it must be observed during calibration",
          graph_[id].name);
    return found->second;
  }

  std::span<const float> means_of(ValueId id) const {
    const auto found = ranges_.find(graph_[id].name);
    if (!options_.correct_biases || found == ranges_.end()) return {};
    return found->second.channel_means;
  }

  // Of the values that use the range of `leader`, each within the bounds of its maker.
  template <class RangeOf>
  Range united(ValueId leader, RangeOf range) const {
    std::optional<Range> result;
    for (const ValueId id : placement_.ranged(leader)) {
      const Range own = bounded_by_maker(graph_, makers_[index(id)], range(id));
      result = result ? Range{std::min(result->lo, own.lo), std::max(result->hi, own.hi)} : own;
    }
    return *result;
  }

  // A scale that reaches no further than the clamp that makes the value: levels beyond it would be wasted, and ONNX Runtime
  // refuses to fuse them.
  ScaleZero within_bounds(ScaleZero qparams, ValueId leader) const {
    constexpr float kMost = std::numeric_limits<float>::max();
    const Range bounds = united(leader, [&](ValueId) { return Range{-kMost, kMost}; });
    const std::int32_t above = levels_of({scheme_of(leader).dtype, false}).hi - qparams.zero_point;
    if (bounds.hi < kMost && bounds.hi > 0 && above > 0)
      qparams.scale = std::min(qparams.scale, static_cast<float>(double{bounds.hi} / above));
    return qparams;
  }

  ScaleZero qparams_of(ValueId id) const {
    const ValueId leader = placement_.scale_of[index(id)];
    const auto learned = options_.learned.values.find(graph_[leader].name);
    if (learned != options_.learned.values.end()) return within_bounds(learned->second, leader);
    const ActivationScheme scheme = scheme_of(leader);
    return qparams_for(united(leader,
                              [&](ValueId source) {
                                const CalibratedRange& known = range_of(source);
                                return is_wide(scheme.dtype) ? known.seen : known.range;
                              }),
                       scheme);
  }

  ValueId constant(const std::string& name, Tensor tensor) {
    return out_.add_constant(name, std::move(tensor));
  }

  ValueId zero_point(const std::string& name, DType dtype, std::int32_t zero) {
    return constant(name, converted(Tensor::scalar(zero), dtype));
  }

  ValueId add_node(Op op, std::vector<ValueId> in, std::string node_name, std::string value_name, Type type) {
    const ValueId id =
        out_.add_node(std::move(op), std::move(in), std::move(node_name), {std::move(value_name)});
    out_[id].type = std::move(type);
    return id;
  }

  // Rounds `made`, the float result behind `id`, and lets all readers of `id` read the rounded one.
  void quantize_value(ValueId id, ValueId made) {
    const ScaleZero qparams = qparams_of(id);
    if (emit_ == Emit::fake) {
      fake_quantize_value(id, made, qparams);
    } else {
      add_pair(id, made, qparams);
    }
    const ValueId leader = placement_.scale_of[index(id)];
    const auto range = ranges_.find(graph_[leader].name);
    const CalibratedRange& known = range == ranges_.end() ? CalibratedRange{} : range->second;
    const bool wide = is_wide_[index(leader)];
    report_.tensors.push_back({graph_[id].name, graph_[leader].name, known.seen,
                               wide ? known.seen : known.range, wide ? "all of 16 bits" : known.method,
                               qparams.scale, qparams.zero_point, wide ? 16 : 8});
  }

  void add_pair(ValueId id, ValueId made, const ScaleZero& qparams) {
    const std::string& name = graph_[id].name;
    const Shape& shape = graph_[id].type.shape;
    const ValueId scale = constant(name + "_scale", Tensor::scalar(qparams.scale));
    const DType dtype = scheme_of(placement_.scale_of[index(id)]).dtype;
    const ValueId zero = zero_point(name + "_zero_point", dtype, qparams.zero_point);
    // Only the newer operator set has integers of 16 bits; naming the type there makes the file one of it.
    const op::QuantizeLinear quantize{.output_dtype = dtype == DType::u16   ? kOnnxU16
                                                      : dtype == DType::i16 ? kOnnxI16
                                                                            : 0};
    const ValueId stored =
        add_node(quantize, {made, scale, zero}, name + "_quantize", name + "_quantized", {dtype, shape});
    if (made == id) {
      read_[index(id)] = add_node(op::DequantizeLinear{}, {stored, scale, zero}, name + "_dequantize",
                                  name + "_dequantized", {DType::f32, shape});
    } else {
      out_.nodes.push_back({op::DequantizeLinear{}, {stored, scale, zero}, {id}, name + "_dequantize"});
    }
  }

  // The size of a constant that holds the scales of `of`: one for all that share them.
  ValueId fake_scale(const std::string& of, Tensor value, FakeScale scale) {
    const auto [it, added] = fake_scales_.try_emplace(of, kNoValue);
    if (added) {
      const Type type = value.type();
      const ValueId raw = constant(of + "_scale", std::move(value));
      scale.constant = out_[raw].name;
      scale.of = of;
      scales_.push_back(std::move(scale));
      // A step of training may carry it through zero.
      it->second = add_node(op::Unary{op::UnaryFn::Abs}, {raw}, of + "_scale_size", of + "_scale_size", type);
    }
    return it->second;
  }

  void fake_quantize_value(ValueId id, ValueId made, const ScaleZero& qparams) {
    const Value& value = graph_[id];
    const ValueId leader = placement_.scale_of[index(id)];
    const Shape& shape = graph_[leader].type.shape;
    const ValueId scale =
        fake_scale(graph_[leader].name, Tensor::scalar(qparams.scale),
                   {.zero_point = qparams.zero_point,
                    .elements = shape.rank() > 1 ? shape.count(1, shape.rank()) : shape.count()});
    // Stored as bytes, whatever the integers of the saved form: the zero point makes up for it.
    const std::int32_t zero = qparams.zero_point - levels_of({options_.activations.dtype, false}).lo;
    const ValueId rounded =
        round(made, scale, zero, 1, value.name, made == id ? kNoValue : id, value.type.shape);
    if (made == id) read_[index(id)] = rounded;
  }

  // A float that is rounded as 8 bits would be: `out`, or a new value.
  ValueId round(ValueId x, ValueId scale, std::int32_t zero_point, int axis, const std::string& name,
                ValueId out, const Shape& shape) {
    Tensor zeros(DType::u8, out_[scale].type.shape);
    std::ranges::fill(zeros.mutable_values<std::uint8_t>(), static_cast<std::uint8_t>(zero_point));
    const ValueId zero = constant(name + "_zero_point", std::move(zeros));
    const ValueId stored = add_node(op::QuantizeLinear{.axis = axis}, {x, scale, zero}, name + "_quantize",
                                    name + "_quantized", {DType::u8, shape});
    if (out == kNoValue) out = out_.add_value(name + "_rounded", {DType::f32, shape});
    out_.nodes.push_back(
        {op::DequantizeLinear{.axis = axis}, {stored, scale, zero}, {out}, name + "_dequantize"});
    return out;
  }

  void emit(std::size_t n) {
    const Node& original = graph_.nodes[n];
    Node node = original;
    const Kind kind = placement_.is_integer(n) ? rule_of(graph_, node) : Kind::float_only;
    for (ValueId& id : node.in) {
      if (id != kNoValue) id = read_[index(id)];
    }
    if (kind == Kind::weighted) {
      quantize_weights_of(original, node);
    } else if (kind != Kind::float_only) {
      for (const std::size_t i : data_inputs(graph_, original)) {
        if (graph_.constant(original.in[i]))
          node.in[i] = quantize_constant(original.in[i], constant_scheme(original));
      }
    }
    if (kind == Kind::float_only) note_island(n);
    std::vector<std::pair<ValueId, ValueId>> rounded;
    for (ValueId& id : node.out) {
      if (!placement_.is_quantized(id)) continue;
      const ValueId value = id;
      // A graph output keeps its name: it is what leaves the DequantizeLinear.
      if (is_graph_output(graph_, value))
        id = out_.add_value(graph_[value].name + "_float", graph_[value].type);
      rounded.emplace_back(value, id);
    }
    out_.nodes.push_back(std::move(node));
    for (const auto& [value, made] : rounded) quantize_value(value, made);
  }

  void note_island(std::size_t n) {
    const Node& node = graph_.nodes[n];
    const bool is_float = std::ranges::any_of(
        node.out, [&](ValueId id) { return id != kNoValue && eke::is_float(graph_[id].type.dtype); });
    if (!is_float) return;
    report_.islands.push_back({std::string(label(graph_, node)), std::string(op_name(node.op)),
                               placement_.why_float[n], cost_of(graph_, node)});
  }

  // Of constants that an elementwise operator takes: as wide as what it makes.
  ActivationScheme constant_scheme(const Node& node) const {
    const ValueId out = node.out[0];
    return placement_.is_quantized(out) ? scheme_of(placement_.scale_of[index(out)]) : options_.activations;
  }

  ValueId quantize_constant(ValueId id, const ActivationScheme& scheme) {
    const Value value = graph_[id];
    const ScaleZero qparams =
        with_context([&] { return fmt::format("constant '{}'", value.name); },
                     [&] { return constant_qparams(value.constant->values<float>(), scheme); });
    Tensor quantized = quantize_tensor(*value.constant, qparams, scheme);
    if (emit_ == Emit::fake) return constant(value.name + "_rounded", dequantized(quantized, qparams));
    const ValueId stored = constant(value.name + "_quantized", std::move(quantized));
    const ValueId scale = constant(value.name + "_scale", Tensor::scalar(qparams.scale));
    const ValueId zero = zero_point(value.name + "_zero_point", scheme.dtype, qparams.zero_point);
    return add_node(op::DequantizeLinear{}, {stored, scale, zero}, value.name + "_dequantize",
                    value.name + "_dequantized", {DType::f32, value.type.shape});
  }

  static Tensor dequantized(const Tensor& quantized, const ScaleZero& qparams) {
    Tensor result(DType::f32, quantized.shape());
    const auto to = result.mutable_values<float>();
    for (std::size_t i = 0; i < to.size(); ++i) {
      const auto q = static_cast<float>(element_as_double(quantized.view(), static_cast<std::int64_t>(i)));
      to[i] = (q - static_cast<float>(qparams.zero_point)) * qparams.scale;
    }
    return result;
  }

  // Weights and bias as the integer form takes them: alpha and beta of a Gemm multiplied in, one bias a
  // channel.
  struct Parameters {
    Tensor weights;
    std::vector<float> bias;
  };
  static Parameters parameters_of(const Graph& graph, const Node& node, Op& op) {
    const QuantRule& rule = def(op).quant;
    Parameters result{*graph.constant(node.in[static_cast<std::size_t>(rule.weight)]), {}};
    const auto bias_input = static_cast<std::size_t>(rule.bias);
    const Tensor* bias =
        rule.bias >= 0 && bias_input < node.in.size() ? graph.constant(node.in[bias_input]) : nullptr;
    float beta = 1;
    if (auto* gemm = std::get_if<op::Gemm>(&op)) {
      result.weights = scaled(result.weights, gemm->alpha);
      beta = gemm->beta;
      gemm->alpha = gemm->beta = 1;
    }
    if (!bias) return result;
    const auto channels = static_cast<std::size_t>(result.weights.shape()[weight_axis(op)]);
    const auto values = bias->values<float>();
    for (std::size_t c = 0; c < channels; ++c)
      result.bias.push_back(beta * values[values.size() == 1 ? 0 : c]);
    return result;
  }

  void quantize_weights_of(const Node& original, Node& node) {
    const Parameters parameters = parameters_of(graph_, original, node.op);
    const QuantRule& rule = def(node.op).quant;
    const int axis = weight_axis(node.op);
    const ScaleZero input = qparams_of(original.in[0]);
    const auto* conv = std::get_if<op::Conv>(&node.op);
    // Any stored value may come, also those that a symmetric scheme does not use.
    const ProductInput product{
        .qparams = input,
        .levels = levels_of({scheme_of(placement_.scale_of[index(original.in[0])]).dtype, false}),
        .channel_means = rule.bias < 0 ? std::span<const float>() : means_of(original.in[0]),
        .groups = conv ? conv->group : 1};
    const auto weight_input = static_cast<std::size_t>(rule.weight);
    const std::string& weight_name = graph_[original.in[weight_input]].name;
    const auto learned = options_.learned.weights.find(weight_name);
    const std::string layer(label(graph_, original));
    const auto known = given_.find(layer);
    WeightOptions weight_options = options_.weights;
    if (const auto bits = options_.weight_bits.find(layer); bits != options_.weight_bits.end())
      weight_options.bits = bits->second;
    const QuantizedWeights quantized =
        known != given_.end()
            ? known->second
            : quantize_weights(
                  parameters.weights, axis, parameters.bias, product, weight_options,
                  learned == options_.learned.weights.end() ? std::span<const float>() : learned->second);
    check(quantized.weights.shape() == parameters.weights.shape(), "given weights of shape {} for {}",
          to_string(quantized.weights.shape()), to_string(parameters.weights.shape()));
    weights_[layer] = quantized;
    note_layer(original, parameters.weights.shape()[axis], quantized);
    if (emit_ == Emit::fake) {
      fake_weights(original, node, quantized, input.scale);
      return;
    }
    node.in[weight_input] = add_weights(weight_name, quantized, axis);
    // Engines share equal constants, and take a bias that is all zero or shared for no bias of this layer.
    const auto bias_input = static_cast<std::size_t>(std::max(rule.bias, 0));
    const bool had_bias = !parameters.bias.empty();
    if (std::ranges::any_of(quantized.bias, [](std::int32_t b) { return b != 0; })) {
      const std::string name =
          had_bias ? graph_[original.in[bias_input]].name : graph_[original.out[0]].name + "_bias";
      node.in.resize(std::max(node.in.size(), bias_input + 1), kNoValue);
      node.in[bias_input] = add_bias(name, quantized, input.scale);
    } else if (had_bias) {
      node.in.resize(bias_input);
    }
  }

  void note_layer(const Node& original, std::int64_t channels, const QuantizedWeights& quantized) {
    const auto [least, most] = std::ranges::minmax(quantized.scale);
    report_.layers.push_back({std::string(label(graph_, original)), std::string(op_name(original.op)),
                              cost_of(graph_, original), static_cast<int>(channels), quantized.dead_channels,
                              quantized.widened_channels, least, most, quantized.sqnr_db, quantized.bits});
  }

  // Weights stay float constants of their name, and are rounded when they are read; a bias gets the value that its
  // integers stand for.
  void fake_weights(const Node& original, Node& node, const QuantizedWeights& quantized, float input_scale) {
    const auto* gemm = std::get_if<op::Gemm>(&original.op);
    check(!gemm || (gemm->alpha == 1 && (gemm->beta == 1 || original.in.size() < 3)),
          "alpha and beta must be 1 for training with simulated quantization; keep this node in float");
    const QuantRule& rule = def(node.op).quant;
    const auto weight_input = static_cast<std::size_t>(rule.weight);
    const Value& weights = graph_[original.in[weight_input]];
    // Gradients are there for scales of the first axis; others become one for all.
    const bool per_channel = options_.weights.per_channel && weight_axis(node.op) == 0;
    const std::vector<float> scales =
        per_channel ? quantized.scale : std::vector<float>{std::ranges::max(quantized.scale)};
    const auto count = static_cast<std::int64_t>(scales.size());
    const ValueId scale = fake_scale(
        weights.name,
        Tensor::from<float>(per_channel ? Shape{count} : Shape{}, std::span<const float>(scales)),
        {.of_weights = true, .elements = weights.constant->count() / std::max<std::int64_t>(count, 1)});
    node.in[weight_input] =
        round(original.in[weight_input], scale, 128, 0, weights.name, kNoValue, weights.type.shape);
    const auto bias_input = static_cast<std::size_t>(std::max(rule.bias, 0));
    if (rule.bias < 0 || bias_input >= original.in.size() || original.in[bias_input] == kNoValue) return;
    const ValueId bias = original.in[bias_input];
    if (graph_.constant(bias)->count() != static_cast<std::int64_t>(quantized.bias.size())) return;
    Tensor corrected = *graph_.constant(bias);
    const auto to = corrected.mutable_values<float>();
    for (std::size_t c = 0; c < to.size(); ++c) {
      const double unit = double{input_scale} * double{quantized.scale[quantized.scale.size() == 1 ? 0 : c]};
      to[c] = static_cast<float>(quantized.bias[c] * unit);
    }
    out_[bias].constant = std::make_shared<const Tensor>(std::move(corrected));
  }

  ValueId add_weights(const std::string& name, const QuantizedWeights& quantized, int axis) {
    const auto count = static_cast<std::int64_t>(quantized.scale.size());
    const bool per_channel = options_.weights.per_channel;
    const Shape shape = per_channel ? Shape{count} : Shape{};
    const ValueId stored = constant(name + "_quantized", quantized.weights);
    const ValueId scale = constant(name + "_scale", Tensor::from<float>(shape, std::span(quantized.scale)));
    const ValueId zero = constant(name + "_zero_point", Tensor(DType::i8, shape));
    return add_node(op::DequantizeLinear{.axis = per_channel ? axis : 1}, {stored, scale, zero},
                    name + "_dequantize", name + "_dequantized", {DType::f32, quantized.weights.shape()});
  }

  ValueId add_bias(const std::string& name, const QuantizedWeights& quantized, float input_scale) {
    const Shape shape{static_cast<std::int64_t>(quantized.bias.size())};
    std::vector<float> scales;
    for (const float weight_scale : quantized.scale) {
      scales.push_back(static_cast<float>(double{input_scale} * double{weight_scale}));
    }
    const Shape scale_shape = options_.weights.per_channel ? shape : Shape{};
    const ValueId stored =
        constant(name + "_quantized", Tensor::from<std::int32_t>(shape, std::span(quantized.bias)));
    const ValueId scale =
        constant(name + "_scale", Tensor::from<float>(scale_shape, std::span<const float>(scales)));
    return add_node(op::DequantizeLinear{.axis = 0}, {stored, scale}, name + "_dequantize",
                    name + "_dequantized", {DType::f32, shape});
  }

  const Graph& graph_;
  const Ranges& ranges_;
  const RewriteOptions& options_;
  const QuantizedWeightsByNode& given_;
  Emit emit_;
  Placement placement_;
  std::vector<bool> is_wide_;        // per value, of those whose scale is used
  std::vector<const Node*> makers_;  // per value; null for inputs and constants
  Graph out_;
  std::vector<ValueId> read_;  // per value of the float graph: what its readers read
  QuantReport report_;
  QuantizedWeightsByNode weights_;
  std::map<std::string, ValueId> fake_scales_;  // by what they belong to
  std::vector<FakeScale> scales_;
};

}  // namespace

std::vector<std::string> ranges_needed(const Graph& graph, const RewriteOptions& options) {
  check_is_float(graph);
  check_weights_are_finite(graph);
  const Placement placement = place(graph, options);
  std::set<ValueId> ranged;
  for (const ValueId leader : placement.scale_of)
    for (const ValueId id : placement.ranged(leader)) ranged.insert(id);
  std::vector<std::string> names;
  const auto add = [&](ValueId id) {
    if (id != kNoValue && ranged.contains(id)) names.push_back(graph[id].name);
  };
  for (const ValueId id : graph.inputs) add(id);
  for (const Node& node : graph.nodes) std::ranges::for_each(node.out, add);
  return names;
}

std::vector<std::string> means_wanted(const Graph& graph, const RewriteOptions& options) {
  std::vector<std::string> names;
  if (!options.correct_biases) return names;
  const Placement placement = place(graph, options);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (!placement.is_integer(n) || rule_of(graph, node) != Kind::weighted || def(node.op).quant.bias < 0)
      continue;
    const std::string& name = graph[node.in[0]].name;
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

Quantized quantize(const Graph& graph, const Ranges& ranges, const RewriteOptions& options,
                   const QuantizedWeightsByNode& given) {
  check_is_float(graph);
  Rewriter rewriter(graph, ranges, options, Emit::linear, given);
  Graph result = rewriter.run();
  return {std::move(result), rewriter.take_report(), rewriter.take_weights()};
}

FakeQuantized fake_quantize(const Graph& graph, const Ranges& ranges, const RewriteOptions& options) {
  check_is_float(graph);
  const QuantizedWeightsByNode none;
  Rewriter rewriter(graph, ranges, options, Emit::fake, none);
  Graph result = rewriter.run();
  return {std::move(result), rewriter.take_scales()};
}

LearnedScales learned_scales(const Graph& trained, const std::vector<FakeScale>& scales) {
  LearnedScales learned;
  for (const FakeScale& scale : scales) {
    const Tensor* constant = trained.constant(find_value(trained, scale.constant));
    check(constant != nullptr, "the graph has no scale '{}'", scale.constant);
    std::vector<float> values;
    for (const float x : constant->values<float>()) values.push_back(std::max(std::fabs(x), kMinScale));
    if (scale.of_weights) {
      learned.weights[scale.of] = std::move(values);
    } else {
      learned.values[scale.of] = {values.at(0), scale.zero_point};
    }
  }
  return learned;
}

}  // namespace eke
