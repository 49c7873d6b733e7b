#ifdef __x86_64__
#include "kernels/simd/avx512.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/math.h"

#include "kernels/eltwise/generic.h"

namespace eke::kernels {
namespace {

// 64 bytes through the table: its 128 pairs of bytes are picked by the upper seven bits (two permutations of
// 64 words, joined by the top bit), the byte of the pair by the lowest.
struct Table {
  __m512i part[4];

  __m512i pick_words(__m512i x) const noexcept {  // x: words below 256
    const __m512i pair = _mm512_srli_epi16(x, 1);
    const __m512i lower = _mm512_permutex2var_epi16(part[0], pair, part[1]);
    const __m512i upper = _mm512_permutex2var_epi16(part[2], pair, part[3]);
    const __m512i both =
        _mm512_mask_blend_epi16(_mm512_test_epi16_mask(x, _mm512_set1_epi16(128)), lower, upper);
    const __m512i shift = _mm512_slli_epi16(_mm512_and_si512(x, _mm512_set1_epi16(1)), 3);
    return _mm512_and_si512(_mm512_srlv_epi16(both, shift), _mm512_set1_epi16(255));
  }

  __m512i operator()(__m512i x) const noexcept {
    const __m512i even = pick_words(_mm512_and_si512(x, _mm512_set1_epi16(255)));
    const __m512i odd = pick_words(_mm512_srli_epi16(x, 8));
    return _mm512_or_si512(even, _mm512_slli_epi16(odd, 8));
  }
};

// A division by multiplication with the reciprocal: both round to the same integer unless a tie lies between them.
// They differ by at most 3 * 2^-24 of the quotient, so by less than 1e-4 up to 512; what is beyond saturates.
inline void quantize_by_reciprocal(const QuantizeArgs& a) noexcept {
  constexpr float kNearTie = 0.5f - 1e-4f;
  constexpr int kNearestEven = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  const F16 scale = set(a.scale), reciprocal = set(1 / a.scale), lo = set(a.lo), hi = set(a.hi);
  const I16 zero = seti(a.zero);
  const auto count = static_cast<std::ptrdiff_t>(a.count);
  for (std::ptrdiff_t i = 0; i < count; i += 16) {
    const F16 x = load(a.in + i);
    F16 v = x * reciprocal;
    const __m512 nearest = _mm512_roundscale_ps(v.v, kNearestEven);
    const __m512 distance = _mm512_abs_ps(_mm512_sub_ps(v.v, nearest));
    if (_mm512_cmp_ps_mask(distance, _mm512_set1_ps(kNearTie), _CMP_GT_OQ) != 0) [[unlikely]]
      v = x / scale;
    v = F16{_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(v.v, v.v, _CMP_ORD_Q), v.v)};
    store(a.out + i, saturate(v, lo, hi) + zero, at_most_16(count - i));
  }
}

}  // namespace

void lut_avx512vnni(const LutArgs& a) noexcept {
  Table table;
  for (int i = 0; i < 4; ++i) table.part[i] = _mm512_loadu_si512(a.table + 64 * i);
  const auto count = static_cast<std::ptrdiff_t>(a.count);
  for (std::ptrdiff_t i = 0; i < count; i += 64)
    store(a.out + i, Bytes{table(_mm512_loadu_si512(a.in + i))},
          count - i < 64 ? static_cast<int>(count - i) : 64);
}

void quantize_avx512vnni(const QuantizeArgs& a) noexcept {
  const bool has_reciprocal = a.scale > 0x1p-100f && a.scale < 0x1p100f;
  has_reciprocal ? quantize_by_reciprocal(a) : quantize(a);
}
void dequantize_avx512vnni(const DequantizeArgs& a) noexcept { dequantize(a); }
void add_u8_avx512vnni(const BinaryU8Args& a) noexcept { add(a); }
void mul_u8_avx512vnni(const BinaryU8Args& a) noexcept { mul(a); }
void binary_f32_avx512vnni(const BinaryF32Args& a) noexcept { binary(a); }
void unary_f32_avx512vnni(const UnaryF32Args& a) noexcept { unary(a); }

}  // namespace eke::kernels
#endif
