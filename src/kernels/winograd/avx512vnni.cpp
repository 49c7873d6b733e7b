#ifdef __x86_64__
#include "kernels/simd/avx512.h"

#include "kernels/simd/generic.h"

#include "kernels/winograd/generic.h"

namespace eke::kernels {

void winograd_input_avx512vnni(const WinogradInputArgs& a) noexcept { winograd_input(a); }
void winograd_output_avx512vnni(const WinogradOutputArgs& a) noexcept { winograd_output(a); }

}  // namespace eke::kernels
#endif
