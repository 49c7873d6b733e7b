// Sixteen lanes in four NEON registers. Included by the files of Arm's tiers alone; everything has internal
// linkage. scalar.h says what the names mean; to_int saturates where a number does not fit and makes 0 of NaN,
// which nothing sees.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace eke::kernels {
namespace {

struct F16 {
  float32x4_t v[4];
};
struct I16 {
  int32x4_t v[4];
};
struct M16 {
  uint32x4_t v[4];
};

template <class R, class F>
inline R quarters(F f) noexcept {
  return {{f(0), f(1), f(2), f(3)}};
}

inline F16 set(float x) noexcept {
  return quarters<F16>([&](int) { return vdupq_n_f32(x); });
}
inline F16 load(const float* p) noexcept {
  return quarters<F16>([&](int i) { return vld1q_f32(p + 4 * i); });
}
inline void store(float* p, F16 x) noexcept {
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, x.v[i]);
}
inline void store(float* p, F16 x, int n) noexcept {
  if (n == 16) return store(p, x);
  float lane[16];
  store(lane, x);
  for (int i = 0; i < n; ++i) p[i] = lane[i];
}
inline F16 operator+(F16 a, F16 b) noexcept {
  return quarters<F16>([&](int i) { return vaddq_f32(a.v[i], b.v[i]); });
}
inline F16 operator-(F16 a, F16 b) noexcept {
  return quarters<F16>([&](int i) { return vsubq_f32(a.v[i], b.v[i]); });
}
inline F16 operator*(F16 a, F16 b) noexcept {
  return quarters<F16>([&](int i) { return vmulq_f32(a.v[i], b.v[i]); });
}
inline F16 operator/(F16 a, F16 b) noexcept {
  return quarters<F16>([&](int i) { return vdivq_f32(a.v[i], b.v[i]); });
}
inline F16 fma(F16 a, F16 b, F16 c) noexcept {
  return quarters<F16>([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
inline F16 min(F16 a, F16 b) noexcept {
  return quarters<F16>([&](int i) { return vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]); });
}
inline F16 max(F16 a, F16 b) noexcept {
  return quarters<F16>([&](int i) { return vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]); });
}
inline F16 sqrt(F16 a) noexcept {
  return quarters<F16>([&](int i) { return vsqrtq_f32(a.v[i]); });
}
inline F16 abs(F16 a) noexcept {
  return quarters<F16>([&](int i) { return vabsq_f32(a.v[i]); });
}
inline F16 neg(F16 a) noexcept {
  return quarters<F16>([&](int i) { return vnegq_f32(a.v[i]); });
}
inline F16 copysign(F16 a, F16 b) noexcept {
  return quarters<F16>([&](int i) { return vbslq_f32(vdupq_n_u32(0x80000000u), b.v[i], a.v[i]); });
}
inline M16 less(F16 a, F16 b) noexcept {
  return quarters<M16>([&](int i) { return vcltq_f32(a.v[i], b.v[i]); });
}
inline M16 is_nan(F16 a) noexcept {
  return quarters<M16>([&](int i) { return vmvnq_u32(vceqq_f32(a.v[i], a.v[i])); });
}
inline F16 pick(M16 m, F16 yes, F16 no) noexcept {
  return quarters<F16>([&](int i) { return vbslq_f32(m.v[i], yes.v[i], no.v[i]); });
}
inline I16 to_int(F16 a) noexcept {
  return quarters<I16>([&](int i) { return vcvtnq_s32_f32(a.v[i]); });
}
inline F16 to_float(I16 a) noexcept {
  return quarters<F16>([&](int i) { return vcvtq_f32_s32(a.v[i]); });
}
inline F16 bits_to_float(I16 a) noexcept {
  return quarters<F16>([&](int i) { return vreinterpretq_f32_s32(a.v[i]); });
}
inline I16 float_to_bits(F16 a) noexcept {
  return quarters<I16>([&](int i) { return vreinterpretq_s32_f32(a.v[i]); });
}
inline I16 seti(std::int32_t x) noexcept {
  return quarters<I16>([&](int) { return vdupq_n_s32(x); });
}
inline I16 operator+(I16 a, I16 b) noexcept {
  return quarters<I16>([&](int i) { return vaddq_s32(a.v[i], b.v[i]); });
}
inline I16 operator-(I16 a, I16 b) noexcept {
  return quarters<I16>([&](int i) { return vsubq_s32(a.v[i], b.v[i]); });
}
inline I16 operator*(I16 a, I16 b) noexcept {
  return quarters<I16>([&](int i) { return vmulq_s32(a.v[i], b.v[i]); });
}
inline I16 shift_left(I16 a, int n) noexcept {
  return quarters<I16>([&](int i) { return vshlq_s32(a.v[i], vdupq_n_s32(n)); });
}
inline I16 shift_right(I16 a, int n) noexcept {
  return quarters<I16>([&](int i) { return vshlq_s32(a.v[i], vdupq_n_s32(-n)); });
}

// Sixteen bytes as 32-bit lanes and back; narrowing saturates.
inline I16 widen(uint8x16_t bytes) noexcept {
  const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
  return {{vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))), vreinterpretq_s32_u32(vmovl_high_u16(low)),
           vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))),
           vreinterpretq_s32_u32(vmovl_high_u16(high))}};
}
inline uint8x16_t narrow(I16 x) noexcept {
  const int16x8_t low = vqmovn_high_s32(vqmovn_s32(x.v[0]), x.v[1]);
  const int16x8_t high = vqmovn_high_s32(vqmovn_s32(x.v[2]), x.v[3]);
  return vqmovun_high_s16(vqmovun_s16(low), high);
}
inline I16 load(const std::uint8_t* p) noexcept { return widen(vld1q_u8(p)); }

inline std::uint32_t load_4(const std::uint8_t* p) noexcept {
  std::uint32_t bytes;
  __builtin_memcpy(&bytes, p, 4);
  return bytes;
}
inline void store_4(std::uint8_t* p, std::uint32_t bytes) noexcept { __builtin_memcpy(p, &bytes, 4); }

struct Bytes {
  uint8x16_t v;
};
constexpr int kBytes = 16;
inline Bytes load_bytes(const std::uint8_t* p) noexcept { return {vld1q_u8(p)}; }
inline Bytes max(Bytes a, Bytes b) noexcept { return {vmaxq_u8(a.v, b.v)}; }
inline void store(std::uint8_t* p, Bytes x, int n) noexcept {
  if (n >= kBytes) return vst1q_u8(p, x.v);
  uint8x8_t part = vget_low_u8(x.v);
  if (n & 8) {
    vst1_u8(p, part);
    p += 8;
    part = vget_high_u8(x.v);
  }
  if (n & 4) {
    store_4(p, vget_lane_u32(vreinterpret_u32_u8(part), 0));
    p += 4;
    part = vext_u8(part, part, 4);
  }
  if (n & 2) {
    const std::uint16_t pair = vget_lane_u16(vreinterpret_u16_u8(part), 0);
    __builtin_memcpy(p, &pair, 2);
    p += 2;
    part = vext_u8(part, part, 2);
  }
  if (n & 1) vst1_lane_u8(p, part, 0);
}
inline void store(std::uint8_t* p, I16 x) noexcept { vst1q_u8(p, narrow(x)); }
inline void store(std::uint8_t* p, I16 x, int n) noexcept { store(p, Bytes{narrow(x)}, n); }

}  // namespace
}  // namespace eke::kernels
