#ifdef __x86_64__
#include "kernels/simd/avx512.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/math.h"

#include "kernels/softmax/generic.h"

namespace eke::kernels {

void softmax_f32_avx512vnni(const SoftmaxArgs& a) noexcept { softmax(a); }

}  // namespace eke::kernels
#endif
