// Depthwise float convolution over sixteen lanes. Included after the tier's file and generic.h of simd/.
#pragma once

#include "kernels/dwconv/dwconv.h"

namespace eke::kernels {
namespace {

// V * 16 channels from c on of one pixel.
template <int V>
inline void dwconv_block(const DwconvF32Args& a, std::ptrdiff_t pixel, int c) noexcept {
  const std::ptrdiff_t padded = (a.channels + 15) / 16 * 16;
  const float* const* rows = a.rows + pixel * a.row_stride;
  const float* w = a.weights + c;
  F16 acc[V];
  for (int v = 0; v < V; ++v) acc[v] = load(a.bias + c + v * 16);
  for (int t = 0; t < a.taps; ++t, w += padded)
    for (int v = 0; v < V; ++v) acc[v] = fma(load(rows[t] + c + v * 16), load(w + v * 16), acc[v]);
  for (int v = 0; v < V; ++v) finish(a, acc[v], c + v * 16, at_most_16(a.channels - c - v * 16), pixel);
}

inline void dwconv(const DwconvF32Args& a) noexcept {
  for (int pixel = 0; pixel < a.pixels; ++pixel) {
    int c = 0;
    for (; c + 64 <= a.channels; c += 64) dwconv_block<4>(a, pixel, c);
    for (; c < a.channels; c += 16) dwconv_block<1>(a, pixel, c);
  }
}

}  // namespace
}  // namespace eke::kernels
