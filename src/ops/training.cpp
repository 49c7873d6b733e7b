// Operators of training that ONNX lacks: gradients that are no composition of other operators, and the statistics of
// batches. The reference sums in double.
#include <algorithm>
#include <cmath>

#include "ops/cost.h"
#include "ops/element.h"
#include "ops/families.h"
#include "ops/geometry.h"
#include "ops/operands.h"

namespace eke {
namespace {

const Type& float_input(std::span<const Operand> in, std::size_t i, std::string_view name) {
  const Type& type = required(in, i, name);
  check(type.dtype == DType::f32 || type.dtype == DType::f64, "{} is {}; float32 or float64 is needed", name,
        to_string(type));
  check(i == 0 || type.dtype == in[0].type->dtype, "{} is {}, but the first input is {}", name,
        to_string(type), to_string(*in[0].type));
  return type;
}

void check_shape(const Type& type, const Shape& shape, std::string_view name) {
  check(type.shape == shape, "{} has shape {}; {} is needed", name, to_string(type.shape), to_string(shape));
}

// Calls f(ElementTag<T>{}) for float or double.
template <class F>
void visit_real(DType dtype, F&& f) {
  if (dtype == DType::f64)
    f(ElementTag<double>{});
  else
    f(ElementTag<float>{});
}

// --- ConvGradWeight ----------------------------------------------------------------------------------------

std::vector<Type> infer_conv_grad_weight(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::ConvGradWeight>(op);
  check_inputs_at_most(in, 2);
  const Type &x = float_input(in, 0, "x"), &dy = float_input(in, 1, "dy");
  check(x.shape.rank() >= 3 && dy.shape.rank() == x.shape.rank(),
        "x {} and dy {} need batch, channels and spatial axes", to_string(x), to_string(dy));
  check(a.group >= 1 && x.shape[1] % a.group == 0 && dy.shape[1] % a.group == 0,
        "{} groups do not divide {} and {} channels", a.group, x.shape[1], dy.shape[1]);
  check(static_cast<int>(a.kernel_shape.size()) == x.shape.rank() - 2, "kernel_shape has {} extents for {}",
        a.kernel_shape.size(), to_string(x));
  const Geometry g = window_geometry(window_attributes(a), x.shape, a.kernel_shape);
  Shape out{dy.shape[1], x.shape[1] / a.group};
  bool fits = dy.shape[0] == x.shape[0];
  for (int i = 0; i < g.rank; ++i) {
    fits = fits && dy.shape[i + 2] == g.spatial(i).out;
    out.push_back(g.spatial(i).kernel);
  }
  check(fits, "dy {} is not what a convolution makes of x {}", to_string(dy), to_string(x));
  return {checked(x.dtype, out)};
}

void eval_conv_grad_weight(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::ConvGradWeight>(op);
  const Shape &x_shape = in[0].shape(), &y_shape = in[1].shape();
  const Geometry g = window_geometry(window_attributes(a), x_shape, a.kernel_shape);
  const std::int64_t depth = x_shape[1] / a.group, per_group = y_shape[1] / a.group, in_count = g.in_count(),
                     out_count = g.out_count(), kernel = g.kernel_count();
  visit_real(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *x = in[0].as<T>(), *dy = in[1].as<T>();
    T* dw = out[0].as<T>();
    for (std::int64_t m = 0; m < y_shape[1]; ++m)
      for (std::int64_t c = 0; c < depth; ++c)
        for (std::int64_t k = 0; k < kernel; ++k) {
          double sum = 0;
          for (std::int64_t n = 0; n < x_shape[0]; ++n) {
            const T* image = x + (n * x_shape[1] + m / per_group * depth + c) * in_count;
            const T* row = dy + (n * y_shape[1] + m) * out_count;
            std::int64_t o = 0;
            for (std::int64_t od = 0; od < g.d().out; ++od)
              for (std::int64_t oh = 0; oh < g.h().out; ++oh)
                for (std::int64_t ow = 0; ow < g.w().out; ++ow, ++o) {
                  const std::int64_t kd = k / (g.h().kernel * g.w().kernel),
                                     kh = k / g.w().kernel % g.h().kernel, kw = k % g.w().kernel;
                  const std::int64_t id = g.d().start(od) + kd * g.d().dilation,
                                     ih = g.h().start(oh) + kh * g.h().dilation,
                                     iw = g.w().start(ow) + kw * g.w().dilation;
                  if (id < 0 || id >= g.d().in || ih < 0 || ih >= g.h().in || iw < 0 || iw >= g.w().in)
                    continue;
                  sum += static_cast<double>(row[o]) *
                         static_cast<double>(image[(id * g.h().in + ih) * g.w().in + iw]);
                }
          }
          *dw++ = static_cast<T>(sum);
        }
  });
}

Cost conv_grad_weight_cost(const Op&, std::span<const Type> in, std::span<const Type> out) {
  return cost_with(in[1].shape.count() * out[0].shape.count(1, out[0].shape.rank()), in, out);
}

// --- MaxPoolGrad and AveragePoolGrad -----------------------------------------------------------------------

void check_pooled(const Geometry& g, const Shape& x, const Shape& dy) {
  bool fits = dy.rank() == x.rank() && dy[0] == x[0] && dy[1] == x[1];
  for (int i = 0; fits && i < g.rank; ++i) fits = dy[i + 2] == g.spatial(i).out;
  check(fits, "dy has shape {}, which is not what the pooling makes of {}", to_string(dy), to_string(x));
}

// Calls f(element of dy, first element of the plane of x, od, oh, ow).
template <class F>
void for_windows(const Geometry& g, const Shape& x, F&& f) {
  const std::int64_t planes = x[0] * x[1], in_count = g.in_count();
  std::int64_t out = 0;
  for (std::int64_t p = 0; p < planes; ++p)
    for (std::int64_t od = 0; od < g.d().out; ++od)
      for (std::int64_t oh = 0; oh < g.h().out; ++oh)
        for (std::int64_t ow = 0; ow < g.w().out; ++ow, ++out) f(out, p * in_count, od, oh, ow);
}

std::vector<Type> infer_max_pool_grad(const Op& op, std::span<const Operand> in) {
  check_inputs_at_most(in, 2);
  const Type &dy = float_input(in, 0, "dy"), &x = float_input(in, 1, "x");
  check_pooled(window_geometry(window_attributes(attributes<op::MaxPoolGrad>(op)), x.shape), x.shape,
               dy.shape);
  return {checked(x.dtype, x.shape)};
}

void eval_max_pool_grad(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const Geometry g = window_geometry(window_attributes(attributes<op::MaxPoolGrad>(op)), in[1].shape());
  visit_real(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *dy = in[0].as<T>(), *x = in[1].as<T>();
    T* dx = out[0].as<T>();
    std::fill_n(dx, out[0].count(), T{0});
    for_windows(g, in[1].shape(),
                [&](std::int64_t o, std::int64_t plane, std::int64_t od, std::int64_t oh, std::int64_t ow) {
                  std::int64_t best = -1;
                  for_taps(g, od, oh, ow, [&](std::int64_t, std::int64_t i) {
                    if (best < 0 || x[plane + best] < x[plane + i]) best = i;
                  });
                  if (best >= 0) dx[plane + best] += dy[o];
                });
  });
}

