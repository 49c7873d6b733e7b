// The scalar rules of docs/integer-semantics.md, as code: what OpDef::eval does where types carry QParams.
// All functions are pure and round in the default mode (to nearest even).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "graph/op.h"
#include "tensor/tensor.h"

namespace eke::quantized {

// Scale and zero point of a whole tensor, or of one channel.
struct Params {
  float scale = 1;
  std::int32_t zero_point = 0;
};

inline Params params(const Type& type, std::size_t channel = 0) noexcept {
  return {type.quant->scale[channel], type.quant->zero_point[channel]};
}

// The bounds of a stored integer type of at most 16 bits.
struct Bounds {
  std::int32_t lo = 0, hi = 255;
};

constexpr Bounds bounds_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::i8:
      return {-128, 127};
    case DType::i16:
      return {-32768, 32767};
    case DType::u16:
      return {0, 65535};
    default:
      return {0, 255};
  }
}

inline float rne(float x) noexcept { return std::nearbyint(x); }

// The clamp comes first, in float, so that no conversion overflows; since the bounds are integers this equals
// rounding first. NaN gives the zero point.
inline std::int32_t sat(float v, std::int32_t zero_point, Bounds bounds) noexcept {
  if (std::isnan(v)) return std::clamp(zero_point, bounds.lo, bounds.hi);
  const float lo = static_cast<float>(bounds.lo - zero_point),
              hi = static_cast<float>(bounds.hi - zero_point);
  return static_cast<std::int32_t>(rne(std::min(std::max(v, lo), hi))) + zero_point;
}

// Rule 1.
inline std::int32_t quantize(float x, Params p, Bounds bounds) noexcept {
  return sat(x / p.scale, p.zero_point, bounds);
}

// Rule 2.
inline float dequantize(std::int32_t q, Params p) noexcept {
  return static_cast<float>(static_cast<std::int64_t>(q) - p.zero_point) * p.scale;
}

// The bounds narrowed by a fused clamp of the real value.
inline Bounds clamped(Bounds bounds, const op::Clamp& clamp, Params p) noexcept {
  return {std::max(bounds.lo, quantize(clamp.lo, p, bounds)),
          std::min(bounds.hi, quantize(clamp.hi, p, bounds))};
}

// Rule 3: a float bias on the scale of the accumulator; NaN gives 0.
inline std::int32_t quantize_bias(float bias, float input_scale, float weight_scale) noexcept {
  const double scaled = bias / (static_cast<double>(input_scale) * weight_scale);
  if (std::isnan(scaled)) return 0;
  constexpr double kLo = std::numeric_limits<std::int32_t>::min(),
                   kHi = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::int32_t>(std::nearbyint(std::clamp(scaled, kLo, kHi)));
}

// A stored integer of at most 32 bits (u32 excepted).
inline std::int32_t load(const TensorView& tensor, std::int64_t i) noexcept {
  switch (tensor.dtype()) {
    case DType::i8:
      return tensor.as<std::int8_t>()[i];
    case DType::i16:
      return tensor.as<std::int16_t>()[i];
    case DType::u16:
      return tensor.as<std::uint16_t>()[i];
    case DType::i32:
      return tensor.as<std::int32_t>()[i];
    default:
      return tensor.as<std::uint8_t>()[i];
  }
}

inline void store(const MutTensorView& tensor, std::int64_t i, std::int32_t q) noexcept {
  switch (tensor.dtype()) {
    case DType::i8:
      tensor.as<std::int8_t>()[i] = static_cast<std::int8_t>(q);
      break;
    case DType::i16:
      tensor.as<std::int16_t>()[i] = static_cast<std::int16_t>(q);
      break;
    case DType::u16:
      tensor.as<std::uint16_t>()[i] = static_cast<std::uint16_t>(q);
      break;
    case DType::i32:
      tensor.as<std::int32_t>()[i] = q;
      break;
    default:
      tensor.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(q);
      break;
  }
}

// Stores the real value x: quantized where the tensor is, as float32 otherwise. Per-tensor parameters.
inline void store_real(const MutTensorView& tensor, std::int64_t i, float x) noexcept {
  if (!tensor.type->quant) {
    tensor.as<float>()[i] = x;
    return;
  }
  store(tensor, i, quantize(x, params(*tensor.type), bounds_of(tensor.dtype())));
}

// The real value of element i of a tensor that is quantized per tensor, or holds float32.
inline float load_real(const TensorView& tensor, std::int64_t i) noexcept {
  return tensor.type->quant ? dequantize(load(tensor, i), params(*tensor.type)) : tensor.as<float>()[i];
}

}  // namespace eke::quantized
