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
struct Block<1> {
  using V = __m128i;
  using F = __m128;
  using Mask = __mmask16;
  static constexpr int kChannels = 16, kPixels = 1;
  static V part(const std::int32_t* p) noexcept { return load(p); }
  static F floats(V x) noexcept { return _mm_castsi128_ps(x); }
  static V load(const void* p) noexcept { return _mm_loadu_si128(static_cast<const V*>(p)); }
  static V row(const std::uint8_t* const* rows, std::ptrdiff_t, int c) noexcept { return load(*rows + c); }
  static V weights(const void* p) noexcept { return load(p); }
  static void store(void* p, V x) noexcept { _mm_storeu_si128(static_cast<V*>(p), x); }
  static void store_bytes(char* p, std::ptrdiff_t, Mask mask, V x) noexcept {
    _mm_mask_storeu_epi8(p, mask, x);
  }
  static V zero() noexcept { return _mm_setzero_si128(); }
  static V set16(int x) noexcept { return _mm_set1_epi16(static_cast<short>(x)); }
  static V lo8(V a, V b) noexcept { return _mm_unpacklo_epi8(a, b); }
  static V hi8(V a, V b) noexcept { return _mm_unpackhi_epi8(a, b); }
  static V lo16(V a, V b) noexcept { return _mm_unpacklo_epi16(a, b); }
  static V hi16(V a, V b) noexcept { return _mm_unpackhi_epi16(a, b); }
  static V dot(V acc, V x, V w) noexcept { return _mm_dpbusd_epi32(acc, x, w); }
  static V words(V a, V b) noexcept { return _mm_packs_epi32(a, b); }
  static V bytes(V a, V b) noexcept { return _mm_packus_epi16(a, b); }
  static V set8(int x) noexcept { return _mm_set1_epi8(static_cast<char>(x)); }
  static V add16(V a, V b) noexcept { return _mm_adds_epi16(a, b); }
  static V clamp8(V x, V lo, V hi) noexcept { return _mm_min_epu8(_mm_max_epu8(x, lo), hi); }
  static F pick_negative(V acc, F yes, F no) noexcept {
    return _mm_mask_blend_ps(_mm_movepi32_mask(acc), no, yes);
  }
  static V scaled(V acc, F scale) noexcept {
    return _mm_cvtps_epi32(_mm_mul_ps(_mm_cvtepi32_ps(acc), scale));
  }
};
template <>
struct Block<2> {
  using V = __m256i;
  using F = __m256;
  using Mask = __mmask32;
  static constexpr int kChannels = 32, kPixels = 1;
  // Four numbers of each group of sixteen.
  static V part(const std::int32_t* p) noexcept {
    const V low = _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_inserti128_si256(low, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16)), 1);
  }
  static F floats(V x) noexcept { return _mm256_castsi256_ps(x); }
  static V load(const void* p) noexcept { return _mm256_loadu_si256(static_cast<const V*>(p)); }
  static V row(const std::uint8_t* const* rows, std::ptrdiff_t, int c) noexcept { return load(*rows + c); }
  static V weights(const void* p) noexcept { return load(p); }
  static void store(void* p, V x) noexcept { _mm256_storeu_si256(static_cast<V*>(p), x); }
  static void store_bytes(char* p, std::ptrdiff_t, Mask mask, V x) noexcept {
    _mm256_mask_storeu_epi8(p, mask, x);
  }
  static V zero() noexcept { return _mm256_setzero_si256(); }
  static V set16(int x) noexcept { return _mm256_set1_epi16(static_cast<short>(x)); }
  static V lo8(V a, V b) noexcept { return _mm256_unpacklo_epi8(a, b); }
  static V hi8(V a, V b) noexcept { return _mm256_unpackhi_epi8(a, b); }
  static V lo16(V a, V b) noexcept { return _mm256_unpacklo_epi16(a, b); }
  static V hi16(V a, V b) noexcept { return _mm256_unpackhi_epi16(a, b); }
  static V dot(V acc, V x, V w) noexcept { return _mm256_dpbusd_epi32(acc, x, w); }
  static V words(V a, V b) noexcept { return _mm256_packs_epi32(a, b); }
  static V bytes(V a, V b) noexcept { return _mm256_packus_epi16(a, b); }
  static V set8(int x) noexcept { return _mm256_set1_epi8(static_cast<char>(x)); }
  static V add16(V a, V b) noexcept { return _mm256_adds_epi16(a, b); }
  static V clamp8(V x, V lo, V hi) noexcept { return _mm256_min_epu8(_mm256_max_epu8(x, lo), hi); }
  static F pick_negative(V acc, F yes, F no) noexcept {
    return _mm256_mask_blend_ps(_mm256_movepi32_mask(acc), no, yes);
  }
  static V scaled(V acc, F scale) noexcept {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(acc), scale));
  }
};
template <>
struct Block<4> {
  using V = __m512i;
  using F = __m512;
  using Mask = __mmask64;
  static constexpr int kChannels = 64, kPixels = 1;
  static V part(const std::int32_t* p) noexcept {
    const V low = _mm512_castsi256_si512(Block<2>::part(p));
    return _mm512_inserti64x4(low, Block<2>::part(p + 32), 1);
  }
  static F floats(V x) noexcept { return _mm512_castsi512_ps(x); }
  static V load(const void* p) noexcept { return _mm512_loadu_si512(p); }
  static V row(const std::uint8_t* const* rows, std::ptrdiff_t, int c) noexcept { return load(*rows + c); }
  static V weights(const void* p) noexcept { return load(p); }
  static void store(void* p, V x) noexcept { _mm512_storeu_si512(p, x); }
  static void store_bytes(char* p, std::ptrdiff_t, Mask mask, V x) noexcept {
    _mm512_mask_storeu_epi8(p, mask, x);
  }
  static V zero() noexcept { return _mm512_setzero_si512(); }
  static V set16(int x) noexcept { return _mm512_set1_epi16(static_cast<short>(x)); }
  static V lo8(V a, V b) noexcept { return _mm512_unpacklo_epi8(a, b); }
  static V hi8(V a, V b) noexcept { return _mm512_unpackhi_epi8(a, b); }
  static V lo16(V a, V b) noexcept { return _mm512_unpacklo_epi16(a, b); }
  static V hi16(V a, V b) noexcept { return _mm512_unpackhi_epi16(a, b); }
  static V dot(V acc, V x, V w) noexcept { return _mm512_dpbusd_epi32(acc, x, w); }
  static V words(V a, V b) noexcept { return _mm512_packs_epi32(a, b); }
  static V bytes(V a, V b) noexcept { return _mm512_packus_epi16(a, b); }
  static V set8(int x) noexcept { return _mm512_set1_epi8(static_cast<char>(x)); }
  static V add16(V a, V b) noexcept { return _mm512_adds_epi16(a, b); }
  static V clamp8(V x, V lo, V hi) noexcept { return _mm512_min_epu8(_mm512_max_epu8(x, lo), hi); }
  static F pick_negative(V acc, F yes, F no) noexcept {
    return _mm512_mask_blend_ps(_mm512_movepi32_mask(acc), no, yes);
  }
  static V scaled(V acc, F scale) noexcept {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale));
  }
};

