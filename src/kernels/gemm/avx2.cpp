#ifdef __x86_64__
#include "kernels/simd/avx2.h"

#include "kernels/simd/generic.h"

#include "kernels/gemm/generic.h"

namespace eke::kernels {
namespace {

// Four values of a row as 16-bit words, in each half of a lane.
inline __m256i broadcast4(const std::uint8_t* p) noexcept {
  std::int32_t x;
  __builtin_memcpy(&x, p, sizeof x);
  return _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(x)));
}

// Products of 16-bit words, since sums of two products of a byte and a signed byte do not fit 16 bits.
struct U8S8 {
  const GemmU8S8Args& a;
  std::ptrdiff_t steps;  // of 4 values in one tap
  std::ptrdiff_t panel_bytes;

  // M pixels from i0 on by one panel. Each sum is two halves: values 0 and 1, 2 and 3 of every step.
  template <int M, int P>
  void tile(int i0, int p0) const noexcept {
    static_assert(P == 1);
    const std::int8_t* w = a.weights + p0 * panel_bytes;
    __m256i acc[M][4];
    for (int i = 0; i < M; ++i)
      for (int q = 0; q < 4; ++q) acc[i][q] = _mm256_setzero_si256();
    const std::uint8_t* const* rows = a.rows + i0 * a.row_stride;
    for (int t = 0; t < a.taps; ++t) {
      const std::uint8_t* x[M];
      for (int i = 0; i < M; ++i) x[i] = rows[i * a.row_stride + t] + a.offset;
      for (std::ptrdiff_t s = 0; s < steps; ++s, w += kNr * 4) {
        __m256i value[M];
#pragma GCC unroll 4
        for (int i = 0; i < M; ++i) value[i] = broadcast4(x[i] + s * 4);
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) {
          const __m256i weight =
              _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w + q * 16)));
#pragma GCC unroll 4
          for (int i = 0; i < M; ++i)
            acc[i][q] = _mm256_add_epi32(acc[i][q], _mm256_madd_epi16(value[i], weight));
        }
      }
    }
    for (int i = 0; i < M; ++i) {
      const auto join = [](__m256i even, __m256i odd) {
        return _mm256_permute4x64_epi64(_mm256_hadd_epi32(even, odd), 0xd8);
      };
      const int c = p0 * kNr;
      const I16 bias = float_to_bits(load(reinterpret_cast<const float*>(a.epilogue.bias + c)));
      finish(a.epilogue, I16{join(acc[i][0], acc[i][1]), join(acc[i][2], acc[i][3])} + bias, c,
             at_most_16(a.n - c), i0 + i, static_cast<char*>(a.out) + (i0 + i) * a.out_stride);
    }
  }
};

}  // namespace

void gemm_u8s8_3x16c4_avx2(const GemmU8S8Args& a) noexcept {
  const std::ptrdiff_t steps = (a.k + 3) / 4;
  const U8S8 kernel{a, steps, steps * a.taps * kNr * 4};
  for (int p = 0; p * kNr < a.n; ++p) column<3, 1>(kernel, p);
}

void gemm_f32_6x16_avx2(const GemmF32Args& a) noexcept {
  const F32 kernel{a, std::ptrdiff_t{a.k} * a.taps * kNr};
  for (int p = 0; p * kNr < a.n; ++p) column<6, 1>(kernel, p);
}

}  // namespace eke::kernels
#endif
