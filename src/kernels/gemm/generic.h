// Tiles of matrix products over panels of sixteen columns. Included after the tier's file and generic.h of
// simd/.
#pragma once

#include "kernels/gemm/gemm.h"

namespace eke::kernels {
namespace {

constexpr int kNr = 16;

// The arithmetic of a step of float32 products.
struct Singles {
  using Args = GemmF32Args;
  using Weight = F16;
  using Value = F16;
  static constexpr int kDepth = 1;  // channels of a step
  static Weight weight(const float* w) noexcept { return load(w); }
  static Value value(const float* x) noexcept { return set(*x); }
  static F16 start(F16 bias) noexcept { return bias; }
  static F16 add(F16 sum, Value x, Weight w) noexcept { return fma(x, w, sum); }
};

// The arithmetic of VDPBF16PS where it is missing.
struct EmulatedPairs {
  using Args = GemmBf16Args;
  struct Weight {
    F16 first, second;
  };
  using Value = Weight;
  static constexpr int kDepth = 2;
  static Weight weight(const std::uint16_t* w) noexcept {
    const I16 bits = float_to_bits(load(reinterpret_cast<const float*>(w)));
    return {bits_to_float(shift_left(bits, 16)), bits_to_float(shift_left(shift_right(bits, 16), 16))};
  }
  static Value value(const std::uint16_t* x) noexcept { return {set(widened(x[0])), set(widened(x[1]))}; }
  static F16 start(F16 bias) noexcept { return flushed(bias); }
  static F16 add(F16 sum, Value x, Weight w) noexcept {
    return flushed(fma(x.first, w.first, flushed(fma(x.second, w.second, sum))));
  }
  static float widened(std::uint16_t x) noexcept {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(x) << 16);
  }
  static F16 flushed(F16 x) noexcept { return pick(less(abs(x), set(0x1p-126f)), copysign(set(0.0f), x), x); }
};

// Tiles of real products, by the arithmetic of Kind.
template <class Kind>
struct Real {
  const typename Kind::Args& a;
  std::ptrdiff_t panel_values;

  explicit Real(const typename Kind::Args& args) noexcept
      : a(args), panel_values(std::ptrdiff_t{args.k} * args.taps * kNr) {}

  // M pixels from i0 on by P panels from p0 on.
  template <int M, int P>
  void tile(int i0, int p0) const noexcept {
    const auto* w = a.weights + p0 * panel_values;
    F16 acc[M * P];
    repeat<P>([&](auto p) EKE_INLINE {
      const F16 bias = Kind::start(load(a.bias + (p0 + p) * kNr));
      repeat<M>([&](auto i) EKE_INLINE { acc[i * P + p] = bias; });
    });
    const auto* const* rows = a.rows + i0 * a.row_stride;
    for (int t = 0; t < a.taps; ++t) {
      decltype(w) x[M];
      repeat<M>([&](auto i) EKE_INLINE { x[i] = rows[i * a.row_stride + t] + a.offset; });
      for (std::ptrdiff_t c = 0; c < a.k; c += Kind::kDepth, w += kNr * Kind::kDepth) {
        typename Kind::Weight weight[P];
        repeat<P>([&](auto p) EKE_INLINE { weight[p] = Kind::weight(w + p * panel_values); });
        repeat<M>([&](auto i) EKE_INLINE {
          const typename Kind::Value value = Kind::value(x[i] + c);
          repeat<P>([&](auto p) EKE_INLINE { acc[i * P + p] = Kind::add(acc[i * P + p], value, weight[p]); });
        });
      }
    }
    asm volatile("" ::: "memory");  // what the epilogue loads would take the registers of the sums
    if (a.slope != nullptr)
      return a.residual == nullptr ? store_tile<M, P, true, false>(acc, i0, p0)
                                   : store_tile<M, P, true, true>(acc, i0, p0);
    a.residual == nullptr ? store_tile<M, P, false, false>(acc, i0, p0)
                          : store_tile<M, P, false, true>(acc, i0, p0);
  }

