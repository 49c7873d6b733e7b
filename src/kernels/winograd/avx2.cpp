#ifdef __x86_64__
#include "kernels/simd/avx2.h"

#include "kernels/simd/generic.h"

#include "kernels/winograd/generic.h"

namespace eke::kernels {

void winograd_input_avx2(const WinogradInputArgs& a) noexcept { winograd_input(a); }
void winograd_output_avx2(const WinogradOutputArgs& a) noexcept { winograd_output(a); }
void winograd_filter_avx2(const WinogradFilterArgs& a) noexcept { winograd_filter(a); }
void winograd_gradient_avx2(const WinogradInputArgs& a) noexcept { winograd_gradient(a); }
void winograd_taps_avx2(const WinogradTapsArgs& a) noexcept { winograd_taps(a); }

}  // namespace eke::kernels
#endif
