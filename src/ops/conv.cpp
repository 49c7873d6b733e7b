// Conv, ConvTranspose and the integer convolutions.
//
// A fused Conv (after lowering) computes sum + b, then for each negative value times slope[c], then +
// residual, then the clamp. With a quantized input it follows rules 3 to 7 of docs/integer-semantics.md:
// inference gives a float32 output, and lowering may replace that type by a quantized one.
#include <algorithm>
#include <cmath>

#include "ops/cost.h"
#include "ops/element.h"
#include "ops/families.h"
#include "ops/geometry.h"
#include "ops/integer_product.h"
#include "ops/operands.h"
#include "ops/quantized.h"
#include "ops/scales.h"

namespace eke {
namespace {

// What the loops need: x [batch, groups * in_channels, spatial...], w [groups * out_channels, in_channels,
// kernel...] for a convolution and [groups * in_channels, out_channels, kernel...] for a transposed one.
struct ConvShape {
  Geometry g;
  std::int64_t batch = 0, groups = 1, in_channels = 0, out_channels = 0;  // channels of one group

  Shape out() const {
    Shape shape{batch, groups * out_channels};
    for (int i = 0; i < g.rank; ++i) shape.push_back(g.spatial(i).out);
    return shape;
  }
};

void check_ranks(const Shape& x, const Shape& w) {
  check(x.rank() >= 3, "input {} has rank {}; batch, channels and spatial axes are needed", to_string(x),
        x.rank());
  check(w.rank() == x.rank(), "weights {} and input {} must have the same rank", to_string(w), to_string(x));
}

void check_groups(std::int64_t group, std::int64_t channels, std::string_view what) {
  check(group >= 1 && channels >= 1 && channels % group == 0, "{} groups do not divide {} {} channels", group,
        channels, what);
}

template <class A>
ConvShape conv_shape(const A& a, const Shape& x, const Shape& w) {
  check_ranks(x, w);
  check_groups(a.group, x[1], "input");
  check_groups(a.group, w[0], "output");
  check(x[1] / a.group == w[1],
        "weights {} take {} channels a group, but the input's {} channels in {} groups give {}", to_string(w),
        w[1], x[1], a.group, x[1] / a.group);
  return {window_geometry(window_attributes(a), x, w.dims().subspan(2)), x[0], a.group, w[1], w[0] / a.group};
}

ConvShape transposed_shape(const op::ConvTranspose& a, const Shape& x, const Shape& w) {
  check_ranks(x, w);
  check_groups(a.group, x[1], "input");
  check(w[0] == x[1], "weights {} take {} channels, the input has {}", to_string(w), w[0], x[1]);
  check(w[1] >= 1 && w[1] <= kMaxTensorBytes / a.group,
        "weights {} with {} groups give no valid channel count", to_string(w), a.group);
  return {transposed_geometry(a, x, w.dims().subspan(2)), x[0], a.group, x[1] / a.group, w[1]};
}

void check_per_channel(const Operand& value, std::int64_t channels, bool or_one, std::string_view name) {
  const Shape& shape = value.type->shape;
  const bool one = or_one && shape.count() == 1;
  check(one || (shape.rank() == 1 && shape[0] == channels), "{} has shape {}; {} output channels need [{}]",
        name, to_string(shape), channels, channels);
}

// Calls store(output element, output channel, sum of product(x element, w element, output channel)).
template <class Sum, class Product, class Store>
void convolve(const ConvShape& s, Product&& product, Store&& store) {
  const Geometry& g = s.g;
  const std::int64_t in_count = g.in_count(), kernel_count = g.kernel_count(),
                     channels = s.groups * s.out_channels;
  std::int64_t out = 0;
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t m = 0; m < channels; ++m) {
      const std::int64_t first = (n * s.groups + m / s.out_channels) * s.in_channels;
      for (std::int64_t od = 0; od < g.d().out; ++od)
        for (std::int64_t oh = 0; oh < g.h().out; ++oh)
          for (std::int64_t ow = 0; ow < g.w().out; ++ow, ++out) {
            Sum sum = 0;
            for_taps(g, od, oh, ow, [&](std::int64_t k, std::int64_t i) {
              for (std::int64_t c = 0; c < s.in_channels; ++c)
                sum += product((first + c) * in_count + i, (m * s.in_channels + c) * kernel_count + k, m);
            });
            store(out, m, sum);
          }
    }
}

// --- Conv --------------------------------------------------------------------------------------------------

void check_float_conv(std::span<const Operand> in) {
  const Type &x = *in[0].type, &w = *in[1].type;
  check(is_float(x.dtype), "the input is {}; floats are needed", to_string(x));
  for (std::size_t i = 1; i < in.size(); ++i)
    check(!in[i] || in[i].type->dtype == x.dtype, "input {} is {}, but the first input is {}", i,
          in[i] ? to_string(*in[i].type) : "", to_string(x));
  check(!w.quant, "weights are quantized but the input is not");
}

void check_quantized_conv(std::span<const Operand> in) {
  check_quantized_input(*in[0].type, "the input");
  check_quantized_weights(*in[1].type, 0);
  if (const Operand b = operand(in, 2))
    check(b.type->dtype == DType::i32 || b.type->dtype == DType::f32,
          "bias is {}; int32 or float32 is needed", to_string(*b.type));
  if (const Operand slope = operand(in, 3))
    check(slope.type->dtype == DType::f32, "slope is {}; float32 is needed", to_string(*slope.type));
  if (const Operand residual = operand(in, 4)) check_quantized_input(*residual.type, "the residual");
}

std::vector<Type> infer_conv(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::Conv>(op);
  check_inputs_at_most(in, 5);
  const Type& x = required(in, 0, "x");
  const ConvShape s = conv_shape(a, x.shape, required(in, 1, "w").shape);
  const Shape out = s.out();
  x.quant ? check_quantized_conv(in) : check_float_conv(in);
  if (const Operand b = operand(in, 2)) check_per_channel(b, out[1], false, "bias");
  if (const Operand slope = operand(in, 3)) check_per_channel(slope, out[1], true, "slope");
  const Operand residual = operand(in, 4);
  check(!residual || residual.type->shape == out, "the residual has shape {}, the result {}",
        residual ? to_string(residual.type->shape) : "", to_string(out));
  check(!a.mid.active() || (residual && x.quant && is_byte(a.mid.dtype)),
        "a rounding before the residual needs quantized inputs, a residual and an 8-bit type");
  return {checked(x.quant ? DType::f32 : x.dtype, out)};
}

template <class T>
void float_conv(const ConvShape& s, const op::Clamp& clamp, std::span<const TensorView> in,
                const MutTensorView& out) {
  const T *x = in[0].as<T>(), *w = in[1].as<T>();
  const TensorView b = operand(in, 2), slope = operand(in, 3), residual = operand(in, 4);
  convolve<double>(
      s,
      [&](std::int64_t i, std::int64_t k, std::int64_t) {
        return static_cast<double>(x[i]) * static_cast<double>(w[k]);
      },
      [&](std::int64_t i, std::int64_t m, double y) {
        if (b) y += static_cast<double>(b.as<T>()[m]);
        if (slope && y < 0) y *= static_cast<double>(slope.as<T>()[slope.count() == 1 ? 0 : m]);
        if (residual) y += static_cast<double>(residual.as<T>()[i]);
        if (clamp.active()) y = std::min<double>(std::max<double>(y, clamp.lo), clamp.hi);
        out.as<T>()[i] = static_cast<T>(y);
      });
}

template <class X, class W>
void quantized_conv(const ConvShape& s, const IntegerProduct& product, const X* x, const W* w) {
  const std::int32_t zx = quantized::params(*product.x.type).zero_point;
  convolve<std::uint32_t>(
      s,
      [&](std::int64_t i, std::int64_t k, std::int64_t) {
        return static_cast<std::uint32_t>(x[i] - zx) * static_cast<std::uint32_t>(w[k]);
      },
      [&](std::int64_t i, std::int64_t m, std::uint32_t sum) {
        sum += static_cast<std::uint32_t>(product.bias_of(m));
        product.store(i, m, static_cast<std::int32_t>(sum));
      });
}

void eval_conv(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::Conv>(op);
  const ConvShape s = conv_shape(a, in[0].shape(), in[1].shape());
  if (in[0].type->quant) {
    const IntegerProduct product{in[0],          in[1],  operand(in, 2), operand(in, 3),
                                 operand(in, 4), out[0], a.mid,          a.clamp};
    visit_product(in[0], in[1], [&](const auto* x, const auto* w) { quantized_conv(s, product, x, w); });
    return;
  }
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (kIsFloat<T>) float_conv<T>(s, a.clamp, in, out[0]);
  });
}

