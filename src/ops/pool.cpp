// MaxPool, AveragePool, LpPool and their global forms. Every window touches the input: inference refuses
// others.
#include <algorithm>
#include <cmath>

#include "ops/cost.h"
#include "ops/element.h"
#include "ops/families.h"
#include "ops/geometry.h"
#include "ops/integer_product.h"
#include "ops/operands.h"
#include "ops/quantized.h"

namespace eke {
namespace {

template <class A>
Geometry pool_geometry(const A& a, const Shape& x) {
  const Geometry g = window_geometry(window_attributes(a), x);
  for (int i = 0; i < g.rank; ++i) {
    const Window& w = g.spatial(i);
    check(std::max(w.pad_begin, w.pad_end) < w.reach(),
          "pads {} and {} along spatial axis {} must be smaller than the {} "
          "elements that the kernel reaches over",
          w.pad_begin, w.pad_end, i, w.reach());
    check(w.pad_begin == 0 || w.dilation <= w.in,
          "dilation {} along spatial axis {} lets padded windows miss the {} "
          "elements of the input",
          w.dilation, i, w.in);
  }
  return g;
}

Shape pooled(const Shape& x, const Geometry& g) {
  Shape out = x;
  for (int i = 0; i < g.rank; ++i) out[i + 2] = g.spatial(i).out;
  return out;
}

void check_float(const Type& x) {
  check(is_float(x.dtype), "the input is {}; floats are needed", to_string(x));
}

void check_float_or_quantized(const Type& x) {
  x.quant ? check_quantized_input(x, "the input") : check_float(x);
}

// Calls f(output element, first input element of the plane, od, oh, ow).
template <class F>
void for_windows(const Geometry& g, const Shape& x, F&& f) {
  const std::int64_t planes = x[0] * x[1], in_count = g.in_count();
  std::int64_t out = 0;
  for (std::int64_t p = 0; p < planes; ++p)
    for (std::int64_t od = 0; od < g.d().out; ++od)
      for (std::int64_t oh = 0; oh < g.h().out; ++oh)
        for (std::int64_t ow = 0; ow < g.w().out; ++ow, ++out) f(out, p * in_count, od, oh, ow);
}

// Rule 11: stores the average of n elements, from the sum of their distances to the zero point.
void store_average(const TensorView& x, const MutTensorView& out, std::int64_t i, std::uint32_t sum,
                   std::int64_t n) {
  const bool is_quantized = out.type->quant.has_value();
  const quantized::Params y = is_quantized ? quantized::params(*out.type) : quantized::Params{};
  const double k = static_cast<double>(quantized::params(*x.type).scale) /
                   (static_cast<double>(y.scale) * static_cast<double>(n));
  const float v = static_cast<float>(static_cast<std::int32_t>(sum)) * static_cast<float>(k);
  if (is_quantized)
    quantized::store(out, i, quantized::sat(v, y.zero_point, quantized::bounds_of(out.dtype())));
  else
    out.as<float>()[i] = v;
}

std::uint32_t above_zero_point(const TensorView& x, std::int64_t i) noexcept {
  return static_cast<std::uint32_t>(quantized::load(x, i) - quantized::params(*x.type).zero_point);
}

// --- MaxPool -----------------------------------------------------------------------------------------------

std::vector<Type> infer_max_pool(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::MaxPool>(op);
  check_inputs_at_most(in, 1);
  const Type& x = required(in, 0, "x");
  check(is_float(x.dtype) || is_byte(x.dtype), "the input is {}; floats, uint8 or int8 are needed",
        to_string(x));
  check(a.storage_order == 0 || a.storage_order == 1, "storage_order is {}; it must be 0 or 1",
        a.storage_order);
  const Shape out = pooled(x.shape, pool_geometry(a, x.shape));
  return {moved(x, out), checked(DType::i64, out)};
}

// ONNX's storage_order 1 numbers the elements of a plane with the first spatial axis fastest.
std::int64_t column_major(const Geometry& g, std::int64_t element) noexcept {
  const std::int64_t w = element % g.w().in, h = element / g.w().in % g.h().in,
                     d = element / (g.w().in * g.h().in);
  return d + g.d().in * (h + g.h().in * w);
}

void eval_max_pool(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::MaxPool>(op);
  const Geometry g = pool_geometry(a, in[0].shape());
  const MutTensorView y = result(out, 0), indices = result(out, 1);
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = in[0].as<T>();
    for_windows(g, in[0].shape(),
                [&](std::int64_t o, std::int64_t plane, std::int64_t od, std::int64_t oh, std::int64_t ow) {
                  std::int64_t best = -1;
                  for_taps(g, od, oh, ow, [&](std::int64_t, std::int64_t i) {
                    if (best < 0 || x[plane + best] < x[plane + i]) best = i;
                  });
                  if (y) y.as<T>()[o] = x[plane + best];
                  if (indices)
                    indices.as<std::int64_t>()[o] =
                        plane + (a.storage_order == 0 ? best : column_major(g, best));
                });
  });
}

