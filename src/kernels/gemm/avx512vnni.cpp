#ifdef __x86_64__
#include "kernels/simd/avx512.h"

#include "kernels/simd/generic.h"

#include "kernels/gemm/generic.h"

namespace eke::kernels {
namespace {

inline __m512i broadcast4(const std::uint8_t* p) noexcept {
  std::int32_t x;
  __builtin_memcpy(&x, p, sizeof x);
  return _mm512_set1_epi32(x);
}

// sat() on the way to bytes. The upper bound is applied in float, where all that exceeds int32 lies above it;
// what lies below int32 converts to its least value, and the lower bound follows in 16 bits. Packing puts 4
// numbers of each of four vectors side by side in every lane of 128 bits, and a permutation of those gives 16
// bytes of each.
struct Bounds {
  __m512 hi;
  __m512i lo, zero, order;

  explicit Bounds(const Epilogue& e) noexcept
      : hi(_mm512_set1_ps(e.hi)),
        lo(_mm512_set1_epi16(static_cast<short>(e.lo))),
        zero(_mm512_set1_epi16(static_cast<short>(e.zero_point))),
        order(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)) {}

  __m512i upper(__m512 v) const noexcept { return _mm512_cvtps_epi32(_mm512_min_ps(hi, v)); }
  __m512i words(__m512i a, __m512i b) const noexcept {
    return _mm512_add_epi16(_mm512_max_epi16(_mm512_packs_epi32(a, b), lo), zero);
  }
  __m512i bytes(__m512i a, __m512i b) const noexcept {
    return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(a, b));
  }
};

// Everything that a tile needs beside its place.
struct U8S8 {
  const GemmU8S8Args& a;
  std::ptrdiff_t steps;  // of 4 values in one tap
  std::ptrdiff_t panel_bytes;

  // M pixels from i0 on by P panels from p0 on.
  template <int M, int P>
  void tile(int i0, int p0) const noexcept {
    const std::int8_t* w = a.weights + p0 * panel_bytes;
    __m512i acc[M][P];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const __m512i bias = _mm512_loadu_si512(a.epilogue.bias + (p0 + p) * kNr);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) acc[i][p] = bias;
    }
    const std::uint8_t* const* rows = a.rows + i0 * a.row_stride;
    for (int t = 0; t < a.taps; ++t) {
      const std::uint8_t* x[M];
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) x[i] = rows[i * a.row_stride + t] + a.offset;
      for (std::ptrdiff_t s = 0; s < steps; ++s, w += kNr * 4) {
        __m512i weight[P];
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) weight[p] = _mm512_loadu_si512(w + p * panel_bytes);
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) {
          const __m512i value = broadcast4(x[i] + s * 4);
#pragma GCC unroll 8
          for (int p = 0; p < P; ++p) acc[i][p] = _mm512_dpbusd_epi32(acc[i][p], value, weight[p]);
        }
      }
    }
    asm volatile("" ::: "memory");  // what the epilogue loads would take the registers of the sums
    finish_tile<M, P>(acc, i0, p0);
  }

  template <int M, int P>
  void finish_tile(const __m512i (&acc)[M][P], int i0, int p0) const noexcept {
    const Epilogue& e = a.epilogue;
    const ResidualKind kind = e.residual.kind;
    if (e.output == OutputKind::u8) {
      if (kind == ResidualKind::none)
        return e.negative_scale ? requantize<M, P, true, ResidualKind::none>(acc, i0, p0)
                                : requantize<M, P, false, ResidualKind::none>(acc, i0, p0);
      if (M * P >= 12 && !e.negative_scale)  // the tiles that most work is done in
        return kind == ResidualKind::direct ? requantize<M, P, false, ResidualKind::direct>(acc, i0, p0)
                                            : requantize<M, P, false, ResidualKind::rounded>(acc, i0, p0);
    }
    alignas(64) std::int32_t sums[M][P * kNr];
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) _mm512_store_si512(sums[i] + p * kNr, acc[i][p]);
    finish_sums(sums[0], M, P, i0, p0);
  }

  // Rules 3 to 6 in registers, four vectors at a time.
  template <int M, int P, bool Negative, ResidualKind Kind>
  void requantize(const __m512i (&acc)[M][P], int i0, int p0) const noexcept {
    const Epilogue& e = a.epilogue;
    const Residual& r = e.residual;
    const Bounds bounds(e);
    F16 mid_lo, mid_hi, k, ka;
    I16 residual_zero;
    if constexpr (Kind != ResidualKind::none) k = set(r.k), residual_zero = seti(r.zero);
    if constexpr (Kind == ResidualKind::rounded)
      mid_lo = set(r.mid_lo), mid_hi = set(r.mid_hi), ka = set(r.ka);
    const std::uint8_t* addends = nullptr;
    if constexpr (Kind != ResidualKind::none) addends = r.data + i0 * r.stride + p0 * kNr;
    __m512 scale[P], negative[P];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      scale[p] = _mm512_loadu_ps(e.scale + (p0 + p) * kNr);
      if constexpr (Negative) negative[p] = _mm512_loadu_ps(e.negative_scale + (p0 + p) * kNr);
    }
    const auto value = [&](int v) {
      const __m512i sum = acc[v / P][v % P];
      __m512 m = scale[v % P];
      if constexpr (Negative) m = _mm512_mask_blend_ps(_mm512_movepi32_mask(sum), m, negative[v % P]);
      const F16 x = to_float(I16{sum}), factor{m};
      if constexpr (Kind == ResidualKind::none) return bounds.upper((x * factor).v);
      const F16 addend = to_float(load(addends + v / P * r.stride + v % P * kNr) - residual_zero) * k;
      if constexpr (Kind == ResidualKind::direct) return bounds.upper(fma(x, factor, addend).v);
      return bounds.upper(fma(to_float(saturate(x * factor, mid_lo, mid_hi)), ka, addend).v);
    };
    const auto words = [&](int v, int w) { return bounds.words(value(v), value(w)); };
    constexpr int kCount = M * P;
    const int left = a.n - (p0 + P - 1) * kNr;
    const __mmask16 last = first_lanes(left < kNr ? left : kNr);
    std::uint8_t* out = static_cast<std::uint8_t*>(a.out) + i0 * a.out_stride + p0 * kNr;
