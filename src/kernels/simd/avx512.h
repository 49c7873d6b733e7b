// Sixteen lanes in one AVX-512 register. Included by avx512vnni.cpp and avx512bf16.cpp files alone; everything has
// internal linkage. scalar.h says what the names mean.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace eke::kernels {
namespace {

struct F16 {
  __m512 v;
};
struct I16 {
  __m512i v;
};
struct M16 {
  __mmask16 v;
};

inline __mmask16 first_lanes(int n) noexcept { return static_cast<__mmask16>((1u << n) - 1u); }

inline F16 set(float x) noexcept { return {_mm512_set1_ps(x)}; }
inline F16 load(const float* p) noexcept { return {_mm512_loadu_ps(p)}; }
inline void store(float* p, F16 x) noexcept { _mm512_storeu_ps(p, x.v); }
inline void store(float* p, F16 x, int n) noexcept { _mm512_mask_storeu_ps(p, first_lanes(n), x.v); }
inline F16 operator+(F16 a, F16 b) noexcept { return {_mm512_add_ps(a.v, b.v)}; }
inline F16 operator-(F16 a, F16 b) noexcept { return {_mm512_sub_ps(a.v, b.v)}; }
inline F16 operator*(F16 a, F16 b) noexcept { return {_mm512_mul_ps(a.v, b.v)}; }
inline F16 operator/(F16 a, F16 b) noexcept { return {_mm512_div_ps(a.v, b.v)}; }
inline F16 fma(F16 a, F16 b, F16 c) noexcept { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F16 min(F16 a, F16 b) noexcept { return {_mm512_min_ps(a.v, b.v)}; }
inline F16 max(F16 a, F16 b) noexcept { return {_mm512_max_ps(a.v, b.v)}; }
inline F16 sqrt(F16 a) noexcept { return {_mm512_sqrt_ps(a.v)}; }
inline F16 abs(F16 a) noexcept { return {_mm512_abs_ps(a.v)}; }
inline F16 neg(F16 a) noexcept { return {_mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f))}; }
inline F16 copysign(F16 a, F16 b) noexcept {
  const __m512 sign = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(sign, a.v), _mm512_and_ps(sign, b.v))};
}
inline M16 less(F16 a, F16 b) noexcept { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
inline M16 is_nan(F16 a) noexcept { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
inline F16 pick(M16 m, F16 yes, F16 no) noexcept { return {_mm512_mask_blend_ps(m.v, no.v, yes.v)}; }
inline I16 to_int(F16 a) noexcept { return {_mm512_cvtps_epi32(a.v)}; }
inline F16 to_float(I16 a) noexcept { return {_mm512_cvtepi32_ps(a.v)}; }
inline F16 bits_to_float(I16 a) noexcept { return {_mm512_castsi512_ps(a.v)}; }
inline I16 float_to_bits(F16 a) noexcept { return {_mm512_castps_si512(a.v)}; }
inline I16 seti(std::int32_t x) noexcept { return {_mm512_set1_epi32(x)}; }
inline I16 operator+(I16 a, I16 b) noexcept { return {_mm512_add_epi32(a.v, b.v)}; }
inline I16 operator-(I16 a, I16 b) noexcept { return {_mm512_sub_epi32(a.v, b.v)}; }
inline I16 operator*(I16 a, I16 b) noexcept { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline I16 shift_left(I16 a, int n) noexcept { return {_mm512_slli_epi32(a.v, static_cast<unsigned>(n))}; }
inline I16 shift_right(I16 a, int n) noexcept { return {_mm512_srai_epi32(a.v, static_cast<unsigned>(n))}; }
inline I16 load(const std::uint8_t* p) noexcept {
  return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
inline void store(std::uint8_t* p, I16 x) noexcept {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x.v));
}
inline void store(std::uint8_t* p, I16 x, int n) noexcept {
  _mm_mask_storeu_epi8(p, first_lanes(n), _mm512_cvtepi32_epi8(x.v));
}

struct Bytes {
  __m512i v;
};
constexpr int kBytes = 64;
inline Bytes load_bytes(const std::uint8_t* p) noexcept { return {_mm512_loadu_si512(p)}; }
inline Bytes max(Bytes a, Bytes b) noexcept { return {_mm512_max_epu8(a.v, b.v)}; }
inline void store(std::uint8_t* p, Bytes x, int n) noexcept {
  _mm512_mask_storeu_epi8(p, n < 64 ? (std::uint64_t{1} << n) - 1 : ~std::uint64_t{0}, x.v);
}

}  // namespace
}  // namespace eke::kernels
