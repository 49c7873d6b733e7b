// Weight gradients over sixteen lanes. Included after the tier's file and generic.h of simd/.
#pragma once

#include "kernels/convgrad/convgrad.h"

namespace eke::kernels {
namespace {

// M rows of the result from i0 on by P * 16 columns from j0 on.
template <int M, int P>
inline void outer_tile(const OuterF32Args& a, int i0, int j0) noexcept {
  F16 acc[M][P];
  float* out = a.out + i0 * a.out_stride + j0;
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) acc[i][p] = a.add ? load(out + i * a.out_stride + p * 16) : set(0.0f);
  const std::ptrdiff_t a_offset = a.a_offset + i0, b_offset = a.b_offset + j0;
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    const float *x = a.a[pixel * a.a_stride] + a_offset, *y = a.b[pixel * a.b_stride] + b_offset;
    F16 row[P];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) row[p] = load(y + p * 16);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const F16 value = set(x[i]);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) acc[i][p] = fma(value, row[p], acc[i][p]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p)
      store(out + i * a.out_stride + p * 16, acc[i][p], at_most_16(a.n - j0 - p * 16));
}

template <int M, int P>
inline void outer_rows(const OuterF32Args& a, int m, int i0, int j0) noexcept {
  if constexpr (M > 1) {
    if (m < M) return outer_rows<M - 1, P>(a, m, i0, j0);
  }
  outer_tile<M, P>(a, i0, j0);
}

// All rows by P panels, in tiles of nearly equal height, at most M.
template <int M, int P>
inline void outer_column(const OuterF32Args& a, int j0) noexcept {
  int tiles = (a.m + M - 1) / M;
  for (int i0 = 0; tiles > 0; --tiles) {
    const int m = (a.m - i0 + tiles - 1) / tiles;
    outer_rows<M, P>(a, m, i0, j0);
    i0 += m;
  }
}

// T taps from t0 on of V * 16 channels.
template <int T, int V>
inline void depthwise_taps(const DepthwiseGradF32Args& a, int t0, int c) noexcept {
  F16 acc[T][V];
  float* out = a.out + t0 * a.out_stride + c;
#pragma GCC unroll 9
  for (int t = 0; t < T; ++t)
    for (int v = 0; v < V; ++v) acc[t][v] = a.add ? load(out + t * a.out_stride + v * 16) : set(0.0f);
  const float* const* rows = a.rows + t0;
  const float* dy = a.dy + c;
  for (int pixel = 0; pixel < a.pixels; ++pixel, rows += a.row_stride, dy += a.dy_stride) {
    F16 g[V];
    for (int v = 0; v < V; ++v) g[v] = load(dy + v * 16);
#pragma GCC unroll 9
    for (int t = 0; t < T; ++t)
      for (int v = 0; v < V; ++v) acc[t][v] = fma(g[v], load(rows[t] + c + v * 16), acc[t][v]);
  }
#pragma GCC unroll 9
  for (int t = 0; t < T; ++t)
    for (int v = 0; v < V; ++v)
      store(out + t * a.out_stride + v * 16, acc[t][v], at_most_16(a.channels - c - v * 16));
}

template <int V>
inline void depthwise_channels(const DepthwiseGradF32Args& a, int c) noexcept {
  int t = 0;
  for (; t + 9 <= a.taps; t += 9) depthwise_taps<9, V>(a, t, c);
  for (; t + 5 <= a.taps; t += 5) depthwise_taps<5, V>(a, t, c);
  for (; t + 2 <= a.taps; t += 2) depthwise_taps<2, V>(a, t, c);
  for (; t < a.taps; ++t) depthwise_taps<1, V>(a, t, c);
}

}  // namespace
}  // namespace eke::kernels
