#ifdef __x86_64__
#include "kernels/simd/avx512.h"

#include "kernels/simd/generic.h"

#include "kernels/dwconv/generic.h"

namespace eke::kernels {
namespace {

// The vectors of a block of 16 * L channels, L = 1, 2 or 4 lanes of 128 bits. Interleaving the bytes of four
// taps within lanes gives four vectors; lane l of vector p holds the four taps of channels 16 l + 4 p to 16 l
// + 4 p + 3.
template <int L>
struct Block;

template <>
struct Block<4> {
  using V = __m512i;
  static V load(const void* p) noexcept { return _mm512_loadu_si512(p); }
  static void store(void* p, V x) noexcept { _mm512_storeu_si512(p, x); }
  static V zero() noexcept { return _mm512_setzero_si512(); }
  static V lo8(V a, V b) noexcept { return _mm512_unpacklo_epi8(a, b); }
  static V hi8(V a, V b) noexcept { return _mm512_unpackhi_epi8(a, b); }
  static V lo16(V a, V b) noexcept { return _mm512_unpacklo_epi16(a, b); }
  static V hi16(V a, V b) noexcept { return _mm512_unpackhi_epi16(a, b); }
  static V dot(V acc, V x, V w) noexcept { return _mm512_dpbusd_epi32(acc, x, w); }
};
template <>
struct Block<2> {
  using V = __m256i;
  static V load(const void* p) noexcept { return _mm256_loadu_si256(static_cast<const V*>(p)); }
  static void store(void* p, V x) noexcept { _mm256_storeu_si256(static_cast<V*>(p), x); }
  static V zero() noexcept { return _mm256_setzero_si256(); }
  static V lo8(V a, V b) noexcept { return _mm256_unpacklo_epi8(a, b); }
  static V hi8(V a, V b) noexcept { return _mm256_unpackhi_epi8(a, b); }
  static V lo16(V a, V b) noexcept { return _mm256_unpacklo_epi16(a, b); }
  static V hi16(V a, V b) noexcept { return _mm256_unpackhi_epi16(a, b); }
  static V dot(V acc, V x, V w) noexcept { return _mm256_dpbusd_epi32(acc, x, w); }
};
template <>
struct Block<1> {
  using V = __m128i;
  static V load(const void* p) noexcept { return _mm_loadu_si128(static_cast<const V*>(p)); }
  static void store(void* p, V x) noexcept { _mm_storeu_si128(static_cast<V*>(p), x); }
  static V zero() noexcept { return _mm_setzero_si128(); }
  static V lo8(V a, V b) noexcept { return _mm_unpacklo_epi8(a, b); }
  static V hi8(V a, V b) noexcept { return _mm_unpackhi_epi8(a, b); }
  static V lo16(V a, V b) noexcept { return _mm_unpacklo_epi16(a, b); }
  static V hi16(V a, V b) noexcept { return _mm_unpackhi_epi16(a, b); }
  static V dot(V acc, V x, V w) noexcept { return _mm_dpbusd_epi32(acc, x, w); }
};

// The bias in the order of the parts.
template <int L>
inline void order_parts(const std::int32_t* bias, std::int32_t (&parts)[4][L][4]) noexcept {
  for (int p = 0; p < 4; ++p)
    for (int l = 0; l < L; ++l)
      for (int i = 0; i < 4; ++i) parts[p][l][i] = bias[16 * l + 4 * p + i];
}

// All pixels of the 16 * L channels from c on. Taps: their number where it is known, else 0.
template <int L, int Taps>
inline void block(const DwconvU8S8Args& a, int c, const std::int8_t* weights) noexcept {
  using B = Block<L>;
  using V = typename B::V;
  const int taps = Taps ? Taps : a.taps;
  alignas(64) std::int32_t bias[4][L][4];
  order_parts<L>(a.epilogue.bias + c, bias);
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    const std::uint8_t* const* rows = a.rows + pixel * a.row_stride;
    const std::int8_t* w = weights;
    V acc[4];
    for (int p = 0; p < 4; ++p) acc[p] = B::load(bias[p]);
    int t = 0;
    for (; t + 4 <= taps; t += 4, w += 64 * L) {
      const V x0 = B::load(rows[t] + c), x1 = B::load(rows[t + 1] + c);
      const V x2 = B::load(rows[t + 2] + c), x3 = B::load(rows[t + 3] + c);
      const V lo01 = B::lo8(x0, x1), hi01 = B::hi8(x0, x1), lo23 = B::lo8(x2, x3), hi23 = B::hi8(x2, x3);
      acc[0] = B::dot(acc[0], B::lo16(lo01, lo23), B::load(w));
      acc[1] = B::dot(acc[1], B::hi16(lo01, lo23), B::load(w + 16 * L));
      acc[2] = B::dot(acc[2], B::lo16(hi01, hi23), B::load(w + 32 * L));
      acc[3] = B::dot(acc[3], B::hi16(hi01, hi23), B::load(w + 48 * L));
    }
    if (t < taps) {
      const V none = B::zero();
      const V x0 = B::load(rows[t] + c);
      const V x1 = t + 1 < taps ? B::load(rows[t + 1] + c) : none;
      const V x2 = t + 2 < taps ? B::load(rows[t + 2] + c) : none;
      const V lo01 = B::lo8(x0, x1), hi01 = B::hi8(x0, x1), lo23 = B::lo8(x2, none), hi23 = B::hi8(x2, none);
      acc[0] = B::dot(acc[0], B::lo16(lo01, lo23), B::load(w));
      acc[1] = B::dot(acc[1], B::hi16(lo01, lo23), B::load(w + 16 * L));
      acc[2] = B::dot(acc[2], B::lo16(hi01, hi23), B::load(w + 32 * L));
      acc[3] = B::dot(acc[3], B::hi16(hi01, hi23), B::load(w + 48 * L));
    }
    alignas(64) std::int32_t parts[4][L][4];
    for (int p = 0; p < 4; ++p) B::store(parts[p], acc[p]);
    char* out = static_cast<char*>(a.out) + pixel * a.out_stride;
    for (int l = 0; l < L; ++l) {
      __m512i sums = _mm512_castsi128_si512(_mm_load_si128(reinterpret_cast<const __m128i*>(parts[0][l])));
      sums = _mm512_inserti32x4(sums, _mm_load_si128(reinterpret_cast<const __m128i*>(parts[1][l])), 1);
      sums = _mm512_inserti32x4(sums, _mm_load_si128(reinterpret_cast<const __m128i*>(parts[2][l])), 2);
      sums = _mm512_inserti32x4(sums, _mm_load_si128(reinterpret_cast<const __m128i*>(parts[3][l])), 3);
      finish(a.epilogue, I16{sums}, c + 16 * l, at_most_16(a.channels - c - 16 * l), pixel, out);
    }
  }
}

template <int Taps>
inline void blocks(const DwconvU8S8Args& a) noexcept {
  const std::ptrdiff_t padded_taps = (a.taps + 3) / 4 * 4;
  int c = 0;
  for (; c + 48 < a.channels; c += 64) block<4, Taps>(a, c, a.weights + c * padded_taps);
  if (c + 16 < a.channels) {
    block<2, Taps>(a, c, a.weights + c * padded_taps);
    c += 32;
  }
  if (c < a.channels) block<1, Taps>(a, c, a.weights + c * padded_taps);
}

}  // namespace

void dwconv_u8s8_64c_avx512vnni(const DwconvU8S8Args& a) noexcept {
  if (a.taps == 9) return blocks<9>(a);
  if (a.taps == 25) return blocks<25>(a);
  blocks<0>(a);
}

void dwconv_f32_16c_avx512vnni(const DwconvF32Args& a) noexcept { dwconv(a); }

}  // namespace eke::kernels
#endif
