// Pooling over row pointers, channels innermost, and averages over many rows.
//
// A window that hangs over the edge: for max, repeat a pointer to any row inside; for the average, point to a
// row of zero points (u8) or zeros (f32), which adds nothing. Rows are readable for kSlackBytes past their
// last channel.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"

namespace eke::kernels {

// T is std::uint8_t or float. f32 takes the taps in order: y = y < x ? x : y, so a NaN is kept only in the
// first tap.
template <class T>
struct MaxPoolArgs {
  const T* const* rows = nullptr;          // [pixels][row_stride], the first `taps` of each are used
  std::ptrdiff_t row_stride = 0;           // pointers from one pixel to the next
  int pixels = 0, channels = 0, taps = 0;  // each at least 1
  T* out = nullptr;                        // [pixels][channels]
  std::ptrdiff_t out_stride = 0;           // bytes from one pixel to the next
};
using MaxPoolU8Fn = void (*)(const MaxPoolArgs<std::uint8_t>&) noexcept;
using MaxPoolF32Fn = void (*)(const MaxPoolArgs<float>&) noexcept;

// Rule 11 of docs/integer-semantics.md.
struct AveragePoolU8Args {
  const std::uint8_t* const* rows = nullptr;
  std::ptrdiff_t row_stride = 0;
  int pixels = 0, channels = 0, taps = 0;
  const float* multiplier = nullptr;  // [pixels]: sx / (sy * n)
  std::int32_t input_zero = 0, output_zero = 0;
  float lo = 0, hi = 0;  // bounds of q - zy
  std::uint8_t* out = nullptr;
  std::ptrdiff_t out_stride = 0;
};
using AveragePoolU8Fn = void (*)(const AveragePoolU8Args&) noexcept;

// The sum takes the taps in order, then one division.
struct AveragePoolF32Args {
  const float* const* rows = nullptr;
  std::ptrdiff_t row_stride = 0;
  int pixels = 0, channels = 0, taps = 0;
  const float* divisor = nullptr;  // [pixels]
  float* out = nullptr;
  std::ptrdiff_t out_stride = 0;
};
using AveragePoolF32Fn = void (*)(const AveragePoolF32Args&) noexcept;

// The average of `rows` rows that lie at a fixed distance: rule 11; at most 2^23 rows.
struct GlobalAverageU8Args {
  const std::uint8_t* in = nullptr;
  std::ptrdiff_t in_stride = 0;  // bytes from one row to the next
  int rows = 0, channels = 0;
  float multiplier = 0;
  std::int32_t input_zero = 0, output_zero = 0;
  float lo = 0, hi = 0;
  bool to_float = false;  // float(acc) * multiplier, neither rounded nor clamped
  void* out = nullptr;    // [channels] of u8, or of float
};
using GlobalAverageU8Fn = void (*)(const GlobalAverageU8Args&) noexcept;

struct GlobalAverageF32Args {
  const float* in = nullptr;
  std::ptrdiff_t in_stride = 0;
  int rows = 0, channels = 0;
  float divisor = 1;
  float* out = nullptr;
};
using GlobalAverageF32Fn = void (*)(const GlobalAverageF32Args&) noexcept;

}  // namespace eke::kernels
