#ifdef __x86_64__
#include "kernels/simd/avx2.h"

#include "kernels/simd/generic.h"

#include "kernels/convgrad/generic.h"

namespace eke::kernels {

void outer_f32_6x16_avx2(const OuterF32Args& a) noexcept {
  for (int j = 0; j < a.n; j += 16) outer_column<6, 1>(a, j);
}

void depthwise_grad_f32_avx2(const DepthwiseGradF32Args& a) noexcept {
  for (int c = 0; c < a.channels; c += 16) depthwise_channels<1>(a, c);
}

}  // namespace eke::kernels
#endif