Shape shape_of(const op::Ints& extents) { return Shape(std::span<const std::int64_t>(extents)); }

std::vector<Type> infer_average_pool_grad(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::AveragePoolGrad>(op);
  check_inputs_at_most(in, 1);
  const Type& dy = float_input(in, 0, "dy");
  const Shape x = shape_of(a.x_shape);
  check_pooled(window_geometry(window_attributes(a), x), x, dy.shape);
  return {checked(dy.dtype, x)};
}

void eval_average_pool_grad(const Op& op, std::span<const TensorView> in,
                            std::span<const MutTensorView> out) {
  const auto& a = attributes<op::AveragePoolGrad>(op);
  const Geometry g = window_geometry(window_attributes(a), out[0].shape());
  const bool padded = a.count_include_pad != 0;
  visit_real(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* dy = in[0].as<T>();
    T* dx = out[0].as<T>();
    std::fill_n(dx, out[0].count(), T{0});
    for_windows(g, out[0].shape(),
                [&](std::int64_t o, std::int64_t plane, std::int64_t od, std::int64_t oh, std::int64_t ow) {
                  const auto taps =
                      static_cast<T>(taps_inside(g.d(), od, padded) * taps_inside(g.h(), oh, padded) *
                                     taps_inside(g.w(), ow, padded));
                  const T share = dy[o] / taps;
                  for_taps(g, od, oh, ow, [&](std::int64_t, std::int64_t i) { dx[plane + i] += share; });
                });
  });
}