// Weights are [output channels, input channels of a group, kernel...].
Cost conv_cost_with(const Type& w, std::span<const Type> in, std::span<const Type> out) {
  return cost_with(out[0].shape.count() * w.shape.count(1, w.shape.rank()), in, out);
}

Cost conv_cost(const Op&, std::span<const Type> in, std::span<const Type> out) {
  return conv_cost_with(in[1], in, out);
}

// --- ConvTranspose -----------------------------------------------------------------------------------------

std::vector<Type> infer_conv_transpose(const Op& op, std::span<const Operand> in) {
  check_inputs_at_most(in, 3);
  const Type& x = required(in, 0, "x");
  const Shape out =
      transposed_shape(attributes<op::ConvTranspose>(op), x.shape, required(in, 1, "w").shape).out();
  check_float_conv(in);
  if (const Operand b = operand(in, 2)) check_per_channel(b, out[1], false, "bias");
  return {checked(x.dtype, out)};
}

// The input element whose tap k falls on output element o, or -1.
std::int64_t source(const Window& w, std::int64_t o, std::int64_t k) noexcept {
  const std::int64_t t = o + w.pad_begin - k * w.dilation;
  return t >= 0 && t % w.stride == 0 && t / w.stride < w.in ? t / w.stride : -1;
}

