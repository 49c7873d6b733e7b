#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/neon_requantize.h"

#include "kernels/gemm/generic.h"

#include "kernels/gemm/neon_rows.h"

namespace eke::kernels {
namespace {

// Products of 2 x 8 unsigned by 8 x 2 signed bytes: a sum holds two pixels by two channels. An odd pixel is multiplied
// with itself.
struct U8S8 {
  const GemmU8S8Args& a;
  std::ptrdiff_t panel_bytes;

  // Eight values of H pairs of pixels by P panels.
  template <int H, int P>
  inline void step(int32x4_t (&acc)[H][8 * P], const uint8x16_t (&x)[H],
                   const std::int8_t* w) const noexcept {
#pragma GCC unroll 16
    for (int q = 0; q < 8 * P; q += 2) {
      const std::int8_t* from = w + q / 8 * panel_bytes + q % 8 * 16;
      const int8x16_t left = vld1q_s8(from), right = vld1q_s8(from + 16);
#pragma GCC unroll 4
      for (int h = 0; h < H; ++h) {
        acc[h][q] = vusmmlaq_s32(acc[h][q], x[h], left);
        acc[h][q + 1] = vusmmlaq_s32(acc[h][q + 1], x[h], right);
      }
    }
  }

  template <int M, int P>
  inline void tile(int i0, int p0) const noexcept {
    constexpr int H = (M + 1) / 2;
    const auto row_of = [](int r) { return r < M ? r : M - 1; };
    const std::int8_t* w = a.weights + p0 * panel_bytes;
    int32x4_t acc[H][8 * P];
#pragma GCC unroll 16
    for (int q = 0; q < 8 * P; ++q) {
      const int32x2_t start = vld1_s32(a.epilogue.bias + p0 * kNr + q * 2);
#pragma GCC unroll 4
      for (int h = 0; h < H; ++h) acc[h][q] = vcombine_s32(start, start);
    }
    const std::uint8_t* const* rows = a.rows + i0 * a.row_stride;
    for (int t = 0; t < a.taps; ++t) {
      const std::uint8_t* x[M];
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) x[i] = rows[i * a.row_stride + t] + a.offset;
      int left = a.k;
      for (; left > 0; left -= 16) {
        uint8x16_t first[H], second[H];
#pragma GCC unroll 4
        for (int h = 0; h < H; ++h) {
          const uint64x2_t even = vreinterpretq_u64_u8(vld1q_u8(x[row_of(2 * h)]));
          const uint64x2_t odd = vreinterpretq_u64_u8(vld1q_u8(x[row_of(2 * h + 1)]));
          first[h] = vreinterpretq_u8_u64(vzip1q_u64(even, odd));
          second[h] = vreinterpretq_u8_u64(vzip2q_u64(even, odd));
        }
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) x[i] += 16;
        step<H, P>(acc, first, w);
        w += 8 * kNr;
        if (left <= 8) break;
        step<H, P>(acc, second, w);
        w += 8 * kNr;
      }
    }
    asm volatile("" ::: "memory");  // what the epilogue loads would take the registers of the sums
    int32x4_t sums[M][4 * P];
#pragma GCC unroll 16
    for (int q = 0; q < 4 * P; ++q)
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) {
        const int64x2_t left = vreinterpretq_s64_s32(acc[i / 2][2 * q]),
                        right = vreinterpretq_s64_s32(acc[i / 2][2 * q + 1]);
        sums[i][q] = vreinterpretq_s32_s64(i % 2 ? vzip2q_s64(left, right) : vzip1q_s64(left, right));
      }
    finish_tile<M, P>(a, sums, i0, p0);
  }
};

}  // namespace

void gemm_u8s8_6x16c8_i8mm(const GemmU8S8Args& a) noexcept {
  const std::ptrdiff_t steps = (a.k + 7) / 8;
  const U8S8 kernel{a, steps * a.taps * kNr * 8};
  const int panels = (a.n + kNr - 1) / kNr;
  int p = 0;
  if (a.m == 1)
    for (; p + 2 <= panels; p += 2) column<1, 2>(kernel, p);
  for (; p < panels; ++p) column<6, 1>(kernel, p);
}

}  // namespace eke::kernels
#endif
