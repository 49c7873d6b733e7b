#include <array>

#include "kernels/eltwise/registry.h"

namespace eke::kernels {

#define EKE_ELTWISE(list, type, name, isa) void name(const type##Args&) noexcept;
#include "kernels/eltwise/kernels.inc"
#undef EKE_ELTWISE

namespace {

enum class List { lut, quantize, dequantize, add_u8, mul_u8, binary_f32, unary_f32 };

template <List kList>
constexpr std::size_t count_rows() {
  std::size_t count = 0;
#define EKE_ELTWISE(list, type, name, isa) count += List::list == kList;
#include "kernels/eltwise/kernels.inc"
#undef EKE_ELTWISE
  return count;
}

// The rows of one list, in the order of kernels.inc.
template <class Fn, List kList>
constexpr auto rows() {
  std::array<EltwiseKernel<Fn>, count_rows<kList>()> result{};
  std::size_t next = 0;
#define EKE_ELTWISE(list, type, name, isa) \
  if constexpr (List::list == kList) result[next++] = {#name, Isa::isa, name};
#include "kernels/eltwise/kernels.inc"
#undef EKE_ELTWISE
  return result;
}

constexpr auto kLut = rows<LutFn, List::lut>();
constexpr auto kQuantize = rows<QuantizeFn, List::quantize>();
constexpr auto kDequantize = rows<DequantizeFn, List::dequantize>();
constexpr auto kAddU8 = rows<BinaryU8Fn, List::add_u8>();
constexpr auto kMulU8 = rows<BinaryU8Fn, List::mul_u8>();
constexpr auto kBinaryF32 = rows<BinaryF32Fn, List::binary_f32>();
constexpr auto kUnaryF32 = rows<UnaryF32Fn, List::unary_f32>();

}  // namespace

std::span<const EltwiseKernel<LutFn>> lut_kernels() noexcept { return kLut; }
std::span<const EltwiseKernel<QuantizeFn>> quantize_kernels() noexcept { return kQuantize; }
std::span<const EltwiseKernel<DequantizeFn>> dequantize_kernels() noexcept { return kDequantize; }
std::span<const EltwiseKernel<BinaryU8Fn>> add_u8_kernels() noexcept { return kAddU8; }
std::span<const EltwiseKernel<BinaryU8Fn>> mul_u8_kernels() noexcept { return kMulU8; }
std::span<const EltwiseKernel<BinaryF32Fn>> binary_f32_kernels() noexcept { return kBinaryF32; }
std::span<const EltwiseKernel<UnaryF32Fn>> unary_f32_kernels() noexcept { return kUnaryF32; }

}  // namespace eke::kernels
