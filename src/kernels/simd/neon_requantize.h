// Rules 3 to 6 of docs/integer-semantics.md in registers, sixteen sums at a time. Included after neon.h.
//
// sat() on the way to bytes: conversion, narrowing and the addition of the zero point saturate, and the bounds
// follow as bytes; all of these are monotonic and keep what lies within the bounds. Scales are finite, so that no
// NaN appears.
#pragma once

#include "kernels/epilogue.h"

namespace eke::kernels {
namespace {

// Sixteen bytes less a zero point.
[[gnu::always_inline]] inline int16x8x2_t above(uint8x16_t bytes, std::int32_t zero_point) noexcept {
  const uint8x16_t zero = vdupq_n_u8(static_cast<std::uint8_t>(zero_point));
  return {{vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(bytes), vget_low_u8(zero))),
           vreinterpretq_s16_u16(vsubl_high_u8(bytes, zero))}};
}

[[gnu::always_inline]] inline I16 widen(int16x8x2_t x) noexcept {
  return {{vmovl_s16(vget_low_s16(x.val[0])), vmovl_high_s16(x.val[0]), vmovl_s16(vget_low_s16(x.val[1])),
           vmovl_high_s16(x.val[1])}};
}

// float(r - zr) * k of sixteen bytes.
[[gnu::always_inline]] inline F16 residual_addend(const Residual& r, uint8x16_t bytes) noexcept {
  return to_float(widen(above(bytes, r.zero))) * set(r.k);
}

// Rounded numbers to bytes: adds the zero point and clamps.
struct ToBytes {
  int16x8_t zero;
  uint8x16_t lo, hi;

  ToBytes(float least, float most, std::int32_t zero_point) noexcept
      : zero(vdupq_n_s16(static_cast<std::int16_t>(zero_point))),
        lo(vdupq_n_u8(static_cast<std::uint8_t>(static_cast<std::int32_t>(least) + zero_point))),
        hi(vdupq_n_u8(static_cast<std::uint8_t>(static_cast<std::int32_t>(most) + zero_point))) {}

  [[gnu::always_inline]] uint8x16_t operator()(const I16& q) const noexcept {
    const int16x8_t low = vqmovn_high_s32(vqmovn_s32(q.v[0]), q.v[1]);
    const int16x8_t high = vqmovn_high_s32(vqmovn_s32(q.v[2]), q.v[3]);
    const uint8x16_t bytes = vqmovun_high_s16(vqmovun_s16(vqaddq_s16(low, zero)), vqaddq_s16(high, zero));
    return vminq_u8(vmaxq_u8(bytes, lo), hi);
  }
};

template <ResidualKind Kind, bool Negative>
struct Requantize {
  static constexpr ResidualKind kKind = Kind;
  const Residual& residual;
  ToBytes to_bytes;

  explicit Requantize(const Epilogue& e) noexcept
      : residual(e.residual), to_bytes(e.lo, e.hi, e.zero_point) {}

  // `addends` are read only with a residual, `negative` only where Negative.
  [[gnu::always_inline]] uint8x16_t operator()(const I16& sums, const F16& scale, const F16& negative,
                                               const F16& addends) const noexcept {
    return to_bytes(quarters<I16>([&](int i) {
      const float32x4_t x = vcvtq_f32_s32(sums.v[i]);
      float32x4_t m = scale.v[i];
      if constexpr (Negative) m = vbslq_f32(vcltzq_s32(sums.v[i]), negative.v[i], m);
      if constexpr (Kind == ResidualKind::none) return vcvtnq_s32_f32(vmulq_f32(x, m));
      if constexpr (Kind == ResidualKind::direct) return vcvtnq_s32_f32(vfmaq_f32(addends.v[i], x, m));
      const float32x4_t mid = vrndnq_f32(
          vminq_f32(vmaxq_f32(vmulq_f32(x, m), vdupq_n_f32(residual.mid_lo)), vdupq_n_f32(residual.mid_hi)));
      return vcvtnq_s32_f32(vfmaq_n_f32(addends.v[i], mid, residual.ka));
    }));
  }
};

// Calls f(Requantize) of the kind that the epilogue asks for; false where it stores no bytes or wants both a residual
// and a slope, which the caller does through finish().
template <class F>
[[gnu::always_inline]] inline bool with_requantize(const Epilogue& e, F f) noexcept {
  if (e.output != OutputKind::u8) return false;
  const ResidualKind kind = e.residual.kind;
  if (e.negative_scale) {
    if (kind != ResidualKind::none) return false;
    f(Requantize<ResidualKind::none, true>(e));
  } else if (kind == ResidualKind::none) {
    f(Requantize<ResidualKind::none, false>(e));
  } else if (kind == ResidualKind::direct) {
    f(Requantize<ResidualKind::direct, false>(e));
  } else {
    f(Requantize<ResidualKind::rounded, false>(e));
  }
  return true;
}

}  // namespace
}  // namespace eke::kernels
