// Pooling over sixteen lanes. Included after the tier's file and generic.h of simd/.
#pragma once

#include "kernels/pool/pool.h"

namespace eke::kernels {
namespace {

inline void max_pool(const MaxPoolArgs<std::uint8_t>& a) noexcept {
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    const std::uint8_t* const* rows = a.rows + pixel * a.row_stride;
    std::uint8_t* out = a.out + pixel * a.out_stride;
    for (int c = 0; c < a.channels; c += kBytes) {
      Bytes y = load_bytes(rows[0] + c);
      for (int t = 1; t < a.taps; ++t) y = max(y, load_bytes(rows[t] + c));
      store(out + c, y, a.channels - c < kBytes ? a.channels - c : kBytes);
    }
  }
}

inline void max_pool(const MaxPoolArgs<float>& a) noexcept {
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    const float* const* rows = a.rows + pixel * a.row_stride;
    float* out = offset_bytes(a.out, pixel * a.out_stride);
    for (int c = 0; c < a.channels; c += 16) {
      F16 y = load(rows[0] + c);
      for (int t = 1; t < a.taps; ++t) y = max(load(rows[t] + c), y);
      store(out + c, y, at_most_16(a.channels - c));
    }
  }
}

inline void average_pool(const AveragePoolU8Args& a) noexcept {
  const I16 start = seti(0) - seti(a.taps) * seti(a.input_zero), zero = seti(a.output_zero);
  const F16 lo = set(a.lo), hi = set(a.hi);
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    const std::uint8_t* const* rows = a.rows + pixel * a.row_stride;
    const F16 multiplier = set(a.multiplier[pixel]);
    std::uint8_t* out = a.out + pixel * a.out_stride;
    for (int c = 0; c < a.channels; c += 16) {
      I16 acc = start;
      for (int t = 0; t < a.taps; ++t) acc = acc + load(rows[t] + c);
      store(out + c, saturate(to_float(acc) * multiplier, lo, hi) + zero, at_most_16(a.channels - c));
    }
  }
}

inline void average_pool(const AveragePoolF32Args& a) noexcept {
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    const float* const* rows = a.rows + pixel * a.row_stride;
    const F16 divisor = set(a.divisor[pixel]);
    float* out = offset_bytes(a.out, pixel * a.out_stride);
    for (int c = 0; c < a.channels; c += 16) {
      F16 acc = load(rows[0] + c);
      for (int t = 1; t < a.taps; ++t) acc = acc + load(rows[t] + c);
      store(out + c, acc / divisor, at_most_16(a.channels - c));
    }
  }
}

// V * 16 channels from c on.
template <int V>
inline void global_block(const GlobalAverageU8Args& a, int c) noexcept {
  I16 acc[V];
  for (int v = 0; v < V; ++v) acc[v] = seti(0) - seti(a.rows) * seti(a.input_zero);
  for (int r = 0; r < a.rows; ++r)
    for (int v = 0; v < V; ++v) acc[v] = acc[v] + load(a.in + r * a.in_stride + c + v * 16);
  for (int v = 0; v < V; ++v) {
    const int at = c + v * 16, count = at_most_16(a.channels - at);
    const F16 average = to_float(acc[v]) * set(a.multiplier);
    if (a.to_float)
      store(static_cast<float*>(a.out) + at, average, count);
    else
      store(static_cast<std::uint8_t*>(a.out) + at,
            saturate(average, set(a.lo), set(a.hi)) + seti(a.output_zero), count);
  }
}

template <int V>
inline void global_block(const GlobalAverageF32Args& a, int c) noexcept {
  F16 acc[V];
  for (int v = 0; v < V; ++v) acc[v] = load(a.in + c + v * 16);
  for (int r = 1; r < a.rows; ++r)
    for (int v = 0; v < V; ++v) acc[v] = acc[v] + load(offset_bytes(a.in, r * a.in_stride) + c + v * 16);
  for (int v = 0; v < V; ++v)
    store(a.out + c + v * 16, acc[v] / set(a.divisor), at_most_16(a.channels - c - v * 16));
}

template <class Args>
inline void global_average(const Args& a) noexcept {
  int c = 0;
  for (; c + 64 <= a.channels; c += 64) global_block<4>(a, c);
  for (; c < a.channels; c += 16) global_block<1>(a, c);
}

}  // namespace
}  // namespace eke::kernels