// Two runs of pixels side by side, 32 channels of each: `second` is the distance of the runs, in pointers to rows or in bytes
// of the output.
struct Pair : Block<4> {
  using Mask = __mmask32;
  static constexpr int kChannels = 32, kPixels = 2;
  static V twice(__m256i x) noexcept { return _mm512_broadcast_i64x4(x); }
  static V part(const std::int32_t* p) noexcept { return twice(Block<2>::part(p)); }
  static V row(const std::uint8_t* const* rows, std::ptrdiff_t second, int c) noexcept {
    const V first = _mm512_castsi256_si512(Block<2>::load(rows[0] + c));
    return _mm512_inserti64x4(first, Block<2>::load(rows[second] + c), 1);
  }
  static V weights(const void* p) noexcept { return twice(Block<2>::load(p)); }
  static void store_bytes(char* p, std::ptrdiff_t second, Mask mask, V x) noexcept {
    Block<2>::store_bytes(p, 0, mask, _mm512_castsi512_si256(x));
    Block<2>::store_bytes(p + second, 0, mask, _mm512_extracti64x4_epi64(x, 1));
  }
};

// The rounding and clamping of rules 3 and 4 for a block, of values that fit int32: saturating packs clamp to the type,
// bytes to what is narrower.
template <class B, bool Negative>
struct Requantize {
  using V = typename B::V;
  using F = typename B::F;
  F scale[4], negative[4];
  V zero, lo, hi;
  typename B::Mask mask;
  std::ptrdiff_t second;

