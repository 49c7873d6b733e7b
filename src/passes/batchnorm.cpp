// Scales and shifts of channels, into the convolution or Gemm that stands before or after them. New weights
// are formed in double and rounded once.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <span>

#include "passes/pass_list.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

using Channels = std::vector<double>;

// y = scale[c] * x + shift[c], along axis 1.
struct Affine {
  ValueId x = kNoValue;
  Channels scale, shift;
};

std::optional<Affine> affine_of_norm(Rewriter& r, const op::BatchNormalization& a) {
  if (a.training_mode != 0 || r.node().out.size() != 1) return std::nullopt;
  const Shape& out = r.type(r.out()).shape;
  std::array<Channels, 4> parameters;  // scale, bias, mean, variance
  for (std::size_t i = 0; i < 4; ++i) {
    const Tensor* tensor = r.constant(r.in(i + 1));
    if (!tensor || tensor->dtype() != DType::f32 || out.rank() < 2 || tensor->count() != out[1])
      return std::nullopt;
    const auto values = tensor->values<float>();
    parameters[i].assign(values.begin(), values.end());
  }
  Affine affine{r.in(0), parameters[0], parameters[1]};
  for (std::size_t c = 0; c < affine.scale.size(); ++c) {
    affine.scale[c] /= std::sqrt(parameters[3][c] + static_cast<double>(a.epsilon));
    affine.shift[c] -= parameters[2][c] * affine.scale[c];
  }
  return affine;
}

std::optional<Affine> affine_of_binary(Rewriter& r, op::BinaryFn fn) {
  using op::BinaryFn;
  const Type& out = r.type(r.out());
  for (const std::size_t data : {0u, 1u}) {
    const ValueId x = r.in(data);
    const auto constants = per_channel(r.constant(r.in(1 - data)), out.shape, 1);
    if (!constants || r.constant(x) || r.type(x) != out) continue;
    Affine affine{x, Channels(constants->size(), 1), Channels(constants->size(), 0)};
    for (std::size_t c = 0; c < constants->size(); ++c) {
      const double value = (*constants)[c];
      if (fn == BinaryFn::Mul)
        affine.scale[c] = value;
      else if (fn == BinaryFn::Div && data == 0 && value != 0)
        affine.scale[c] = 1 / value;
      else if (fn == BinaryFn::Add)
        affine.shift[c] = value;
      else if (fn == BinaryFn::Sub)
        affine.shift[c] = data == 0 ? -value : value, affine.scale[c] = data == 0 ? 1 : -1;
      else
        return std::nullopt;
    }
    return affine;
  }
  return std::nullopt;
}

// The current node as a scale and shift of the channels of one float value.
std::optional<Affine> affine_of(Rewriter& r) {
  if (r.node().out.empty() || r.node().out[0] == kNoValue) return std::nullopt;
  const Type& out = r.type(r.out());
  if (out.dtype != DType::f32 || out.shape.rank() < 2) return std::nullopt;
  if (const auto* a = r.current<op::BatchNormalization>()) return affine_of_norm(r, *a);
  if (const auto* a = r.current<op::Binary>()) return affine_of_binary(r, a->fn);
  return std::nullopt;
}

bool all_zero(const Channels& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return v == 0; });
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

const Tensor* float_constant(Rewriter& r, ValueId id) {
  const Tensor* tensor = id == kNoValue ? nullptr : r.constant(id);
  return tensor && tensor->dtype() == DType::f32 ? tensor : nullptr;
}

// A convolution or Gemm whose weights can take up a scale of its channels.
struct Layer {
  std::string name;
  Op op;
  ValueId x, w, b;
  std::int64_t out_channels;
  // Channels to which element i of the weights belongs.
  std::function<std::size_t(std::int64_t)> out_channel, in_channel;
  double alpha = 1;
};

