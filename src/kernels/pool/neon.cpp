#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/neon_requantize.h"

#include "kernels/pool/generic.h"

namespace eke::kernels {
namespace {

constexpr int kShortRows = 257;  // whose sum fits 16 bits

// Sums of sixteen bytes of up to kShortRows rows: row(i) points to them.
template <class Row>
inline uint16x8x2_t short_sums(int rows, Row row) noexcept {
  uint16x8x2_t sums = {{vdupq_n_u16(0), vdupq_n_u16(0)}};
  for (int r = 0; r < rows; ++r) {
    const uint8x16_t x = vld1q_u8(row(r));
    sums.val[0] = vaddw_u8(sums.val[0], vget_low_u8(x));
    sums.val[1] = vaddw_high_u8(sums.val[1], x);
  }
  return sums;
}

// Sums of x - zero over rows of sixteen bytes.
template <class Row>
inline I16 byte_sums(int rows, std::int32_t zero, Row row) noexcept {
  I16 sums = seti(0) - seti(rows) * seti(zero);
  for (int r = 0; r < rows; r += kShortRows) {
    const uint16x8x2_t part =
        short_sums(rows - r < kShortRows ? rows - r : kShortRows, [&](int i) { return row(r + i); });
    const auto add = [&](int v, uint16x4_t x) {
      sums.v[v] = vreinterpretq_s32_u32(vaddw_u16(vreinterpretq_u32_s32(sums.v[v]), x));
    };
    add(0, vget_low_u16(part.val[0])), add(1, vget_high_u16(part.val[0]));
    add(2, vget_low_u16(part.val[1])), add(3, vget_high_u16(part.val[1]));
  }
  return sums;
}

template <class Args>
inline Requantize<ResidualKind::none, false> requantize_of(const Args& a) noexcept {
  Epilogue e;
  e.lo = a.lo, e.hi = a.hi, e.zero_point = a.output_zero;
  return Requantize<ResidualKind::none, false>(e);
}

}  // namespace

void average_pool_u8_neon(const AveragePoolU8Args& a) noexcept {
  const auto requantize = requantize_of(a);
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    const std::uint8_t* const* rows = a.rows + pixel * a.row_stride;
    const F16 multiplier = set(a.multiplier[pixel]);
    std::uint8_t* out = a.out + pixel * a.out_stride;
    for (int c = 0; c < a.channels; c += 16) {
      const I16 sums = byte_sums(a.taps, a.input_zero, [&](int t) { return rows[t] + c; });
      store(out + c, Bytes{requantize(sums, multiplier, multiplier, multiplier)}, at_most_16(a.channels - c));
    }
  }
}

void global_average_u8_neon(const GlobalAverageU8Args& a) noexcept {
  const auto requantize = requantize_of(a);
  const F16 multiplier = set(a.multiplier);
  for (int c = 0; c < a.channels; c += 16) {
    const I16 sums = byte_sums(a.rows, a.input_zero, [&](int r) { return a.in + r * a.in_stride + c; });
    store(a.out + c, Bytes{requantize(sums, multiplier, multiplier, multiplier)}, at_most_16(a.channels - c));
  }
}

void max_pool_u8_neon(const MaxPoolArgs<std::uint8_t>& a) noexcept { max_pool(a); }
void max_pool_f32_neon(const MaxPoolArgs<float>& a) noexcept { max_pool(a); }
void average_pool_f32_neon(const AveragePoolF32Args& a) noexcept { average_pool(a); }
void global_average_f32_neon(const GlobalAverageF32Args& a) noexcept { global_average(a); }

}  // namespace eke::kernels
#endif
