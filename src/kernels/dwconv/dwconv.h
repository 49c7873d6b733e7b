// Depthwise convolution over row pointers: one weight per channel and tap, no sum over channels.
//
//   out[i][c] = epilogue(bias[c] + sum over t of rows[i * row_stride + t][c] * weight[c][t])
//
// The packed layout belongs to the kernel: pack() of registry.h. Taps are counted column by column: the window of
// a pixel is taps / column columns of `column` rows each, and the next pixel's window starts row_stride / column
// columns further on, so that neighbours share pointers (row_stride < taps) and kernels what they have made of a
// column. A padding pixel is a pointer to a row of
// zero points (u8) or zeros (f32). Rows are readable for kSlackBytes past their last channel.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"

namespace eke::kernels {

struct DwconvU8S8Args {
  const std::uint8_t* const* rows = nullptr;  // [pixels][row_stride], the first `taps` of each are used
  std::ptrdiff_t row_stride = 0;              // pointers from one pixel to the next; may be less than taps
  int pixels = 0, channels = 0, taps = 0;     // each at least 1
  int column = 1;                             // divides taps and row_stride
  const std::int8_t* weights = nullptr;       // packed
  Epilogue epilogue;
  void* out = nullptr;            // [pixels][channels] of the epilogue's output kind
  std::ptrdiff_t out_stride = 0;  // bytes from one pixel to the next
};
using DwconvU8S8Fn = void (*)(const DwconvU8S8Args&) noexcept;

// As GemmF32Args: the sum starts with the bias and takes the taps in order, one fused multiply-add each.
struct DwconvF32Args {
  const float* const* rows = nullptr;
  std::ptrdiff_t row_stride = 0;
  int pixels = 0, channels = 0, taps = 0, column = 1;
  const float* weights = nullptr;      // packed
  const float* bias = nullptr;         // required
  const float* slope = nullptr;        // null: none
  const float* residual = nullptr;     // null: none
  std::ptrdiff_t residual_stride = 0;  // bytes from one pixel to the next
  float lo = -__builtin_inff(), hi = __builtin_inff();
  float* out = nullptr;           // [pixels][channels]
  std::ptrdiff_t out_stride = 0;  // bytes from one pixel to the next
};
using DwconvF32Fn = void (*)(const DwconvF32Args&) noexcept;

}  // namespace eke::kernels
