#ifdef __x86_64__
#include "kernels/simd/avx512.h"

#include "kernels/simd/generic.h"

#include "kernels/gemm/generic.h"

namespace eke::kernels {
namespace {

struct Pairs {
  using Args = GemmBf16Args;
  using Weight = __m512i;
  using Value = __m512i;
  static constexpr int kDepth = 2;
  static Weight weight(const std::uint16_t* w) noexcept { return _mm512_loadu_si512(w); }
  static Value value(const std::uint16_t* x) noexcept {
    std::int32_t pair;
    __builtin_memcpy(&pair, x, sizeof pair);
    return _mm512_set1_epi32(pair);
  }
  static F16 start(F16 bias) noexcept { return bias; }
  static F16 add(F16 sum, Value x, Weight w) noexcept {
    return {_mm512_dpbf16_ps(sum.v, __builtin_bit_cast(__m512bh, x), __builtin_bit_cast(__m512bh, w))};
  }
};

}  // namespace

void gemm_bf16_6x64c2_avx512bf16(const GemmBf16Args& a) noexcept { run_wide(Real<Pairs>(a)); }

void round_bf16_avx512bf16(const float* x, std::ptrdiff_t count, std::uint16_t* out) noexcept {
  std::ptrdiff_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(x + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), __builtin_bit_cast(__m256i, rounded));
  }
  round_bf16(x + i, count - i, out + i);
}

void pair_rows_bf16_avx512bf16(const PairRowsArgs& a) noexcept {
  alignas(64) static constexpr std::uint16_t kOrder[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                           21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                           11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i order = _mm512_load_si512(kOrder);
  for_pairs(a, [order](const float* first, const float* second, std::uint16_t* out) {
    const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(second), _mm512_loadu_ps(first));
    _mm512_storeu_si512(out, _mm512_permutexvar_epi16(order, __builtin_bit_cast(__m512i, both)));
  });
}

}  // namespace eke::kernels
#endif
