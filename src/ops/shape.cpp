#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/broadcast.h"
#include "ops/element.h"
#include "ops/families.h"
#include "ops/operands.h"

namespace eke {
namespace {

// --- Shape, Size -------------------------------------------------------------------------------------------

struct Span {
  int begin, end;
};

// Negative positions count from the end; what lies outside is cut off.
Span shape_span(const op::Shape& a, int rank) noexcept {
  const auto position = [rank](std::int64_t at) {
    return static_cast<int>(std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank));
  };
  const int begin = position(a.start);
  return {begin, std::max(begin, position(a.end))};
}

std::vector<Type> infer_shape(const Op& op, std::span<const Operand> in) {
  const Type& x = required(in, 0, "data");
  check_inputs_at_most(in, 1);
  const Span span = shape_span(attributes<op::Shape>(op), x.shape.rank());
  return {Type{DType::i64, {span.end - span.begin}}};
}

void eval_shape(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const Shape& x = in[0].shape();
  const Span span = shape_span(attributes<op::Shape>(op), x.rank());
  std::copy(x.begin() + span.begin, x.begin() + span.end, out[0].as<std::int64_t>());
}

std::vector<Type> infer_size(const Op&, std::span<const Operand> in) {
  required(in, 0, "data");
  check_inputs_at_most(in, 1);
  return {Type{DType::i64, {}}};
}

void eval_size(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  *out[0].as<std::int64_t>() = in[0].count();
}

// --- Range -------------------------------------------------------------------------------------------------

// The number of elements from start to limit, in steps of delta.
std::int64_t range_count(std::int64_t start, std::int64_t limit, std::int64_t delta) {
  check(delta != 0, "delta is 0");
  const bool up = delta > 0;
  if (up ? start >= limit : start <= limit) return 0;
  const auto u = [](std::int64_t x) { return static_cast<std::uint64_t>(x); };  // differences fit
  const std::uint64_t distance = up ? u(limit) - u(start) : u(start) - u(limit);
  const std::uint64_t count = (distance - 1) / (up ? u(delta) : 0 - u(delta)) + 1;
  return static_cast<std::int64_t>(std::min<std::uint64_t>(count, std::uint64_t{1} << 62));
}

std::int64_t range_count(double start, double limit, double delta) {
  const double count = std::ceil((limit - start) / delta);
  check(std::isfinite(count), "start {}, limit {} and delta {} give no finite range", start, limit, delta);
  return static_cast<std::int64_t>(std::clamp(count, 0.0, 0x1p62));
}

std::vector<Type> infer_range(const Op&, std::span<const Operand> in) {
  check_inputs_at_most(in, 3);
  std::array<TensorView, 3> v;
  constexpr std::string_view kNames[] = {"start", "limit", "delta"};
  for (std::size_t i = 0; i < 3; ++i) {
    const Type& type = required(in, i, kNames[i]);
    check(in[i].constant != nullptr, "input {} ({}) decides the output's shape and must be a constant", i,
          kNames[i]);
    check(type.shape.count() == 1 && type.dtype == in[0].type->dtype && type.dtype != DType::boolean,
          "{} is {}; scalars of one type are needed", kNames[i], to_string(type));
    v[i] = in[i].constant->view();
  }
  const DType dtype = in[0].type->dtype;
  const std::int64_t count =
      is_float(dtype)
          ? range_count(element_as_double(v[0], 0), element_as_double(v[1], 0), element_as_double(v[2], 0))
          : range_count(element_as_int(v[0], 0), element_as_int(v[1], 0), element_as_int(v[2], 0));
  return {checked(dtype, {count})};
}

void eval_range(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  visit_dtype(out[0].dtype(), [&]<class T>(ElementTag<T>) {
    if constexpr (kIsFloat<T>) {
      const double start = element_as_double(in[0], 0), delta = element_as_double(in[2], 0);
      for (std::int64_t i = 0; i < out[0].count(); ++i) {
        out[0].as<T>()[i] = converted_value<T>(start + static_cast<double>(i) * delta);
      }
    } else {
      std::uint64_t value = static_cast<std::uint64_t>(element_as_int(in[0], 0));
      for (std::int64_t i = 0; i < out[0].count(); ++i) {
        out[0].as<T>()[i] = static_cast<T>(value);
        value += static_cast<std::uint64_t>(element_as_int(in[2], 0));
      }
    }
  });
}

// --- ConstantOfShape ---------------------------------------------------------------------------------------

std::vector<Type> infer_constant_of_shape(const Op& op, std::span<const Operand> in) {
  const Tensor& value = attributes<op::ConstantOfShape>(op).value;
  check(value.data() != nullptr && value.count() == 1, "value has shape {}; one element is needed",
        to_string(value.shape()));
  required(in, 0, "shape");
  check_inputs_at_most(in, 1);
  const TensorView target = shape_operand(in, 0, "shape");
  Shape shape;
  for (std::int64_t i = 0; i < target.count(); ++i) {
    const std::int64_t extent = element_as_int(target, i);
    check(extent >= 0, "the shape has an extent of {}", extent);
    shape.push_back(extent);
  }
  return {checked(value.dtype(), shape)};
}

void eval_constant_of_shape(const Op& op, std::span<const TensorView>, std::span<const MutTensorView> out) {
  const Tensor& value = attributes<op::ConstantOfShape>(op).value;
  visit_bytes(size_of(value.dtype()), [&]<class T>(ElementTag<T>) {
    std::fill_n(out[0].as<T>(), out[0].count(), *static_cast<const T*>(value.data()));
  });
}

// --- Gather, GatherElements --------------------------------------------------------------------------------

// Checks indexes that are known; those of run time are brought into range by eval.
void check_indexes(const Operand& indexes, std::int64_t extent) {
  const DType dtype = indexes.type->dtype;
  check(dtype == DType::i32 || dtype == DType::i64, "the indexes are {}; i32 or i64 is needed",
        to_string(dtype));
  if (!indexes.constant) return;
  const TensorView view = indexes.constant->view();
  for (std::int64_t i = 0; i < view.count(); ++i) {
    const std::int64_t at = element_as_int(view, i);
    check(at >= -extent && at < extent, "index {} is outside [{}, {})", at, -extent, extent);
  }
}

std::int64_t index_in(const TensorView& indexes, std::int64_t i, std::int64_t extent) noexcept {
  const std::int64_t at =
      indexes.dtype() == DType::i32 ? indexes.as<std::int32_t>()[i] : indexes.as<std::int64_t>()[i];
  return std::clamp<std::int64_t>(at < 0 ? at + extent : at, 0, extent - 1);
}

std::vector<Type> infer_gather(const Op& op, std::span<const Operand> in) {
  const Type &x = required(in, 0, "data"), &indexes = required(in, 1, "indices");
  check_inputs_at_most(in, 2);
  const int axis = normalize_axis(attributes<op::Gather>(op).axis, x.shape.rank());
  check_indexes(in[1], x.shape[axis]);
  check(x.shape[axis] > 0 || indexes.shape.count() == 0, "axis {} of {} is empty", axis, to_string(x));
  Shape shape;
  for (int i = 0; i < axis; ++i) shape.push_back(x.shape[i]);
  for (const std::int64_t extent : indexes.shape) shape.push_back(extent);
  for (int i = axis + 1; i < x.shape.rank(); ++i) shape.push_back(x.shape[i]);
  return {moved(x, shape)};
}

void eval_gather(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const Shape& x = in[0].shape();
  const int axis = normalize_axis(attributes<op::Gather>(op).axis, x.rank());
  const std::int64_t outer = x.count(0, axis), extent = x[axis], count = in[1].count();
  const std::int64_t bytes = x.count(axis + 1, x.rank()) * static_cast<std::int64_t>(size_of(in[0].dtype()));
  if (bytes == 0) return;
  char* to = out[0].as<char>();
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < count; ++i, to += bytes) {
      std::memcpy(to, in[0].as<char>() + (o * extent + index_in(in[1], i, extent)) * bytes,
                  static_cast<std::size_t>(bytes));
    }
  }
}

