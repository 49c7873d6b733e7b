#include "kernels/softmax/registry.h"

namespace eke::kernels {

#define EKE_SOFTMAX(name, isa) void name(const SoftmaxArgs&) noexcept;
#include "kernels/softmax/kernels.inc"
#undef EKE_SOFTMAX

namespace {

constexpr SoftmaxKernel kF32[] = {
#define EKE_SOFTMAX(name, isa) {#name, Isa::isa, name},
#include "kernels/softmax/kernels.inc"
#undef EKE_SOFTMAX
};

}  // namespace

std::span<const SoftmaxKernel> softmax_f32_kernels() noexcept { return kF32; }

}  // namespace eke::kernels
