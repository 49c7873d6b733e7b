#include "kernels/transpose/registry.h"

namespace eke::kernels {

#define EKE_TRANSPOSE_X8(name, isa) void name(const TransposeArgs&) noexcept;
#define EKE_TRANSPOSE_X32(name, isa) void name(const TransposeArgs&) noexcept;
#include "kernels/transpose/kernels.inc"
#undef EKE_TRANSPOSE_X8
#undef EKE_TRANSPOSE_X32

namespace {

constexpr TransposeKernel kX8[] = {
#define EKE_TRANSPOSE_X8(name, isa) {#name, Isa::isa, name},
#define EKE_TRANSPOSE_X32(...)
#include "kernels/transpose/kernels.inc"
#undef EKE_TRANSPOSE_X8
#undef EKE_TRANSPOSE_X32
};

constexpr TransposeKernel kX32[] = {
#define EKE_TRANSPOSE_X8(...)
#define EKE_TRANSPOSE_X32(name, isa) {#name, Isa::isa, name},
#include "kernels/transpose/kernels.inc"
#undef EKE_TRANSPOSE_X8
#undef EKE_TRANSPOSE_X32
};

}  // namespace

std::span<const TransposeKernel> transpose_x8_kernels() noexcept { return kX8; }
std::span<const TransposeKernel> transpose_x32_kernels() noexcept { return kX32; }

}  // namespace eke::kernels
