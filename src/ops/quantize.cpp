// QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear.
//
// In files scale and zero point are inputs. Lowering also makes forms with one input, whose parameters are
// those of the quantized types: float to quantized, quantized to float, and from one quantization to another
// (rule 12 of docs/integer-semantics.md). Such nodes only evaluate; inference refuses them, as it would a
// broken file.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/element.h"
#include "ops/families.h"
#include "ops/operands.h"
#include "ops/quantized.h"
#include "ops/scales.h"

namespace eke {
namespace {

bool is_storage(DType dtype) {
  return dtype == DType::u8 || dtype == DType::i8 || dtype == DType::u16 || dtype == DType::i16;
}

// Which entry of the scale belongs to an element: one for the tensor, one for each index of an axis, or one
// for each block of `block` indices of it.
struct Blocks {
  std::int64_t inner = 1, extent = 1, block = 1, blocks = 1;
  bool whole = true, blocked = false;

  std::int64_t index(std::int64_t i) const noexcept {
    if (whole) return 0;
    const std::int64_t along = i / inner % extent;
    if (!blocked) return along;
    return (i / (inner * extent) * blocks + along / block) * inner + i % inner;
  }
};

// Throws when the shape of the scale does not fit.
Blocks blocks_of(const Shape& x, const Shape& scale, std::int64_t axis_attribute, std::int64_t block_size) {
  if (block_size == 0 && scale.count() == 1 && scale.rank() <= 1) return {};
  const int axis = normalize_axis(axis_attribute, x.rank());
  Blocks b{x.count(axis + 1, x.rank()), x[axis], 1, x[axis], false, false};
  check(block_size >= 0, "block_size is {}; it must not be negative", block_size);
  if (block_size == 0) {
    if (scale.rank() != 1 || scale[0] != x[axis])
      fail("scale has shape {}; axis {} of {} needs [{}]", to_string(scale), axis, to_string(x), x[axis]);
    return b;
  }
  b.blocked = true;
  b.block = block_size;
  b.blocks = x[axis] / block_size + (x[axis] % block_size != 0);
  Shape expected = x;
  expected[axis] = b.blocks;
  check(scale == expected, "scale has shape {}; blocks of {} along axis {} of {} need {}", to_string(scale),
        block_size, axis, to_string(x), to_string(expected));
  return b;
}

void check_parameters(const Shape& x, const Type& scale, const Operand& zero_point, std::int64_t axis,
                      std::int64_t block_size) {
  static_cast<void>(blocks_of(x, scale.shape, axis, block_size));
  if (!zero_point) return;
  const Shape& shape = zero_point.type->shape;
  if (shape != scale.shape && (shape.count() != 1 || scale.shape.count() != 1))
    fail("zero_point has shape {}, but scale {}", to_string(shape), to_string(scale.shape));
}

// ONNX's TensorProto.DataType, of the types that can be stored.
DType storage_of(std::int64_t onnx_type) {
  switch (onnx_type) {
    case 2:
      return DType::u8;
    case 3:
      return DType::i8;
    case 4:
      return DType::u16;
    case 5:
      return DType::i16;
    default:
      fail("output_dtype {} is not supported; uint8 (2), int8 (3), uint16 (4) and int16 (5) are", onnx_type);
  }
}

std::vector<Type> infer_quantize(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::QuantizeLinear>(op);
  check_inputs_at_most(in, 3);
  const Type &x = required(in, 0, "x"), &scale = required(in, 1, "y_scale");
  if ((!is_float(x.dtype) || x.dtype == DType::f64) && x.dtype != DType::i32)
    fail("x is {}; float32, float16, bfloat16 or int32 is needed", to_string(x));
  if (!is_float(scale.dtype) || scale.dtype == DType::f64)
    fail("y_scale is {}; float32 or 16-bit floats are needed", to_string(scale));
  check_scale_values(operand(in, 1), "y_scale", true);
  const Operand zero_point = operand(in, 2);
  check_parameters(x.shape, scale, zero_point, a.axis, a.block_size);
  DType dtype = DType::u8;
  if (zero_point)
    dtype = zero_point.type->dtype;
  else if (a.output_dtype != 0)
    dtype = storage_of(a.output_dtype);
  check(is_storage(dtype), "y_zero_point is {}; uint8, int8, uint16 or int16 is needed", to_string(dtype));
  check(a.output_dtype == 0 || storage_of(a.output_dtype) == dtype,
        "output_dtype differs from y_zero_point's {}", to_string(dtype));
  return {checked(dtype, x.shape)};
}

int quantize_opset(const Op& op) {
  const auto& a = attributes<op::QuantizeLinear>(op);
  if (a.block_size != 0 || a.output_dtype != 0) return 21;
  return a.saturate != 1 ? 19 : 13;
}

int dequantize_opset(const Op& op) { return attributes<op::DequantizeLinear>(op).block_size != 0 ? 21 : 13; }

// Lowering's form: rule 1 for a float tensor, rule 12 for a quantized one.
void quantize_by_type(const TensorView& x, const MutTensorView& out) {
  const std::int64_t count = out.count();
  for (std::int64_t i = 0; i < count; ++i) quantized::store_real(out, i, quantized::load_real(x, i));
}

void eval_quantize(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::QuantizeLinear>(op);
  const TensorView x = in[0], scale = operand(in, 1), zero_point = operand(in, 2);
  if (!scale) return quantize_by_type(x, out[0]);
  const Blocks blocks = blocks_of(x.shape(), scale.shape(), a.axis, a.block_size);
  const quantized::Bounds bounds = quantized::bounds_of(out[0].dtype());
  visit_dtype(x.dtype(), [&](auto tag) {
    const auto* values = x.as<typename decltype(tag)::type>();
    const std::int64_t count = x.count();
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t k = blocks.index(i);
      const quantized::Params p{static_cast<float>(element_as_double(scale, k)),
                                zero_point ? quantized::load(zero_point, k) : 0};
      quantized::store(out[0], i, quantized::quantize(static_cast<float>(values[i]), p, bounds));
    }
  });
}

std::vector<Type> infer_dequantize(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::DequantizeLinear>(op);
  check_inputs_at_most(in, 3);
  const Type &x = required(in, 0, "x"), &scale = required(in, 1, "x_scale");
  if (!is_storage(x.dtype) && x.dtype != DType::i32)
    fail("x is {}; int8, uint8, int16, uint16 or int32 is needed", to_string(x));
  if (!is_float(scale.dtype) || scale.dtype == DType::f64)
    fail("x_scale is {}; float32 or 16-bit floats are needed", to_string(scale));
  check_scale_values(operand(in, 1), "x_scale", false);
  const Operand zero_point = operand(in, 2);
  check_parameters(x.shape, scale, zero_point, a.axis, a.block_size);
  if (zero_point && zero_point.type->dtype != x.dtype)
    fail("x_zero_point is {}, but x is {}", to_string(*zero_point.type), to_string(x));
  return {checked(scale.dtype, x.shape)};
}

void dequantize_by_type(const TensorView& x, const MutTensorView& out) {
  const std::int64_t count = out.count();
  for (std::int64_t i = 0; i < count; ++i) out.as<float>()[i] = quantized::load_real(x, i);
}

void eval_dequantize(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::DequantizeLinear>(op);
  const TensorView x = in[0], scale = operand(in, 1), zero_point = operand(in, 2);
  if (!scale) return dequantize_by_type(x, out[0]);
  const Blocks blocks = blocks_of(x.shape(), scale.shape(), a.axis, a.block_size);
  visit_dtype(out[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (kIsFloat<T>) {
      const std::int64_t count = x.count();
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t k = blocks.index(i);
        const quantized::Params p{static_cast<float>(element_as_double(scale, k)),
                                  zero_point ? quantized::load(zero_point, k) : 0};
        out[0].as<T>()[i] = static_cast<T>(quantized::dequantize(quantized::load(x, i), p));
      }
    }
  });
}

