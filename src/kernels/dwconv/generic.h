// Depthwise float convolution over sixteen lanes. Included after the tier's file and generic.h of simd/.
#pragma once

#include "kernels/dwconv/dwconv.h"

namespace eke::kernels {
namespace {

// True for windows of kh x kw that start `step` columns apart.
template <class Args>
inline bool is_window(const Args& a, int kh, int kw, int step) noexcept {
  return a.column == kh && a.taps == kh * kw && a.row_stride == std::ptrdiff_t{step} * kh;
}

// 16 channels from c on of T pixels whose windows of KH x KW start S columns apart.
template <int T, int KH, int KW, int S>
inline void dwconv_tile(const DwconvF32Args& a, std::ptrdiff_t pixel, int c) noexcept {
  const std::ptrdiff_t padded = (a.channels + 15) / 16 * 16;
  const float* const* rows = a.rows + pixel * a.row_stride;
  const F16 bias = load(a.bias + c);
  F16 acc[T];
#pragma GCC unroll 8
  for (int i = 0; i < T; ++i) acc[i] = bias;
#pragma GCC unroll 16
  for (int column = 0; column < (T - 1) * S + KW; ++column)
#pragma GCC unroll 8
    for (int r = 0; r < KH; ++r) {
      const F16 x = load(rows[column * KH + r] + c);
#pragma GCC unroll 8
      for (int i = 0; i < T; ++i) {
        const int t = column - i * S;
        if (t >= 0 && t < KW) acc[i] = fma(x, load(a.weights + (t * KH + r) * padded + c), acc[i]);
      }
    }
#pragma GCC unroll 8
  for (int i = 0; i < T; ++i) finish(a, acc[i], c, at_most_16(a.channels - c), pixel + i);
}

// V * 16 channels from c on of one pixel.
template <int V>
inline void dwconv_block(const DwconvF32Args& a, std::ptrdiff_t pixel, int c) noexcept {
  const std::ptrdiff_t padded = (a.channels + 15) / 16 * 16;
  const float* const* rows = a.rows + pixel * a.row_stride;
  const float* w = a.weights + c;
  F16 acc[V];
  for (int v = 0; v < V; ++v) acc[v] = load(a.bias + c + v * 16);
  for (int t = 0; t < a.taps; ++t, w += padded)
    for (int v = 0; v < V; ++v) acc[v] = fma(load(rows[t] + c + v * 16), load(w + v * 16), acc[v]);
  for (int v = 0; v < V; ++v) finish(a, acc[v], c + v * 16, at_most_16(a.channels - c - v * 16), pixel);
}

inline void dwconv_pixel(const DwconvF32Args& a, std::ptrdiff_t pixel) noexcept {
  int c = 0;
  for (; c + 64 <= a.channels; c += 64) dwconv_block<4>(a, pixel, c);
  for (; c < a.channels; c += 16) dwconv_block<1>(a, pixel, c);
}

// A last tile of less than four pixels starts earlier and makes some of them again.
template <int KH, int KW, int S>
inline void dwconv_window(const DwconvF32Args& a) noexcept {
  constexpr int kTile = 4;
  int pixel = 0;
  for (; pixel + kTile <= a.pixels; pixel += kTile)
    for (int c = 0; c < a.channels; c += 16) dwconv_tile<kTile, KH, KW, S>(a, pixel, c);
  if (pixel < a.pixels && a.pixels >= kTile)
    for (int c = 0; c < a.channels; c += 16) dwconv_tile<kTile, KH, KW, S>(a, a.pixels - kTile, c);
  else
    for (; pixel < a.pixels; ++pixel) dwconv_pixel(a, pixel);
}

inline void dwconv(const DwconvF32Args& a) noexcept {
  if (is_window(a, 3, 3, 1)) return dwconv_window<3, 3, 1>(a);
  if (is_window(a, 3, 3, 2)) return dwconv_window<3, 3, 2>(a);
  if (is_window(a, 5, 5, 1)) return dwconv_window<5, 5, 1>(a);
  if (is_window(a, 5, 5, 2)) return dwconv_window<5, 5, 2>(a);
  if (is_window(a, 7, 7, 1)) return dwconv_window<7, 7, 1>(a);
  if (is_window(a, 7, 7, 2)) return dwconv_window<7, 7, 2>(a);
  for (int pixel = 0; pixel < a.pixels; ++pixel) dwconv_pixel(a, pixel);
}

}  // namespace
}  // namespace eke::kernels