  Requantize(const DwconvU8S8Args& a, int c, int distance) noexcept
      : zero(B::set16(a.epilogue.zero_point)),
        lo(B::set8(static_cast<int>(a.epilogue.lo) + a.epilogue.zero_point)),
        hi(B::set8(static_cast<int>(a.epilogue.hi) + a.epilogue.zero_point)),
        mask(static_cast<typename B::Mask>(~std::uint64_t{0} >> (64 - least(a.channels - c, B::kChannels)))),
        second(distance * a.out_stride) {
    for (int p = 0; p < 4; ++p) scale[p] = factors(a.epilogue.scale + c + 4 * p);
    if constexpr (Negative)
      for (int p = 0; p < 4; ++p) negative[p] = factors(a.epilogue.negative_scale + c + 4 * p);
  }

  static int least(int a, int b) noexcept { return a < b ? a : b; }
  static F factors(const float* p) noexcept {
    return B::floats(B::part(reinterpret_cast<const std::int32_t*>(p)));
  }

  V value(V acc, int p) const noexcept {
    if constexpr (Negative) return B::scaled(acc, B::pick_negative(acc, negative[p], scale[p]));
    return B::scaled(acc, scale[p]);
  }

  // Packing undoes the order of the parts.
  void operator()(const V (&acc)[4], std::ptrdiff_t, char* out) const noexcept {
    const V low = B::add16(B::words(value(acc[0], 0), value(acc[1], 1)), zero);
    const V high = B::add16(B::words(value(acc[2], 2), value(acc[3], 3)), zero);
    B::store_bytes(out, second, mask, B::clamp8(B::bytes(low, high), lo, hi));
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

// The bytes of Rows (1 to 4) rows of 16 * L channels, interleaved; what stands in place of further rows meets zero
// weights.
template <class B, int Rows>
[[gnu::always_inline]] inline void interleave(const std::uint8_t* const* rows, std::ptrdiff_t second, int c,
                                              typename B::V (&quads)[4]) noexcept {
  using V = typename B::V;
  const auto row = [&](int r) { return B::row(rows + r, second, c); };
  const V x0 = row(0), x1 = Rows > 1 ? row(1) : x0;
  const V lo01 = B::lo8(x0, x1), hi01 = B::hi8(x0, x1);
  V lo23 = lo01, hi23 = hi01;
  if constexpr (Rows > 2) {
    const V x2 = row(2), x3 = Rows > 3 ? row(3) : x2;
    lo23 = B::lo8(x2, x3), hi23 = B::hi8(x2, x3);
  }
  quads[0] = B::lo16(lo01, lo23), quads[1] = B::hi16(lo01, lo23);
  quads[2] = B::lo16(hi01, hi23), quads[3] = B::hi16(hi01, hi23);
}

// Where the sums of all pixels of 16 * L channels start, and where they go.
template <class B, class Store>
struct Place {
  using V = typename B::V;
  const DwconvU8S8Args& a;
  int c;
  std::ptrdiff_t second;  // pointers from the first run of pixels to the second
  const std::int8_t* weights;
  const Store& store;
  V bias[4];

  Place(const DwconvU8S8Args& args, int channel, int distance, const Store& to) noexcept
      : a(args),
        c(channel),
        second(distance * args.row_stride),
        weights(args.weights +
                std::ptrdiff_t{channel} * (args.taps / args.column) * ((args.column + 3) / 4 * 4)),
        store(to) {
    for (int p = 0; p < 4; ++p) bias[p] = B::part(a.epilogue.bias + c + 4 * p);
  }
  void finish(const V (&acc)[4], std::ptrdiff_t pixel) const noexcept {
    const int width = a.epilogue.output == OutputKind::u8 ? 1 : 4;
    store(acc, pixel, static_cast<char*>(a.out) + pixel * a.out_stride + c * width);
  }
};

// T pixels from `pixel` on whose windows of KH x KW start S columns apart: each column is interleaved once.
template <int T, int KH, int KW, int S, class B, class Store>
[[gnu::always_inline]] inline void tile(const Place<B, Store>& place, std::ptrdiff_t pixel) noexcept {
  using V = typename B::V;
  constexpr int kQuads = (KH + 3) / 4;
  const std::uint8_t* const* rows = place.a.rows + pixel * (S * KH);
  V acc[T][4];
#pragma GCC unroll 8
  for (int i = 0; i < T; ++i)
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) acc[i][p] = place.bias[p];
  const auto add = [&](int column, int q, const V(&quads)[4]) {
#pragma GCC unroll 8
    for (int i = 0; i < T; ++i) {
      const int t = column - i * S;
      if (t < 0 || t >= KW) continue;
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p)
        acc[i][p] = B::dot(acc[i][p], quads[p],
                           B::weights(place.weights + ((t * kQuads + q) * 4 + p) * B::kChannels));
    }
  };
#pragma GCC unroll 16
  for (int column = 0; column < (T - 1) * S + KW; ++column, rows += KH) {
    V quads[4];
    interleave<B, (KH < 4 ? KH : 4)>(rows, place.second, place.c, quads);
    add(column, 0, quads);
    if constexpr (KH > 4) {
      interleave<B, KH - 4>(rows + 4, place.second, place.c, quads);
      add(column, 1, quads);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < T; ++i) place.finish(acc[i], pixel + i);
}

// A last tile of less than four pixels starts earlier and makes some of them again.
template <int KH, int KW, int S, class B, class Store>
inline void window(const Place<B, Store>& place, int pixels) noexcept {
  constexpr int kTile = 4;
  int pixel = 0;
  for (; pixel + kTile <= pixels; pixel += kTile) tile<kTile, KH, KW, S>(place, pixel);
  if (pixel < pixels && pixels >= kTile) return tile<kTile, KH, KW, S>(place, pixels - kTile);
  for (; pixel < pixels; ++pixel) tile<1, KH, KW, S>(place, pixel);
}

// Windows of any size, pixel by pixel.
template <class B, class Store>
inline void any_window(const Place<B, Store>& place) noexcept {
  using V = typename B::V;
  const DwconvU8S8Args& a = place.a;
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    const std::uint8_t* const* rows = a.rows + pixel * a.row_stride;
    const std::int8_t* w = place.weights;
    V acc[4] = {place.bias[0], place.bias[1], place.bias[2], place.bias[3]}, quads[4];
    const auto add = [&] {
      for (int p = 0; p < 4; ++p, w += B::kChannels) acc[p] = B::dot(acc[p], quads[p], B::weights(w));
    };
    for (int t = 0; t < a.taps; t += a.column, rows += a.column) {
      int r = 0;
      for (; r + 4 <= a.column; r += 4) interleave<B, 4>(rows + r, 0, place.c, quads), add();
      if (a.column - r == 3) interleave<B, 3>(rows + r, 0, place.c, quads), add();
      if (a.column - r == 2) interleave<B, 2>(rows + r, 0, place.c, quads), add();
      if (a.column - r == 1) interleave<B, 1>(rows + r, 0, place.c, quads), add();
    }
    place.finish(acc, pixel);
  }
}

