// The oracle: docs/integer-semantics.md as code.
#include "kernels/simd/scalar.h"

#include "kernels/gemm/gemm.h"

namespace eke::kernels {

void gemm_u8s8_1x16c4_scalar(const GemmU8S8Args& a) noexcept {
  const std::ptrdiff_t depth = (a.k + 3) / 4 * 4;
  for (int i = 0; i < a.m; ++i) {
    auto* out_row = static_cast<char*>(a.out) + i * a.out_stride;
    for (int j = 0; j < a.n; ++j) {
      const std::int8_t* w = a.weights + std::ptrdiff_t{j / 16} * 16 * a.taps * depth + j % 16 * 4;
      std::uint32_t acc = static_cast<std::uint32_t>(a.epilogue.bias[j]);
      for (int t = 0; t < a.taps; ++t) {
        const std::uint8_t* row = a.rows[i * a.row_stride + t] + a.offset;
        for (int c = 0; c < a.k; ++c)
          acc += static_cast<std::uint32_t>(row[c] * w[(t * depth + c / 4 * 4) * 16 + c % 4]);
      }
      finish(a.epilogue, wrap(acc), j, i, out_row);
    }
  }
}

void gemm_f32_1x16_scalar(const GemmF32Args& a) noexcept {
  for (int i = 0; i < a.m; ++i) {
    for (int j = 0; j < a.n; ++j) {
      const float* w = a.weights + std::ptrdiff_t{j / 16} * 16 * a.taps * a.k + j % 16;
      float y = a.bias[j];
      for (int t = 0; t < a.taps; ++t) {
        const float* row = a.rows[i * a.row_stride + t] + a.offset;
        for (int c = 0; c < a.k; ++c, w += 16) y = __builtin_fmaf(row[c], *w, y);
      }
      finish(a, y, j, i);
    }
  }
}

namespace {

float widened(std::uint16_t x) noexcept {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(x) << 16);
}
float flushed(float x) noexcept { return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0.0f, x) : x; }

}  // namespace

void gemm_bf16_1x16c2_scalar(const GemmBf16Args& a) noexcept {
  for (int i = 0; i < a.m; ++i) {
    for (int j = 0; j < a.n; ++j) {
      const std::uint16_t* w = a.weights + std::ptrdiff_t{j / 16} * 16 * a.taps * a.k + j % 16 * 2;
      float y = flushed(a.bias[j]);
      for (int t = 0; t < a.taps; ++t) {
        const std::uint16_t* row = a.rows[i * a.row_stride + t] + a.offset;
        for (int c = 0; c < a.k; c += 2, w += 32) {
          y = flushed(__builtin_fmaf(widened(row[c + 1]), widened(w[1]), y));
          y = flushed(__builtin_fmaf(widened(row[c]), widened(w[0]), y));
        }
      }
      finish(a, y, j, i);
    }
  }
}

void round_bf16_scalar(const float* x, std::ptrdiff_t count, std::uint16_t* out) noexcept {
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    auto bits = __builtin_bit_cast(std::uint32_t, flushed(x[i]));
    if (x[i] != x[i])
      bits |= 0x400000u;
    else
      bits += 0x7fffu + (bits >> 16 & 1u);
    out[i] = static_cast<std::uint16_t>(bits >> 16);
  }
}

void pair_rows_bf16_scalar(const PairRowsArgs& a) noexcept {
  const std::ptrdiff_t pairs = (a.count + 1) / 2;
  for (std::ptrdiff_t i = 0; i < 2 * pairs; ++i)
    for (std::ptrdiff_t j = 0; j < a.n; ++j) {
      std::uint16_t* out = a.out + ((j / 16 * pairs + i / 2) * 16 + j % 16) * 2 + i % 2;
      *out = 0;
      if (i < a.count) round_bf16_scalar(a.rows[i * a.row_stride] + a.offset + j, 1, out);
    }
}

}  // namespace eke::kernels
