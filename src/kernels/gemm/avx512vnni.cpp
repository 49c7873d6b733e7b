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

// How a tile ends. Each is code of its own: a choice after the sums would cost the registers that hold them.
enum class End : std::uint8_t {
  bytes,           // rule 3
  negative_bytes,  // rule 4
  direct,          // rule 5
  rounded,         // rule 6
  memory,          // every rule, slowly
};

End end_of(const Epilogue& e) noexcept {
  if (e.output != OutputKind::u8 || !e.bounded) return End::memory;
  if (e.residual.kind == ResidualKind::none) return e.negative_scale ? End::negative_bytes : End::bytes;
  if (e.negative_scale) return End::memory;
  return e.residual.kind == ResidualKind::direct ? End::direct : End::rounded;
}

// sat() on the way to bytes, of values that fit int32: saturating packs clamp to the type, bytes to what is narrower.
// Packing puts 4 numbers of each of four vectors side by side in every lane of 128 bits, and a permutation of those
// gives 16 bytes of each.
struct Pack {
  __m512i zero, lo, hi, order;

  explicit Pack(const Epilogue& e) noexcept
      : zero(_mm512_set1_epi16(static_cast<short>(e.zero_point))),
        lo(_mm512_set1_epi8(static_cast<char>(static_cast<int>(e.lo) + e.zero_point))),
        hi(_mm512_set1_epi8(static_cast<char>(static_cast<int>(e.hi) + e.zero_point))),
        order(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)) {}

  __m512i words(__m512i a, __m512i b) const noexcept {
    return _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
  }
  __m512i bytes(__m512i a, __m512i b) const noexcept {
    const __m512i packed = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(a, b));
    return _mm512_min_epu8(_mm512_max_epu8(packed, lo), hi);
  }
};

// Everything that a tile needs beside its place.
template <End kEnd>
struct U8S8 {
  static constexpr bool kResidual = kEnd == End::direct || kEnd == End::rounded;
  const GemmU8S8Args& a;
  std::ptrdiff_t steps;  // of 4 values in one tap
  std::ptrdiff_t panel_bytes;

  explicit U8S8(const GemmU8S8Args& args) noexcept
      : a(args), steps((args.k + 3) / 4), panel_bytes(steps * args.taps * kNr * 4) {}

  // M pixels from i0 on by P panels from p0 on.
  template <int M, int P>
  void tile(int i0, int p0) const noexcept {
    const std::int8_t* w = a.weights + p0 * panel_bytes;
    __m512i acc[M * P];
    repeat<P>([&](auto p) EKE_INLINE {
      const __m512i bias = _mm512_loadu_si512(a.epilogue.bias + (p0 + p) * kNr);
      repeat<M>([&](auto i) EKE_INLINE { acc[i * P + p] = bias; });
    });
    const std::uint8_t* const* rows = a.rows + i0 * a.row_stride;
    int t = 0;
    do {
      const std::uint8_t* x[M];
      repeat<M>([&](auto i) EKE_INLINE { x[i] = rows[i * a.row_stride + t] + a.offset; });
      std::ptrdiff_t s = 0;
      do {
        __m512i weight[P];
        repeat<P>([&](auto p) EKE_INLINE { weight[p] = _mm512_loadu_si512(w + p * panel_bytes); });
        repeat<M>([&](auto i) EKE_INLINE {
          const __m512i value = broadcast4(x[i] + s * 4);
          repeat<P>([&](auto p) EKE_INLINE {
            acc[i * P + p] = _mm512_dpbusd_epi32(acc[i * P + p], value, weight[p]);
          });
        });
        w += kNr * 4;
      } while (++s < steps);
    } while (++t < a.taps);
    asm volatile("" ::: "memory");  // what the epilogue loads would take the registers of the sums
    if constexpr (kEnd == End::memory) {
      alignas(64) std::int32_t sums[M * P][kNr];
      repeat<M * P>([&](auto v) EKE_INLINE { _mm512_store_si512(sums[v], acc[v]); });
      finish_sums(sums[0], M, P, i0, p0);
    } else {
      requantize<M, P>(acc, i0, p0);
    }
  }

