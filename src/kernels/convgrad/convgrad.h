// The gradient of a convolution's weights: sums over pixels. Pixels come as row pointers, so that neither side is copied;
// a padding pixel is a pointer to a row of zeros. Sums take the pixels in order, one fused multiply-add each, so every
// kernel gives the same bits. Rows are readable for kSlackBytes past what is used of them.
#pragma once

#include <cstddef>

#include "kernels/epilogue.h"

namespace eke::kernels {

// out[i][j] = (add ? out[i][j] : 0) + sum over p of a[p][i] * b[p][j]
struct OuterF32Args {
  const float *const *a = nullptr, *const *b = nullptr;
  std::ptrdiff_t a_stride = 1, b_stride = 1;  // pointers from one pixel to the next
  std::ptrdiff_t a_offset = 0, b_offset = 0;  // values to skip in every row
  int pixels = 0, m = 0, n = 0;               // each at least 1
  float* out = nullptr;                       // [m][n]
  std::ptrdiff_t out_stride = 0;              // floats from one i to the next
  bool add = false;
};
using OuterF32Fn = void (*)(const OuterF32Args&) noexcept;

// out[t][c] = (add ? out[t][c] : 0) + sum over p of dy[p][c] * rows[p * row_stride + t][c]
struct DepthwiseGradF32Args {
  const float* const* rows = nullptr;
  std::ptrdiff_t row_stride = 0;
  const float* dy = nullptr;
  std::ptrdiff_t dy_stride = 0;            // floats from one pixel to the next
  int pixels = 0, channels = 0, taps = 0;  // each at least 1
  float* out = nullptr;
  std::ptrdiff_t out_stride = 0;  // floats from one tap to the next
  bool add = false;
};
using DepthwiseGradF32Fn = void (*)(const DepthwiseGradF32Args&) noexcept;

}  // namespace eke::kernels
