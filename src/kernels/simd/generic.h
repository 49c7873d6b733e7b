// Code over sixteen lanes that is the same on every tier. Included after the tier's own file of this folder.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"

namespace eke::kernels {
namespace {

template <class T>
inline const T* offset_bytes(const T* p, std::ptrdiff_t bytes) noexcept {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(p) + bytes);
}
template <class T>
inline T* offset_bytes(T* p, std::ptrdiff_t bytes) noexcept {
  return reinterpret_cast<T*>(reinterpret_cast<char*>(p) + bytes);
}

// f(Index<0>), f(Index<1>), ... f(Index<N - 1>): a loop whose counter is a constant, so that arrays it indexes live in
// registers from the first. f is an always_inline lambda.
template <int I>
struct Index {
  constexpr operator int() const noexcept { return I; }
};
template <int N, class F>
[[gnu::always_inline]] inline void repeat(const F& f) noexcept {
  if constexpr (N > 0) {
    repeat<N - 1>(f);
    f(Index<N - 1>{});
  }
}
#define EKE_INLINE __attribute__((always_inline))

inline int at_most_16(std::ptrdiff_t n) noexcept { return n < 16 ? static_cast<int>(n) : 16; }

// sat(v, z) - z of docs/integer-semantics.md, as integers; NaN gives lo.
inline I16 saturate(F16 v, F16 lo, F16 hi) noexcept { return to_int(min(max(v, lo), hi)); }

// A clamp of float values that keeps NaN.
inline F16 clamp(F16 v, F16 lo, F16 hi) noexcept { return min(hi, max(lo, v)); }

// Stores up to 16 results of one pixel, rules 3 to 7; lane 0 is channel c.
inline void finish(const Epilogue& e, I16 acc, int c, int count, std::ptrdiff_t pixel,
                   void* out_row) noexcept {
  if (e.output == OutputKind::i32) {
    store(static_cast<float*>(out_row) + c, bits_to_float(acc), count);
    return;
  }
  const F16 a = to_float(acc);
  F16 m = load(e.scale + c);
  if (e.negative_scale) m = pick(less(a, set(0.0f)), load(e.negative_scale + c), m);
  F16 v = a * m;
  if (e.output == OutputKind::f32) {
    store(static_cast<float*>(out_row) + c, clamp(v, set(e.lo), set(e.hi)), count);
    return;
  }
  const Residual& r = e.residual;
  if (r.kind != ResidualKind::none) {
    const F16 addend = to_float(load(r.data + pixel * r.stride + c) - seti(r.zero)) * set(r.k);
    v = r.kind == ResidualKind::direct
            ? fma(a, m, addend)
            : fma(to_float(saturate(v, set(r.mid_lo), set(r.mid_hi))), set(r.ka), addend);
  }
  store(static_cast<std::uint8_t*>(out_row) + c, saturate(v, set(e.lo), set(e.hi)) + seti(e.zero_point),
        count);
}

// The same for float sums; Args is GemmF32Args or DwconvF32Args.
template <class Args>
inline void finish(const Args& a, F16 y, int c, int count, std::ptrdiff_t pixel) noexcept {
  if (a.slope) y = pick(less(y, set(0.0f)), y * load(a.slope + c), y);
  if (a.residual) y = y + load(offset_bytes(a.residual, pixel * a.residual_stride) + c);
  store(offset_bytes(a.out, pixel * a.out_stride) + c, clamp(y, set(a.lo), set(a.hi)), count);
}

}  // namespace
}  // namespace eke::kernels
