// Sixteen lanes in plain C++, and the scalar form of the integer rules. Included by scalar.cpp files alone;
// everything has internal linkage. The three files of this folder give the same names, so that code over
// sixteen lanes is written once and rounds alike on every tier. Loads read all lanes, for which the slack of
// the buffers is there; stores may be partial.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"

namespace eke::kernels {
namespace {

struct F16 {
  float v[16];
};
struct I16 {
  std::int32_t v[16];
};
struct M16 {
  bool v[16];
};

template <class R, class F>
inline R lanes(F f) noexcept {
  R r;
  for (int i = 0; i < 16; ++i) r.v[i] = f(i);
  return r;
}

inline F16 set(float x) noexcept {
  return lanes<F16>([&](int) { return x; });
}
inline F16 load(const float* p) noexcept {
  return lanes<F16>([&](int i) { return p[i]; });
}
inline void store(float* p, F16 x, int n = 16) noexcept {
  for (int i = 0; i < n; ++i) p[i] = x.v[i];
}
inline F16 operator+(F16 a, F16 b) noexcept {
  return lanes<F16>([&](int i) { return a.v[i] + b.v[i]; });
}
inline F16 operator-(F16 a, F16 b) noexcept {
  return lanes<F16>([&](int i) { return a.v[i] - b.v[i]; });
}
inline F16 operator*(F16 a, F16 b) noexcept {
  return lanes<F16>([&](int i) { return a.v[i] * b.v[i]; });
}
inline F16 operator/(F16 a, F16 b) noexcept {
  return lanes<F16>([&](int i) { return a.v[i] / b.v[i]; });
}
inline F16 fma(F16 a, F16 b, F16 c) noexcept {
  return lanes<F16>([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
}
// The second operand where either is NaN or both are zero.
inline F16 min(F16 a, F16 b) noexcept {
  return lanes<F16>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline F16 max(F16 a, F16 b) noexcept {
  return lanes<F16>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline F16 sqrt(F16 a) noexcept {
  return lanes<F16>([&](int i) { return __builtin_sqrtf(a.v[i]); });
}
inline F16 abs(F16 a) noexcept {
  return lanes<F16>([&](int i) { return __builtin_fabsf(a.v[i]); });
}
inline F16 neg(F16 a) noexcept {
  return lanes<F16>([&](int i) { return -a.v[i]; });
}
// The magnitude of a with the sign of b.
inline F16 copysign(F16 a, F16 b) noexcept {
  return lanes<F16>([&](int i) { return __builtin_copysignf(a.v[i], b.v[i]); });
}
inline M16 less(F16 a, F16 b) noexcept {
  return lanes<M16>([&](int i) { return a.v[i] < b.v[i]; });
}
inline M16 is_nan(F16 a) noexcept {
  return lanes<M16>([&](int i) { return a.v[i] != a.v[i]; });
}
inline F16 pick(M16 m, F16 yes, F16 no) noexcept {
  return lanes<F16>([&](int i) { return m.v[i] ? yes.v[i] : no.v[i]; });
}
// To the nearest integer, ties to even; INT32_MIN where that does not fit.
inline I16 to_int(F16 a) noexcept {
  return lanes<I16>([&](int i) {
    const float x = __builtin_rintf(a.v[i]);
    return x >= -0x1p31f && x < 0x1p31f ? static_cast<std::int32_t>(x) : INT32_MIN;
  });
}
inline F16 to_float(I16 a) noexcept {
  return lanes<F16>([&](int i) { return static_cast<float>(a.v[i]); });
}
inline F16 bits_to_float(I16 a) noexcept {
  return lanes<F16>([&](int i) { return __builtin_bit_cast(float, a.v[i]); });
}
inline I16 float_to_bits(F16 a) noexcept {
  return lanes<I16>([&](int i) { return __builtin_bit_cast(std::int32_t, a.v[i]); });
}
inline I16 seti(std::int32_t x) noexcept {
  return lanes<I16>([&](int) { return x; });
}
inline std::int32_t wrap(std::uint32_t x) noexcept { return static_cast<std::int32_t>(x); }
inline I16 operator+(I16 a, I16 b) noexcept {
  return lanes<I16>(
      [&](int i) { return wrap(static_cast<std::uint32_t>(a.v[i]) + static_cast<std::uint32_t>(b.v[i])); });
}
inline I16 operator-(I16 a, I16 b) noexcept {
  return lanes<I16>(
      [&](int i) { return wrap(static_cast<std::uint32_t>(a.v[i]) - static_cast<std::uint32_t>(b.v[i])); });
}
inline I16 operator*(I16 a, I16 b) noexcept {
  return lanes<I16>(
      [&](int i) { return wrap(static_cast<std::uint32_t>(a.v[i]) * static_cast<std::uint32_t>(b.v[i])); });
}
inline I16 shift_left(I16 a, int n) noexcept {
  return lanes<I16>([&](int i) { return wrap(static_cast<std::uint32_t>(a.v[i]) << n); });
}
inline I16 shift_right(I16 a, int n) noexcept {
  return lanes<I16>([&](int i) { return a.v[i] >> n; });
}
inline I16 load(const std::uint8_t* p) noexcept {
  return lanes<I16>([&](int i) { return p[i]; });
}
// The lanes hold 0..255.
inline void store(std::uint8_t* p, I16 x, int n = 16) noexcept {
  for (int i = 0; i < n; ++i) p[i] = static_cast<std::uint8_t>(x.v[i]);
}

struct Bytes {
  std::uint8_t v[16];
};
constexpr int kBytes = 16;
inline Bytes load_bytes(const std::uint8_t* p) noexcept {
  return lanes<Bytes>([&](int i) { return p[i]; });
}
inline Bytes max(Bytes a, Bytes b) noexcept {
  return lanes<Bytes>([&](int i) { return a.v[i] < b.v[i] ? b.v[i] : a.v[i]; });
}
inline void store(std::uint8_t* p, Bytes x, int n) noexcept {
  for (int i = 0; i < n; ++i) p[i] = x.v[i];
}

// sat(v, z) - z of docs/integer-semantics.md; NaN gives lo.
inline float saturate(float v, float lo, float hi) noexcept {
  v = v > lo ? v : lo;
  return __builtin_rintf(v < hi ? v : hi);
}

// Stores one result, rules 3 to 7.
[[maybe_unused]] void finish(const Epilogue& e, std::int32_t acc, int c, std::ptrdiff_t pixel,
                             void* out_row) noexcept {
  if (e.output == OutputKind::i32) {
    static_cast<std::int32_t*>(out_row)[c] = acc;
    return;
  }
  const float m = e.negative_scale && acc < 0 ? e.negative_scale[c] : e.scale[c];
  float v = static_cast<float>(acc) * m;
  if (e.output == OutputKind::f32) {
    v = v < e.lo ? e.lo : v;
    static_cast<float*>(out_row)[c] = e.hi < v ? e.hi : v;
    return;
  }
  const Residual& r = e.residual;
  if (r.kind != ResidualKind::none) {
    const float addend = static_cast<float>(r.data[pixel * r.stride + c] - r.zero) * r.k;
    v = r.kind == ResidualKind::direct ? __builtin_fmaf(static_cast<float>(acc), m, addend)
                                       : __builtin_fmaf(saturate(v, r.mid_lo, r.mid_hi), r.ka, addend);
  }
  static_cast<std::uint8_t*>(out_row)[c] =
      static_cast<std::uint8_t>(static_cast<std::int32_t>(saturate(v, e.lo, e.hi)) + e.zero_point);
}

// The same for a float sum; Args is GemmF32Args or DwconvF32Args.
template <class Args>
void finish(const Args& a, float y, int c, std::ptrdiff_t pixel) noexcept {
  if (a.slope && y < 0) y = y * a.slope[c];
  if (a.residual)
    y = y + reinterpret_cast<const float*>(reinterpret_cast<const char*>(a.residual) +
                                           pixel * a.residual_stride)[c];
  y = y < a.lo ? a.lo : y;
  reinterpret_cast<float*>(reinterpret_cast<char*>(a.out) + pixel * a.out_stride)[c] = a.hi < y ? a.hi : y;
}

}  // namespace
}  // namespace eke::kernels
