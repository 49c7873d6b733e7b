// Rules 3 to 8 of docs/integer-semantics.md for convolutions and matrix products with constant weights: from
// the int32 accumulator to the stored output, and the checks that make it safe.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "ops/op_def.h"
#include "ops/quantized.h"

namespace eke {

inline bool is_byte(DType dtype) noexcept { return dtype == DType::u8 || dtype == DType::i8; }

// Throws unless `type` is uint8 or int8 with one scale and zero point.
inline void check_quantized_input(const Type& type, std::string_view name) {
  check(is_byte(type.dtype) && type.quant && type.quant->per_tensor() && type.quant->scale.size() == 1 &&
            type.quant->zero_point.size() == 1,
        "{} is {}; an 8-bit tensor that is quantized as a whole is needed", name, to_string(type));
}

// Calls f(pointer to x, pointer to w) with their stored types: uint8 or int8 activations; int8 weights, or
// int16 ones where lowering has subtracted a zero point.
template <class F>
void visit_product(const TensorView& x, const TensorView& w, F&& f) {
  const auto with_weights = [&](const auto* values) {
    w.dtype() == DType::i16 ? f(values, w.as<std::int16_t>()) : f(values, w.as<std::int8_t>());
  };
  x.dtype() == DType::u8 ? with_weights(x.as<std::uint8_t>()) : with_weights(x.as<std::int8_t>());
}

// Throws unless `type` is int8 with zero point 0 and one scale for the tensor or one for each index of
// `axis`.
inline void check_quantized_weights(const Type& type, int axis) {
  check(type.dtype == DType::i8 && type.quant,
        "weights are {}; with a quantized input they must be quantized int8", to_string(type));
  const QParams& q = *type.quant;
  check(q.per_tensor() || q.axis == axis, "weights are quantized along axis {}; it must be {}", q.axis, axis);
  const auto count = static_cast<std::size_t>(q.per_tensor() ? 1 : type.shape[axis]);
  check(q.scale.size() == count && q.zero_point.size() == count,
        "weights need {} scales and zero points, not {} and {}", count, q.scale.size(), q.zero_point.size());
  for (std::int32_t z : q.zero_point) check(z == 0, "weights have zero point {}; it must be 0", z);
}

// The operands of a product, whose types the checks above have passed. `channel` is the index along the
// output channels.
struct IntegerProduct {
  TensorView x, w, bias, slope, residual;  // the last three may be absent
  MutTensorView out;                       // 8 bits quantized, or float32
  op::Rounding mid = {};
  op::Clamp clamp = {};

  std::int32_t bias_of(std::int64_t channel) const noexcept {
    if (!bias) return 0;
    const std::int64_t i = bias.count() == 1 ? 0 : channel;
    if (bias.dtype() == DType::i32) return bias.as<std::int32_t>()[i];
    return quantized::quantize_bias(bias.as<float>()[i], quantized::params(*x.type).scale,
                                    weight_scale(channel));
  }

  float weight_scale(std::int64_t channel) const noexcept {
    return w.type->quant->scale[w.type->quant->per_tensor() ? 0 : static_cast<std::size_t>(channel)];
  }

  // Stores output element i. The accumulator includes the bias.
  void store(std::int64_t i, std::int64_t channel, std::int32_t acc) const noexcept {
    const bool is_quantized = out.type->quant.has_value();
    const quantized::Params y = is_quantized ? quantized::params(*out.type) : quantized::Params{};
    const float v = scaled(i, channel, acc, y.scale);
    if (is_quantized) {
      const quantized::Bounds bounds = quantized::clamped(quantized::bounds_of(out.dtype()), clamp, y);
      quantized::store(out, i, quantized::sat(v, y.zero_point, bounds));
    } else {
      out.as<float>()[i] = std::min(std::max(v, clamp.lo), clamp.hi);
    }
  }

 private:
  // In units of the output's scale.
  float scaled(std::int64_t i, std::int64_t channel, std::int32_t acc, double output_scale) const noexcept {
    double scale =
        static_cast<double>(quantized::params(*x.type).scale) * static_cast<double>(weight_scale(channel));
    if (slope && acc < 0) scale *= static_cast<double>(slope.as<float>()[slope.count() == 1 ? 0 : channel]);
    const auto sum = static_cast<float>(acc);
    if (!residual) return sum * static_cast<float>(scale / output_scale);
    const quantized::Params r = quantized::params(*residual.type);
    const float rest = static_cast<float>(quantized::load(residual, i) - r.zero_point) *
                       static_cast<float>(static_cast<double>(r.scale) / output_scale);
    if (!mid.active()) return std::fma(sum, static_cast<float>(scale / output_scale), rest);
    const double mid_scale = static_cast<double>(mid.scale);
    const std::int32_t t = quantized::sat(sum * static_cast<float>(scale / mid_scale), mid.zero_point,
                                          quantized::bounds_of(mid.dtype));
    return std::fma(static_cast<float>(t - mid.zero_point), static_cast<float>(mid_scale / output_scale),
                    rest);
  }
};

}  // namespace eke
