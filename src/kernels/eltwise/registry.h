// The elementwise kernels of this build.
#pragma once

#include <span>
#include <string_view>

#include "kernels/eltwise/eltwise.h"
#include "kernels/registry.h"

namespace eke::kernels {

template <class Fn>
struct EltwiseKernel {
  std::string_view name;
  Isa isa;
  Fn run;
};

// Best first; the last is scalar.
std::span<const EltwiseKernel<LutFn>> lut_kernels() noexcept;
std::span<const EltwiseKernel<QuantizeFn>> quantize_kernels() noexcept;
std::span<const EltwiseKernel<DequantizeFn>> dequantize_kernels() noexcept;
std::span<const EltwiseKernel<BinaryU8Fn>> add_u8_kernels() noexcept;
std::span<const EltwiseKernel<BinaryU8Fn>> mul_u8_kernels() noexcept;
std::span<const EltwiseKernel<BinaryF32Fn>> binary_f32_kernels() noexcept;
std::span<const EltwiseKernel<UnaryF32Fn>> unary_f32_kernels() noexcept;

inline LutFn select_lut(Isa isa) noexcept { return select(lut_kernels(), isa).run; }
inline QuantizeFn select_quantize(Isa isa) noexcept { return select(quantize_kernels(), isa).run; }
inline DequantizeFn select_dequantize(Isa isa) noexcept { return select(dequantize_kernels(), isa).run; }
inline BinaryU8Fn select_add_u8(Isa isa) noexcept { return select(add_u8_kernels(), isa).run; }
inline BinaryU8Fn select_mul_u8(Isa isa) noexcept { return select(mul_u8_kernels(), isa).run; }
inline BinaryF32Fn select_binary_f32(Isa isa) noexcept { return select(binary_f32_kernels(), isa).run; }
inline UnaryF32Fn select_unary_f32(Isa isa) noexcept { return select(unary_f32_kernels(), isa).run; }

}  // namespace eke::kernels
