// The pooling kernels of this build.
#pragma once

#include <span>
#include <string_view>

#include "kernels/pool/pool.h"
#include "kernels/registry.h"

namespace eke::kernels {

template <class Fn>
struct PoolKernel {
  std::string_view name;
  Isa isa;
  Fn run;
};

// Best first; the last is scalar.
std::span<const PoolKernel<MaxPoolU8Fn>> max_pool_u8_kernels() noexcept;
std::span<const PoolKernel<MaxPoolF32Fn>> max_pool_f32_kernels() noexcept;
std::span<const PoolKernel<AveragePoolU8Fn>> average_pool_u8_kernels() noexcept;
std::span<const PoolKernel<AveragePoolF32Fn>> average_pool_f32_kernels() noexcept;
std::span<const PoolKernel<GlobalAverageU8Fn>> global_average_u8_kernels() noexcept;
std::span<const PoolKernel<GlobalAverageF32Fn>> global_average_f32_kernels() noexcept;

inline MaxPoolU8Fn select_max_pool_u8(Isa isa) noexcept { return select(max_pool_u8_kernels(), isa).run; }
inline MaxPoolF32Fn select_max_pool_f32(Isa isa) noexcept { return select(max_pool_f32_kernels(), isa).run; }
inline AveragePoolU8Fn select_average_pool_u8(Isa isa) noexcept {
  return select(average_pool_u8_kernels(), isa).run;
}
inline AveragePoolF32Fn select_average_pool_f32(Isa isa) noexcept {
  return select(average_pool_f32_kernels(), isa).run;
}
inline GlobalAverageU8Fn select_global_average_u8(Isa isa) noexcept {
  return select(global_average_u8_kernels(), isa).run;
}
inline GlobalAverageF32Fn select_global_average_f32(Isa isa) noexcept {
  return select(global_average_f32_kernels(), isa).run;
}

}  // namespace eke::kernels