std::vector<Type> infer_dynamic(const Op&, std::span<const Operand> in) {
  check_inputs_at_most(in, 1);
  const Type& x = required(in, 0, "x");
  check(x.dtype == DType::f32, "x is {}; float32 is needed", to_string(x));
  return {checked(DType::u8, x.shape), Type{DType::f32, {}}, Type{DType::u8, {}}};
}

void eval_dynamic(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const float* x = in[0].as<float>();
  const std::int64_t count = in[0].count();
  // The range always contains 0, so that 0 is represented exactly.
  float lo = 0, hi = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    lo = std::min(lo, x[i]);
    hi = std::max(hi, x[i]);
  }
  // A tensor of zeros has no range; any scale represents it.
  const float scale = hi > lo ? (hi - lo) / 255.f : 1.f;
  constexpr quantized::Bounds kBounds = quantized::bounds_of(DType::u8);
  const quantized::Params p{scale, quantized::sat(-lo / scale, 0, kBounds)};
  if (const MutTensorView y = result(out, 0))
    for (std::int64_t i = 0; i < count; ++i) quantized::store(y, i, quantized::quantize(x[i], p, kBounds));
  if (const MutTensorView y_scale = result(out, 1)) y_scale.as<float>()[0] = p.scale;
  if (const MutTensorView y_zero = result(out, 2)) quantized::store(y_zero, 0, p.zero_point);
}

}  // namespace

std::vector<OpDef> quantize_ops() {
  return {
      {.kind = op::QuantizeLinear{},
       .onnx = {{"QuantizeLinear", op::QuantizeLinear{}, 13}},
       .infer = infer_quantize,
       .eval = eval_quantize,
       .opset = quantize_opset},
      {.kind = op::DequantizeLinear{},
       .onnx = {{"DequantizeLinear", op::DequantizeLinear{}, 13}},
       .infer = infer_dequantize,
       .eval = eval_dequantize,
       .opset = dequantize_opset},
      {.kind = op::DynamicQuantizeLinear{},
       .onnx = {{"DynamicQuantizeLinear", op::DynamicQuantizeLinear{}, 11}},
       .infer = infer_dynamic,
       .eval = eval_dynamic},
  };
}

}  // namespace eke
