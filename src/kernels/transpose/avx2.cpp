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

// Shuffles between three planes and triples. Triples: byte i of vector v is element (16 v + i) / 3 of plane
// (16 v + i) % 3.
struct ThreeBytes {
  alignas(
      16) std::int8_t gather[3][3][16];  // [vector][plane]: the plane's bytes of that vector, -1 elsewhere
  alignas(16) std::int8_t
      scatter[3][3][16];  // [plane][vector]: the plane's bytes that the vector holds, -1 elsewhere
};
constexpr ThreeBytes three_bytes() noexcept {
  ThreeBytes t{};
  for (int v = 0; v < 3; ++v)
    for (int p = 0; p < 3; ++p)
      for (int i = 0; i < 16; ++i) {
        t.gather[v][p][i] = static_cast<std::int8_t>((16 * v + i) % 3 == p ? (16 * v + i) / 3 : -1);
        const int place = 3 * i + p;  // of element i of plane p
        t.scatter[p][v][i] = static_cast<std::int8_t>(place / 16 == v ? place % 16 : -1);
      }
  return t;
}
constexpr ThreeBytes kThreeBytes = three_bytes();

inline __m128i load16(const void* p) noexcept { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }

// out[j] = the bytes that masks[j][i] take from in[i], i and j below 3.
inline void shuffle_three(const __m128i (&in)[3], const std::int8_t (&masks)[3][3][16],
                          __m128i (&out)[3]) noexcept {
  for (int j = 0; j < 3; ++j)
    out[j] = _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(in[0], load16(masks[j][0])),
                                       _mm_shuffle_epi8(in[1], load16(masks[j][1]))),
                          _mm_shuffle_epi8(in[2], load16(masks[j][2])));
}

// Three planes of bytes to dense triples.
inline void interleave_bytes(const TransposeArgs& a) noexcept {
  std::size_t c = 0;
  for (; c + 16 <= a.cols; c += 16) {
    const __m128i in[3] = {load16(in_row<std::uint8_t>(a, 0) + c), load16(in_row<std::uint8_t>(a, 1) + c),
                           load16(in_row<std::uint8_t>(a, 2) + c)};
    __m128i out[3];
    shuffle_three(in, kThreeBytes.gather, out);
    for (int v = 0; v < 3; ++v)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(static_cast<std::uint8_t*>(a.out) + 3 * c) + v, out[v]);
  }
  transpose_edge<std::uint8_t>(a, 0, 3, c, a.cols);
}

// Dense triples of bytes to three planes.
inline void split_bytes(const TransposeArgs& a) noexcept {
  std::size_t r = 0;
  for (; r + 16 <= a.rows; r += 16) {
    const auto* from = static_cast<const std::uint8_t*>(a.in) + 3 * r;
    const __m128i in[3] = {load16(from), load16(from + 16), load16(from + 32)};
    __m128i out[3];
    shuffle_three(in, kThreeBytes.scatter, out);
    for (std::size_t p = 0; p < 3; ++p)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out_row<std::uint8_t>(a, p) + r), out[p]);
  }
  transpose_edge<std::uint8_t>(a, r, a.rows, 0, 3);
}

// Three planes of words to dense triples, eight at a time: each plane is spread over the 24 places by three
// permutations.
inline void interleave_words(const TransposeArgs& a) noexcept {
  const __m256i spread[3] = {_mm256_setr_epi32(0, 0, 0, 1, 1, 1, 2, 2),
                             _mm256_setr_epi32(2, 3, 3, 3, 4, 4, 4, 5),
                             _mm256_setr_epi32(5, 5, 6, 6, 6, 7, 7, 7)};
  std::size_t c = 0;
  for (; c + 8 <= a.cols; c += 8) {
    __m256 plane[3];
    for (std::size_t p = 0; p < 3; ++p)
      plane[p] = _mm256_loadu_ps(reinterpret_cast<const float*>(in_row<std::uint32_t>(a, p) + c));
    float* out = static_cast<float*>(a.out) + 3 * c;
    const auto at = [&](int p, int v) { return _mm256_permutevar8x32_ps(plane[p], spread[v]); };
    _mm256_storeu_ps(out, _mm256_blend_ps(_mm256_blend_ps(at(0, 0), at(1, 0), 0x92), at(2, 0), 0x24));
    _mm256_storeu_ps(out + 8, _mm256_blend_ps(_mm256_blend_ps(at(0, 1), at(1, 1), 0x24), at(2, 1), 0x49));
    _mm256_storeu_ps(out + 16, _mm256_blend_ps(_mm256_blend_ps(at(0, 2), at(1, 2), 0x49), at(2, 2), 0x92));
  }
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

void transpose_x8_avx2(const TransposeArgs& a) noexcept {
  if (a.rows == 3 && a.out_stride == 3) return interleave_bytes(a);
  if (a.cols == 3 && a.in_stride == 3) return split_bytes(a);
  transpose_tiled<std::uint8_t, 16>(a, transpose_16x16);
}

void transpose_x32_avx2(const TransposeArgs& a) noexcept {
  if (a.rows == 3 && a.out_stride == 12) return interleave_words(a);
  transpose_tiled<std::uint32_t, 8>(a, transpose_8x8);
}

}  // namespace eke::kernels
#endif
