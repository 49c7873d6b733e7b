#ifdef __x86_64__
#include <immintrin.h>

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

// 16 x 16 bytes: four rounds of interleaving rows i and i + 8.
inline void transpose_16x16(const TransposeArgs& a, std::size_t r, std::size_t c) noexcept {
  __m128i x[16], y[16];
  for (std::size_t i = 0; i < 16; ++i)
    x[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in_row<std::uint8_t>(a, r + i) + c));
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 8; ++i) {
      y[2 * i] = _mm_unpacklo_epi8(x[i], x[i + 8]);
      y[2 * i + 1] = _mm_unpackhi_epi8(x[i], x[i + 8]);
    }
    for (int i = 0; i < 16; ++i) x[i] = y[i];
  }
  for (std::size_t i = 0; i < 16; ++i)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out_row<std::uint8_t>(a, c + i) + r), x[i]);
}

// 8 x 8 words of 32 bits: within 4 x 4 quarters, then the quarters.
inline void transpose_8x8(const TransposeArgs& a, std::size_t r, std::size_t c) noexcept {
  __m256 x[8], y[8];
  for (std::size_t i = 0; i < 8; ++i)
    x[i] = _mm256_loadu_ps(reinterpret_cast<const float*>(in_row<std::uint32_t>(a, r + i) + c));
  for (int i = 0; i < 4; ++i) {
    y[2 * i] = _mm256_unpacklo_ps(x[2 * i], x[2 * i + 1]);
    y[2 * i + 1] = _mm256_unpackhi_ps(x[2 * i], x[2 * i + 1]);
  }
  for (int h = 0; h < 8; h += 4)
    for (int i = 0; i < 2; ++i) {
      x[h + 2 * i] = _mm256_shuffle_ps(y[h + i], y[h + 2 + i], 0x44);
      x[h + 2 * i + 1] = _mm256_shuffle_ps(y[h + i], y[h + 2 + i], 0xee);
    }
  for (std::size_t i = 0; i < 4; ++i) {
    _mm256_storeu_ps(reinterpret_cast<float*>(out_row<std::uint32_t>(a, c + i) + r),
                     _mm256_permute2f128_ps(x[i], x[i + 4], 0x20));
    _mm256_storeu_ps(reinterpret_cast<float*>(out_row<std::uint32_t>(a, c + 4 + i) + r),
                     _mm256_permute2f128_ps(x[i], x[i + 4], 0x31));
  }
}

// Tiles of N x N and an edge at the bottom and at the right. A tall column of tiles stays in the cache lines
// of its rows.
template <class T, std::size_t N, class Tile>
inline void transpose_tiled(const TransposeArgs& a, Tile tile) noexcept {
  const std::size_t rows = a.rows / N * N, cols = a.cols / N * N;
  for (std::size_t r = 0; r < rows; r += N)
    for (std::size_t c = 0; c < cols; c += N) tile(a, r, c);
  transpose_edge<T>(a, rows, a.rows, 0, cols);
  transpose_edge<T>(a, 0, a.rows, cols, a.cols);
}

}  // namespace

void transpose_x8_avx2(const TransposeArgs& a) noexcept {
  transpose_tiled<std::uint8_t, 16>(a, transpose_16x16);
}
void transpose_x32_avx2(const TransposeArgs& a) noexcept {
  transpose_tiled<std::uint32_t, 8>(a, transpose_8x8);
}

}  // namespace eke::kernels
#endif
