#include "kernels/convgrad/registry.h"

namespace eke::kernels {

#define EKE_OUTER_F32(name, isa) void name(const OuterF32Args&) noexcept;
#define EKE_DEPTHWISE_GRAD_F32(name, isa) void name(const DepthwiseGradF32Args&) noexcept;
#include "kernels/convgrad/kernels.inc"
#undef EKE_OUTER_F32
#undef EKE_DEPTHWISE_GRAD_F32

namespace {

constexpr OuterF32Kernel kOuter[] = {
#define EKE_OUTER_F32(name, isa) {#name, Isa::isa, name},
#define EKE_DEPTHWISE_GRAD_F32(...)
#include "kernels/convgrad/kernels.inc"
#undef EKE_OUTER_F32
#undef EKE_DEPTHWISE_GRAD_F32
};

constexpr DepthwiseGradF32Kernel kDepthwise[] = {
#define EKE_OUTER_F32(...)
#define EKE_DEPTHWISE_GRAD_F32(name, isa) {#name, Isa::isa, name},
#include "kernels/convgrad/kernels.inc"
#undef EKE_OUTER_F32
#undef EKE_DEPTHWISE_GRAD_F32
};

}  // namespace

std::span<const OuterF32Kernel> outer_f32_kernels() noexcept { return kOuter; }
std::span<const DepthwiseGradF32Kernel> depthwise_grad_f32_kernels() noexcept { return kDepthwise; }

}  // namespace eke::kernels
