// The transposition kernels of this build.
#pragma once

#include <span>
#include <string_view>

#include "kernels/registry.h"
#include "kernels/transpose/transpose.h"

namespace eke::kernels {

struct TransposeKernel {
  std::string_view name;
  Isa isa;
  TransposeFn run;
};

// Elements of 1 and of 4 bytes. Best first; the last is scalar.
std::span<const TransposeKernel> transpose_x8_kernels() noexcept;
std::span<const TransposeKernel> transpose_x32_kernels() noexcept;
inline TransposeFn select_transpose_x8(Isa isa) noexcept { return select(transpose_x8_kernels(), isa).run; }
inline TransposeFn select_transpose_x32(Isa isa) noexcept { return select(transpose_x32_kernels(), isa).run; }

}  // namespace eke::kernels
