// Transposition of a matrix of 1-byte or 4-byte elements: NCHW to NHWC and back, one image at a time.
//   out[c][r] = in[r][c]
// No byte past the end of the input is read.
#pragma once

#include <cstddef>
#include <cstdint>

namespace eke::kernels {

// Strides are in bytes, from one row of the matrix to the next. The buffers do not overlap.
struct TransposeArgs {
  const void* in = nullptr;  // [rows][cols]
  void* out = nullptr;       // [cols][rows]
  std::size_t rows = 0, cols = 0;
  std::ptrdiff_t in_stride = 0, out_stride = 0;
};
using TransposeFn = void (*)(const TransposeArgs&) noexcept;

}  // namespace eke::kernels
