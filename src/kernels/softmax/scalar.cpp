#include "kernels/simd/scalar.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/math.h"

#include "kernels/softmax/generic.h"

namespace eke::kernels {

void softmax_f32_scalar(const SoftmaxArgs& a) noexcept { softmax(a); }

}  // namespace eke::kernels
