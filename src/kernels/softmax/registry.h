// The softmax kernels of this build.
#pragma once

#include <span>
#include <string_view>

#include "kernels/registry.h"
#include "kernels/softmax/softmax.h"

namespace eke::kernels {

struct SoftmaxKernel {
  std::string_view name;
  Isa isa;
  SoftmaxFn run;
};

// Best first; the last is scalar.
std::span<const SoftmaxKernel> softmax_f32_kernels() noexcept;
inline SoftmaxFn select_softmax_f32(Isa isa) noexcept { return select(softmax_f32_kernels(), isa).run; }

}  // namespace eke::kernels
