// What the tiers with dot products share: storing tiles whose rows are vectors of four neighbouring channels.
// Included after simd/neon.h, simd/generic.h, simd/neon_requantize.h and gemm/generic.h.
#pragma once

#include "kernels/gemm/gemm.h"

namespace eke::kernels {
namespace {

// Every rule, from [m][panels] sixteens in memory.
[[gnu::noinline]] void finish_sums(const GemmU8S8Args& a, const std::int32_t* sums, int m, int panels, int i0,
                                   int p0) noexcept {
  for (int i = 0; i < m; ++i)
    for (int p = 0; p < panels; ++p, sums += kNr) {
      const int c = (p0 + p) * kNr;
      const I16 acc = quarters<I16>([&](int q) { return vld1q_s32(sums + 4 * q); });
      finish(a.epilogue, acc, c, at_most_16(a.n - c), i0 + i,
             static_cast<char*>(a.out) + (i0 + i) * a.out_stride);
    }
}

// Pixels from i0 on by panels from p0 on.
template <int M, int P>
inline void finish_tile(const GemmU8S8Args& a, const int32x4_t (&acc)[M][4 * P], int i0, int p0) noexcept {
  const Epilogue& e = a.epilogue;
  const int n = a.n;
  const std::ptrdiff_t out_stride = a.out_stride, residual_stride = e.residual.stride;
  std::uint8_t* out = static_cast<std::uint8_t*>(a.out) + i0 * out_stride + p0 * kNr;
  const std::uint8_t* residual = e.residual.data + i0 * residual_stride + p0 * kNr;
  const bool done = with_requantize(
      e, [&](const auto& requantize) __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) {
          const int c = (p0 + p) * kNr;
          const F16 scale = load(e.scale + c);
          const F16 negative = e.negative_scale ? load(e.negative_scale + c) : scale;
#pragma GCC unroll 8
          for (int i = 0; i < M; ++i) {
            const I16 sums = {{acc[i][4 * p], acc[i][4 * p + 1], acc[i][4 * p + 2], acc[i][4 * p + 3]}};
            F16 addends = scale;
            if (requantize.kKind != ResidualKind::none)
              addends = residual_addend(e.residual, vld1q_u8(residual + i * residual_stride + p * kNr));
            store(out + i * out_stride + p * kNr, Bytes{requantize(sums, scale, negative, addends)}, n - c);
          }
        }
      });
  if (done) return;
  std::int32_t sums[M][4 * P][4];
  for (int i = 0; i < M; ++i)
    for (int q = 0; q < 4 * P; ++q) vst1q_s32(sums[i][q], acc[i][q]);
  finish_sums(a, sums[0][0], M, P, i0, p0);
}

}  // namespace
}  // namespace eke::kernels
