#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/math.h"

#include "kernels/simd/neon_requantize.h"

#include "kernels/eltwise/generic.h"

namespace eke::kernels {
namespace {

// Rows of bytes, sixteen at a time: f gives the result of sixteen of a and of b.
template <class F>
inline void binary_bytes(const BinaryU8Args& g, F f) noexcept {
  const auto rows = static_cast<std::ptrdiff_t>(g.rows), cols = static_cast<std::ptrdiff_t>(g.cols);
  for (std::ptrdiff_t r = 0; r < rows; ++r) {
    const std::uint8_t *a = g.a + r * g.a_stride, *b = g.b + r * g.b_stride;
    std::uint8_t* out = g.out + r * g.out_stride;
    for (std::ptrdiff_t c = 0; c < cols; c += 16)
      store(out + c, Bytes{f(vld1q_u8(a + c), vld1q_u8(b + c))}, at_most_16(cols - c));
  }
}

}  // namespace

// The table is searched 64 entries at a time; an index beyond them leaves what was found before.
void lut_neon(const LutArgs& a) noexcept {
  uint8x16x4_t part[4];
  for (int i = 0; i < 4; ++i) part[i] = vld1q_u8_x4(a.table + 64 * i);
  const uint8x16_t step = vdupq_n_u8(64);
  const auto count = static_cast<std::ptrdiff_t>(a.count);
  for (std::ptrdiff_t i = 0; i < count; i += 16) {
    uint8x16_t index = vld1q_u8(a.in + i);
    uint8x16_t found = vqtbl4q_u8(part[0], index);
    for (int p = 1; p < 4; ++p) {
      index = vsubq_u8(index, step);
      found = vqtbx4q_u8(found, part[p], index);
    }
    store(a.out + i, Bytes{found}, at_most_16(count - i));
  }
}

void add_u8_neon(const BinaryU8Args& g) noexcept {
  Epilogue e;
  e.lo = g.lo, e.hi = g.hi, e.zero_point = g.out_zero;
  e.residual.zero = g.b_zero, e.residual.k = g.kb;
  const Requantize<ResidualKind::direct, false> requantize(e);
  const F16 ka = set(g.ka);
  binary_bytes(g, [&](uint8x16_t a, uint8x16_t b) {
    return requantize(widen(above(a, g.a_zero)), ka, ka, residual_addend(e.residual, b));
  });
}

void mul_u8_neon(const BinaryU8Args& g) noexcept {
  Epilogue e;
  e.lo = g.lo, e.hi = g.hi, e.zero_point = g.out_zero;
  const Requantize<ResidualKind::none, false> requantize(e);
  const F16 k = set(g.ka);
  binary_bytes(g, [&](uint8x16_t a, uint8x16_t b) {
    const int16x8x2_t x = above(a, g.a_zero), y = above(b, g.b_zero);
    const I16 product = {
        {vmull_s16(vget_low_s16(x.val[0]), vget_low_s16(y.val[0])), vmull_high_s16(x.val[0], y.val[0]),
         vmull_s16(vget_low_s16(x.val[1]), vget_low_s16(y.val[1])), vmull_high_s16(x.val[1], y.val[1])}};
    return requantize(product, k, k, k);
  });
}

// The conversion makes 0 of NaN, as rule 1 wants.
void quantize_neon(const QuantizeArgs& a) noexcept {
  const ToBytes to_bytes(a.lo, a.hi, a.zero);
  const F16 scale = set(a.scale);
  const auto count = static_cast<std::ptrdiff_t>(a.count);
  for (std::ptrdiff_t i = 0; i < count; i += 16)
    store(a.out + i, Bytes{to_bytes(to_int(load(a.in + i) / scale))}, at_most_16(count - i));
}

void dequantize_neon(const DequantizeArgs& a) noexcept {
  const F16 scale = set(a.scale);
  const auto count = static_cast<std::ptrdiff_t>(a.count);
  for (std::ptrdiff_t i = 0; i < count; i += 16)
    store(a.out + i, to_float(widen(above(vld1q_u8(a.in + i), a.zero))) * scale, at_most_16(count - i));
}

void binary_f32_neon(const BinaryF32Args& a) noexcept { binary(a); }
void unary_f32_neon(const UnaryF32Args& a) noexcept { unary(a); }

}  // namespace eke::kernels
#endif