std::vector<Type> infer_gather_elements(const Op& op, std::span<const Operand> in) {
  const Type &x = required(in, 0, "data"), &indexes = required(in, 1, "indices");
  check_inputs_at_most(in, 2);
  check(x.shape.rank() == indexes.shape.rank(), "data has rank {} and indices rank {}", x.shape.rank(),
        indexes.shape.rank());
  const int axis = normalize_axis(attributes<op::GatherElements>(op).axis, x.shape.rank());
  for (int i = 0; i < x.shape.rank(); ++i) {
    check(i == axis || indexes.shape[i] <= x.shape[i], "axis {} has {} indices for {} elements", i,
          indexes.shape[i], x.shape[i]);
  }
  check_indexes(in[1], x.shape[axis]);
  check(x.shape[axis] > 0 || indexes.shape.count() == 0, "axis {} of {} is empty", axis, to_string(x));
  return {moved(x, indexes.shape)};
}

void eval_gather_elements(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const int axis = normalize_axis(attributes<op::GatherElements>(op).axis, in[0].shape().rank());
  std::array<Strides, 1> strides{dense_strides(in[0].shape())};
  const std::int64_t step = strides[0][static_cast<std::size_t>(axis)], extent = in[0].shape()[axis];
  strides[0][static_cast<std::size_t>(axis)] = 0;
  visit_bytes(size_of(out[0].dtype()), [&]<class T>(ElementTag<T>) {
    for_each_offset(out[0].shape(), strides, [&](std::int64_t i, const auto& at) {
      out[0].as<T>()[i] = in[0].as<T>()[at[0] + index_in(in[1], i, extent) * step];
    });
  });
}