// --- BatchStatistics and BatchNormalizationGrad ------------------------------------------------------------

std::vector<Type> infer_batch_statistics(const Op&, std::span<const Operand> in) {
  check_inputs_at_most(in, 1);
  const Type& x = float_input(in, 0, "x");
  check(x.shape.rank() >= 2 && x.shape.count() > 0, "x {} needs elements, batch and channels", to_string(x));
  return {Type{x.dtype, {x.shape[1]}}, Type{x.dtype, {x.shape[1]}}};
}

// Calls f(c, index) for each channel, where index(k) is the k-th element of channel c.
template <class F>
void for_channels(const Shape& x, F&& f) {
  const std::int64_t channels = x[1], plane = x.count(2, x.rank());
  for (std::int64_t c = 0; c < channels; ++c)
    f(c, [=](std::int64_t k) { return (k / plane * channels + c) * plane + k % plane; });
}

std::int64_t channel_count(const Shape& x) { return x[1] == 0 ? 0 : x.count() / x[1]; }

void eval_batch_statistics(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const std::int64_t count = channel_count(in[0].shape());
  visit_real(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = in[0].as<T>();
    for_channels(in[0].shape(), [&](std::int64_t c, auto index) {
      double mean = 0, variance = 0;
      for (std::int64_t k = 0; k < count; ++k) mean += static_cast<double>(x[index(k)]);
      mean /= static_cast<double>(count);
      for (std::int64_t k = 0; k < count; ++k) {
        const double d = static_cast<double>(x[index(k)]) - mean;
        variance += d * d;
      }
      if (const MutTensorView to = result(out, 0)) to.as<T>()[c] = static_cast<T>(mean);
      if (const MutTensorView to = result(out, 1))
        to.as<T>()[c] = static_cast<T>(variance / static_cast<double>(count));
    });
  });
}

std::vector<Type> infer_batch_norm_grad(const Op&, std::span<const Operand> in) {
  check_inputs_at_most(in, 6);
  const Type &dy = float_input(in, 0, "dy"), &x = float_input(in, 1, "x");
  check(x.shape.rank() >= 2 && x.shape.count() > 0, "x {} needs elements, batch and channels", to_string(x));
  check_shape(dy, x.shape, "dy");
  for (std::size_t i = 2; i < 6; ++i)
    check_shape(float_input(in, i, "a parameter"), {x.shape[1]}, "a parameter");
  const Type channel{x.dtype, {x.shape[1]}};
  return {checked(x.dtype, x.shape), channel, channel};
}

// With g = dy under the mask of the clamp and h = (x - mean) / sqrt(var + epsilon): dB = sum g, dscale = sum g h, and
// dx = scale / sqrt(var + epsilon) * (g - (dB + h dscale) / count), without the last term for fixed statistics.
void eval_batch_norm_grad(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::BatchNormalizationGrad>(op);
  const std::int64_t count = channel_count(in[1].shape());
  visit_real(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *dy = in[0].as<T>(), *x = in[1].as<T>();
    for_channels(in[1].shape(), [&](std::int64_t c, auto index) {
      const auto parameter = [&](std::size_t i) { return static_cast<double>(in[i].as<T>()[c]); };
      const double scale = parameter(2), shift = parameter(3), mean = parameter(4),
                   inverse = 1 / std::sqrt(parameter(5) + static_cast<double>(a.epsilon));
      const auto normal = [&](std::int64_t i) { return (static_cast<double>(x[i]) - mean) * inverse; };
      const auto gradient = [&](std::int64_t i) {
        const double y = normal(i) * scale + shift;
        return a.clamp.active() && !(y > a.clamp.lo && y < a.clamp.hi) ? 0.0 : static_cast<double>(dy[i]);
      };
      double sum = 0, product = 0;
      for (std::int64_t k = 0; k < count; ++k) {
        const std::int64_t i = index(k);
        sum += gradient(i);
        product += gradient(i) * normal(i);
      }
      if (const MutTensorView to = result(out, 1)) to.as<T>()[c] = static_cast<T>(product);
      if (const MutTensorView to = result(out, 2)) to.as<T>()[c] = static_cast<T>(sum);
      const MutTensorView dx = result(out, 0);
      if (!dx) return;
      const double share = a.training_mode != 0 ? 1 / static_cast<double>(count) : 0;
      for (std::int64_t k = 0; k < count; ++k) {
        const std::int64_t i = index(k);
        dx.as<T>()[i] = static_cast<T>(scale * inverse * (gradient(i) - (sum + normal(i) * product) * share));
      }
    });
  });
}

