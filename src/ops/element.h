// Element types for generic reference code: half and bfloat16 as types that convert to float, and a visitor
// from a DType to a C++ type.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "tensor/tensor.h"

namespace eke {

struct Half {
  std::uint16_t bits = 0;
  Half() = default;
  Half(float x) noexcept : bits(float_to_half(x)) {}
  operator float() const noexcept { return half_to_float(bits); }
};
struct BFloat16 {
  std::uint16_t bits = 0;
  BFloat16() = default;
  BFloat16(float x) noexcept : bits(float_to_bfloat16(x)) {}
  operator float() const noexcept { return bfloat16_to_float(bits); }
};

// The type to compute in: float for the 16-bit floats, else the type itself.
template <class T>
using Computed = std::conditional_t<std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, float, T>;
template <class T>
inline constexpr bool kIsFloat = std::is_floating_point_v<Computed<T>>;

template <class T>
struct ElementTag {
  using type = T;
};

// Calls f(ElementTag<T>{}) with the element type of dtype.
template <class F>
decltype(auto) visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f(ElementTag<double>{});
    case DType::f16:
      return f(ElementTag<Half>{});
    case DType::bf16:
      return f(ElementTag<BFloat16>{});
    case DType::i8:
      return f(ElementTag<std::int8_t>{});
    case DType::u8:
      return f(ElementTag<std::uint8_t>{});
    case DType::i16:
      return f(ElementTag<std::int16_t>{});
    case DType::u16:
      return f(ElementTag<std::uint16_t>{});
    case DType::i32:
      return f(ElementTag<std::int32_t>{});
    case DType::u32:
      return f(ElementTag<std::uint32_t>{});
    case DType::i64:
      return f(ElementTag<std::int64_t>{});
    case DType::u64:
      return f(ElementTag<std::uint64_t>{});
    case DType::boolean:
      return f(ElementTag<bool>{});
    case DType::f32:
      break;
  }
  return f(ElementTag<float>{});
}

// Calls f(ElementTag<T>{}) with an unsigned integer T of that many bytes (1, 2, 4 or 8): for code that only
// moves elements.
template <class F>
decltype(auto) visit_bytes(std::size_t bytes, F&& f) {
  switch (bytes) {
    case 1:
      return f(ElementTag<std::uint8_t>{});
    case 2:
      return f(ElementTag<std::uint16_t>{});
    case 8:
      return f(ElementTag<std::uint64_t>{});
    default:
      return f(ElementTag<std::uint32_t>{});
  }
}

// Conversion as Cast does it. Integers wrap; what a float does outside the range of an integer is open in
// ONNX: here it saturates to 64 bits, then wraps. NaN becomes 0.
template <class To, class From>
To converted_value(From value) noexcept {
  using F = Computed<From>;
  const F x = value;
  if constexpr (std::is_same_v<To, bool>) {
    return x != F{0};
  } else if constexpr (kIsFloat<To>) {
    return static_cast<To>(static_cast<Computed<To>>(x));
  } else if constexpr (!kIsFloat<From>) {
    return static_cast<To>(x);
  } else {
    constexpr F kTwo63 = static_cast<F>(9223372036854775808.0);
    if (std::isnan(x)) return To{0};
    if (x < -kTwo63) return static_cast<To>(std::numeric_limits<std::int64_t>::min());
    if (x < kTwo63) return static_cast<To>(static_cast<std::int64_t>(x));
    if (!std::is_same_v<To, std::uint64_t>) return static_cast<To>(std::numeric_limits<std::int64_t>::max());
    return static_cast<To>(x < 2 * kTwo63 ? static_cast<std::uint64_t>(x)
                                          : std::numeric_limits<std::uint64_t>::max());
  }
}

}  // namespace eke