std::optional<Layer> layer_of(Rewriter& r, const Node& node) {
  const auto in = [&](std::size_t i) { return i < node.in.size() ? node.in[i] : kNoValue; };
  Layer layer{node.name, node.op, in(0), in(1), in(2), 0, {}, {}};
  const Tensor* w = float_constant(r, layer.w);
  if (!w || node.in.size() > 3 || (layer.b != kNoValue && !float_constant(r, layer.b))) return std::nullopt;
  const Shape shape = w->shape();
  const auto u = [](std::int64_t i) { return static_cast<std::size_t>(i); };
  if (const auto* conv = std::get_if<op::Conv>(&node.op)) {
    if (conv->clamp.active() || conv->mid.active()) return std::nullopt;
    const std::int64_t filter = shape.count(1, shape.rank()), plane = shape.count(2, shape.rank());
    const std::int64_t per_group = shape[0] / conv->group, in_group = shape[1];
    layer.out_channels = shape[0];
    layer.out_channel = [=](std::int64_t i) { return u(i / filter); };
    layer.in_channel = [=](std::int64_t i) {
      return u(i / filter / per_group * in_group + i / plane % in_group);
    };
  } else if (const auto* conv = std::get_if<op::ConvTranspose>(&node.op)) {
    const std::int64_t filter = shape.count(1, shape.rank()), plane = shape.count(2, shape.rank());
    const std::int64_t in_group = shape[0] / conv->group, out_group = shape[1];
    layer.out_channels = out_group * conv->group;
    layer.out_channel = [=](std::int64_t i) {
      return u(i / filter / in_group * out_group + i / plane % out_group);
    };
    layer.in_channel = [=](std::int64_t i) { return u(i / filter); };
  } else if (const auto* gemm = std::get_if<op::Gemm>(&node.op)) {
    if (gemm->clamp.active() || gemm->transA != 0) return std::nullopt;
    const std::int64_t columns = shape[1];
    layer.out_channels = gemm->transB ? shape[0] : shape[1];
    layer.alpha = static_cast<double>(gemm->alpha);
    const auto row = [=](std::int64_t i) { return u(i / columns); };
    const auto column = [=](std::int64_t i) { return u(i % columns); };
    if (gemm->transB)
      layer.out_channel = row, layer.in_channel = column;
    else
      layer.out_channel = column, layer.in_channel = row;
  } else {
    return std::nullopt;
  }
  return layer;
}

// The bias of each output channel; nothing where it differs between rows.
std::optional<Channels> bias_of(Rewriter& r, const Layer& layer) {
  if (layer.b == kNoValue) return Channels(static_cast<std::size_t>(layer.out_channels), 0);
  auto bias = per_channel(r.constant(layer.b), {1, layer.out_channels}, 1);
  if (const auto* gemm = std::get_if<op::Gemm>(&layer.op); gemm && bias)
    for (double& b : *bias) b *= static_cast<double>(gemm->beta);
  return bias;
}

Tensor rounded(const Channels& values) {
  Tensor tensor(DType::f32, {static_cast<std::int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.mutable_values<float>().begin());
  return tensor;
}

// The current node becomes `layer` with other weights and bias. False where float32 cannot hold them.
bool become(Rewriter& r, Layer layer, Tensor w, const Channels& bias) {
  Tensor b = rounded(bias);
  if (!all_finite(w.values<float>()) || !all_finite(b.values<float>())) return false;
  if (auto* gemm = std::get_if<op::Gemm>(&layer.op)) gemm->beta = 1;
  std::vector<ValueId> in{layer.x, r.replace_constant(layer.w, std::move(w))};
  if (layer.b != kNoValue)
    in.push_back(r.replace_constant(layer.b, std::move(b)));
  else if (!all_zero(bias))
    in.push_back(r.add_constant((layer.name.empty() ? "layer" : layer.name) + "_bias", std::move(b)));
  r.replace(std::move(layer.op), std::move(in), layer.name);
  return true;
}

// Conv, then affine: w'[m] = w[m] * scale[m], b' = b * scale + shift.
bool fold_into_previous(Rewriter& r, const Affine& affine) {
  const Node* previous = r.producer(affine.x);
  if (!previous || !r.single_use(affine.x)) return false;
  const std::optional<Layer> layer = layer_of(r, *previous);
  if (!layer || layer->out_channels != static_cast<std::int64_t>(affine.scale.size())) return false;
  std::optional<Channels> bias = bias_of(r, *layer);
  if (!bias) return false;
  Tensor w = *r.constant(layer->w);
  const auto values = w.mutable_values<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double scale = affine.scale[layer->out_channel(static_cast<std::int64_t>(i))];
    values[i] = static_cast<float>(static_cast<double>(values[i]) * scale);
  }
  for (std::size_t c = 0; c < bias->size(); ++c) (*bias)[c] = (*bias)[c] * affine.scale[c] + affine.shift[c];
  return become(r, *layer, std::move(w), *bias);
}

