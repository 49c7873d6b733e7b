#ifdef __x86_64__
#include "kernels/simd/avx2.h"

#include "kernels/simd/generic.h"

#include "kernels/dwconv/generic.h"

namespace eke::kernels {
namespace {

inline __m128i load16(const void* p) noexcept { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }

// Sums of 16 channels: those that 16-bit unpacking puts low (0 to 3, 8 to 11) and high (4 to 7, 12 to 15).
struct Sums {
  __m256i low, high;

  void add(__m256i x0, __m256i x1, const std::int8_t* w) noexcept {  // two taps
    const __m256i w_low = _mm256_cvtepi8_epi16(load16(w)), w_high = _mm256_cvtepi8_epi16(load16(w + 16));
    low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(x0, x1), w_low));
    high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(x0, x1), w_high));
  }

  I16 ordered() const noexcept {
    return {_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31)};
  }
};

inline __m256i widen_row(const std::uint8_t* p) noexcept { return _mm256_cvtepu8_epi16(load16(p)); }

// 16 channels from c on of one pixel. Taps: their number where it is known, else 0.
template <int Taps>
inline void block(const DwconvU8S8Args& a, std::ptrdiff_t pixel, int c, const std::int8_t* w) noexcept {
  const int taps = Taps ? Taps : a.taps;
  const std::uint8_t* const* rows = a.rows + pixel * a.row_stride;
  Sums sums{_mm256_setzero_si256(), _mm256_setzero_si256()};
  int t = 0;
  for (; t + 2 <= taps; t += 2, w += 32) sums.add(widen_row(rows[t] + c), widen_row(rows[t + 1] + c), w);
  if (t < taps) sums.add(widen_row(rows[t] + c), _mm256_setzero_si256(), w);
  const I16 bias = float_to_bits(load(reinterpret_cast<const float*>(a.epilogue.bias + c)));
  finish(a.epilogue, sums.ordered() + bias, c, at_most_16(a.channels - c), pixel,
         static_cast<char*>(a.out) + pixel * a.out_stride);
}

template <int Taps>
inline void blocks(const DwconvU8S8Args& a) noexcept {
  const std::ptrdiff_t padded_taps = (a.taps + 1) / 2 * 2;
  for (int pixel = 0; pixel < a.pixels; ++pixel)
    for (int c = 0; c < a.channels; c += 16) block<Taps>(a, pixel, c, a.weights + c * padded_taps);
}

}  // namespace

void dwconv_u8s8_16c_avx2(const DwconvU8S8Args& a) noexcept {
  if (a.taps == 9) return blocks<9>(a);
  if (a.taps == 25) return blocks<25>(a);
  if (a.taps == 49) return blocks<49>(a);
  blocks<0>(a);
}

void dwconv_f32_16c_avx2(const DwconvF32Args& a) noexcept { dwconv(a); }

}  // namespace eke::kernels
#endif
