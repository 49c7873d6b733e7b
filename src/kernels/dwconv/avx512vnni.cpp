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
  using F = __m512;
  using Mask = __mmask64;
  static V load(const void* p) noexcept { return _mm512_loadu_si512(p); }
  static F load_floats(const float* p) noexcept { return _mm512_loadu_ps(p); }
  static void store(void* p, V x) noexcept { _mm512_storeu_si512(p, x); }
  static void store_bytes(void* p, Mask mask, V x) noexcept { _mm512_mask_storeu_epi8(p, mask, x); }
  static V zero() noexcept { return _mm512_setzero_si512(); }
  static F set(float x) noexcept { return _mm512_set1_ps(x); }
  static V set16(int x) noexcept { return _mm512_set1_epi16(static_cast<short>(x)); }
  static V lo8(V a, V b) noexcept { return _mm512_unpacklo_epi8(a, b); }
  static V hi8(V a, V b) noexcept { return _mm512_unpackhi_epi8(a, b); }
  static V lo16(V a, V b) noexcept { return _mm512_unpacklo_epi16(a, b); }
  static V hi16(V a, V b) noexcept { return _mm512_unpackhi_epi16(a, b); }
  static V dot(V acc, V x, V w) noexcept { return _mm512_dpbusd_epi32(acc, x, w); }
  static V words(V a, V b) noexcept { return _mm512_packs_epi32(a, b); }
  static V bytes(V a, V b) noexcept { return _mm512_packus_epi16(a, b); }
  static V shift(V x, V lo, V zero) noexcept { return _mm512_add_epi16(_mm512_max_epi16(x, lo), zero); }
  static F pick_negative(V acc, F yes, F no) noexcept {
    return _mm512_mask_blend_ps(_mm512_movepi32_mask(acc), no, yes);
  }
  static V scaled(V acc, F scale, F hi) noexcept {
    return _mm512_cvtps_epi32(_mm512_min_ps(hi, _mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale)));
  }
};
template <>
struct Block<2> {
  using V = __m256i;
  using F = __m256;
  using Mask = __mmask32;
  static V load(const void* p) noexcept { return _mm256_loadu_si256(static_cast<const V*>(p)); }
  static F load_floats(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static void store(void* p, V x) noexcept { _mm256_storeu_si256(static_cast<V*>(p), x); }
  static void store_bytes(void* p, Mask mask, V x) noexcept { _mm256_mask_storeu_epi8(p, mask, x); }
  static V zero() noexcept { return _mm256_setzero_si256(); }
  static F set(float x) noexcept { return _mm256_set1_ps(x); }
  static V set16(int x) noexcept { return _mm256_set1_epi16(static_cast<short>(x)); }
  static V lo8(V a, V b) noexcept { return _mm256_unpacklo_epi8(a, b); }
  static V hi8(V a, V b) noexcept { return _mm256_unpackhi_epi8(a, b); }
  static V lo16(V a, V b) noexcept { return _mm256_unpacklo_epi16(a, b); }
  static V hi16(V a, V b) noexcept { return _mm256_unpackhi_epi16(a, b); }
  static V dot(V acc, V x, V w) noexcept { return _mm256_dpbusd_epi32(acc, x, w); }
  static V words(V a, V b) noexcept { return _mm256_packs_epi32(a, b); }
  static V bytes(V a, V b) noexcept { return _mm256_packus_epi16(a, b); }
  static V shift(V x, V lo, V zero) noexcept { return _mm256_add_epi16(_mm256_max_epi16(x, lo), zero); }
  static F pick_negative(V acc, F yes, F no) noexcept {
    return _mm256_mask_blend_ps(_mm256_movepi32_mask(acc), no, yes);
  }
  static V scaled(V acc, F scale, F hi) noexcept {
    return _mm256_cvtps_epi32(_mm256_min_ps(hi, _mm256_mul_ps(_mm256_cvtepi32_ps(acc), scale)));
  }
};
template <>
struct Block<1> {
  using V = __m128i;
  using F = __m128;
  using Mask = __mmask16;
  static V load(const void* p) noexcept { return _mm_loadu_si128(static_cast<const V*>(p)); }
  static F load_floats(const float* p) noexcept { return _mm_loadu_ps(p); }
  static void store(void* p, V x) noexcept { _mm_storeu_si128(static_cast<V*>(p), x); }
  static void store_bytes(void* p, Mask mask, V x) noexcept { _mm_mask_storeu_epi8(p, mask, x); }
  static V zero() noexcept { return _mm_setzero_si128(); }
  static F set(float x) noexcept { return _mm_set1_ps(x); }
  static V set16(int x) noexcept { return _mm_set1_epi16(static_cast<short>(x)); }
  static V lo8(V a, V b) noexcept { return _mm_unpacklo_epi8(a, b); }
  static V hi8(V a, V b) noexcept { return _mm_unpackhi_epi8(a, b); }
  static V lo16(V a, V b) noexcept { return _mm_unpacklo_epi16(a, b); }
  static V hi16(V a, V b) noexcept { return _mm_unpackhi_epi16(a, b); }
  static V dot(V acc, V x, V w) noexcept { return _mm_dpbusd_epi32(acc, x, w); }
  static V words(V a, V b) noexcept { return _mm_packs_epi32(a, b); }
  static V bytes(V a, V b) noexcept { return _mm_packus_epi16(a, b); }
  static V shift(V x, V lo, V zero) noexcept { return _mm_add_epi16(_mm_max_epi16(x, lo), zero); }
  static F pick_negative(V acc, F yes, F no) noexcept {
    return _mm_mask_blend_ps(_mm_movepi32_mask(acc), no, yes);
  }
  static V scaled(V acc, F scale, F hi) noexcept {
    return _mm_cvtps_epi32(_mm_min_ps(hi, _mm_mul_ps(_mm_cvtepi32_ps(acc), scale)));
  }
};

// Entries c to c + 16 L - 1 of an array in the order of the parts.
template <int L, class T>
inline void order_parts(const T* array, T (&parts)[4][L][4]) noexcept {
  for (int p = 0; p < 4; ++p)
    for (int l = 0; l < L; ++l)
      for (int i = 0; i < 4; ++i) parts[p][l][i] = array[16 * l + 4 * p + i];
}

// The rounding and clamping of rules 3 and 4 for a block. The upper bound is applied in float, where all that
// exceeds int32 lies above it; what lies below int32 converts to its least value, and the lower bound follows
// in 16 bits.
template <int L, bool Negative>
struct Requantize {
  using B = Block<L>;
  using V = typename B::V;
  using F = typename B::F;
  F scale[4], negative[4], hi;
  V lo, zero;
  typename B::Mask mask;

