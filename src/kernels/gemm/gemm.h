// Matrix product over row pointers: convolution without im2col, Gemm and MatMul. One call computes m pixels
// by n output channels; a pixel reads `taps` rows of k values each (1 tap: a 1x1 convolution or a Gemm; 9: a
// 3x3 convolution).
//
//   out[i][j] = epilogue(bias[j] + sum over t, c of rows[i * row_stride + t][offset + c] * weight[j][t][c])
//
// Packed weights: panels of nr output channels, [n/nr][taps][k/kr][nr][kr], padded with zeros in n and k, so
// that a range of output channels that starts at a multiple of nr is a range of panels (some kernels want a few numbers
// more before each: GemmLayout of registry.h). Kernels read up to
// kSlackBytes past the k values of a row; what is there meets zero weights (f32 and bf16 kernels do not use it at
// all). A padding pixel is a pointer to a row of zero points (u8) or zeros (f32). Rows whose channels lie
// next to each other in memory (the kernel width of a first layer with few channels) may be given as one
// longer row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"

namespace eke::kernels {

struct GemmU8S8Args {
  const std::uint8_t* const* rows = nullptr;  // [m][row_stride], the first `taps` of each are used
  std::ptrdiff_t row_stride = 0;              // pointers from one pixel to the next
  std::ptrdiff_t offset = 0;                  // values to skip in every row: the group's first channel
  int m = 0, n = 0, taps = 0, k = 0;          // each at least 1
  const std::int8_t* weights = nullptr;       // packed
  Epilogue epilogue;
  void* out = nullptr;            // [m][n] of the epilogue's output kind
  std::ptrdiff_t out_stride = 0;  // bytes from one pixel to the next
};
using GemmU8S8Fn = void (*)(const GemmU8S8Args&) noexcept;

// y = bias + sum; y = y * slope where y < 0; y = y + residual; y = min(max(y, lo), hi).
template <class T>
struct GemmRealArgs {
  const T* const* rows = nullptr;
  std::ptrdiff_t row_stride = 0;
  std::ptrdiff_t offset = 0;
  int m = 0, n = 0, taps = 0, k = 0;
  const T* weights = nullptr;          // packed
  const float* bias = nullptr;         // required
  const float* slope = nullptr;        // null: none
  const float* residual = nullptr;     // null: none
  std::ptrdiff_t residual_stride = 0;  // bytes from one pixel to the next
  float lo = -__builtin_inff(), hi = __builtin_inff();
  float* out = nullptr;           // [m][n]
  std::ptrdiff_t out_stride = 0;  // bytes from one pixel to the next
};

// Packed with kr = 1. The sum starts with the bias and takes taps and channels in order, one fused multiply-add each, so
// every kernel gives the same bits.
using GemmF32Args = GemmRealArgs<float>;
using GemmF32Fn = void (*)(const GemmF32Args&) noexcept;

// Rows and weights in bfloat16, packed with kr = 2; k is even. The sum takes pairs of channels, of each pair the second
// one first, one fused multiply-add in float32 each; subnormal numbers count and come out as zero. That is what
// VDPBF16PS does (Intel 64 and IA-32 Architectures Software Developer's Manual), so every kernel gives the same bits.
using GemmBf16Args = GemmRealArgs<std::uint16_t>;
using GemmBf16Fn = void (*)(const GemmBf16Args&) noexcept;

// To bfloat16: to the nearest, ties to even; subnormal numbers to zero, NaN to a quiet NaN.
using RoundBf16Fn = void (*)(const float* x, std::ptrdiff_t count, std::uint16_t* out) noexcept;

// Rows of float32 as packed weights of a product whose sum goes over the rows: value i of pair p of column j, at
// out[((j / 16 * pairs + p) * 16 + j % 16) * 2 + i], is rows[2p + i][offset + j] in bfloat16, zero where there is no such
// row. Columns from n to a multiple of 16 are undefined. Rows are readable for kSlackBytes past their n values.
struct PairRowsArgs {
  const float* const* rows = nullptr;
  std::ptrdiff_t row_stride = 1;  // pointers from one row to the next
  std::ptrdiff_t offset = 0;
  int count = 0, n = 0;          // rows and columns, each at least 1
  std::uint16_t* out = nullptr;  // (count + 1) / 2 pairs
};
using PairRowsFn = void (*)(const PairRowsArgs&) noexcept;

}  // namespace eke::kernels