// As for_taps, for the taps that fall on one output element.
template <class F>
void for_sources(const Geometry& g, std::int64_t od, std::int64_t oh, std::int64_t ow, F&& f) {
  for (std::int64_t kd = 0; kd < g.d().kernel; ++kd) {
    const std::int64_t id = source(g.d(), od, kd);
    if (id < 0) continue;
    for (std::int64_t kh = 0; kh < g.h().kernel; ++kh) {
      const std::int64_t ih = source(g.h(), oh, kh);
      if (ih < 0) continue;
      for (std::int64_t kw = 0; kw < g.w().kernel; ++kw) {
        const std::int64_t iw = source(g.w(), ow, kw);
        if (iw >= 0) f((kd * g.h().kernel + kh) * g.w().kernel + kw, (id * g.h().in + ih) * g.w().in + iw);
      }
    }
  }
}

template <class T>
void conv_transpose(const ConvShape& s, std::span<const TensorView> in, const MutTensorView& out) {
  const T *x = in[0].as<T>(), *w = in[1].as<T>();
  const TensorView b = operand(in, 2);
  const Geometry& g = s.g;
  const std::int64_t in_count = g.in_count(), kernel_count = g.kernel_count(),
                     channels = s.groups * s.out_channels;
  std::int64_t o = 0;
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t m = 0; m < channels; ++m) {
      const std::int64_t group = m / s.out_channels, within = m % s.out_channels;
      for (std::int64_t od = 0; od < g.d().out; ++od)
        for (std::int64_t oh = 0; oh < g.h().out; ++oh)
          for (std::int64_t ow = 0; ow < g.w().out; ++ow, ++o) {
            double sum = b ? static_cast<double>(b.as<T>()[m]) : 0;
            for_sources(g, od, oh, ow, [&](std::int64_t k, std::int64_t i) {
              for (std::int64_t c = 0; c < s.in_channels; ++c) {
                const std::int64_t channel = group * s.in_channels + c;
                sum += static_cast<double>(x[(n * s.groups * s.in_channels + channel) * in_count + i]) *
                       static_cast<double>(w[(channel * s.out_channels + within) * kernel_count + k]);
              }
            });
            out.as<T>()[o] = static_cast<T>(sum);
          }
    }
}

void eval_conv_transpose(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const ConvShape s = transposed_shape(attributes<op::ConvTranspose>(op), in[0].shape(), in[1].shape());
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (kIsFloat<T>) conv_transpose<T>(s, in, out[0]);
  });
}

Cost conv_transpose_cost(const Op&, std::span<const Type> in, std::span<const Type> out) {
  return cost_with(in[0].shape.count() * in[1].shape.count(1, in[1].shape.rank()), in, out);
}

// --- ConvInteger and QLinearConv ---------------------------------------------------------------------------

void check_bytes(const Type& x, const Type& w) {
  check(is_byte(x.dtype) && is_byte(w.dtype), "input {} and weights {} must be uint8 or int8", to_string(x),
        to_string(w));
}

void check_zero_point(const Operand& zero_point, const Type& of, std::int64_t channels,
                      std::string_view name) {
  if (!zero_point) return;
  check(zero_point.type->dtype == of.dtype, "{} is {}, but belongs to {}", name, to_string(*zero_point.type),
        to_string(of));
  check_per_channel(zero_point, channels, true, name);
}

std::int32_t zero_point_at(const TensorView& zero_point, std::int64_t channel) noexcept {
  return zero_point ? quantized::load(zero_point, zero_point.count() == 1 ? 0 : channel) : 0;
}

// Calls store(output element, output channel, accumulator) with zero points taken off inputs and weights;
// padding contributes nothing.
template <class Store>
void integer_conv(const ConvShape& s, const TensorView& x, const TensorView& w, const TensorView& zx,
                  const TensorView& zw, Store&& store) {
  const std::int32_t input_zero = zero_point_at(zx, 0);
  convolve<std::uint32_t>(
      s,
      [&](std::int64_t i, std::int64_t k, std::int64_t m) {
        return static_cast<std::uint32_t>(quantized::load(x, i) - input_zero) *
               static_cast<std::uint32_t>(quantized::load(w, k) - zero_point_at(zw, m));
      },
      store);
}