  Requantize(const DwconvU8S8Args& a, int c) noexcept
      : hi(B::set(a.epilogue.hi)),
        lo(B::set16(static_cast<int>(a.epilogue.lo))),
        zero(B::set16(a.epilogue.zero_point)),
        mask(static_cast<typename B::Mask>(~std::uint64_t{0} >> (64 - min_int(a.channels - c, 16 * L)))) {
    alignas(64) float parts[4][L][4];
    order_parts<L>(a.epilogue.scale + c, parts);
    for (int p = 0; p < 4; ++p) scale[p] = B::load_floats(&parts[p][0][0]);
    if constexpr (Negative) {
      order_parts<L>(a.epilogue.negative_scale + c, parts);
      for (int p = 0; p < 4; ++p) negative[p] = B::load_floats(&parts[p][0][0]);
    }
  }

  static int min_int(int a, int b) noexcept { return a < b ? a : b; }

  V value(V acc, int p) const noexcept {
    if constexpr (Negative) return B::scaled(acc, B::pick_negative(acc, negative[p], scale[p]), hi);
    return B::scaled(acc, scale[p], hi);
  }

  // Packing undoes the order of the parts.
  void operator()(const V (&acc)[4], std::ptrdiff_t, char* out) const noexcept {
    const V first = B::shift(B::words(value(acc[0], 0), value(acc[1], 1)), lo, zero);
    const V second = B::shift(B::words(value(acc[2], 2), value(acc[3], 3)), lo, zero);
    B::store_bytes(out, mask, B::bytes(first, second));
  }
};

// Every rule, through memory.
template <int L>
struct Finish {
  using V = typename Block<L>::V;
  const DwconvU8S8Args& a;
  int c;

