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

}  // namespace eke::kernels