// --- ClampGrad ---------------------------------------------------------------------------------------------

std::vector<Type> infer_clamp_grad(const Op&, std::span<const Operand> in) {
  check_inputs_at_most(in, 3);
  const Type &dy = float_input(in, 0, "dy"), &y = float_input(in, 1, "y");
  check_shape(dy, y.shape, "dy");
  if (!operand(in, 2)) return {checked(dy.dtype, dy.shape)};
  const Type& scale = float_input(in, 2, "scale");
  check(scale.dtype == DType::f32 && scale.shape.rank() <= 1 &&
            (scale.shape.count() == 1 || (y.shape.rank() > 0 && scale.shape.count() == y.shape[0])),
        "scale is {}; one float32, or one for each index of the first axis of {}, is needed",
        to_string(scale), to_string(y));
  return {checked(dy.dtype, dy.shape), checked(scale.dtype, scale.shape)};
}

// With steps v = x / scale: dx as for a clamp of v, dscale = sum of dy (round(v) - v), and outside of dy times the bound.
void eval_rounding_grad(const op::Clamp& clamp, std::span<const TensorView> in,
                        std::span<const MutTensorView> out) {
  const float *dy = in[0].as<float>(), *x = in[1].as<float>();
  const std::int64_t scales = in[2].count(), row = in[1].count() / std::max<std::int64_t>(scales, 1);
  for (std::int64_t k = 0; k < scales; ++k) {
    double sum = 0;
    for (std::int64_t i = k * row; i < (k + 1) * row; ++i) {
      const float steps = x[i] / in[2].as<float>()[k];
      const bool inside = clamp.lo < steps && steps < clamp.hi;
      const float rounded = std::nearbyint(std::clamp(steps, clamp.lo, clamp.hi));
      sum += static_cast<double>(dy[i]) * static_cast<double>(rounded - (inside ? steps : 0));
      if (const MutTensorView dx = result(out, 0)) dx.as<float>()[i] = inside ? dy[i] : 0;
    }
    if (const MutTensorView to = result(out, 1)) to.as<float>()[k] = static_cast<float>(sum);
  }
}

void eval_clamp_grad(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const op::Clamp& clamp = attributes<op::ClampGrad>(op).clamp;
  if (operand(in, 2)) return eval_rounding_grad(clamp, in, out);
  visit_real(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *dy = in[0].as<T>(), *y = in[1].as<T>();
    for (std::int64_t i = 0; i < out[0].count(); ++i)
      out[0].as<T>()[i] = y[i] > static_cast<T>(clamp.lo) && y[i] < static_cast<T>(clamp.hi) ? dy[i] : T{0};
  });
}

}  // namespace

std::vector<OpDef> training_ops() {
  return {
      {.kind = op::ConvGradWeight{},
       .infer = infer_conv_grad_weight,
       .eval = eval_conv_grad_weight,
       .cost = conv_grad_weight_cost},
      {.kind = op::MaxPoolGrad{}, .infer = infer_max_pool_grad, .eval = eval_max_pool_grad},
      {.kind = op::AveragePoolGrad{}, .infer = infer_average_pool_grad, .eval = eval_average_pool_grad},
      {.kind = op::BatchStatistics{}, .infer = infer_batch_statistics, .eval = eval_batch_statistics},
      {.kind = op::BatchNormalizationGrad{}, .infer = infer_batch_norm_grad, .eval = eval_batch_norm_grad},
      {.kind = op::ClampGrad{}, .infer = infer_clamp_grad, .eval = eval_clamp_grad},
  };
}

}  // namespace eke