// All pixels, or two runs of `pixels` pixels. False where there is no code for a Pair.
template <class B, class Store>
inline bool run(const Place<B, Store>& place, int pixels) noexcept {
  const DwconvU8S8Args& a = place.a;
  if (is_window(a, 3, 3, 1)) return window<3, 3, 1>(place, pixels), true;
  if (is_window(a, 3, 3, 2)) return window<3, 3, 2>(place, pixels), true;
  if (is_window(a, 5, 5, 1)) return window<5, 5, 1>(place, pixels), true;
  if (is_window(a, 5, 5, 2)) return window<5, 5, 2>(place, pixels), true;
  if constexpr (B::kChannels == 64)  // pixels that stand for several
    if (is_window(a, 3, 3, 3)) return window<3, 3, 3>(place, pixels), true;
  if constexpr (B::kPixels == 1) return any_window(place), true;
  return false;
}

// 64 channels of at least four pixels with windows of 7x7. The code is large, hence of its own and only for what is usual; were
// a Place handed to it, that of the other windows would have to be in memory.
template <int S>
[[gnu::noinline]] void window7(const DwconvU8S8Args& a, int c) noexcept {
  using Store = Requantize<Block<4>, false>;
  const Store store(a, c, 0);
  const Place<Block<4>, Store> place(a, c, 0, store);
  int pixel = 0;
  for (; pixel + 4 <= a.pixels; pixel += 4) tile<4, 7, 7, S>(place, pixel);
  if (pixel < a.pixels) tile<4, 7, 7, S>(place, a.pixels - 4);
}

