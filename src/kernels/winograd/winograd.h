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

// out[p * plane + c / 16 * block + c % 16] = (B^T d B)[p] of the 6 x 6 pixels at `rows`, which are readable for kSlackBytes past their channels; up
// to 16 channels are written at a time.
struct WinogradInputArgs {
  const float* const* rows = nullptr;  // [36]
  int channels = 0;
  float* out = nullptr;
  std::ptrdiff_t plane = 0;   // floats from one place to the next
  std::ptrdiff_t block = 16;  // floats from sixteen channels to the next
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

// out[p * plane + c] = (G g G^T)[p] of the 3 x 3 taps of one filter, channels innermost, up to 16 of them written at a time;
// `turned`: of the taps in reverse order, which is the filter of the gradient of the input. In float32: winograd_weights
// rounds once instead.
struct WinogradFilterArgs {
  const float* taps = nullptr;  // readable for kSlackBytes past the channels
  std::ptrdiff_t tap = 0;       // floats from one tap to the next
  int channels = 0;
  bool turned = false;
  float* out = nullptr;
  std::ptrdiff_t plane = 0;  // floats
};
using WinogradFilterFn = void (*)(const WinogradFilterArgs&) noexcept;

// The same by (A dy A^T)[p] of the 4 x 4 gradients at `rows` [16], as WinogradInputArgs; the gradient of a filter is
// G^T (sum over tiles of that times B^T d B, place by place) G, the adjoint of the forward pass.
using WinogradGradientFn = WinogradInputFn;

// taps[t * tap + c] = (G^T u G)[t] of the 36 places of u.
struct WinogradTapsArgs {
  const float* in = nullptr;  // [36][plane], readable in vectors of 16
  std::ptrdiff_t plane = 0;   // floats
  int channels = 0;
  float* taps = nullptr;
  std::ptrdiff_t tap = 0;  // floats
};
using WinogradTapsFn = void (*)(const WinogradTapsArgs&) noexcept;

// The 36 values of a filter g [3][3]: G g G^T, place by place.
void winograd_weights(const float* g, float (&u)[kWinogradPlaces]) noexcept;

}  // namespace eke::kernels
