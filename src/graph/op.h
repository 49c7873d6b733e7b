// The operators: one plain struct of attributes each, with ONNX's own names (its newest form), and the one list
// of them. A struct's `fields` names each attribute once; printing, parsing, ONNX reading and writing and
// equality follow from it. What an operator means lives in src/ops/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "tensor/tensor.h"

namespace eke::op {

using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

// A clamp applied to the result before it is stored: how ReLU, ReLU6 and Clip are fused. Never in a saved file.
struct Clamp {
  float lo = -std::numeric_limits<float>::infinity();
  float hi = std::numeric_limits<float>::infinity();
  bool active() const noexcept {
    return lo != -std::numeric_limits<float>::infinity() || hi != std::numeric_limits<float>::infinity();
  }
  friend bool operator==(const Clamp&, const Clamp&) = default;
};

// A quantization of an intermediate result: a QuantizeLinear and a DequantizeLinear (per tensor) between a
// convolution and the addition fused after it. Never in a saved file.
struct Rounding {
  float scale = 0;  // 0: no rounding
  std::int32_t zero_point = 0;
  DType dtype = DType::u8;
  bool active() const noexcept { return scale != 0; }
  friend bool operator==(const Rounding&, const Rounding&) = default;
};

// clang-format off
#define EKE_FIELDS(...)                                                 \
  template <class Self, class F>                                       \
  static void fields([[maybe_unused]] Self& self, [[maybe_unused]] F&& f) { __VA_ARGS__ }
// clang-format on
#define EKE_FIELD(name) f(#name, self.name);

// --- convolution and matrix products -------------------------------------------------------------------------
// Inputs x [N,C,spatial...], w [M,C/group,kernel...], optional b [M]. Empty vectors mean the defaults of ONNX.
// Fused forms (after lowering only): optional further inputs `slope` [M] or [1] (a PReLU on the sum, before the
// residual) and `residual` (added to the result, before the clamp); `mid` rounds the sum before the residual is
// added (rule 6 of docs/integer-semantics.md). See src/ops/conv.cpp.
struct Conv {
  std::string auto_pad = "NOTSET";
  Ints kernel_shape, strides, pads, dilations;
  std::int64_t group = 1;
  Rounding mid;
  Clamp clamp;
  EKE_FIELDS(EKE_FIELD(auto_pad) EKE_FIELD(kernel_shape) EKE_FIELD(strides) EKE_FIELD(pads)
                 EKE_FIELD(dilations) EKE_FIELD(group) EKE_FIELD(mid) EKE_FIELD(clamp))
  friend bool operator==(const Conv&, const Conv&) = default;
};
struct ConvTranspose {
  std::string auto_pad = "NOTSET";
  Ints kernel_shape, strides, pads, dilations, output_padding, output_shape;
  std::int64_t group = 1;
  EKE_FIELDS(EKE_FIELD(auto_pad) EKE_FIELD(kernel_shape) EKE_FIELD(strides) EKE_FIELD(pads)
                 EKE_FIELD(dilations) EKE_FIELD(output_padding) EKE_FIELD(output_shape) EKE_FIELD(group))
  friend bool operator==(const ConvTranspose&, const ConvTranspose&) = default;
};
struct ConvInteger {
  std::string auto_pad = "NOTSET";
  Ints kernel_shape, strides, pads, dilations;
  std::int64_t group = 1;
  EKE_FIELDS(EKE_FIELD(auto_pad) EKE_FIELD(kernel_shape) EKE_FIELD(strides) EKE_FIELD(pads)
                 EKE_FIELD(dilations) EKE_FIELD(group))
  friend bool operator==(const ConvInteger&, const ConvInteger&) = default;
};
struct QLinearConv {
  std::string auto_pad = "NOTSET";
  Ints kernel_shape, strides, pads, dilations;
  std::int64_t group = 1;
  EKE_FIELDS(EKE_FIELD(auto_pad) EKE_FIELD(kernel_shape) EKE_FIELD(strides) EKE_FIELD(pads)
                 EKE_FIELD(dilations) EKE_FIELD(group))
  friend bool operator==(const QLinearConv&, const QLinearConv&) = default;
};
struct Gemm {
  float alpha = 1, beta = 1;
  std::int64_t transA = 0, transB = 0;
  Clamp clamp;
  EKE_FIELDS(EKE_FIELD(alpha) EKE_FIELD(beta) EKE_FIELD(transA) EKE_FIELD(transB) EKE_FIELD(clamp))
  friend bool operator==(const Gemm&, const Gemm&) = default;
};

// --- pooling ----------------------------------------------------------------------------------------------------
struct MaxPool {
  std::string auto_pad = "NOTSET";
  Ints kernel_shape, strides, pads, dilations;
  std::int64_t ceil_mode = 0, storage_order = 0;
  EKE_FIELDS(EKE_FIELD(auto_pad) EKE_FIELD(kernel_shape) EKE_FIELD(strides) EKE_FIELD(pads)
                 EKE_FIELD(dilations) EKE_FIELD(ceil_mode) EKE_FIELD(storage_order))
  friend bool operator==(const MaxPool&, const MaxPool&) = default;
};
struct AveragePool {
  std::string auto_pad = "NOTSET";
  Ints kernel_shape, strides, pads, dilations;
  std::int64_t ceil_mode = 0, count_include_pad = 0;
  EKE_FIELDS(EKE_FIELD(auto_pad) EKE_FIELD(kernel_shape) EKE_FIELD(strides) EKE_FIELD(pads)
                 EKE_FIELD(dilations) EKE_FIELD(ceil_mode) EKE_FIELD(count_include_pad))
  friend bool operator==(const AveragePool&, const AveragePool&) = default;
};
struct LpPool {
  std::string auto_pad = "NOTSET";
  Ints kernel_shape, strides, pads, dilations;
  std::int64_t ceil_mode = 0, p = 2;
  EKE_FIELDS(EKE_FIELD(auto_pad) EKE_FIELD(kernel_shape) EKE_FIELD(strides) EKE_FIELD(pads)
                 EKE_FIELD(dilations) EKE_FIELD(ceil_mode) EKE_FIELD(p))
  friend bool operator==(const LpPool&, const LpPool&) = default;
};
struct GlobalLpPool {
  std::int64_t p = 2;
  EKE_FIELDS(EKE_FIELD(p))
  friend bool operator==(const GlobalLpPool&, const GlobalLpPool&) = default;
};

// --- normalization ----------------------------------------------------------------------------------------------
// In training mode, inside the library, outputs 3 and 4 are the mean and variance of the batch. `clamp` is fused by
// lowering.
struct BatchNormalization {
  float epsilon = 1e-5f, momentum = 0.9f;
  std::int64_t training_mode = 0;
  Clamp clamp;
  EKE_FIELDS(EKE_FIELD(epsilon) EKE_FIELD(momentum) EKE_FIELD(training_mode) EKE_FIELD(clamp))
  friend bool operator==(const BatchNormalization&, const BatchNormalization&) = default;
};
struct InstanceNormalization {
  float epsilon = 1e-5f;
  EKE_FIELDS(EKE_FIELD(epsilon))
  friend bool operator==(const InstanceNormalization&, const InstanceNormalization&) = default;
};
struct LayerNormalization {
  std::int64_t axis = -1, stash_type = 1;
  float epsilon = 1e-5f;
  EKE_FIELDS(EKE_FIELD(axis) EKE_FIELD(epsilon) EKE_FIELD(stash_type))
  friend bool operator==(const LayerNormalization&, const LayerNormalization&) = default;
};
// Scale and bias are per channel [C] (opset 21); older files have them per group [num_groups] (per_group).
struct GroupNormalization {
  float epsilon = 1e-5f;
  std::int64_t num_groups = 1, stash_type = 1;
  bool per_group = false;
  EKE_FIELDS(EKE_FIELD(epsilon) EKE_FIELD(num_groups) EKE_FIELD(stash_type) EKE_FIELD(per_group))
  friend bool operator==(const GroupNormalization&, const GroupNormalization&) = default;
};
struct LRN {
  float alpha = 1e-4f, beta = 0.75f, bias = 1;
  std::int64_t size = 1;
  EKE_FIELDS(EKE_FIELD(alpha) EKE_FIELD(beta) EKE_FIELD(bias) EKE_FIELD(size))
  friend bool operator==(const LRN&, const LRN&) = default;
};
struct LpNormalization {
  std::int64_t axis = -1, p = 2;
  EKE_FIELDS(EKE_FIELD(axis) EKE_FIELD(p))
  friend bool operator==(const LpNormalization&, const LpNormalization&) = default;
};
struct MeanVarianceNormalization {
  Ints axes{0, 2, 3};
  EKE_FIELDS(EKE_FIELD(axes))
  friend bool operator==(const MeanVarianceNormalization&, const MeanVarianceNormalization&) = default;
};
// `coerce2d`: before opset 13 the softmax runs over all axes from `axis` on.
struct Softmax {
  std::int64_t axis = -1;
  bool coerce2d = false;
  EKE_FIELDS(EKE_FIELD(axis) EKE_FIELD(coerce2d))
  friend bool operator==(const Softmax&, const Softmax&) = default;
};
struct LogSoftmax {
  std::int64_t axis = -1;
  bool coerce2d = false;
  EKE_FIELDS(EKE_FIELD(axis) EKE_FIELD(coerce2d))
  friend bool operator==(const LogSoftmax&, const LogSoftmax&) = default;
};
struct Hardmax {
  std::int64_t axis = -1;
  bool coerce2d = false;
  EKE_FIELDS(EKE_FIELD(axis) EKE_FIELD(coerce2d))
  friend bool operator==(const Hardmax&, const Hardmax&) = default;
};

// --- elementwise ------------------------------------------------------------------------------------------------
// Enumerators are ONNX's operator names.
// clang-format off
#define EKE_UNARY_FNS(X)                                                                                       \
  X(Abs) X(Neg) X(Ceil) X(Floor) X(Round) X(Sign) X(Sqrt) X(Reciprocal) X(Exp) X(Log) X(Sin) X(Cos) X(Tan)      \
  X(Asin) X(Acos) X(Atan) X(Sinh) X(Cosh) X(Tanh) X(Asinh) X(Acosh) X(Atanh) X(Erf) X(Relu) X(Sigmoid)          \
  X(Softplus) X(Softsign) X(HardSwish) X(Mish) X(Not) X(BitwiseNot) X(IsNaN)
#define EKE_BINARY_FNS(X)                                                                                      \
  X(Add) X(Sub) X(Mul) X(Div) X(Pow) X(PRelu) X(And) X(Or) X(Xor) X(Equal) X(Less) X(LessOrEqual) X(Greater)    \
  X(GreaterOrEqual) X(BitwiseAnd) X(BitwiseOr) X(BitwiseXor)
#define EKE_VARIADIC_FNS(X) X(Sum) X(Mean) X(Max) X(Min)
#define EKE_REDUCE_FNS(X)                                                                                      \
  X(ReduceSum) X(ReduceMean) X(ReduceMax) X(ReduceMin) X(ReduceProd) X(ReduceL1) X(ReduceL2) X(ReduceLogSum)    \
  X(ReduceLogSumExp) X(ReduceSumSquare)
// clang-format on
#define EKE_ENUMERATOR(name) name,
enum class UnaryFn : std::uint8_t { EKE_UNARY_FNS(EKE_ENUMERATOR) };
enum class BinaryFn : std::uint8_t { EKE_BINARY_FNS(EKE_ENUMERATOR) };
enum class VariadicFn : std::uint8_t { EKE_VARIADIC_FNS(EKE_ENUMERATOR) };
enum class ReduceFn : std::uint8_t { EKE_REDUCE_FNS(EKE_ENUMERATOR) };
#undef EKE_ENUMERATOR
std::string_view to_string(UnaryFn) noexcept;
std::string_view to_string(BinaryFn) noexcept;
std::string_view to_string(VariadicFn) noexcept;
std::string_view to_string(ReduceFn) noexcept;

// The structs below with an `fn` stand for one ONNX operator per enumerator; `fn` is not an ONNX attribute.
struct Unary {
  UnaryFn fn{};
  EKE_FIELDS(EKE_FIELD(fn))
  friend bool operator==(const Unary&, const Unary&) = default;
};
struct Binary {
  BinaryFn fn{};
  Clamp clamp;  // of an Add (lowering only)
  EKE_FIELDS(EKE_FIELD(fn) EKE_FIELD(clamp))
  friend bool operator==(const Binary&, const Binary&) = default;
};
struct Variadic {
  VariadicFn fn{};
  EKE_FIELDS(EKE_FIELD(fn))
  friend bool operator==(const Variadic&, const Variadic&) = default;
};
struct Reduce {
  ReduceFn fn{};
  std::int64_t keepdims = 1, noop_with_empty_axes = 0;
  EKE_FIELDS(EKE_FIELD(fn) EKE_FIELD(keepdims) EKE_FIELD(noop_with_empty_axes))
  friend bool operator==(const Reduce&, const Reduce&) = default;
};
struct Mod {
  std::int64_t fmod = 0;
  EKE_FIELDS(EKE_FIELD(fmod))
  friend bool operator==(const Mod&, const Mod&) = default;
};
struct BitShift {
  std::string direction;
  EKE_FIELDS(EKE_FIELD(direction))
  friend bool operator==(const BitShift&, const BitShift&) = default;
};
struct IsInf {
  std::int64_t detect_negative = 1, detect_positive = 1;
  EKE_FIELDS(EKE_FIELD(detect_negative) EKE_FIELD(detect_positive))
  friend bool operator==(const IsInf&, const IsInf&) = default;
};
struct LeakyRelu {
  float alpha = 0.01f;
  EKE_FIELDS(EKE_FIELD(alpha))
  friend bool operator==(const LeakyRelu&, const LeakyRelu&) = default;
};
struct Elu {
  float alpha = 1;
  EKE_FIELDS(EKE_FIELD(alpha))
  friend bool operator==(const Elu&, const Elu&) = default;
};
struct Celu {
  float alpha = 1;
  EKE_FIELDS(EKE_FIELD(alpha))
  friend bool operator==(const Celu&, const Celu&) = default;
};
struct Selu {
  float alpha = 1.67326319217681884765625f, gamma = 1.05070102214813232421875f;
  EKE_FIELDS(EKE_FIELD(alpha) EKE_FIELD(gamma))
  friend bool operator==(const Selu&, const Selu&) = default;
};
struct HardSigmoid {
  float alpha = 0.2f, beta = 0.5f;
  EKE_FIELDS(EKE_FIELD(alpha) EKE_FIELD(beta))
  friend bool operator==(const HardSigmoid&, const HardSigmoid&) = default;
};
struct ThresholdedRelu {
  float alpha = 1;
  EKE_FIELDS(EKE_FIELD(alpha))
  friend bool operator==(const ThresholdedRelu&, const ThresholdedRelu&) = default;
};
struct Shrink {
  float bias = 0, lambd = 0.5f;
  EKE_FIELDS(EKE_FIELD(bias) EKE_FIELD(lambd))
  friend bool operator==(const Shrink&, const Shrink&) = default;
};
struct Gelu {
  std::string approximate = "none";
  EKE_FIELDS(EKE_FIELD(approximate))
  friend bool operator==(const Gelu&, const Gelu&) = default;
};
// x * sigmoid(alpha * x): SiLU for alpha 1. Recognised from Sigmoid and Mul; written back as them.
struct Swish {
  float alpha = 1;
  EKE_FIELDS(EKE_FIELD(alpha))
  friend bool operator==(const Swish&, const Swish&) = default;
};
struct Cast {
  DType to = DType::f32;
  std::int64_t saturate = 1;
  EKE_FIELDS(EKE_FIELD(to) EKE_FIELD(saturate))
  friend bool operator==(const Cast&, const Cast&) = default;
};

// --- shape and layout -------------------------------------------------------------------------------------------
struct Concat {
  std::int64_t axis = 0;
  EKE_FIELDS(EKE_FIELD(axis))
  friend bool operator==(const Concat&, const Concat&) = default;
};
struct Split {
  std::int64_t axis = 0, num_outputs = 0;
  EKE_FIELDS(EKE_FIELD(axis) EKE_FIELD(num_outputs))
  friend bool operator==(const Split&, const Split&) = default;
};
struct Pad {
  std::string mode = "constant";
  EKE_FIELDS(EKE_FIELD(mode))
  friend bool operator==(const Pad&, const Pad&) = default;
};
struct Reshape {
  std::int64_t allowzero = 0;
  EKE_FIELDS(EKE_FIELD(allowzero))
  friend bool operator==(const Reshape&, const Reshape&) = default;
};
struct Flatten {
  std::int64_t axis = 1;
  EKE_FIELDS(EKE_FIELD(axis))
  friend bool operator==(const Flatten&, const Flatten&) = default;
};
struct Transpose {
  Ints perm;
  EKE_FIELDS(EKE_FIELD(perm))
  friend bool operator==(const Transpose&, const Transpose&) = default;
};
struct Gather {
  std::int64_t axis = 0;
  EKE_FIELDS(EKE_FIELD(axis))
  friend bool operator==(const Gather&, const Gather&) = default;
};
struct GatherElements {
  std::int64_t axis = 0;
  EKE_FIELDS(EKE_FIELD(axis))
  friend bool operator==(const GatherElements&, const GatherElements&) = default;
};
struct Shape {
  std::int64_t start = 0, end = std::numeric_limits<std::int64_t>::max();
  EKE_FIELDS(EKE_FIELD(start) EKE_FIELD(end))
  friend bool operator==(const Shape&, const Shape&) = default;
};
struct ConstantOfShape {
  Tensor value = Tensor::from<float>({1}, {0.f});
  EKE_FIELDS(EKE_FIELD(value))
  friend bool operator==(const ConstantOfShape&, const ConstantOfShape&) = default;
};
struct DepthToSpace {
  std::int64_t blocksize = 1;
  std::string mode = "DCR";
  EKE_FIELDS(EKE_FIELD(blocksize) EKE_FIELD(mode))
  friend bool operator==(const DepthToSpace&, const DepthToSpace&) = default;
};
struct SpaceToDepth {
  std::int64_t blocksize = 1;
  EKE_FIELDS(EKE_FIELD(blocksize))
  friend bool operator==(const SpaceToDepth&, const SpaceToDepth&) = default;
};
struct ArgMax {
  std::int64_t axis = 0, keepdims = 1, select_last_index = 0;
  EKE_FIELDS(EKE_FIELD(axis) EKE_FIELD(keepdims) EKE_FIELD(select_last_index))
  friend bool operator==(const ArgMax&, const ArgMax&) = default;
};
struct ArgMin {
  std::int64_t axis = 0, keepdims = 1, select_last_index = 0;
  EKE_FIELDS(EKE_FIELD(axis) EKE_FIELD(keepdims) EKE_FIELD(select_last_index))
  friend bool operator==(const ArgMin&, const ArgMin&) = default;
};
struct TopK {
  std::int64_t axis = -1, largest = 1, sorted = 1;
  EKE_FIELDS(EKE_FIELD(axis) EKE_FIELD(largest) EKE_FIELD(sorted))
  friend bool operator==(const TopK&, const TopK&) = default;
};
struct Resize {
  std::int64_t antialias = 0;
  Ints axes;
  std::string coordinate_transformation_mode = "half_pixel";
  float cubic_coeff_a = -0.75f;
  std::int64_t exclude_outside = 0;
  float extrapolation_value = 0;
  std::string keep_aspect_ratio_policy = "stretch", mode = "nearest", nearest_mode = "round_prefer_floor";
  EKE_FIELDS(EKE_FIELD(antialias) EKE_FIELD(axes) EKE_FIELD(coordinate_transformation_mode)
                 EKE_FIELD(cubic_coeff_a) EKE_FIELD(exclude_outside) EKE_FIELD(extrapolation_value)
                     EKE_FIELD(keep_aspect_ratio_policy) EKE_FIELD(mode) EKE_FIELD(nearest_mode))
  friend bool operator==(const Resize&, const Resize&) = default;
};

// --- quantization -----------------------------------------------------------------------------------------------
struct QuantizeLinear {
  std::int64_t axis = 1, saturate = 1, block_size = 0, output_dtype = 0;
  EKE_FIELDS(EKE_FIELD(axis) EKE_FIELD(saturate) EKE_FIELD(block_size) EKE_FIELD(output_dtype))
  friend bool operator==(const QuantizeLinear&, const QuantizeLinear&) = default;
};
struct DequantizeLinear {
  std::int64_t axis = 1, block_size = 0;
  EKE_FIELDS(EKE_FIELD(axis) EKE_FIELD(block_size))
  friend bool operator==(const DequantizeLinear&, const DequantizeLinear&) = default;
};

// --- training ---------------------------------------------------------------------------------------------------
// Gradients as operators; dy is the gradient of the operator's output. The gradient of a convolution's input is a
// ConvTranspose. ONNX has the losses and Adagrad, Adam and Momentum; the rest is never in a saved file.

// (x, dy) -> gradient of the weights, [M, C/group, kernel_shape...].
struct ConvGradWeight {
  std::string auto_pad = "NOTSET";
  Ints kernel_shape, strides, pads, dilations;
  std::int64_t group = 1;
  EKE_FIELDS(EKE_FIELD(auto_pad) EKE_FIELD(kernel_shape) EKE_FIELD(strides) EKE_FIELD(pads)
                 EKE_FIELD(dilations) EKE_FIELD(group))
  friend bool operator==(const ConvGradWeight&, const ConvGradWeight&) = default;
};
// (dy, x) -> dx: to the first largest element of each window.
struct MaxPoolGrad {
  std::string auto_pad = "NOTSET";
  Ints kernel_shape, strides, pads, dilations;
  std::int64_t ceil_mode = 0;
  EKE_FIELDS(EKE_FIELD(auto_pad) EKE_FIELD(kernel_shape) EKE_FIELD(strides) EKE_FIELD(pads)
                 EKE_FIELD(dilations) EKE_FIELD(ceil_mode))
  friend bool operator==(const MaxPoolGrad&, const MaxPoolGrad&) = default;
};
// dy -> dx of shape `x_shape`.
struct AveragePoolGrad {
  std::string auto_pad = "NOTSET";
  Ints kernel_shape, strides, pads, dilations;
  std::int64_t ceil_mode = 0, count_include_pad = 0;
  Ints x_shape;
  EKE_FIELDS(EKE_FIELD(auto_pad) EKE_FIELD(kernel_shape) EKE_FIELD(strides) EKE_FIELD(pads)
                 EKE_FIELD(dilations) EKE_FIELD(ceil_mode) EKE_FIELD(count_include_pad) EKE_FIELD(x_shape))
  friend bool operator==(const AveragePoolGrad&, const AveragePoolGrad&) = default;
};
// (dy, x, scale, B, mean, var) -> dx, dscale, dB of a BatchNormalization and the clamp after it. With
// training_mode the mean and variance are those of x, and dx counts their change.
struct BatchNormalizationGrad {
  float epsilon = 1e-5f;
  std::int64_t training_mode = 0;
  Clamp clamp;
  EKE_FIELDS(EKE_FIELD(epsilon) EKE_FIELD(training_mode) EKE_FIELD(clamp))
  friend bool operator==(const BatchNormalizationGrad&, const BatchNormalizationGrad&) = default;
};
// (dy, y) -> dy where lo < y < hi, else 0: of Relu and Clip, from their output or their input.
struct ClampGrad {
  Clamp clamp;
  EKE_FIELDS(EKE_FIELD(clamp))
  friend bool operator==(const ClampGrad&, const ClampGrad&) = default;
};
// (old, new) -> momentum * old + (1 - momentum) * new.
struct MovingAverage {
  float momentum = 0.9f;
  EKE_FIELDS(EKE_FIELD(momentum))
  friend bool operator==(const MovingAverage&, const MovingAverage&) = default;
};
// An ignore_index of kNoIndex ignores nothing.
inline constexpr std::int64_t kNoIndex = std::numeric_limits<std::int64_t>::min();
struct NegativeLogLikelihoodLoss {
  std::int64_t ignore_index = kNoIndex;
  std::string reduction = "mean";
  EKE_FIELDS(EKE_FIELD(ignore_index) EKE_FIELD(reduction))
  friend bool operator==(const NegativeLogLikelihoodLoss&, const NegativeLogLikelihoodLoss&) = default;
};
struct SoftmaxCrossEntropyLoss {
  std::int64_t ignore_index = kNoIndex;
  std::string reduction = "mean";
  EKE_FIELDS(EKE_FIELD(ignore_index) EKE_FIELD(reduction))
  friend bool operator==(const SoftmaxCrossEntropyLoss&, const SoftmaxCrossEntropyLoss&) = default;
};
// (dloss, target, optional weight) -> gradient of the loss's input, of shape `x_shape`.
struct NegativeLogLikelihoodLossGrad {
  std::int64_t ignore_index = kNoIndex;
  std::string reduction = "mean";
  Ints x_shape;
  EKE_FIELDS(EKE_FIELD(ignore_index) EKE_FIELD(reduction) EKE_FIELD(x_shape))
  friend bool operator==(const NegativeLogLikelihoodLossGrad&,
                         const NegativeLogLikelihoodLossGrad&) = default;
};
struct Adagrad {
  float decay_factor = 0, epsilon = 0, norm_coefficient = 0;
  EKE_FIELDS(EKE_FIELD(decay_factor) EKE_FIELD(epsilon) EKE_FIELD(norm_coefficient))
  friend bool operator==(const Adagrad&, const Adagrad&) = default;
};
struct Adam {
  float alpha = 0.9f, beta = 0.999f, epsilon = 0, norm_coefficient = 0, norm_coefficient_post = 0;
  EKE_FIELDS(EKE_FIELD(alpha) EKE_FIELD(beta) EKE_FIELD(epsilon) EKE_FIELD(norm_coefficient)
                 EKE_FIELD(norm_coefficient_post))
  friend bool operator==(const Adam&, const Adam&) = default;
};
// As Adam, with the decay of Loshchilov and Hutter: the weights shrink by R * weight_decay apart from the gradient.
struct AdamW {
  float alpha = 0.9f, beta = 0.999f, epsilon = 1e-8f, weight_decay = 0;
  EKE_FIELDS(EKE_FIELD(alpha) EKE_FIELD(beta) EKE_FIELD(epsilon) EKE_FIELD(weight_decay))
  friend bool operator==(const AdamW&, const AdamW&) = default;
};
struct Momentum {
  float alpha = 0.9f, beta = 1;
  std::string mode = "standard";
  float norm_coefficient = 0;
  EKE_FIELDS(EKE_FIELD(alpha) EKE_FIELD(beta) EKE_FIELD(mode) EKE_FIELD(norm_coefficient))
  friend bool operator==(const Momentum&, const Momentum&) = default;
};

// --- operators without attributes -------------------------------------------------------------------------------
// clang-format off
#define EKE_PLAIN_OPS(X)                                                                                       \
  X(MatMul) X(MatMulInteger) X(QLinearMatMul) X(GlobalAveragePool) X(GlobalMaxPool) X(Clip) X(Where) X(Squeeze) \
  X(Unsqueeze) X(Slice) X(Expand) X(Tile) X(Range) X(Size) X(Identity) X(Dropout) X(DynamicQuantizeLinear)      \
  X(BatchStatistics)
// clang-format on
#define EKE_PLAIN_STRUCT(name)                                  \
  struct name {                                                 \
    EKE_FIELDS()                                                \
    friend bool operator==(const name&, const name&) = default; \
  };
EKE_PLAIN_OPS(EKE_PLAIN_STRUCT)
#undef EKE_PLAIN_STRUCT

// The one list. An operator is a struct above, a name here and an OpDef in src/ops/.
// clang-format off
#define EKE_ATTRIBUTE_OPS(X)                                                                                   \
  X(Conv) X(ConvTranspose) X(ConvInteger) X(QLinearConv) X(Gemm) X(MaxPool) X(AveragePool) X(LpPool)            \
  X(GlobalLpPool) X(BatchNormalization) X(InstanceNormalization) X(LayerNormalization) X(GroupNormalization)    \
  X(LRN) X(LpNormalization) X(MeanVarianceNormalization) X(Softmax) X(LogSoftmax) X(Hardmax) X(Unary)           \
  X(Binary) X(Variadic) X(Reduce) X(Mod) X(BitShift) X(IsInf) X(LeakyRelu) X(Elu) X(Celu) X(Selu)               \
  X(HardSigmoid) X(ThresholdedRelu) X(Shrink) X(Gelu) X(Swish) X(Cast) X(Concat) X(Split) X(Pad) X(Reshape)     \
  X(Flatten) X(Transpose) X(Gather) X(GatherElements) X(Shape) X(ConstantOfShape) X(DepthToSpace)               \
  X(SpaceToDepth) X(ArgMax) X(ArgMin) X(TopK) X(Resize) X(QuantizeLinear) X(DequantizeLinear)                   \
  X(ConvGradWeight) X(MaxPoolGrad) X(AveragePoolGrad) X(BatchNormalizationGrad) X(ClampGrad) X(MovingAverage)   \
  X(NegativeLogLikelihoodLoss) X(SoftmaxCrossEntropyLoss) X(NegativeLogLikelihoodLossGrad) X(Adagrad) X(Adam)   \
  X(AdamW) X(Momentum)
#define EKE_OPS(X) EKE_ATTRIBUTE_OPS(X) EKE_PLAIN_OPS(X)
// clang-format on

}  // namespace eke::op