// --- Identity, Dropout -------------------------------------------------------------------------------------

std::vector<Type> infer_identity(const Op&, std::span<const Operand> in) {
  const Type& x = required(in, 0, "input");
  check_inputs_at_most(in, 1);
  return {checked(x)};
}

void eval_identity(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  copy_bytes(in[0], out[0]);
}

// The ratio means nothing in inference; the seed means nothing without training.
void upgrade_dropout(OnnxNode& node, Graph&) {
  node.attributes.erase("ratio");
  node.attributes.erase("seed");
}

bool is_training(const Operand& mode) {
  if (!mode) return false;
  check(mode.constant != nullptr && mode.type->shape.count() == 1, "training_mode must be one constant");
  return element_as_double(mode.constant->view(), 0) != 0;
}

std::vector<Type> infer_dropout(const Op&, std::span<const Operand> in) {
  const Type& x = required(in, 0, "data");
  check_inputs_at_most(in, 3);
  if (is_training(operand(in, 2))) {
    const Operand ratio = operand(in, 1);
    const bool drops_none = ratio && ratio.constant && ratio.constant->count() == 1 &&
                            element_as_double(ratio.constant->view(), 0) == 0;
    check(drops_none,
          "Dropout in training mode drops at random; export the model for inference, or set ratio to 0");
  }
  return {checked(x), checked(DType::boolean, x.shape)};
}

void eval_dropout(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  if (const MutTensorView y = result(out, 0)) copy_bytes(in[0], y);
  if (const MutTensorView mask = result(out, 1)) std::fill_n(mask.as<bool>(), mask.count(), true);
}

constexpr QuantRule kSameScale{QuantRule::Kind::same_scale};

}  // namespace

std::vector<OpDef> shape_ops() {
  return {
      {.kind = op::Shape{}, .onnx = {{"Shape", op::Shape{}, 15}}, .infer = infer_shape, .eval = eval_shape},
      {.kind = op::Size{}, .onnx = {{"Size", op::Size{}}}, .infer = infer_size, .eval = eval_size},
      {.kind = op::Range{},
       .onnx = {{"Range", op::Range{}, 11}},
       .infer = infer_range,
       .eval = eval_range,
       .shape_inputs = 0b111},
      {.kind = op::ConstantOfShape{},
       .onnx = {{"ConstantOfShape", op::ConstantOfShape{}, 9}},
       .infer = infer_constant_of_shape,
       .eval = eval_constant_of_shape,
       .shape_inputs = 0b1},
      {.kind = op::Gather{},
       .onnx = {{"Gather", op::Gather{}, 11}},
       .infer = infer_gather,
       .eval = eval_gather,
       .quant = kSameScale},
      {.kind = op::GatherElements{},
       .onnx = {{"GatherElements", op::GatherElements{}, 11}},
       .infer = infer_gather_elements,
       .eval = eval_gather_elements,
       .quant = kSameScale},
      {.kind = op::Identity{},
       .onnx = {{"Identity", op::Identity{}}},
       .infer = infer_identity,
       .eval = eval_identity,
       .quant = kSameScale},
      {.kind = op::Dropout{},
       .onnx = {{"Dropout", op::Dropout{}, 12}},
       .upgrade = upgrade_dropout,
       .infer = infer_dropout,
       .eval = eval_dropout,
       .quant = kSameScale,
       .shape_inputs = 0b110},
  };
}

}  // namespace eke
