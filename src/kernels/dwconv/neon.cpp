#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/neon_requantize.h"

#include "kernels/dwconv/generic.h"

#include "kernels/dwconv/neon_blocks.h"

namespace eke::kernels {
namespace {

// Products of signed bytes, x - 128 by w: the head holds what that takes off the sums. Two products fit 16 bits, |128 * 127
// * 2| < 2^15, except where weights are -128, which the head says too.
inline int8x16_t load_shifted(const std::uint8_t* p) noexcept {
  return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(128)));
}

inline void add_words(I16& acc, int16x8_t low, int16x8_t high) noexcept {
  acc.v[0] = vaddw_s16(acc.v[0], vget_low_s16(low)), acc.v[1] = vaddw_high_s16(acc.v[1], low);
  acc.v[2] = vaddw_s16(acc.v[2], vget_low_s16(high)), acc.v[3] = vaddw_high_s16(acc.v[3], high);
}
inline void add_one(I16& acc, int8x16_t x, int8x16_t w) noexcept {
  add_words(acc, vmull_s8(vget_low_s8(x), vget_low_s8(w)), vmull_high_s8(x, w));
}
inline void add_two(I16& acc, int8x16_t x0, int8x16_t w0, int8x16_t x1, int8x16_t w1) noexcept {
  add_words(acc, vmlal_s8(vmull_s8(vget_low_s8(x0), vget_low_s8(w0)), vget_low_s8(x1), vget_low_s8(w1)),
            vmlal_high_s8(vmull_high_s8(x0, w0), x1, w1));
}

// T pixels from `pixel` on whose windows of Taps rows start Step rows apart: a row that they share is read once.
template <int T, int Taps, int Step, class Store>
inline void tile(const DwconvU8S8Args& a, int c, const std::int8_t* w, const I16& start, const Store& put,
                 std::ptrdiff_t pixel) noexcept {
  constexpr int kRows = (T - 1) * Step + Taps;
  const std::uint8_t* const* rows = a.rows + pixel * Step;
  int8x16_t x[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) x[r] = load_shifted(rows[r] + c);
  I16 acc[T];
#pragma GCC unroll 4
  for (int i = 0; i < T; ++i) acc[i] = start;
#pragma GCC unroll 8
  for (int t = 0; t + 2 <= Taps; t += 2) {
    const int8x16_t w0 = vld1q_s8(w + t * 16), w1 = vld1q_s8(w + t * 16 + 16);
#pragma GCC unroll 4
    for (int i = 0; i < T; ++i) add_two(acc[i], x[i * Step + t], w0, x[i * Step + t + 1], w1);
  }
  if constexpr (Taps % 2 == 1) {
    const int8x16_t last = vld1q_s8(w + (Taps - 1) * 16);
#pragma GCC unroll 4
    for (int i = 0; i < T; ++i) add_one(acc[i], x[i * Step + Taps - 1], last);
  }
#pragma GCC unroll 4
  for (int i = 0; i < T; ++i) put(acc[i], pixel + i);
}

template <int Taps, int Step, class Store>
inline void window(const DwconvU8S8Args& a, int c, const std::int8_t* w, const I16& start,
                   const Store& put) noexcept {
  int pixel = 0;
  for (; pixel + 2 <= a.pixels; pixel += 2) tile<2, Taps, Step>(a, c, w, start, put, pixel);
  if (pixel < a.pixels) tile<1, Taps, Step>(a, c, w, start, put, pixel);
}

// Windows of any size, pixel by pixel. Single: every product is added alone.
template <bool Single, class Store>
inline void any_window(const DwconvU8S8Args& a, int c, const std::int8_t* weights, const I16& start,
                       const Store& put) noexcept {
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    const std::uint8_t* const* rows = a.rows + pixel * a.row_stride;
    const std::int8_t* w = weights;
    I16 acc = start;
    int t = 0;
    for (; !Single && t + 2 <= a.taps; t += 2, w += 32)
      add_two(acc, load_shifted(rows[t] + c), vld1q_s8(w), load_shifted(rows[t + 1] + c), vld1q_s8(w + 16));
    for (; t < a.taps; ++t, w += 16) add_one(acc, load_shifted(rows[t] + c), vld1q_s8(w));
    put(acc, pixel);
  }
}

}  // namespace

void dwconv_u8s8_16c_neon(const DwconvU8S8Args& a) noexcept {
  for_blocks(a, kHeadBytes + std::ptrdiff_t{16} * a.taps,
             [&]<class Store>(int c, const std::int8_t* w, const Store& put) {
               const std::int8_t* head = w - kHeadBytes;
               const I16 start = load_sums(a.epilogue.bias + c) + load_sums(head);
               if (reinterpret_cast<const std::int32_t*>(head)[16] != 0)
                 return any_window<true>(a, c, w, start, put);
               if constexpr (Store::kWindows) {
                 if (a.taps == 9 && a.row_stride == 3) return window<9, 3>(a, c, w, start, put);
                 if (a.taps == 9 && a.row_stride == 6) return window<9, 6>(a, c, w, start, put);
               }
               any_window<false>(a, c, w, start, put);
             });
}

void dwconv_f32_16c_neon(const DwconvF32Args& a) noexcept { dwconv(a); }

}  // namespace eke::kernels
#endif
