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
    alignas(64) float sums[M][P][kNr];
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) store(sums[i][p], acc[i][p]);
    for (int i = 0; i < M; ++i)
      for (int p = 0; p < P; ++p) {
        const int c = (p0 + p) * kNr;
        finish(a, load(sums[i][p]), c, at_most_16(a.n - c), i0 + i);
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
