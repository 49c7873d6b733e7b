// The weight-gradient kernels of this build.
#pragma once

#include <span>
#include <string_view>

#include "kernels/convgrad/convgrad.h"
#include "kernels/registry.h"

namespace eke::kernels {

struct OuterF32Kernel {
  std::string_view name;
  Isa isa;
  OuterF32Fn run;
};
struct DepthwiseGradF32Kernel {
  std::string_view name;
  Isa isa;
  DepthwiseGradF32Fn run;
};

// Best first; the last is scalar.
std::span<const OuterF32Kernel> outer_f32_kernels() noexcept;
std::span<const DepthwiseGradF32Kernel> depthwise_grad_f32_kernels() noexcept;
inline const OuterF32Kernel& select_outer_f32(Isa isa) noexcept { return select(outer_f32_kernels(), isa); }
inline const DepthwiseGradF32Kernel& select_depthwise_grad_f32(Isa isa) noexcept {
  return select(depthwise_grad_f32_kernels(), isa);
}

}  // namespace eke::kernels
