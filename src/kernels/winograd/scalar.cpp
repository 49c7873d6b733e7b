#include "kernels/simd/scalar.h"

#include "kernels/simd/generic.h"

#include "kernels/winograd/generic.h"

namespace eke::kernels {

void winograd_input_scalar(const WinogradInputArgs& a) noexcept { winograd_input(a); }
void winograd_output_scalar(const WinogradOutputArgs& a) noexcept { winograd_output(a); }

}  // namespace eke::kernels
