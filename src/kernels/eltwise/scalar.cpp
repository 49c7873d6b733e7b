// The oracle: docs/integer-semantics.md as code. The float functions are those of all tiers, lane by lane.
#include "kernels/simd/scalar.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/math.h"

#include "kernels/eltwise/generic.h"

namespace eke::kernels {
namespace {

template <class F>
void each(const BinaryU8Args& g, F f) noexcept {
  for (std::size_t r = 0; r < g.rows; ++r)
    for (std::size_t c = 0; c < g.cols; ++c) {
      const auto row = static_cast<std::ptrdiff_t>(r);
      const float v = f(g.a[row * g.a_stride + static_cast<std::ptrdiff_t>(c)] - g.a_zero,
                        g.b[row * g.b_stride + static_cast<std::ptrdiff_t>(c)] - g.b_zero);
      g.out[row * g.out_stride + static_cast<std::ptrdiff_t>(c)] =
          static_cast<std::uint8_t>(static_cast<std::int32_t>(saturate(v, g.lo, g.hi)) + g.out_zero);
    }
}

}  // namespace

void lut_scalar(const LutArgs& a) noexcept {
  for (std::size_t i = 0; i < a.count; ++i) a.out[i] = a.table[a.in[i]];
}

void quantize_scalar(const QuantizeArgs& a) noexcept {
  for (std::size_t i = 0; i < a.count; ++i) {
    const float v = a.in[i] / a.scale;
    a.out[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(saturate(v != v ? 0.0f : v, a.lo, a.hi)) +
                                         a.zero);
  }
}

void dequantize_scalar(const DequantizeArgs& a) noexcept {
  for (std::size_t i = 0; i < a.count; ++i) a.out[i] = static_cast<float>(a.in[i] - a.zero) * a.scale;
}

void add_u8_scalar(const BinaryU8Args& g) noexcept {
  each(g, [&](std::int32_t a, std::int32_t b) {
    return __builtin_fmaf(static_cast<float>(a), g.ka, static_cast<float>(b) * g.kb);
  });
}

void mul_u8_scalar(const BinaryU8Args& g) noexcept {
  each(g, [&](std::int32_t a, std::int32_t b) { return static_cast<float>(a * b) * g.ka; });
}

void binary_f32_scalar(const BinaryF32Args& a) noexcept { binary(a); }
void unary_f32_scalar(const UnaryF32Args& a) noexcept { unary(a); }

}  // namespace eke::kernels
