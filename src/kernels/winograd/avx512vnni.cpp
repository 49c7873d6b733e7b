#ifdef __x86_64__
#include "kernels/simd/avx512.h"

#include "kernels/simd/generic.h"

#include "kernels/winograd/generic.h"

namespace eke::kernels {

void winograd_input_avx512vnni(const WinogradInputArgs& a) noexcept { winograd_input(a); }
void winograd_output_avx512vnni(const WinogradOutputArgs& a) noexcept { winograd_output(a); }
void winograd_filter_avx512vnni(const WinogradFilterArgs& a) noexcept { winograd_filter(a); }
void winograd_gradient_avx512vnni(const WinogradInputArgs& a) noexcept { winograd_gradient(a); }
void winograd_taps_avx512vnni(const WinogradTapsArgs& a) noexcept { winograd_taps(a); }

}  // namespace eke::kernels
#endif