  // finish() from registers.
  template <int M, int P, bool Slope, bool Residual>
  EKE_INLINE void store_tile(const F16 (&acc)[M * P], int i0, int p0) const noexcept {
    const F16 lo = set(a.lo), hi = set(a.hi), zero = set(0.0f);
    const int left = at_most_16(a.n - (p0 + P - 1) * kNr);
    float* out = offset_bytes(a.out, i0 * a.out_stride) + p0 * kNr;
    const float* addends = nullptr;
    if constexpr (Residual) addends = offset_bytes(a.residual, i0 * a.residual_stride) + p0 * kNr;
    repeat<M>([&](auto i) EKE_INLINE {
      repeat<P>([&](auto p) EKE_INLINE {
        F16 y = acc[i * P + p];
        if constexpr (Slope) y = pick(less(y, zero), y * load(a.slope + (p0 + p) * kNr), y);
        if constexpr (Residual) y = y + load(addends + p * kNr);
        y = clamp(y, lo, hi);
        if constexpr (p < P - 1)
          store(out + p * kNr, y);
        else
          store(out + p * kNr, y, left);
      });
      out = offset_bytes(out, a.out_stride);
      if constexpr (Residual) addends = offset_bytes(addends, a.residual_stride);
    });
  }
};

// A bfloat16 in the upper half, by arithmetic that compilers make vectors of.
inline std::uint32_t rounded_bf16(float x) noexcept {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  const std::uint32_t magnitude = bits & 0x7fffffffu, sign = bits & 0x80000000u;
  std::uint32_t result = bits + 0x7fffu + (bits >> 16 & 1u);
  result = magnitude > 0x7f800000u ? bits | 0x400000u : result;
  return magnitude < 0x00800000u ? sign : result;
}
[[maybe_unused]] void round_bf16(const float* x, std::ptrdiff_t count, std::uint16_t* out) noexcept {
  for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = static_cast<std::uint16_t>(rounded_bf16(x[i]) >> 16);
}

// Calls pair(first, second, out) for each sixteen columns of two rows.
template <class Pair>
inline void for_pairs(const PairRowsArgs& a, Pair&& pair) noexcept {
  static constexpr float kZeros[kNr] = {};
  const std::ptrdiff_t panel = std::ptrdiff_t{(a.count + 1) / 2} * 2 * kNr;
  std::uint16_t* out = a.out;
  for (int i = 0; i < a.count; i += 2, out += 2 * kNr) {
    const float* first = a.rows[i * a.row_stride] + a.offset;
    const float* second = i + 1 < a.count ? a.rows[(i + 1) * a.row_stride] + a.offset : nullptr;
    std::uint16_t* to = out;
    for (int j = 0; j < a.n; j += kNr, to += panel) pair(first + j, second ? second + j : kZeros, to);
  }
}

[[maybe_unused]] void pair_rows_bf16(const PairRowsArgs& a) noexcept {
  for_pairs(a, [](const float* first, const float* second, std::uint16_t* out) {
    std::uint32_t words[kNr];
    for (int j = 0; j < kNr; ++j)
      words[j] = rounded_bf16(first[j]) >> 16 | (rounded_bf16(second[j]) & 0xffff0000u);
    __builtin_memcpy(out, words, sizeof words);
  });
}

// Calls tile<M, P> for a runtime m in 1..M.
template <int M, int P, class Kernel>
inline void tile_of(const Kernel& kernel, int m, int i0, int p0) noexcept {
  if constexpr (M > 1) {
    if (m < M) return tile_of<M - 1, P>(kernel, m, i0, p0);
  }
  kernel.template tile<M, P>(i0, p0);
}

// All pixels by P panels, in tiles of nearly equal height, at most M.
template <int M, int P, class Kernel>
inline void column(const Kernel& kernel, int p0) noexcept {
  int tiles = (kernel.a.m + M - 1) / M;
  for (int i0 = 0; tiles > 0; --tiles) {
    const int m = (kernel.a.m - i0 + tiles - 1) / tiles;
    tile_of<M, P>(kernel, m, i0, p0);
    i0 += m;
  }
}

// By one panel: for tiers of few registers.
template <int M, class Kernel>
inline void run_narrow(const Kernel& kernel) noexcept {
  for (int p = 0; p * kNr < kernel.a.n; ++p) column<M, 1>(kernel, p);
}

// For tiers of 32 registers of sixteen lanes. Many pixels: 6 x 4, 8 x 3 or 10 x 2 panels fill the registers. Few pixels:
// more panels, so that the sums stay independent.
template <class Kernel>
inline void run_wide(const Kernel& kernel) noexcept {
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
}  // namespace eke::kernels