#pragma GCC unroll 8
    for (int v = 0; v < kCount; v += 4) {
      const auto capped = [](int i) { return i < kCount ? i : kCount - 1; };
      const __m512i first = words(v, capped(v + 1));
      const __m512i second = v + 2 < kCount ? words(v + 2, capped(v + 3)) : first;
      const __m512i bytes = bounds.bytes(first, second);
      if (P == 4 && left >= kNr) {
        _mm512_storeu_si512(out + v / P * a.out_stride, bytes);
        continue;
      }
      store_piece<P>(out, v, _mm512_castsi512_si128(bytes), last);
      if (v + 1 < kCount) store_piece<P>(out, v + 1, _mm512_extracti32x4_epi32(bytes, 1), last);
      if (v + 2 < kCount) store_piece<P>(out, v + 2, _mm512_extracti32x4_epi32(bytes, 2), last);
      if (v + 3 < kCount) store_piece<P>(out, v + 3, _mm512_extracti32x4_epi32(bytes, 3), last);
    }
  }

  template <int P>
  void store_piece(std::uint8_t* out, int v, __m128i bytes, __mmask16 last) const noexcept {
    out += v / P * a.out_stride + v % P * kNr;
    if (v % P < P - 1)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
    else
      _mm_mask_storeu_epi8(out, last, bytes);
  }

  // Every rule, from [m][panels] vectors in memory.
  [[gnu::noinline]] void finish_sums(const std::int32_t* sums, int m, int panels, int i0,
                                     int p0) const noexcept {
    for (int i = 0; i < m; ++i)
      for (int p = 0; p < panels; ++p, sums += kNr) {
        const int c = (p0 + p) * kNr;
        finish(a.epilogue, I16{_mm512_load_si512(sums)}, c, at_most_16(a.n - c), i0 + i,
               static_cast<char*>(a.out) + (i0 + i) * a.out_stride);
      }
  }
};

// Many pixels: 6 x 4, 8 x 3 or 12 x 2 panels fill the registers. Few pixels: more panels, so that the sums
// stay independent.
template <class Kernel>
inline void run(const Kernel& kernel) noexcept {
  const int panels = (kernel.a.n + kNr - 1) / kNr;
  int p = 0;
  if (kernel.a.m == 1)
    for (; p + 8 <= panels; p += 8) column<1, 8>(kernel, p);
  for (; p + 4 <= panels && p + 5 != panels; p += 4) column<6, 4>(kernel, p);
  for (; p + 3 <= panels; p += 3) column<8, 3>(kernel, p);
  for (; p + 2 <= panels; p += 2) column<10, 2>(kernel, p);
  if (p < panels) column<12, 1>(kernel, p);
}

}  // namespace

void gemm_u8s8_6x64c4_avx512vnni(const GemmU8S8Args& a) noexcept {
  const std::ptrdiff_t steps = (a.k + 3) / 4;
  run(U8S8{a, steps, steps * a.taps * kNr * 4});
}

void gemm_f32_6x64_avx512vnni(const GemmF32Args& a) noexcept {
  run(F32{a, std::ptrdiff_t{a.k} * a.taps * kNr});
}

}  // namespace eke::kernels
#endif
