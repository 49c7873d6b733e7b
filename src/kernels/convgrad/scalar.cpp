// The oracle.
#include "kernels/convgrad/convgrad.h"

namespace eke::kernels {

void outer_f32_scalar(const OuterF32Args& a) noexcept {
  for (int i = 0; i < a.m; ++i)
    for (int j = 0; j < a.n; ++j) {
      float& out = a.out[i * a.out_stride + j];
      float sum = a.add ? out : 0.0f;
      for (int p = 0; p < a.pixels; ++p)
        sum = __builtin_fmaf(a.a[p * a.a_stride][a.a_offset + i], a.b[p * a.b_stride][a.b_offset + j], sum);
      out = sum;
    }
}

void depthwise_grad_f32_scalar(const DepthwiseGradF32Args& a) noexcept {
  for (int t = 0; t < a.taps; ++t)
    for (int c = 0; c < a.channels; ++c) {
      float& out = a.out[t * a.out_stride + c];
      float sum = a.add ? out : 0.0f;
      for (int p = 0; p < a.pixels; ++p)
        sum = __builtin_fmaf(a.dy[p * a.dy_stride + c], a.rows[p * a.row_stride + t][c], sum);
      out = sum;
    }
}

}  // namespace eke::kernels