  // Rules 3 to 6 in registers, four vectors at a time.
  template <int M, int P>
  EKE_INLINE void requantize(const __m512i (&acc)[M * P], int i0, int p0) const noexcept {
    const Epilogue& e = a.epilogue;
    const Residual& r = e.residual;
    const Pack pack(e);
    F16 mid_lo, mid_hi, k, ka;
    I16 residual_zero;
    const std::uint8_t* addends = nullptr;
    if constexpr (kResidual) {
      k = set(r.k), residual_zero = seti(r.zero);
      addends = r.data + i0 * r.stride + p0 * kNr;
    }
    if constexpr (kEnd == End::rounded) mid_lo = set(r.mid_lo), mid_hi = set(r.mid_hi), ka = set(r.ka);
    const float *scale = e.scale + p0 * kNr, *negative = e.negative_scale + p0 * kNr;
    const auto value = [&](auto v) EKE_INLINE {
      const __m512i sum = acc[v];
      __m512 m = _mm512_loadu_ps(scale + v % P * kNr);
      if constexpr (kEnd == End::negative_bytes)
        m = _mm512_mask_loadu_ps(m, _mm512_movepi32_mask(sum), negative + v % P * kNr);
      const F16 x = to_float(I16{sum}), factor{m};
      if constexpr (!kResidual) return to_int(x * factor).v;
      const F16 addend = to_float(load(addends + v / P * r.stride + v % P * kNr) - residual_zero) * k;
      if constexpr (kEnd == End::direct) return to_int(fma(x, factor, addend)).v;
      const F16 mid{_mm512_roundscale_ps(min(max(x * factor, mid_lo), mid_hi).v, _MM_FROUND_TO_NEAREST_INT)};
      return to_int(fma(mid, ka, addend)).v;
    };
    constexpr int kCount = M * P;
    const int left = a.n - (p0 + P - 1) * kNr;
    const __mmask16 last = first_lanes(left < kNr ? left : kNr);
    std::uint8_t* out = static_cast<std::uint8_t*>(a.out) + i0 * a.out_stride + p0 * kNr;
    repeat<(kCount + 3) / 4>([&](auto quad) EKE_INLINE {
      constexpr int v = quad * 4;
      constexpr auto capped = [](int i) { return i < M * P ? i : M * P - 1; };
      const __m512i first = pack.words(value(Index<v>{}), value(Index<capped(v + 1)>{}));
      __m512i second = first;
      if constexpr (v + 2 < kCount) second = pack.words(value(Index<v + 2>{}), value(Index<capped(v + 3)>{}));
      const __m512i bytes = pack.bytes(first, second);
      if (P == 4 && left >= kNr) {
        _mm512_storeu_si512(out + v / P * a.out_stride, bytes);
        return;
      }
      if (P == 2 && left >= kNr) {
        store_pair(out + v / P * a.out_stride, _mm512_castsi512_si256(bytes));
        if constexpr (v + 2 < kCount)
          store_pair(out + (v / P + 1) * a.out_stride, _mm512_extracti64x4_epi64(bytes, 1));
        return;
      }
      store_piece<P>(out, v, _mm512_castsi512_si128(bytes), last);
      if constexpr (v + 1 < kCount) store_piece<P>(out, v + 1, _mm512_extracti32x4_epi32(bytes, 1), last);
      if constexpr (v + 2 < kCount) store_piece<P>(out, v + 2, _mm512_extracti32x4_epi32(bytes, 2), last);
      if constexpr (v + 3 < kCount) store_piece<P>(out, v + 3, _mm512_extracti32x4_epi32(bytes, 3), last);
    });
  }

  static void store_pair(std::uint8_t* out, __m256i bytes) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), bytes);
  }

  template <int P>
  void store_piece(std::uint8_t* out, int v, __m128i bytes, __mmask16 last) const noexcept {
    out += v / P * a.out_stride + v % P * kNr;
    if (v % P < P - 1)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
    else
      _mm_mask_storeu_epi8(out, last, bytes);
  }

  // From [m][panels] vectors in memory.
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

// run_wide() in fewer shapes, for what is less usual.
template <class Kernel>
inline void run_small(const Kernel& kernel) noexcept {
  const int panels = (kernel.a.n + kNr - 1) / kNr;
  int p = 0;
  if (kernel.a.m == 1)
    for (; p + 8 <= panels; p += 8) column<1, 8>(kernel, p);
  for (; p + 4 <= panels; p += 4) column<6, 4>(kernel, p);
  for (; p + 2 <= panels; p += 2) column<6, 2>(kernel, p);
  if (p < panels) column<6, 1>(kernel, p);
}

}  // namespace

void gemm_u8s8_6x64c4_avx512vnni(const GemmU8S8Args& a) noexcept {
  switch (end_of(a.epilogue)) {
    case End::bytes:
      return run_wide(U8S8<End::bytes>(a));
    case End::negative_bytes:
      return run_wide(U8S8<End::negative_bytes>(a));
    case End::direct:
      return run_small(U8S8<End::direct>(a));
    case End::rounded:
      return run_small(U8S8<End::rounded>(a));
    case End::memory:
      return run_small(U8S8<End::memory>(a));
  }
}

void gemm_f32_6x64_avx512vnni(const GemmF32Args& a) noexcept { run_wide(Real<Singles>(a)); }

void gemm_bf16_6x16c2_avx512vnni(const GemmBf16Args& a) noexcept { run_narrow<6>(Real<EmulatedPairs>(a)); }
void round_bf16_avx512vnni(const float* x, std::ptrdiff_t count, std::uint16_t* out) noexcept {
  round_bf16(x, count, out);
}
void pair_rows_bf16_avx512vnni(const PairRowsArgs& a) noexcept { pair_rows_bf16(a); }

}  // namespace eke::kernels
#endif
