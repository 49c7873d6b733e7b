#ifdef __aarch64__
#include <arm_neon.h>

#include "kernels/transpose/transpose.h"

namespace eke::kernels {
namespace {

template <class T>
inline const T* in_row(const TransposeArgs& a, std::size_t r) noexcept {
  return reinterpret_cast<const T*>(static_cast<const char*>(a.in) +
                                    static_cast<std::ptrdiff_t>(r) * a.in_stride);
}
template <class T>
inline T* out_row(const TransposeArgs& a, std::size_t c) noexcept {
  return reinterpret_cast<T*>(static_cast<char*>(a.out) + static_cast<std::ptrdiff_t>(c) * a.out_stride);
}

// The part [r0, r1) x [c0, c1), element by element.
template <class T>
inline void transpose_edge(const TransposeArgs& a, std::size_t r0, std::size_t r1, std::size_t c0,
                           std::size_t c1) noexcept {
  for (std::size_t c = c0; c < c1; ++c) {
    T* out = out_row<T>(a, c);
    for (std::size_t r = r0; r < r1; ++r) out[r] = in_row<T>(a, r)[c];
  }
}

// N rows of N bytes or words: rounds of interleaving rows i and i + N / 2.
template <std::size_t N, class T, class V, class Load, class Store, class Low, class High>
inline void transpose_square(const TransposeArgs& a, std::size_t r, std::size_t c, Load load, Store store,
                             Low low, High high) noexcept {
  V x[N], y[N];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < N; ++i) x[i] = load(in_row<T>(a, r + i) + c);
#pragma GCC unroll 4
  for (std::size_t round = 1; round < N; round *= 2) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < N / 2; ++i)
      y[2 * i] = low(x[i], x[i + N / 2]), y[2 * i + 1] = high(x[i], x[i + N / 2]);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < N; ++i) x[i] = y[i];
  }
#pragma GCC unroll 16
  for (std::size_t i = 0; i < N; ++i) store(out_row<T>(a, c + i) + r, x[i]);
}

inline void transpose_16x16(const TransposeArgs& a, std::size_t r, std::size_t c) noexcept {
  transpose_square<16, std::uint8_t, uint8x16_t>(
      a, r, c, [](const std::uint8_t* p) { return vld1q_u8(p); },
      [](std::uint8_t* p, uint8x16_t x) { vst1q_u8(p, x); },
      [](uint8x16_t x, uint8x16_t y) { return vzip1q_u8(x, y); },
      [](uint8x16_t x, uint8x16_t y) { return vzip2q_u8(x, y); });
}

inline void transpose_4x4(const TransposeArgs& a, std::size_t r, std::size_t c) noexcept {
  transpose_square<4, std::uint32_t, uint32x4_t>(
      a, r, c, [](const std::uint32_t* p) { return vld1q_u32(p); },
      [](std::uint32_t* p, uint32x4_t x) { vst1q_u32(p, x); },
      [](uint32x4_t x, uint32x4_t y) { return vzip1q_u32(x, y); },
      [](uint32x4_t x, uint32x4_t y) { return vzip2q_u32(x, y); });
}

// Three planes of bytes or words to dense triples and back: loads and stores that (de)interleave.
inline void interleave_bytes(const TransposeArgs& a) noexcept {
  const std::uint8_t* plane[3] = {in_row<std::uint8_t>(a, 0), in_row<std::uint8_t>(a, 1),
                                  in_row<std::uint8_t>(a, 2)};
  std::size_t c = 0;
  for (; c + 16 <= a.cols; c += 16)
    vst3q_u8(static_cast<std::uint8_t*>(a.out) + 3 * c,
             {{vld1q_u8(plane[0] + c), vld1q_u8(plane[1] + c), vld1q_u8(plane[2] + c)}});
  transpose_edge<std::uint8_t>(a, 0, 3, c, a.cols);
}

inline void split_bytes(const TransposeArgs& a) noexcept {
  std::size_t r = 0;
  for (; r + 16 <= a.rows; r += 16) {
    const uint8x16x3_t planes = vld3q_u8(static_cast<const std::uint8_t*>(a.in) + 3 * r);
    for (std::size_t p = 0; p < 3; ++p) vst1q_u8(out_row<std::uint8_t>(a, p) + r, planes.val[p]);
  }
  transpose_edge<std::uint8_t>(a, r, a.rows, 0, 3);
}

inline void interleave_words(const TransposeArgs& a) noexcept {
  const std::uint32_t* plane[3] = {in_row<std::uint32_t>(a, 0), in_row<std::uint32_t>(a, 1),
                                   in_row<std::uint32_t>(a, 2)};
  std::size_t c = 0;
  for (; c + 4 <= a.cols; c += 4)
    vst3q_u32(static_cast<std::uint32_t*>(a.out) + 3 * c,
              {{vld1q_u32(plane[0] + c), vld1q_u32(plane[1] + c), vld1q_u32(plane[2] + c)}});
  transpose_edge<std::uint32_t>(a, 0, 3, c, a.cols);
}

// Tiles of N x N and an edge at the bottom and at the right.
template <class T, std::size_t N, class Tile>
inline void transpose_tiled(const TransposeArgs& a, Tile tile) noexcept {
  const std::size_t rows = a.rows / N * N, cols = a.cols / N * N;
  for (std::size_t r = 0; r < rows; r += N)
    for (std::size_t c = 0; c < cols; c += N) tile(a, r, c);
  transpose_edge<T>(a, rows, a.rows, 0, cols);
  transpose_edge<T>(a, 0, a.rows, cols, a.cols);
}

}  // namespace

void transpose_x8_neon(const TransposeArgs& a) noexcept {
  if (a.rows == 3 && a.out_stride == 3) return interleave_bytes(a);
  if (a.cols == 3 && a.in_stride == 3) return split_bytes(a);
  transpose_tiled<std::uint8_t, 16>(a, transpose_16x16);
}

void transpose_x32_neon(const TransposeArgs& a) noexcept {
  if (a.rows == 3 && a.out_stride == 12) return interleave_words(a);
  transpose_tiled<std::uint32_t, 4>(a, transpose_4x4);
}

}  // namespace eke::kernels
#endif