  void operator()(const V (&acc)[4], std::ptrdiff_t pixel, char* out) const noexcept {
    alignas(64) std::int32_t parts[4][L][4], sums[L][16];
    for (int p = 0; p < 4; ++p) Block<L>::store(parts[p], acc[p]);
    for (int p = 0; p < 4; ++p)
      for (int l = 0; l < L; ++l)
        for (int i = 0; i < 4; ++i) sums[l][4 * p + i] = parts[p][l][i];
    for (int l = 0; l < L && c + 16 * l < a.channels; ++l)
      finish(a.epilogue, I16{_mm512_load_si512(sums[l])}, c + 16 * l, at_most_16(a.channels - c - 16 * l),
             pixel, out - c * width());
  }
  // Bytes of an output.
  int width() const noexcept { return a.epilogue.output == OutputKind::u8 ? 1 : 4; }
};

// All pixels of the 16 * L channels from c on. Taps: their number where it is known, else 0.
template <int L, int Taps, class Store>
inline void block(const DwconvU8S8Args& a, int c, const std::int8_t* weights, const Store& store) noexcept {
  using B = Block<L>;
  using V = typename B::V;
  const int taps = Taps ? Taps : a.taps;
  alignas(64) std::int32_t parts[4][L][4];
  order_parts<L>(a.epilogue.bias + c, parts);
  V bias[4];
  for (int p = 0; p < 4; ++p) bias[p] = B::load(parts[p]);
  const int width = a.epilogue.output == OutputKind::u8 ? 1 : 4;
  char* out = static_cast<char*>(a.out) + c * width;
  for (int pixel = 0; pixel < a.pixels; ++pixel, out += a.out_stride) {
    const std::uint8_t* const* rows = a.rows + pixel * a.row_stride;
    const std::int8_t* w = weights;
    V acc[4] = {bias[0], bias[1], bias[2], bias[3]};
    const auto add = [&](V lo01, V hi01, V lo23, V hi23) {
      acc[0] = B::dot(acc[0], B::lo16(lo01, lo23), B::load(w));
      acc[1] = B::dot(acc[1], B::hi16(lo01, lo23), B::load(w + 16 * L));
      acc[2] = B::dot(acc[2], B::lo16(hi01, hi23), B::load(w + 32 * L));
      acc[3] = B::dot(acc[3], B::hi16(hi01, hi23), B::load(w + 48 * L));
    };
    int t = 0;
#pragma GCC unroll 8
    for (; t + 4 <= taps; t += 4, w += 64 * L) {
      const V x0 = B::load(rows[t] + c), x1 = B::load(rows[t + 1] + c);
      const V x2 = B::load(rows[t + 2] + c), x3 = B::load(rows[t + 3] + c);
      add(B::lo8(x0, x1), B::hi8(x0, x1), B::lo8(x2, x3), B::hi8(x2, x3));
    }
    const V none = B::zero();
    if (taps - t == 1) {
      const V x0 = B::load(rows[t] + c);
      add(B::lo8(x0, none), B::hi8(x0, none), none, none);
    } else if (t < taps) {
      const V x0 = B::load(rows[t] + c), x1 = B::load(rows[t + 1] + c);
      const V x2 = t + 2 < taps ? B::load(rows[t + 2] + c) : none;
      add(B::lo8(x0, x1), B::hi8(x0, x1), B::lo8(x2, none), B::hi8(x2, none));
    }
    store(acc, pixel, out);
  }
}

template <int L, int Taps>
inline void block(const DwconvU8S8Args& a, int c) noexcept {
  const std::int8_t* weights = a.weights + std::ptrdiff_t{c} * ((a.taps + 3) / 4 * 4);
  const Epilogue& e = a.epilogue;
  if (e.output != OutputKind::u8 || e.residual.kind != ResidualKind::none)
    return block<L, Taps>(a, c, weights, Finish<L>{a, c});
  if (e.negative_scale) return block<L, Taps>(a, c, weights, Requantize<L, true>(a, c));
  block<L, Taps>(a, c, weights, Requantize<L, false>(a, c));
}

template <int Taps>
inline void blocks(const DwconvU8S8Args& a) noexcept {
  int c = 0;
  for (; c + 48 < a.channels; c += 64) block<4, Taps>(a, c);
  if (c + 16 < a.channels) {
    block<2, Taps>(a, c);
    c += 32;
  }
  if (c < a.channels) block<1, Taps>(a, c);
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