template <class B, bool Negative>
inline bool run(const DwconvU8S8Args& a, int c, int pixels, int distance) noexcept {
  if constexpr (B::kChannels == 64 && !Negative) {
    if (pixels >= 4 && is_window(a, 7, 7, 1)) return window7<1>(a, c), true;
    if (pixels >= 4 && is_window(a, 7, 7, 2)) return window7<2>(a, c), true;
  }
  const Requantize<B, Negative> store(a, c, distance);
  return run(Place<B, Requantize<B, Negative>>(a, c, distance, store), pixels);
}

template <class B>
inline bool run(const DwconvU8S8Args& a, int c, int pixels, int distance) noexcept {
  return a.epilogue.negative_scale ? run<B, true>(a, c, pixels, distance)
                                   : run<B, false>(a, c, pixels, distance);
}

template <int L>
inline void block(const DwconvU8S8Args& a, int c) noexcept {
  const Epilogue& e = a.epilogue;
  if (e.output != OutputKind::u8 || e.residual.kind != ResidualKind::none || !e.bounded) {
    const Finish<L> finish{a, c};
    return any_window(Place<Block<L>, Finish<L>>(a, c, 0, finish));
  }
  constexpr int kLeast = 8;  // pixels, of which two runs of whole tiles can be made
  if (L == 2 && a.pixels >= kLeast) {
    const int half = (a.pixels + 1) / 2;
    if (run<Pair>(a, c, half, a.pixels - half)) return;
  }
  run<Block<L>>(a, c, a.pixels, 0);
}

}  // namespace

void dwconv_u8s8_64c_avx512vnni(const DwconvU8S8Args& a) noexcept {
  int c = 0;
  for (; c + 32 < a.channels; c += 64) block<4>(a, c);
  if (c + 16 < a.channels) return block<2>(a, c);
  if (c < a.channels) block<1>(a, c);
}

void dwconv_f32_16c_avx512vnni(const DwconvF32Args& a) noexcept { dwconv(a); }

}  // namespace eke::kernels
#endif