namespace eke {

namespace detail {
#define EKE_ALTERNATIVE(name) , op::name
template <class First, class... Rest>
using VariantOf = std::variant<Rest...>;
using OpVariant = VariantOf<void EKE_OPS(EKE_ALTERNATIVE)>;
#undef EKE_ALTERNATIVE

template <class A, class Variant>
inline constexpr bool kIsAlternative = false;
template <class A, class... Rest>
inline constexpr bool kIsAlternative<A, std::variant<Rest...>> = (std::is_same_v<A, Rest> || ...);
}  // namespace detail

// One of the structs above: std::get, get_if, holds_alternative and visit work on it. What a variant of this
// many alternatives generates for copying and comparing stands in op.cpp alone, since each file that touches a
// node would spend seconds on it.
class Op : public detail::OpVariant {
 public:
  Op();
  Op(const Op& other);
  Op(Op&& other) noexcept;
  Op& operator=(const Op& other);
  Op& operator=(Op&& other) noexcept;
  ~Op();

  template <class A>
  requires detail::kIsAlternative<A, detail::OpVariant> Op(
      A attributes);  // NOLINT: an operator is given by its attributes

  friend bool operator==(const Op& a, const Op& b);
};
inline constexpr std::size_t kOpCount = std::variant_size_v<detail::OpVariant>;

// The struct's name: "Conv", "Unary".
std::string_view struct_name(const Op& op) noexcept;
// The operator's name as people know it: "Conv", and for the families their function, "Relu".
std::string_view op_name(const Op& op) noexcept;

}  // namespace eke
