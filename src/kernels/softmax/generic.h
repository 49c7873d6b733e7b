// Softmax over sixteen lanes. Included after the tier's file, generic.h and math.h of simd/.
#pragma once

#include "kernels/softmax/softmax.h"

namespace eke::kernels {
namespace {

// Lanes folded in halves; the order is the same on every tier.
template <class Join>
inline float fold(F16 x, Join join) noexcept {
  float lane[16];
  store(lane, x);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lane[i] = join(lane[i], lane[i + half]);
  return lane[0];
}

inline void softmax_row(const float* in, float* out, std::size_t cols) noexcept {
  const auto count = static_cast<std::ptrdiff_t>(cols);
  const auto tail = [&](std::ptrdiff_t i, float fill) {
    float lane[16];
    for (int l = 0; l < 16; ++l) lane[l] = i + l < count ? in[i + l] : fill;
    return load(lane);
  };
  const std::ptrdiff_t whole = count / 16 * 16;
  F16 top = set(in[0]);
  for (std::ptrdiff_t i = 0; i < whole; i += 16) top = max(load(in + i), top);
  if (whole < count) top = max(tail(whole, in[0]), top);
  const F16 shift = set(fold(top, [](float a, float b) { return a < b ? b : a; }));

  F16 sum = set(0.0f);
  for (std::ptrdiff_t i = 0; i < whole; i += 16) {
    const F16 e = exp(load(in + i) - shift);
    store(out + i, e);
    sum = sum + e;
  }
  if (whole < count) {  // lanes past the end hold exp(-infinity) = 0
    const F16 e = exp(tail(whole, -__builtin_inff()) - shift);
    store(out + whole, e, static_cast<int>(count - whole));
    sum = sum + e;
  }
  const F16 total = set(fold(sum, [](float a, float b) { return a + b; }));
  for (std::ptrdiff_t i = 0; i < count; i += 16) store(out + i, load(out + i) / total, at_most_16(count - i));
}

inline void softmax(const SoftmaxArgs& a) noexcept {
  for (std::size_t r = 0; r < a.rows; ++r)
    softmax_row(offset_bytes(a.in, static_cast<std::ptrdiff_t>(r) * a.in_stride),
                offset_bytes(a.out, static_cast<std::ptrdiff_t>(r) * a.out_stride), a.cols);
}

}  // namespace
}  // namespace eke::kernels
