// The transforms of Winograd's minimal filtering F(4x4, 3x3) in float, one tile of 4 x 4 outputs at a time, channels
// innermost (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016). Between them stand 36 products of
// matrices, one a place of the transformed tile.
//
// The results differ from a direct sum in float32: by up to 4e-6 of the sum of |x w| over a window, measured on random
// values (winograd_test.cpp). Every kernel gives the same bits.
#pragma once

#include <cstddef>

namespace eke::kernels {

inline constexpr int kWinogradPlaces = 36;  // of a transformed tile, 6 x 6

// out[p * plane + c] = (B^T d B)[p] of the 6 x 6 pixels at `rows`, which are readable for kSlackBytes past their channels; up
// to 16 channels are written at a time.
struct WinogradInputArgs {
  const float* const* rows = nullptr;  // [36]
  int channels = 0;
  float* out = nullptr;
  std::ptrdiff_t plane = 0;  // floats from one place to the next
};
using WinogradInputFn = void (*)(const WinogradInputArgs&) noexcept;

// y = (A^T m A) + bias; y = y * slope where y < 0; y = y + residual; y = min(max(y, lo), hi), for the first rows x cols
// outputs of a tile. Inputs are readable in vectors of 16.
struct WinogradOutputArgs {
  const float* in = nullptr;  // [36][plane]
  std::ptrdiff_t plane = 0;   // floats
  int channels = 0, rows = 0, cols = 0;
  const float* bias = nullptr;
  const float* slope = nullptr;     // null: none
  const float* residual = nullptr;  // null: none
  float* out = nullptr;
  std::ptrdiff_t out_row = 0, out_pixel = 0;            // floats from one row, one pixel, to the next
  std::ptrdiff_t residual_row = 0, residual_pixel = 0;  // floats
  float lo = -__builtin_inff(), hi = __builtin_inff();
};
using WinogradOutputFn = void (*)(const WinogradOutputArgs&) noexcept;

// The 36 values of a filter g [3][3]: G g G^T, place by place.
void winograd_weights(const float* g, float (&u)[kWinogradPlaces]) noexcept;

}  // namespace eke::kernels
