#ifdef __x86_64__
#include "kernels/simd/avx2.h"

#include "kernels/simd/generic.h"

#include "kernels/gemm/generic.h"

namespace eke::kernels {
namespace {

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
    repeat<M>([&](auto i) EKE_INLINE { acc[i] = bias; });
    const std::int8_t* w = a.weights + p0 * panel_bytes;
    const std::uint8_t* const* rows = a.rows + i0 * a.row_stride;
    for (int t = 0; t < a.taps; ++t) {
      const std::uint8_t* x[M];
      repeat<M>([&](auto i) EKE_INLINE { x[i] = rows[i * a.row_stride + t] + a.offset; });
      for (std::ptrdiff_t s = 0; s < steps; ++s, w += kNr * 4) {
        const __m256i lo = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)),
                      hi = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32));
        repeat<M>([&](auto i) EKE_INLINE {
          std::int32_t four;
          __builtin_memcpy(&four, x[i] + s * 4, sizeof four);
          const __m256i values = _mm256_set1_epi32(four);
          acc[i] = {_mm256_dpbusd_avx_epi32(acc[i].lo, values, lo),
                    _mm256_dpbusd_avx_epi32(acc[i].hi, values, hi)};
        });
      }
    }
    repeat<M>([&](auto i) EKE_INLINE {
      finish(a.epilogue, acc[i], c, at_most_16(a.n - c), i0 + i,
             static_cast<char*>(a.out) + (i0 + i) * a.out_stride);
    });
  }
};

}  // namespace

void gemm_u8s8_6x16c4_avxvnni(const GemmU8S8Args& a) noexcept {
  const std::ptrdiff_t steps = (a.k + 3) / 4;
  run_narrow<6>(U8S8{a, steps, steps * a.taps * kNr * 4});
}

}  // namespace eke::kernels
#endif
