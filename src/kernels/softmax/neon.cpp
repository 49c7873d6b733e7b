#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/math.h"

#include "kernels/softmax/generic.h"

namespace eke::kernels {

void softmax_f32_neon(const SoftmaxArgs& a) noexcept { softmax(a); }

}  // namespace eke::kernels
#endif
