#ifdef __x86_64__
#include "kernels/simd/avx512.h"

#include "kernels/simd/generic.h"

#include "kernels/convgrad/generic.h"

namespace eke::kernels {

void outer_f32_6x64_avx512vnni(const OuterF32Args& a) noexcept {
  int j = 0;
  for (; j + 48 < a.n; j += 64) outer_column<6, 4>(a, j);
  for (; j + 16 < a.n; j += 32) outer_column<12, 2>(a, j);
  if (j < a.n) outer_column<14, 1>(a, j);
}

void depthwise_grad_f32_avx512vnni(const DepthwiseGradF32Args& a) noexcept {
  int c = 0;
  for (; c + 16 < a.channels; c += 32) depthwise_channels<2>(a, c);
  if (c < a.channels) depthwise_channels<1>(a, c);
}

}  // namespace eke::kernels
#endif
