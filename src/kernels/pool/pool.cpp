#include <array>

#include "kernels/pool/registry.h"

namespace eke::kernels {

using MaxPoolU8Args = MaxPoolArgs<std::uint8_t>;
using MaxPoolF32Args = MaxPoolArgs<float>;

#define EKE_POOL(list, type, name, isa) void name(const type##Args&) noexcept;
#include "kernels/pool/kernels.inc"
#undef EKE_POOL

namespace {

enum class List {
  max_pool_u8,
  max_pool_f32,
  average_pool_u8,
  average_pool_f32,
  global_average_u8,
  global_average_f32
};

template <List kList>
constexpr std::size_t count_rows() {
  std::size_t count = 0;
#define EKE_POOL(list, type, name, isa) count += List::list == kList;
#include "kernels/pool/kernels.inc"
#undef EKE_POOL
  return count;
}

// The rows of one list, in the order of kernels.inc.
template <class Fn, List kList>
constexpr auto rows() {
  std::array<PoolKernel<Fn>, count_rows<kList>()> result{};
  std::size_t next = 0;
#define EKE_POOL(list, type, name, isa) \
  if constexpr (List::list == kList) result[next++] = {#name, Isa::isa, name};
#include "kernels/pool/kernels.inc"
#undef EKE_POOL
  return result;
}

constexpr auto kMaxPoolU8 = rows<MaxPoolU8Fn, List::max_pool_u8>();
constexpr auto kMaxPoolF32 = rows<MaxPoolF32Fn, List::max_pool_f32>();
constexpr auto kAveragePoolU8 = rows<AveragePoolU8Fn, List::average_pool_u8>();
constexpr auto kAveragePoolF32 = rows<AveragePoolF32Fn, List::average_pool_f32>();
constexpr auto kGlobalAverageU8 = rows<GlobalAverageU8Fn, List::global_average_u8>();
constexpr auto kGlobalAverageF32 = rows<GlobalAverageF32Fn, List::global_average_f32>();

}  // namespace

std::span<const PoolKernel<MaxPoolU8Fn>> max_pool_u8_kernels() noexcept { return kMaxPoolU8; }
std::span<const PoolKernel<MaxPoolF32Fn>> max_pool_f32_kernels() noexcept { return kMaxPoolF32; }
std::span<const PoolKernel<AveragePoolU8Fn>> average_pool_u8_kernels() noexcept { return kAveragePoolU8; }
std::span<const PoolKernel<AveragePoolF32Fn>> average_pool_f32_kernels() noexcept { return kAveragePoolF32; }
std::span<const PoolKernel<GlobalAverageU8Fn>> global_average_u8_kernels() noexcept {
  return kGlobalAverageU8;
}
std::span<const PoolKernel<GlobalAverageF32Fn>> global_average_f32_kernels() noexcept {
  return kGlobalAverageF32;
}

}  // namespace eke::kernels
