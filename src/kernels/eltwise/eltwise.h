// Work on single elements: tables, (de)quantization, integer and float arithmetic with broadcasting, float
// functions. Inputs are readable for kSlackBytes past their end. `out` may be the same buffer as an input,
// element for element.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"

namespace eke::kernels {

// Rule 12: out[i] = table[in[i]].
struct LutArgs {
  const std::uint8_t* in = nullptr;
  std::uint8_t* out = nullptr;
  std::size_t count = 0;
  const std::uint8_t* table = nullptr;  // 256 entries
};
using LutFn = void (*)(const LutArgs&) noexcept;

// Rule 1; lo, hi are the bounds of q - zero.
struct QuantizeArgs {
  const float* in = nullptr;
  std::uint8_t* out = nullptr;
  std::size_t count = 0;
  float scale = 1;
  std::int32_t zero = 0;
  float lo = 0, hi = 0;
};
using QuantizeFn = void (*)(const QuantizeArgs&) noexcept;

// Rule 2.
struct DequantizeArgs {
  const std::uint8_t* in = nullptr;
  float* out = nullptr;
  std::size_t count = 0;
  float scale = 1;
  std::int32_t zero = 0;
};
using DequantizeFn = void (*)(const DequantizeArgs&) noexcept;

// Rule 8 (add) and rule 9 (multiply, which uses ka as k) on rows x cols elements. Strides are in bytes;
// b_stride 0 repeats one row of b: a value per channel, channels innermost.
struct BinaryU8Args {
  const std::uint8_t *a = nullptr, *b = nullptr;
  std::uint8_t* out = nullptr;
  std::size_t rows = 0, cols = 0;
  std::ptrdiff_t a_stride = 0, b_stride = 0, out_stride = 0;
  std::int32_t a_zero = 0, b_zero = 0, out_zero = 0;
  float ka = 0, kb = 0;
  float lo = 0, hi = 0;  // bounds of q - out_zero
};
using BinaryU8Fn = void (*)(const BinaryU8Args&) noexcept;

// rsub and rdiv are b - a and b / a. min and max are b < a ? b : a and a < b ? b : a.
// prelu is a < 0 ? a * b : a.
#define EKE_BINARY_F32_OPS(X) X(add) X(sub) X(rsub) X(mul) X(div) X(rdiv) X(min) X(max) X(prelu)
enum class BinaryF32Op : std::uint8_t {
#define EKE_ENUMERATOR(name) name,
  EKE_BINARY_F32_OPS(EKE_ENUMERATOR)
#undef EKE_ENUMERATOR
};
// rows x cols elements; b_stride 0 repeats one row of b. With b_scalar a row of b is one value, used for the
// whole row of a (b_stride 0: for everything). The result is clamped to lo, hi (may be infinite).
struct BinaryF32Args {
  BinaryF32Op op = BinaryF32Op::add;
  const float *a = nullptr, *b = nullptr;
  float* out = nullptr;
  std::size_t rows = 0, cols = 0;
  std::ptrdiff_t a_stride = 0, b_stride = 0, out_stride = 0;  // bytes
  bool b_scalar = false;
  float lo = -__builtin_inff(), hi = __builtin_inff();
};
using BinaryF32Fn = void (*)(const BinaryF32Args&) noexcept;

// X(name, bound): the function and the bound of its error, relative to max(|exact|, 1); 0: the formula, each
// step correctly rounded. alpha and beta are ONNX's attributes: hard_sigmoid max(0, min(1, alpha x + beta)),
// elu, celu, selu (alpha, beta: gamma), leaky_relu, swish x * sigmoid(alpha x); clamp to [alpha, beta].
// clang-format off
#define EKE_UNARY_F32_OPS(X)                                                                             \
  X(abs, 0) X(neg, 0) X(sqrt, 0) X(reciprocal, 0) X(clamp, 0) X(leaky_relu, 0) X(hard_sigmoid, 0)        \
  X(hard_swish, 0) X(exp, 2e-7f) X(sigmoid, 2e-7f) X(tanh, 3e-7f) X(swish, 3e-7f) X(gelu, 5e-7f)         \
  X(gelu_tanh, 5e-7f) X(erf, 3e-7f) X(elu, 3e-7f) X(selu, 5e-7f) X(celu, 3e-7f) X(softplus, 3e-7f)       \
  X(mish, 6e-7f)
// clang-format on
enum class UnaryF32Op : std::uint8_t {
#define EKE_ENUMERATOR(name, bound) name,
  EKE_UNARY_F32_OPS(EKE_ENUMERATOR)
#undef EKE_ENUMERATOR
};
struct UnaryF32Args {
  UnaryF32Op op = UnaryF32Op::abs;
  const float* in = nullptr;
  float* out = nullptr;
  std::size_t count = 0;
  float alpha = 0, beta = 0;
};
using UnaryF32Fn = void (*)(const UnaryF32Args&) noexcept;

}  // namespace eke::kernels