// --- AveragePool -------------------------------------------------------------------------------------------

std::vector<Type> infer_average_pool(const Op& op, std::span<const Operand> in) {
  check_inputs_at_most(in, 1);
  const Type& x = required(in, 0, "x");
  check_float_or_quantized(x);
  return {moved(x, pooled(x.shape, pool_geometry(attributes<op::AveragePool>(op), x.shape)))};
}

void eval_average_pool(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::AveragePool>(op);
  const Geometry g = pool_geometry(a, in[0].shape());
  const bool with_padding = a.count_include_pad != 0;
  const auto divisor = [&](std::int64_t od, std::int64_t oh, std::int64_t ow) {
    return taps_inside(g.d(), od, with_padding) * taps_inside(g.h(), oh, with_padding) *
           taps_inside(g.w(), ow, with_padding);
  };
  if (in[0].type->quant) {
    for_windows(g, in[0].shape(),
                [&](std::int64_t o, std::int64_t plane, std::int64_t od, std::int64_t oh, std::int64_t ow) {
                  std::uint32_t sum = 0;
                  for_taps(g, od, oh, ow,
                           [&](std::int64_t, std::int64_t i) { sum += above_zero_point(in[0], plane + i); });
                  store_average(in[0], out[0], o, sum, divisor(od, oh, ow));
                });
    return;
  }
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (kIsFloat<T>)
      for_windows(g, in[0].shape(),
                  [&](std::int64_t o, std::int64_t plane, std::int64_t od, std::int64_t oh, std::int64_t ow) {
                    double sum = 0;
                    for_taps(g, od, oh, ow, [&](std::int64_t, std::int64_t i) {
                      sum += static_cast<double>(in[0].as<T>()[plane + i]);
                    });
                    out[0].as<T>()[o] = static_cast<T>(sum / static_cast<double>(divisor(od, oh, ow)));
                  });
  });
}

int average_pool_opset(const Op& op) {
  const op::Ints& dilations = attributes<op::AveragePool>(op).dilations;
  return std::any_of(dilations.begin(), dilations.end(), [](std::int64_t d) { return d != 1; }) ? 19 : 11;
}

// --- LpPool ------------------------------------------------------------------------------------------------

void check_order(std::int64_t p) { check(p >= 1, "p is {}; it must be at least 1", p); }

std::vector<Type> infer_lp_pool(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::LpPool>(op);
  check_inputs_at_most(in, 1);
  const Type& x = required(in, 0, "x");
  check_float(x);
  check_order(a.p);
  return {checked(x.dtype, pooled(x.shape, pool_geometry(a, x.shape)))};
}

void eval_lp_pool(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::LpPool>(op);
  const Geometry g = pool_geometry(a, in[0].shape());
  const auto p = static_cast<double>(a.p);
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (kIsFloat<T>)
      for_windows(g, in[0].shape(),
                  [&](std::int64_t o, std::int64_t plane, std::int64_t od, std::int64_t oh, std::int64_t ow) {
                    double sum = 0;
                    for_taps(g, od, oh, ow, [&](std::int64_t, std::int64_t i) {
                      sum += std::pow(std::abs(static_cast<double>(in[0].as<T>()[plane + i])), p);
                    });
                    out[0].as<T>()[o] = static_cast<T>(std::pow(sum, 1 / p));
                  });
  });
}

// --- the global forms --------------------------------------------------------------------------------------

Shape global_shape(const Shape& x) {
  check(x.rank() >= 3, "input {} has rank {}; batch, channels and spatial axes are needed", to_string(x),
        x.rank());
  check(x.count(2, x.rank()) >= 1, "input {} has nothing to pool", to_string(x));
  Shape out = Shape::filled(x.rank(), 1);
  out[0] = x[0];
  out[1] = x[1];
  return out;
}