std::vector<Type> infer_conv_integer(const Op& op, std::span<const Operand> in) {
  check_inputs_at_most(in, 4);
  const Type &x = required(in, 0, "x"), &w = required(in, 1, "w");
  check_bytes(x, w);
  const Shape out = conv_shape(attributes<op::ConvInteger>(op), x.shape, w.shape).out();
  check_zero_point(operand(in, 2), x, 1, "x_zero_point");
  check_zero_point(operand(in, 3), w, out[1], "w_zero_point");
  return {checked(DType::i32, out)};
}

void eval_conv_integer(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const ConvShape s = conv_shape(attributes<op::ConvInteger>(op), in[0].shape(), in[1].shape());
  integer_conv(s, in[0], in[1], operand(in, 2), operand(in, 3),
               [&](std::int64_t i, std::int64_t, std::uint32_t sum) {
                 out[0].as<std::int32_t>()[i] = static_cast<std::int32_t>(sum);
               });
}

void check_scale(const Type& scale, std::int64_t channels, std::string_view name) {
  check(scale.dtype == DType::f32, "{} is {}; float32 is needed", name, to_string(scale));
  check_per_channel({&scale, nullptr}, channels, true, name);
}

std::vector<Type> infer_qlinear_conv(const Op& op, std::span<const Operand> in) {
  check_inputs_at_most(in, 9);
  const Type &x = required(in, 0, "x"), &w = required(in, 3, "w"), &y_zero = required(in, 7, "y_zero_point");
  check_bytes(x, w);
  const Shape out = conv_shape(attributes<op::QLinearConv>(op), x.shape, w.shape).out();
  check_scale(required(in, 1, "x_scale"), 1, "x_scale");
  check_scale(required(in, 4, "w_scale"), out[1], "w_scale");
  check_scale(required(in, 6, "y_scale"), 1, "y_scale");
  check_scale_values(in[1], "x_scale", false);
  check_scale_values(in[4], "w_scale", false);
  check_scale_values(in[6], "y_scale", true);
  check_zero_point(in[2], x, 1, "x_zero_point");
  check_zero_point(in[5], w, out[1], "w_zero_point");
  check(is_byte(y_zero.dtype) && y_zero.shape.count() == 1, "y_zero_point is {}; one uint8 or int8 is needed",
        to_string(y_zero));
  if (const Operand b = operand(in, 8)) {
    check(b.type->dtype == DType::i32, "bias is {}; int32 is needed", to_string(*b.type));
    check_per_channel(b, out[1], false, "bias");
  }
  return {checked(y_zero.dtype, out)};
}

void eval_qlinear_conv(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const ConvShape s = conv_shape(attributes<op::QLinearConv>(op), in[0].shape(), in[3].shape());
  const TensorView w_scale = in[4], b = operand(in, 8);
  const double x_scale = static_cast<double>(in[1].as<float>()[0]),
               y_scale = static_cast<double>(in[6].as<float>()[0]);
  const std::int32_t y_zero = zero_point_at(in[7], 0);
  integer_conv(s, in[0], in[3], in[2], in[5], [&](std::int64_t i, std::int64_t m, std::uint32_t sum) {
    if (b) sum += static_cast<std::uint32_t>(b.as<std::int32_t>()[m]);
    const double sw = static_cast<double>(w_scale.as<float>()[w_scale.count() == 1 ? 0 : m]);
    const float v =
        static_cast<float>(static_cast<std::int32_t>(sum)) * static_cast<float>(x_scale * sw / y_scale);
    quantized::store(out[0], i, quantized::sat(v, y_zero, quantized::bounds_of(out[0].dtype())));
  });
}

Cost qlinear_conv_cost(const Op&, std::span<const Type> in, std::span<const Type> out) {
  return conv_cost_with(in[3], in, out);
}

}  // namespace

std::vector<OpDef> conv_ops() {
  const QuantRule weighted{.kind = QuantRule::Kind::weighted, .weight = 1, .weight_axis = 0, .bias = 2};
  return {
      {.kind = op::Conv{},
       .onnx = {{"Conv", op::Conv{}, 7}},
       .infer = infer_conv,
       .eval = eval_conv,
       .quant = weighted,
       .cost = conv_cost},
      {.kind = op::ConvTranspose{},
       .onnx = {{"ConvTranspose", op::ConvTranspose{}, 7}},
       .infer = infer_conv_transpose,
       .eval = eval_conv_transpose,
       .cost = conv_transpose_cost},
      {.kind = op::ConvInteger{},
       .onnx = {{"ConvInteger", op::ConvInteger{}, 10}},
       .infer = infer_conv_integer,
       .eval = eval_conv_integer,
       .cost = conv_cost},
      {.kind = op::QLinearConv{},
       .onnx = {{"QLinearConv", op::QLinearConv{}, 10}},
       .infer = infer_qlinear_conv,
       .eval = eval_qlinear_conv,
       .cost = qlinear_conv_cost},
  };
}

}  // namespace eke
