// The Winograd transforms of this build.
#pragma once

#include <span>
#include <string_view>

#include "kernels/registry.h"
#include "kernels/winograd/winograd.h"

namespace eke::kernels {

struct WinogradKernel {
  std::string_view name;
  Isa isa;
  WinogradInputFn input;
  WinogradOutputFn output;
  WinogradFilterFn filter;
  WinogradGradientFn gradient;
  WinogradTapsFn taps;
};

// Best first; the last is scalar.
std::span<const WinogradKernel> winograd_kernels() noexcept;
inline const WinogradKernel& select_winograd(Isa isa) noexcept { return select(winograd_kernels(), isa); }

}  // namespace eke::kernels
