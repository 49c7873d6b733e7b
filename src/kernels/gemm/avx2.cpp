#ifdef __x86_64__
#include "kernels/simd/avx2.h"

#include "kernels/simd/generic.h"

#include "kernels/gemm/generic.h"

namespace eke::kernels {
namespace {

inline __m256i broadcast4(const std::uint8_t* p) noexcept {
  std::int32_t x;
  __builtin_memcpy(&x, p, sizeof x);
  return _mm256_set1_epi32(x);
}

// Products of 16-bit words, since a sum of two products of a byte and a signed byte does not fit 16 bits. Of
// the four values of a step the even ones and the odd ones are words after a mask or a shift, so that a
// multiply-add of words gives half of the step's sum in the column's own lane.
struct U8S8 {
  const GemmU8S8Args& a;
  std::ptrdiff_t steps;  // of 4 values in one tap
  std::ptrdiff_t panel_bytes;

  // M pixels from i0 on by one panel.
  template <int M, int P>
  void tile(int i0, int p0) const noexcept {
    static_assert(P == 1);
    const int c = p0 * kNr;
    const I16 bias = float_to_bits(load(reinterpret_cast<const float*>(a.epilogue.bias + c)));
    I16 acc[M];
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) acc[i] = bias;
    const std::int8_t* w = a.weights + p0 * panel_bytes;
    const std::uint8_t* const* rows = a.rows + i0 * a.row_stride;
    for (int t = 0; t < a.taps; ++t) {
      const std::uint8_t* x[M];
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) x[i] = rows[i * a.row_stride + t] + a.offset;
      for (std::ptrdiff_t s = 0; s < steps; ++s, w += kNr * 4) {
        const I16 weight = {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)),
                            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32))};
        const I16 even = {_mm256_srai_epi16(_mm256_slli_epi16(weight.lo, 8), 8),
                          _mm256_srai_epi16(_mm256_slli_epi16(weight.hi, 8), 8)};
        const I16 odd = {_mm256_srai_epi16(weight.lo, 8), _mm256_srai_epi16(weight.hi, 8)};
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) {
          const __m256i values = broadcast4(x[i] + s * 4);
          const __m256i x_even = _mm256_and_si256(values, _mm256_set1_epi16(255));
          const __m256i x_odd = _mm256_srli_epi16(values, 8);
          acc[i] = acc[i] + I16{_mm256_madd_epi16(x_even, even.lo), _mm256_madd_epi16(x_even, even.hi)};
          acc[i] = acc[i] + I16{_mm256_madd_epi16(x_odd, odd.lo), _mm256_madd_epi16(x_odd, odd.hi)};
        }
      }
    }
    for (int i = 0; i < M; ++i)
      finish(a.epilogue, acc[i], c, at_most_16(a.n - c), i0 + i,
             static_cast<char*>(a.out) + (i0 + i) * a.out_stride);
  }
};

}  // namespace

void gemm_u8s8_4x16c4_avx2(const GemmU8S8Args& a) noexcept {
  const std::ptrdiff_t steps = (a.k + 3) / 4;
  const U8S8 kernel{a, steps, steps * a.taps * kNr * 4};
  for (int p = 0; p * kNr < a.n; ++p) column<4, 1>(kernel, p);
}

void gemm_f32_6x16_avx2(const GemmF32Args& a) noexcept { run_narrow<6>(Real<Singles>(a)); }

void gemm_bf16_4x16c2_avx2(const GemmBf16Args& a) noexcept { run_narrow<4>(Real<EmulatedPairs>(a)); }
void round_bf16_avx2(const float* x, std::ptrdiff_t count, std::uint16_t* out) noexcept {
  round_bf16(x, count, out);
}
void pair_rows_bf16_avx2(const PairRowsArgs& a) noexcept { pair_rows_bf16(a); }

}  // namespace eke::kernels
#endif
