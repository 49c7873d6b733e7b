#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/winograd/generic.h"

namespace eke::kernels {

void winograd_input_neon(const WinogradInputArgs& a) noexcept { winograd_input(a); }
void winograd_output_neon(const WinogradOutputArgs& a) noexcept { winograd_output(a); }
void winograd_filter_neon(const WinogradFilterArgs& a) noexcept { winograd_filter(a); }
void winograd_gradient_neon(const WinogradInputArgs& a) noexcept { winograd_gradient(a); }
void winograd_taps_neon(const WinogradTapsArgs& a) noexcept { winograd_taps(a); }

}  // namespace eke::kernels
#endif
