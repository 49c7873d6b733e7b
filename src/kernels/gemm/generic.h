// Tiles of matrix products over panels of sixteen columns. Included after the tier's file and generic.h of
// simd/.
#pragma once

#include "kernels/gemm/gemm.h"

namespace eke::kernels {
namespace {

constexpr int kNr = 16;

struct F32 {
  const GemmF32Args& a;
  std::ptrdiff_t panel_values;

  // M pixels from i0 on by P panels from p0 on.
  template <int M, int P>
  void tile(int i0, int p0) const noexcept {
    const float* w = a.weights + p0 * panel_values;
    F16 acc[M][P];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const F16 bias = load(a.bias + (p0 + p) * kNr);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) acc[i][p] = bias;
    }
    const float* const* rows = a.rows + i0 * a.row_stride;
    for (int t = 0; t < a.taps; ++t) {
      const float* x[M];
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) x[i] = rows[i * a.row_stride + t] + a.offset;
      for (std::ptrdiff_t c = 0; c < a.k; ++c, w += kNr) {
        F16 weight[P];
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) weight[p] = load(w + p * panel_values);
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
          const F16 value = set(x[i][c]);
#pragma GCC unroll 8
          for (int p = 0; p < P; ++p) acc[i][p] = fma(value, weight[p], acc[i][p]);
        }
      }
    }
    asm volatile("" ::: "memory");  // what the epilogue loads would take the registers of the sums
    if (a.slope != nullptr)
      return a.residual == nullptr ? store_tile<M, P, true, false>(acc, i0, p0)
                                   : store_tile<M, P, true, true>(acc, i0, p0);
    a.residual == nullptr ? store_tile<M, P, false, false>(acc, i0, p0)
                          : store_tile<M, P, false, true>(acc, i0, p0);
  }

  // finish() from registers.
  template <int M, int P, bool Slope, bool Residual>
  void store_tile(const F16 (&acc)[M][P], int i0, int p0) const noexcept {
    const F16 lo = set(a.lo), hi = set(a.hi), zero = set(0.0f);
    const int left = at_most_16(a.n - (p0 + P - 1) * kNr);
    float* out = offset_bytes(a.out, i0 * a.out_stride) + p0 * kNr;
    const float* addends = nullptr;
    if constexpr (Residual) addends = offset_bytes(a.residual, i0 * a.residual_stride) + p0 * kNr;
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        F16 y = acc[i][p];
        if constexpr (Slope) y = pick(less(y, zero), y * load(a.slope + (p0 + p) * kNr), y);
        if constexpr (Residual) y = y + load(addends + p * kNr);
        y = clamp(y, lo, hi);
        p < P - 1 ? store(out + p * kNr, y) : store(out + p * kNr, y, left);
      }
      out = offset_bytes(out, a.out_stride);
      if constexpr (Residual) addends = offset_bytes(addends, a.residual_stride);
    }
  }
};

// Calls tile<M, P> for a runtime m in 1..M.
template <int M, int P, class Kernel>
inline void tile_of(const Kernel& kernel, int m, int i0, int p0) noexcept {
  if constexpr (M > 1) {
    if (m < M) return tile_of<M - 1, P>(kernel, m, i0, p0);
  }
  kernel.template tile<M, P>(i0, p0);
}

// All pixels by P panels, in tiles of nearly equal height, at most M.
template <int M, int P, class Kernel>
inline void column(const Kernel& kernel, int p0) noexcept {
  int tiles = (kernel.a.m + M - 1) / M;
  for (int i0 = 0; tiles > 0; --tiles) {
    const int m = (kernel.a.m - i0 + tiles - 1) / tiles;
    tile_of<M, P>(kernel, m, i0, p0);
    i0 += m;
  }
}

}  // namespace
}  // namespace eke::kernels
