// Depthwise convolution by dot products of four taps of a channel, for the tiers that have them. Included after
// neon_blocks.h and generic.h. Dot gives load(row), dot(sum, quad, weights) and start(bias, head).
#pragma once

#include "kernels/dwconv/dwconv.h"

namespace eke::kernels {
namespace {

// The bytes of Rows (1 to 4) rows of sixteen channels, interleaved: quad p holds the four taps of the channels 4 p to
// 4 p + 3. What stands in place of further rows meets zero weights.
template <class Dot, int Rows>
inline void interleave(const std::uint8_t* const* rows, int c, uint8x16_t (&quads)[4]) noexcept {
  const uint8x16_t x0 = Dot::load(rows[0] + c), x1 = Rows > 1 ? Dot::load(rows[1] + c) : x0;
  const uint16x8_t low01 = vreinterpretq_u16_u8(vzip1q_u8(x0, x1)),
                   high01 = vreinterpretq_u16_u8(vzip2q_u8(x0, x1));
  uint16x8_t low23 = low01, high23 = high01;
  if constexpr (Rows > 2) {
    const uint8x16_t x2 = Dot::load(rows[2] + c), x3 = Rows > 3 ? Dot::load(rows[3] + c) : x2;
    low23 = vreinterpretq_u16_u8(vzip1q_u8(x2, x3)), high23 = vreinterpretq_u16_u8(vzip2q_u8(x2, x3));
  }
  quads[0] = vreinterpretq_u8_u16(vzip1q_u16(low01, low23)),
  quads[1] = vreinterpretq_u8_u16(vzip2q_u16(low01, low23));
  quads[2] = vreinterpretq_u8_u16(vzip1q_u16(high01, high23)),
  quads[3] = vreinterpretq_u8_u16(vzip2q_u16(high01, high23));
}

// T pixels from `pixel` on whose windows of KH x KW start S columns apart: each column is interleaved once.
template <class Dot, int T, int KH, int KW, int S, class Store>
inline void tile(const DwconvU8S8Args& a, int c, const std::int8_t* weights, const I16& start,
                 const Store& put, std::ptrdiff_t pixel) noexcept {
  constexpr int kQuads = (KH + 3) / 4;
  const std::uint8_t* const* rows = a.rows + pixel * (S * KH);
  int32x4_t acc[T][4];
#pragma GCC unroll 8
  for (int i = 0; i < T; ++i)
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) acc[i][p] = start.v[p];
  const auto add = [&](int column, int q, const uint8x16_t(&quads)[4]) {
#pragma GCC unroll 8
    for (int i = 0; i < T; ++i) {
      const int t = column - i * S;
      if (t < 0 || t >= KW) continue;
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p)
        acc[i][p] = Dot::dot(acc[i][p], quads[p], vld1q_s8(weights + ((t * kQuads + q) * 4 + p) * 16));
    }
  };
#pragma GCC unroll 16
  for (int column = 0; column < (T - 1) * S + KW; ++column, rows += KH) {
    uint8x16_t quads[4];
    interleave < Dot, KH<4 ? KH : 4>(rows, c, quads);
    add(column, 0, quads);
    if constexpr (KH > 4) {
      interleave<Dot, KH - 4>(rows + 4, c, quads);
      add(column, 1, quads);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < T; ++i) put(I16{{acc[i][0], acc[i][1], acc[i][2], acc[i][3]}}, pixel + i);
}

template <class Dot, int KH, int KW, int S, class Store>
inline void window(const DwconvU8S8Args& a, int c, const std::int8_t* weights, const I16& start,
                   const Store& put) noexcept {
  constexpr int kTile = 4;
  int pixel = 0;
  for (; pixel + kTile <= a.pixels; pixel += kTile)
    tile<Dot, kTile, KH, KW, S>(a, c, weights, start, put, pixel);
  for (; pixel < a.pixels; ++pixel) tile<Dot, 1, KH, KW, S>(a, c, weights, start, put, pixel);
}

// Windows of any size, pixel by pixel.
template <class Dot, class Store>
inline void any_window(const DwconvU8S8Args& a, int c, const std::int8_t* weights, const I16& start,
                       const Store& put) noexcept {
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    const std::uint8_t* const* rows = a.rows + pixel * a.row_stride;
    const std::int8_t* w = weights;
    I16 acc = start;
    uint8x16_t quads[4];
    const auto add = [&] {
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p, w += 16) acc.v[p] = Dot::dot(acc.v[p], quads[p], vld1q_s8(w));
    };
    for (int t = 0; t < a.taps; t += a.column, rows += a.column) {
      int r = 0;
      for (; r + 4 <= a.column; r += 4) interleave<Dot, 4>(rows + r, c, quads), add();
      if (a.column - r == 3) interleave<Dot, 3>(rows + r, c, quads), add();
      if (a.column - r == 2) interleave<Dot, 2>(rows + r, c, quads), add();
      if (a.column - r == 1) interleave<Dot, 1>(rows + r, c, quads), add();
    }
    put(acc, pixel);
  }
}

template <class Dot>
inline void dwconv_quads(const DwconvU8S8Args& a) noexcept {
  const std::ptrdiff_t slots = std::ptrdiff_t{a.taps / a.column} * ((a.column + 3) / 4 * 4);
  for_blocks(a, kHeadBytes + slots * 16, [&]<class Store>(int c, const std::int8_t* w, const Store& put) {
    const I16 start = Dot::start(load_sums(a.epilogue.bias + c), load_sums(w - kHeadBytes));
    if constexpr (Store::kWindows) {
      if (is_window(a, 3, 3, 1)) return window<Dot, 3, 3, 1>(a, c, w, start, put);
      if (is_window(a, 3, 3, 2)) return window<Dot, 3, 3, 2>(a, c, w, start, put);
      if (is_window(a, 5, 5, 1)) return window<Dot, 5, 5, 1>(a, c, w, start, put);
      if (is_window(a, 5, 5, 2)) return window<Dot, 5, 5, 2>(a, c, w, start, put);
      if (is_window(a, 7, 7, 1)) return window<Dot, 7, 7, 1>(a, c, w, start, put);
      if (is_window(a, 7, 7, 2)) return window<Dot, 7, 7, 2>(a, c, w, start, put);
    }
    any_window<Dot>(a, c, w, start, put);
  });
}

}  // namespace
}  // namespace eke::kernels
