#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/neon_requantize.h"

#include "kernels/gemm/generic.h"

#include "kernels/gemm/neon_rows.h"

namespace eke::kernels {
namespace {

constexpr std::ptrdiff_t kHeadBytes = (kNr + 4) * sizeof(std::int32_t);

// There is no product of unsigned and signed bytes in this tier: the values become x - 128 (the top bit flipped), and
// the head of a panel holds what that takes off the sums, 128 * sum(w), modulo 2^32 like the sums themselves.
inline int8x16_t load_shifted(const std::uint8_t* p) noexcept {
  return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(128)));
}

struct U8S8 {
  const GemmU8S8Args& a;
  std::ptrdiff_t panel_bytes;

  // Four values (those of lane Lane) of M pixels by P panels.
  template <int Lane, int M, int P>
  inline void step(int32x4_t (&acc)[M][4 * P], const int8x16_t (&x)[M], const std::int8_t* w) const noexcept {
#pragma GCC unroll 16
    for (int q = 0; q < 4 * P; ++q) {
      const int8x16_t weight = vld1q_s8(w + q / 4 * panel_bytes + Lane * kNr * 4 + q % 4 * 16);
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) acc[i][q] = vdotq_laneq_s32(acc[i][q], weight, x[i], Lane);
    }
  }

  template <int M, int P>
  inline void tile(int i0, int p0) const noexcept {
    const std::int8_t* w = a.weights + p0 * panel_bytes;
    int32x4_t acc[M][4 * P];
#pragma GCC unroll 16
    for (int q = 0; q < 4 * P; ++q) {
      const auto* head = reinterpret_cast<const std::int32_t*>(w + q / 4 * panel_bytes) + q % 4 * 4;
      const int32x4_t start = vaddq_s32(vld1q_s32(a.epilogue.bias + p0 * kNr + q * 4), vld1q_s32(head));
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) acc[i][q] = start;
    }
    w += kHeadBytes;
    const std::uint8_t* const* rows = a.rows + i0 * a.row_stride;
    for (int t = 0; t < a.taps; ++t) {
      const std::uint8_t* x[M];
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) x[i] = rows[i * a.row_stride + t] + a.offset;
      int8x16_t value[M];
      int left = a.k;
      for (; left >= 16; left -= 16, w += 16 * kNr) {
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) value[i] = load_shifted(x[i]), x[i] += 16;
        step<0, M, P>(acc, value, w);
        step<1, M, P>(acc, value, w);
        step<2, M, P>(acc, value, w);
        step<3, M, P>(acc, value, w);
      }
      if (left == 0) continue;
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) value[i] = load_shifted(x[i]);
      step<0, M, P>(acc, value, w);
      if (left > 4) step<1, M, P>(acc, value, w);
      if (left > 8) step<2, M, P>(acc, value, w);
      if (left > 12) step<3, M, P>(acc, value, w);
      w += (left + 3) / 4 * 4 * kNr;
    }
    asm volatile("" ::: "memory");  // what the epilogue loads would take the registers of the sums
    finish_tile<M, P>(a, acc, i0, p0);
  }
};

}  // namespace

void gemm_u8s8_6x16c4_neon_dotprod(const GemmU8S8Args& a) noexcept {
  const std::ptrdiff_t steps = (a.k + 3) / 4;
  const U8S8 kernel{a, kHeadBytes + steps * a.taps * kNr * 4};
  const int panels = (a.n + kNr - 1) / kNr;
  int p = 0;
  if (a.m == 1)
    for (; p + 4 <= panels; p += 4) column<1, 4>(kernel, p);
  for (; p < panels; ++p) column<6, 1>(kernel, p);
}

}  // namespace eke::kernels
#endif