template <auto kCheckType>
std::vector<Type> infer_global(const Op&, std::span<const Operand> in) {
  check_inputs_at_most(in, 1);
  const Type& x = required(in, 0, "x");
  kCheckType(x);
  return {moved(x, global_shape(x.shape))};
}

void check_float_or_byte(const Type& x) {
  check(is_float(x.dtype) || is_byte(x.dtype), "the input is {}; floats, uint8 or int8 are needed",
        to_string(x));
}

std::int64_t plane_count(const Shape& x) noexcept { return x.count(2, x.rank()); }

void eval_global_max_pool(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const std::int64_t n = plane_count(in[0].shape()), planes = out[0].count();
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = in[0].as<T>();
    for (std::int64_t p = 0; p < planes; ++p)
      out[0].as<T>()[p] = *std::max_element(x + p * n, x + (p + 1) * n);
  });
}

void eval_global_average_pool(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const std::int64_t n = plane_count(in[0].shape()), planes = out[0].count();
  if (in[0].type->quant) {
    for (std::int64_t p = 0; p < planes; ++p) {
      std::uint32_t sum = 0;
      for (std::int64_t i = p * n; i < (p + 1) * n; ++i) sum += above_zero_point(in[0], i);
      store_average(in[0], out[0], p, sum, n);
    }
    return;
  }
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (kIsFloat<T>)
      for (std::int64_t p = 0; p < planes; ++p) {
        double sum = 0;
        for (std::int64_t i = p * n; i < (p + 1) * n; ++i) sum += static_cast<double>(in[0].as<T>()[i]);
        out[0].as<T>()[p] = static_cast<T>(sum / static_cast<double>(n));
      }
  });
}

std::vector<Type> infer_global_lp_pool(const Op& op, std::span<const Operand> in) {
  check_order(attributes<op::GlobalLpPool>(op).p);
  return infer_global<check_float>(op, in);
}

void eval_global_lp_pool(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto order = static_cast<double>(attributes<op::GlobalLpPool>(op).p);
  const std::int64_t n = plane_count(in[0].shape()), planes = out[0].count();
  visit_dtype(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (kIsFloat<T>)
      for (std::int64_t p = 0; p < planes; ++p) {
        double sum = 0;
        for (std::int64_t i = p * n; i < (p + 1) * n; ++i)
          sum += std::pow(std::abs(static_cast<double>(in[0].as<T>()[i])), order);
        out[0].as<T>()[p] = static_cast<T>(std::pow(sum, 1 / order));
      }
  });
}

}  // namespace

std::vector<OpDef> pool_ops() {
  const QuantRule same_scale{.kind = QuantRule::Kind::same_scale},
      own_scale{.kind = QuantRule::Kind::own_scale};
  return {
      {.kind = op::MaxPool{},
       .onnx = {{"MaxPool", op::MaxPool{}, 12}},
       .infer = infer_max_pool,
       .eval = eval_max_pool,
       .quant = same_scale},
      {.kind = op::AveragePool{},
       .onnx = {{"AveragePool", op::AveragePool{}, 11}},
       .infer = infer_average_pool,
       .eval = eval_average_pool,
       .quant = own_scale,
       .opset = average_pool_opset},
      {.kind = op::LpPool{},
       .onnx = {{"LpPool", op::LpPool{}, 18}},
       .infer = infer_lp_pool,
       .eval = eval_lp_pool},
      {.kind = op::GlobalMaxPool{},
       .onnx = {{"GlobalMaxPool", op::GlobalMaxPool{}, 7}},
       .infer = infer_global<check_float_or_byte>,
       .eval = eval_global_max_pool,
       .quant = same_scale},
      {.kind = op::GlobalAveragePool{},
       .onnx = {{"GlobalAveragePool", op::GlobalAveragePool{}, 7}},
       .infer = infer_global<check_float_or_quantized>,
       .eval = eval_global_average_pool,
       .quant = own_scale},
      {.kind = op::GlobalLpPool{},
       .onnx = {{"GlobalLpPool", op::GlobalLpPool{}, 7}},
       .infer = infer_global_lp_pool,
       .eval = eval_global_lp_pool},
  };
}

}  // namespace eke
