#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/neon_requantize.h"

#include "kernels/pool/generic.h"

namespace eke::kernels {
namespace {

constexpr int kShortRows = 257;  // whose sum fits 16 bits

// Sums of V * 16 bytes of rows, less rows * zero: row(i) points to them.
template <int V, class Row>
inline void byte_sums(int rows, std::int32_t zero, Row row, I16 (&sums)[V]) noexcept {
  for (int v = 0; v < V; ++v) sums[v] = seti(0) - seti(rows) * seti(zero);
  for (int first = 0; first < rows; first += kShortRows) {
    const int last = rows - first < kShortRows ? rows : first + kShortRows;
    uint16x8_t low[V], high[V];
    for (int v = 0; v < V; ++v) low[v] = high[v] = vdupq_n_u16(0);
    for (int r = first; r < last; ++r) {
      const std::uint8_t* from = row(r);
      for (int v = 0; v < V; ++v) {
        const uint8x16_t x = vld1q_u8(from + 16 * v);
        low[v] = vaddw_u8(low[v], vget_low_u8(x));
        high[v] = vaddw_high_u8(high[v], x);
      }
    }
    for (int v = 0; v < V; ++v) {
      const auto add = [&](int i, uint16x4_t x) {
        sums[v].v[i] = vreinterpretq_s32_u32(vaddw_u16(vreinterpretq_u32_s32(sums[v].v[i]), x));
      };
      add(0, vget_low_u16(low[v])), add(1, vget_high_u16(low[v]));
      add(2, vget_low_u16(high[v])), add(3, vget_high_u16(high[v]));
    }
  }
}

// Calls f(channel, vectors) over the channels, four vectors of sixteen at a time while there are that many.
template <class F>
inline void for_channels(int channels, F f) noexcept {
  int c = 0;
  for (; c + 64 <= channels; c += 64) f.template operator()<4>(c);
  for (; c < channels; c += 16) f.template operator()<1>(c);
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
    for_channels(a.channels, [&]<int V>(int c) {
      I16 sums[V];
      byte_sums<V>(
          a.taps, a.input_zero, [&](int t) { return rows[t] + c; }, sums);
      for (int v = 0; v < V; ++v)
        store(out + c + 16 * v, Bytes{requantize(sums[v], multiplier, multiplier, multiplier)},
              a.channels - c - 16 * v);
    });
  }
}

void global_average_u8_neon(const GlobalAverageU8Args& a) noexcept {
  const auto requantize = requantize_of(a);
  const F16 multiplier = set(a.multiplier);
  for_channels(a.channels, [&]<int V>(int c) {
    I16 sums[V];
    byte_sums<V>(
        a.rows, a.input_zero, [&](int r) { return a.in + r * a.in_stride + c; }, sums);
    for (int v = 0; v < V; ++v) {
      const int at = c + 16 * v, count = a.channels - at;
      if (a.to_float)
        store(static_cast<float*>(a.out) + at, to_float(sums[v]) * multiplier, at_most_16(count));
      else
        store(static_cast<std::uint8_t*>(a.out) + at,
              Bytes{requantize(sums[v], multiplier, multiplier, multiplier)}, count);
    }
  });
}

void max_pool_u8_neon(const MaxPoolArgs<std::uint8_t>& a) noexcept {
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    const std::uint8_t* const* rows = a.rows + pixel * a.row_stride;
    std::uint8_t* out = a.out + pixel * a.out_stride;
    for_channels(a.channels, [&]<int V>(int c) {
      uint8x16_t y[V];
      for (int v = 0; v < V; ++v) y[v] = vld1q_u8(rows[0] + c + 16 * v);
      for (int t = 1; t < a.taps; ++t)
        for (int v = 0; v < V; ++v) y[v] = vmaxq_u8(y[v], vld1q_u8(rows[t] + c + 16 * v));
      for (int v = 0; v < V; ++v) store(out + c + 16 * v, Bytes{y[v]}, a.channels - c - 16 * v);
    });
  }
}

void max_pool_f32_neon(const MaxPoolArgs<float>& a) noexcept { max_pool(a); }
void average_pool_f32_neon(const AveragePoolF32Args& a) noexcept { average_pool(a); }
void global_average_f32_neon(const GlobalAverageF32Args& a) noexcept { global_average(a); }

}  // namespace eke::kernels
#endif
