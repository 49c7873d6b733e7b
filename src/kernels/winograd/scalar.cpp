#include "kernels/simd/scalar.h"

#include "kernels/simd/generic.h"

#include "kernels/winograd/generic.h"

namespace eke::kernels {

void winograd_input_scalar(const WinogradInputArgs& a) noexcept { winograd_input(a); }
void winograd_output_scalar(const WinogradOutputArgs& a) noexcept { winograd_output(a); }
void winograd_filter_scalar(const WinogradFilterArgs& a) noexcept { winograd_filter(a); }
void winograd_gradient_scalar(const WinogradInputArgs& a) noexcept { winograd_gradient(a); }
void winograd_taps_scalar(const WinogradTapsArgs& a) noexcept { winograd_taps(a); }

}  // namespace eke::kernels