// A shift does not reach the zeros that pad the input.
bool pads_input(const Op& op) {
  const auto* conv = std::get_if<op::Conv>(&op);
  if (!conv) return std::holds_alternative<op::ConvTranspose>(op);
  const bool zero = std::all_of(conv->pads.begin(), conv->pads.end(), [](std::int64_t p) { return p == 0; });
  return !zero || conv->auto_pad == "SAME_UPPER" || conv->auto_pad == "SAME_LOWER";
}

// Affine, then the current Conv: w'[m,c] = w[m,c] * scale[c], b'[m] = b[m] + sum(w[m,c] * shift[c]).
bool fold_into_next(Rewriter& r, const Affine& affine) {
  if (!r.single_use(r.in(0))) return false;
  std::optional<Layer> layer = layer_of(r, r.node());
  if (!layer || (pads_input(layer->op) && !all_zero(affine.shift))) return false;
  std::optional<Channels> bias = bias_of(r, *layer);
  if (!bias) return false;
  Tensor w = *r.constant(layer->w);
  const auto values = w.mutable_values<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const std::size_t c = layer->in_channel(at);
    const double weight = static_cast<double>(values[i]);
    (*bias)[layer->out_channel(at)] += layer->alpha * weight * affine.shift[c];
    values[i] = static_cast<float>(weight * affine.scale[c]);
  }
  layer->x = affine.x;
  return become(r, *layer, std::move(w), *bias);
}

// What is left of BatchNormalization: a Mul and an Add.
void spell_out(Rewriter& r, const Affine& affine) {
  Shape shape{static_cast<std::int64_t>(affine.scale.size())};
  for (int i = 2; i < r.type(r.out()).shape.rank(); ++i) shape.push_back(1);
  const std::string name = r.node().name.empty() ? "norm" : r.node().name;
  const ValueId scale = r.add_constant(name + "_scale", rounded(affine.scale).reshaped(shape));
  const ValueId shift = r.add_constant(name + "_shift", rounded(affine.shift).reshaped(shape));
  const ValueId scaled = r.insert(op::Binary{op::BinaryFn::Mul}, {affine.x, scale}, name + "_mul");
  r.replace(op::Binary{op::BinaryFn::Add}, {scaled, shift});
}

}  // namespace

Graph fold_batchnorm(Graph graph) {
  Rewriter r(std::move(graph));
  r.for_each_node([&] {
    if (const auto affine = affine_of(r)) fold_into_previous(r, *affine);
  });
  // By value: the affine that stands before each convolution.
  std::map<ValueId, Affine> affines;
  r.for_each_node([&] {
    if (const auto affine = affine_of(r)) affines.emplace(r.out(), *affine);
    auto before = affines.find(r.in(0));
    while (before != affines.end() && fold_into_next(r, before->second)) before = affines.find(r.in(0));
  });
  r.for_each_node([&] {
    if (!r.current<op::BatchNormalization>()) return;
    if (const auto affine = affine_of(r)) spell_out(r, *affine);
  });
  return std::move(r).finish();
}

}  // namespace eke
