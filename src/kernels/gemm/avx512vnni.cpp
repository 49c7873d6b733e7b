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
    for (int p = 0; p < P; ++p) {
      const __m512i bias = _mm512_loadu_si512(a.epilogue.bias + (p0 + p) * kNr);
      for (int i = 0; i < M; ++i) acc[i][p] = bias;
    }
    const std::uint8_t* const* rows = a.rows + i0 * a.row_stride;
    for (int t = 0; t < a.taps; ++t) {
      const std::uint8_t* x[M];
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
    finish_tile<M, P>(acc, i0, p0);
  }

  bool plain() const noexcept {
    return a.epilogue.output == OutputKind::u8 && !a.epilogue.negative_scale &&
           a.epilogue.residual.kind == ResidualKind::none;
  }

  template <int M, int P>
  void finish_tile(const __m512i (&acc)[M][P], int i0, int p0) const noexcept {
    auto* out = static_cast<char*>(a.out) + i0 * a.out_stride;
    if (plain() && (p0 + P) * kNr <= a.n) {
      const F16 lo = set(a.epilogue.lo), hi = set(a.epilogue.hi);
      const I16 zero = seti(a.epilogue.zero_point);
      F16 scale[P];
      for (int p = 0; p < P; ++p) scale[p] = load(a.epilogue.scale + (p0 + p) * kNr);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p)
          store(reinterpret_cast<std::uint8_t*>(out + i * a.out_stride) + (p0 + p) * kNr,
                saturate(to_float({acc[i][p]}) * scale[p], lo, hi) + zero);
      return;
    }
    alignas(64) std::int32_t sums[M][P][kNr];
    for (int i = 0; i < M; ++i)
      for (int p = 0; p < P; ++p) _mm512_store_si512(sums[i][p], acc[i][p]);
    for (int i = 0; i < M; ++i)
      for (int p = 0; p < P; ++p) {
        const int c = (p0 + p) * kNr;
        finish(a.epilogue, I16{_mm512_load_si512(sums[i][p])}, c, at_most_16(a.n - c), i0 + i,
               out + i * a.out_stride);
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

void gemm_u8s8_12x32c4_avx512vnni(const GemmU8S8Args& a) noexcept {
  const std::ptrdiff_t steps = (a.k + 3) / 4;
  run(U8S8{a, steps, steps * a.taps * kNr * 4});
}

void gemm_f32_12x32_avx512vnni(const GemmF32Args& a) noexcept {
  run(F32{a, std::ptrdiff_t{a.k} * a.taps * kNr});
}

}  // namespace eke::kernels
#endif
