#ifdef __x86_64__
#include "kernels/simd/avx2.h"

#include "kernels/simd/generic.h"

#include "kernels/winograd/generic.h"

namespace eke::kernels {

void winograd_input_avx2(const WinogradInputArgs& a) noexcept { winograd_input(a); }
void winograd_output_avx2(const WinogradOutputArgs& a) noexcept { winograd_output(a); }

}  // namespace eke::kernels
#endif
