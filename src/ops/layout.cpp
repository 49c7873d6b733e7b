#include <algorithm>
#include <cstring>
#include <limits>

#include "ops/broadcast.h"
#include "ops/element.h"
#include "ops/families.h"
#include "ops/operands.h"
#include "ops/quantized.h"

namespace eke {
namespace {

using Axes = std::array<bool, Shape::kMaxRank>;

// The set of axes that an input lists, for a tensor of that rank; throws where one is out of range or
// repeated.
Axes axis_set(const TensorView& axes, int rank) {
  Axes set{};
  for (std::int64_t i = 0; i < axes.count(); ++i) {
    const int axis = normalize_axis(element_as_int(axes, i), rank);
    check(!set[static_cast<std::size_t>(axis)], "axis {} is given twice", axis);
    set[static_cast<std::size_t>(axis)] = true;
  }
  return set;
}

// The axis that entry i of an operand is about: axes[i], or i where there is no list.
int listed_axis(const TensorView& axes, std::int64_t i, int rank) {
  return normalize_axis(axes ? element_as_int(axes, i) : i, rank);
}

void check_entries(std::string_view name, const TensorView& list, std::int64_t count) {
  check(list.count() == count, "{} has {} entries for {} axes", name, list.count(), count);
}

std::int64_t checked_product(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  check(!__builtin_mul_overflow(a, b, &product), "{} times {} elements: too large", a, b);
  return product;
}

// Fills `out` with elements of `in`: along each axis, index i of the output comes from index map(axis, i) of
// the input, and is `fill` where that is negative. Shapes have equal rank.
template <class T, class Map>
struct MappedCopy {
  const Shape& shape;
  Strides steps;
  const Map& map;
  const T* in;
  T fill;
  T* out;

  // The block of the output under the first `axis` indexes, whose source starts at `offset`.
  void run(int axis, std::int64_t offset) {
    const std::int64_t step = steps[static_cast<std::size_t>(axis)];
    const bool last = axis + 1 == shape.rank();
    const std::int64_t block = shape.count(axis + 1, shape.rank());
    for (std::int64_t i = 0; i < shape[axis]; ++i) {
      const std::int64_t source = map(axis, i);
      if (source < 0)
        out = std::fill_n(out, block, fill);
      else if (last)
        *out++ = in[offset + source * step];
      else
        run(axis + 1, offset + source * step);
    }
  }
};

template <class Map>
void mapped_copy(const TensorView& in, const Shape& in_shape, const MutTensorView& out, const Map& map,
                 std::uint64_t fill = 0) {
  if (out.count() == 0) return;
  visit_bytes(size_of(out.dtype()), [&]<class T>(ElementTag<T>) {
    if (out.shape().rank() == 0) {
      *out.as<T>() = *in.as<T>();
      return;
    }
    MappedCopy<T, Map>{out.shape(), dense_strides(in_shape), map,
                       in.as<T>(),  static_cast<T>(fill),    out.as<T>()}
        .run(0, 0);
  });
}

void eval_copy(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  copy_bytes(in[0], out[0]);
}

// --- Concat ------------------------------------------------------------------------------------------------

std::vector<Type> infer_concat(const Op& op, std::span<const Operand> in) {
  const Type& first = required(in, 0, "first");
  Shape shape = first.shape;
  const int axis = normalize_axis(attributes<op::Concat>(op).axis, shape.rank());
  for (std::size_t i = 1; i < in.size(); ++i) {
    const Type& x = required(in, i, "next");
    check(x.dtype == first.dtype && x.quant.has_value() == first.quant.has_value(),
          "input {} is {} but the first is {}", i, to_string(x), to_string(first));
    static_cast<void>(moved(x, x.shape));
    bool fits = x.shape.rank() == shape.rank();
    for (int k = 0; fits && k < shape.rank(); ++k) fits = k == axis || x.shape[k] == shape[k];
    check(fits, "input {} has shape {}, the first {}: only axis {} may differ", i, to_string(x.shape),
          to_string(first.shape), axis);
    shape[axis] += x.shape[axis];
    static_cast<void>(checked(first.dtype, shape));  // before the next sum can overflow
  }
  return {moved(first, shape)};
}

void eval_concat(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const MutTensorView y = out[0];
  const int rank = y.shape().rank(), axis = normalize_axis(attributes<op::Concat>(op).axis, rank);
  const std::int64_t outer = y.shape().count(0, axis), row = y.shape().count(axis, rank);
  const auto size = static_cast<std::int64_t>(size_of(y.dtype()));
  std::int64_t begin = 0;
  for (const TensorView& x : in) {
    const std::int64_t part = x.shape().count(axis, rank);
    const bool requantize = x.type->quant != y.type->quant;
    for (std::int64_t o = 0; o < outer && part != 0; ++o) {
      if (requantize) {
        for (std::int64_t i = 0; i < part; ++i) {
          quantized::store_real(y, o * row + begin + i, quantized::load_real(x, o * part + i));
        }
      } else {
        std::memcpy(y.as<char>() + (o * row + begin) * size, x.as<char>() + o * part * size,
                    static_cast<std::size_t>(part * size));
      }
    }
    begin += part;
  }
}

// --- Split -------------------------------------------------------------------------------------------------

constexpr std::int64_t kMaxOutputs = 65536;

// Before opset 18 the number of outputs is that of the node, before opset 13 the parts are an attribute.
void upgrade_split(OnnxNode& node, Graph& graph) {
  attribute_to_input(node, graph, "split", 1);
  const bool has_parts = node.in.size() > 1 && node.in[1] != kNoValue;
  if (!has_parts && !node.attributes.contains("num_outputs")) {
    node.attributes["num_outputs"] = static_cast<std::int64_t>(node.out.size());
  }
}

// The extent of part k: as listed, else equal parts of which the last may be smaller.
std::int64_t part_extent(const TensorView& parts, std::int64_t num_outputs, std::int64_t extent,
                         std::int64_t k) noexcept {
  if (parts) return element_as_int(parts, k);
  const std::int64_t each = extent / num_outputs + (extent % num_outputs != 0);
  return k + 1 < num_outputs ? each : extent - each * (num_outputs - 1);
}

std::vector<Type> infer_split(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::Split>(op);
  const Type& x = required(in, 0, "input");
  check_inputs_at_most(in, 2);
  const int axis = normalize_axis(a.axis, x.shape.rank());
  const TensorView parts = shape_operand(in, 1, "split");
  const std::int64_t outputs = parts ? parts.count() : a.num_outputs;
  check(outputs > 0 && outputs <= kMaxOutputs, "Split into {} parts; 1 to {} are possible", outputs,
        kMaxOutputs);
  std::vector<Type> types;
  std::int64_t left = x.shape[axis];
  for (std::int64_t k = 0; k < outputs; ++k) {
    Shape shape = x.shape;
    shape[axis] = part_extent(parts, outputs, x.shape[axis], k);
    check(shape[axis] >= 0 && shape[axis] <= left, "part {} of axis {} has {} elements; {} of {} are left", k,
          axis, shape[axis], left, x.shape[axis]);
    left -= shape[axis];
    types.push_back(moved(x, shape));
  }
  check(left == 0, "the parts leave {} of {} elements along axis {}", left, x.shape[axis], axis);
  return types;
}

void eval_split(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::Split>(op);
  const TensorView x = in[0], parts = operand(in, 1);
  const int rank = x.shape().rank(), axis = normalize_axis(a.axis, rank);
  const auto size = static_cast<std::int64_t>(size_of(x.dtype()));
  const std::int64_t outer = x.shape().count(0, axis);
  const std::int64_t inner = x.shape().count(axis + 1, rank) * size, row = x.shape()[axis] * inner;
  const std::int64_t outputs = parts ? parts.count() : a.num_outputs;
  std::int64_t begin = 0;
  for (std::int64_t k = 0; k < outputs; ++k) {
    const std::int64_t part = part_extent(parts, outputs, x.shape()[axis], k) * inner;
    const MutTensorView y = result(out, static_cast<std::size_t>(k));
    for (std::int64_t o = 0; y && part != 0 && o < outer; ++o) {
      std::memcpy(y.as<char>() + o * part, x.as<char>() + o * row + begin, static_cast<std::size_t>(part));
    }
    begin += part;
  }
}

// --- Slice -------------------------------------------------------------------------------------------------

void upgrade_slice(OnnxNode& node, Graph& graph) {
  attribute_to_input(node, graph, "starts", 1);
  attribute_to_input(node, graph, "ends", 2);
  attribute_to_input(node, graph, "axes", 3);
}

struct Range {
  std::int64_t start, step, extent;
};

// ONNX's rules: negative positions count from the end, and what lies outside is cut off.
Range slice_range(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t extent) {
  check(step != 0, "a step is 0");
  if (start < 0) start += extent;
  if (end < 0) end += extent;
  if (step > 0) {
    start = std::clamp<std::int64_t>(start, 0, extent);
    end = std::clamp<std::int64_t>(end, 0, extent);
    const std::int64_t count = end > start ? (end - start - 1) / step + 1 : 0;
    return {start, count > 1 ? step : 1, count};
  }
  if (extent == 0) return {0, 1, 0};
  start = std::clamp<std::int64_t>(start, 0, extent - 1);
  end = std::clamp<std::int64_t>(end, -1, extent - 1);
  const std::int64_t count = start > end ? (end - start + 1) / step + 1 : 0;  // both negative: no overflow
  return {start, count > 1 ? step : 1, count};
}

struct SliceOperands {
  TensorView starts, ends, axes, steps;
};

std::array<Range, Shape::kMaxRank> slice_ranges(const Shape& x, const SliceOperands& o) {
  std::array<Range, Shape::kMaxRank> ranges{};
  for (int i = 0; i < x.rank(); ++i) ranges[static_cast<std::size_t>(i)] = {0, 1, x[i]};
  for (std::int64_t i = 0; i < o.starts.count(); ++i) {
    const int axis = listed_axis(o.axes, i, x.rank());
    ranges[static_cast<std::size_t>(axis)] =
        slice_range(element_as_int(o.starts, i), element_as_int(o.ends, i),
                    o.steps ? element_as_int(o.steps, i) : 1, x[axis]);
  }
  return ranges;
}

std::vector<Type> infer_slice(const Op&, std::span<const Operand> in) {
  const Type& x = required(in, 0, "data");
  required(in, 1, "starts");
  required(in, 2, "ends");
  check_inputs_at_most(in, 5);
  const SliceOperands o{shape_operand(in, 1, "starts"), shape_operand(in, 2, "ends"),
                        shape_operand(in, 3, "axes"), shape_operand(in, 4, "steps")};
  const std::int64_t count = o.starts.count();
  check(count <= x.shape.rank(), "starts has {} entries for rank {}", count, x.shape.rank());
  check_entries("ends", o.ends, count);
  if (o.axes) {
    check_entries("axes", o.axes, count);
    axis_set(o.axes, x.shape.rank());
  }
  if (o.steps) check_entries("steps", o.steps, count);
  const auto ranges = slice_ranges(x.shape, o);
  Shape shape = x.shape;
  for (int i = 0; i < shape.rank(); ++i) shape[i] = ranges[static_cast<std::size_t>(i)].extent;
  return {moved(x, shape)};
}

void eval_slice(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto ranges = slice_ranges(in[0].shape(), {in[1], in[2], operand(in, 3), operand(in, 4)});
  mapped_copy(in[0], in[0].shape(), out[0], [&](int axis, std::int64_t i) {
    const Range& range = ranges[static_cast<std::size_t>(axis)];
    return range.start + i * range.step;
  });
}

// --- Pad ---------------------------------------------------------------------------------------------------

constexpr std::int64_t kMaxPad = std::int64_t{1} << 33;

void upgrade_pad(OnnxNode& node, Graph& graph) {
  attribute_to_input(node, graph, "pads", 1);
  const auto value = take_attribute<float>(node, "value");
  if (value && *value != 0) add_input(node, graph, 2, "value", Tensor::scalar(*value));
}

struct Pads {
  std::array<std::int64_t, Shape::kMaxRank> before{}, after{};
};

Pads padding(const TensorView& pads, const TensorView& axes, int rank) {
  Pads p;
  const std::int64_t count = pads.count() / 2;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto axis = static_cast<std::size_t>(listed_axis(axes, i, rank));
    p.before[axis] = element_as_int(pads, i);
    p.after[axis] = element_as_int(pads, count + i);
  }
  return p;
}

// The index of the padded axis at position `at` relative to the input; -1 for the constant.
std::int64_t padded_index(std::string_view mode, std::int64_t at, std::int64_t extent) noexcept {
  if (at >= 0 && at < extent) return at;
  if (mode == "constant") return -1;
  if (mode == "edge" || extent == 1) return at < 0 ? 0 : extent - 1;
  const std::int64_t period = mode == "wrap" ? extent : 2 * (extent - 1);
  const std::int64_t phase = (at % period + period) % period;
  return phase < extent ? phase : period - phase;
}

std::vector<Type> infer_pad(const Op& op, std::span<const Operand> in) {
  const std::string& mode = attributes<op::Pad>(op).mode;
  check(mode == "constant" || mode == "reflect" || mode == "edge" || mode == "wrap",
        "mode is '{}'; constant, reflect, edge and wrap are known", mode);
  const Type& x = required(in, 0, "data");
  required(in, 1, "pads");
  check_inputs_at_most(in, 4);
  if (const Operand value = operand(in, 2)) {
    check(value.type->shape.count() == 1, "the constant has shape {}; a scalar is needed",
          to_string(value.type->shape));
    const bool real = (is_float(x.dtype) || x.quant) && is_float(value.type->dtype);
    check(value.type->dtype == x.dtype || real, "the constant is {} but the data is {}",
          to_string(*value.type), to_string(x));
  }
  const TensorView pads = shape_operand(in, 1, "pads"), axes = shape_operand(in, 3, "axes");
  if (axes) axis_set(axes, x.shape.rank());
  check_entries("pads", pads, 2 * (axes ? axes.count() : x.shape.rank()));
  const Pads p = padding(pads, axes, x.shape.rank());
  Shape shape = x.shape;
  for (int i = 0; i < shape.rank(); ++i) {
    const std::int64_t before = p.before[static_cast<std::size_t>(i)],
                       after = p.after[static_cast<std::size_t>(i)];
    check(std::max(before, after) <= kMaxPad && std::min(before, after) >= -kMaxPad,
          "pads {} and {} of axis {} are too large", before, after, i);
    shape[i] += before + after;
    check(shape[i] >= 0, "pads {} and {} take more than the {} elements of axis {}", before, after,
          x.shape[i], i);
    check(x.shape[i] > 0 || shape[i] == 0 || mode == "constant",
          "axis {} is empty: nothing to pad with in mode {}", i, mode);
  }
  return {moved(x, shape)};
}

// The bits of the padding element: 0 in real terms unless a value is given. A value of the stored integer
// type pads a quantized tensor as it is.
std::uint64_t pad_bits(const Type& x, const TensorView& value) noexcept {
  std::uint64_t bits = 0;
  const MutTensorView element{&x, &bits};
  if (x.quant && !(value && value.dtype() == x.dtype)) {
    const float real = value ? static_cast<float>(element_as_double(value, 0)) : 0.f;
    quantized::store_real(element, 0, real);
  } else if (value && value.dtype() == x.dtype) {
    std::memcpy(&bits, value.data, size_of(x.dtype));
  } else if (value) {
    visit_dtype(x.dtype, [&]<class T>(ElementTag<T>) {
      const T converted = converted_value<T>(element_as_double(value, 0));
      std::memcpy(&bits, &converted, sizeof(T));
    });
  }
  return bits;
}

void eval_pad(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const std::string& mode = attributes<op::Pad>(op).mode;
  const Shape& x = in[0].shape();
  const Pads p = padding(in[1], operand(in, 3), x.rank());
  const auto map = [&](int axis, std::int64_t i) {
    return padded_index(mode, i - p.before[static_cast<std::size_t>(axis)], x[axis]);
  };
  mapped_copy(in[0], x, out[0], map, pad_bits(*in[0].type, operand(in, 2)));
}

// --- Reshape, Flatten, Squeeze, Unsqueeze ------------------------------------------------------------------

// The product of known extents, 0 copied from the input; `open` gets the axis of -1.
std::int64_t known_count(Shape& shape, const Shape& x, bool allow_zero, int& open) {
  std::int64_t known = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1) {
      check(open < 0, "the target shape has more than one -1");
      open = i;
      continue;
    }
    check(shape[i] >= 0, "the target shape has an extent of {}", shape[i]);
    if (shape[i] == 0 && !allow_zero) {
      check(i < x.rank(), "extent {} of the target is copied from an input of rank {}", i, x.rank());
      shape[i] = x[i];
    }
    known = checked_product(known, shape[i]);
  }
  return known;
}

std::vector<Type> infer_reshape(const Op& op, std::span<const Operand> in) {
  const Type& x = required(in, 0, "data");
  required(in, 1, "shape");
  check_inputs_at_most(in, 2);
  const TensorView target = shape_operand(in, 1, "shape");
  const bool allow_zero = attributes<op::Reshape>(op).allowzero != 0;
  Shape shape;
  for (std::int64_t i = 0; i < target.count(); ++i) shape.push_back(element_as_int(target, i));
  int open = -1;
  const std::int64_t known = known_count(shape, x.shape, allow_zero, open), count = x.shape.count();
  if (open >= 0) {
    check(known > 0, "the -1 of the target shape is open: the other extents give 0");
    shape[open] = count / known;
  }
  check(open >= 0 ? count % known == 0 : count == known,
        "{} elements of shape {} do not fit the target of {} known elements", count, to_string(x.shape),
        known);
  return {moved(x, shape)};
}

std::vector<Type> infer_flatten(const Op& op, std::span<const Operand> in) {
  const Type& x = required(in, 0, "input");
  check_inputs_at_most(in, 1);
  const int rank = x.shape.rank();
  const std::int64_t axis = attributes<op::Flatten>(op).axis;
  check(axis >= -rank && axis <= rank, "axis {} is outside [{}, {}]", axis, -rank, rank);
  const int split = static_cast<int>(axis < 0 ? axis + rank : axis);
  return {moved(x, {x.shape.count(0, split), x.shape.count(split, rank)})};
}

void upgrade_axes(OnnxNode& node, Graph& graph) { attribute_to_input(node, graph, "axes", 1); }

std::vector<Type> infer_squeeze(const Op&, std::span<const Operand> in) {
  const Type& x = required(in, 0, "data");
  check_inputs_at_most(in, 2);
  const TensorView list = shape_operand(in, 1, "axes");
  const Axes axes = list ? axis_set(list, x.shape.rank()) : Axes{};
  Shape shape;
  for (int i = 0; i < x.shape.rank(); ++i) {
    const bool named = axes[static_cast<std::size_t>(i)];
    check(!named || x.shape[i] == 1, "axis {} has {} elements and cannot be squeezed", i, x.shape[i]);
    if (!named && (list || x.shape[i] != 1)) shape.push_back(x.shape[i]);
  }
  return {moved(x, shape)};
}

std::vector<Type> infer_unsqueeze(const Op&, std::span<const Operand> in) {
  const Type& x = required(in, 0, "data");
  required(in, 1, "axes");
  check_inputs_at_most(in, 2);
  const TensorView list = shape_operand(in, 1, "axes");
  check(list.count() + x.shape.rank() <= Shape::kMaxRank,
        "{} more axes for rank {}: at most {} are supported", list.count(), x.shape.rank(), Shape::kMaxRank);
  const int rank = x.shape.rank() + static_cast<int>(list.count());
  const Axes axes = axis_set(list, rank);
  Shape shape;
  for (int i = 0, from = 0; i < rank; ++i)
    shape.push_back(axes[static_cast<std::size_t>(i)] ? 1 : x.shape[from++]);
  return {moved(x, shape)};
}

// --- Transpose ---------------------------------------------------------------------------------------------

// The input axis that becomes axis i; no list reverses them.
int source_axis(const op::Ints& perm, int i, int rank) noexcept {
  return perm.empty() ? rank - 1 - i : static_cast<int>(perm[static_cast<std::size_t>(i)]);
}

std::vector<Type> infer_transpose(const Op& op, std::span<const Operand> in) {
  const op::Ints& perm = attributes<op::Transpose>(op).perm;
  Type y = required(in, 0, "data");
  check_inputs_at_most(in, 1);
  const Shape x = y.shape;
  check(perm.empty() || static_cast<int>(perm.size()) == x.rank(), "perm has {} entries for rank {}",
        perm.size(), x.rank());
  Axes seen{};
  for (const std::int64_t axis : perm) {
    check(axis >= 0 && axis < x.rank(), "perm has axis {}, outside [0, {})", axis, x.rank());
    check(!seen[static_cast<std::size_t>(axis)], "perm has axis {} twice", axis);
    seen[static_cast<std::size_t>(axis)] = true;
  }
  for (int i = 0; i < x.rank(); ++i) y.shape[i] = x[source_axis(perm, i, x.rank())];
  if (y.quant && !y.quant->per_tensor()) {
    int axis = 0;
    while (source_axis(perm, axis, x.rank()) != y.quant->axis) ++axis;
    y.quant->axis = axis;
  }
  return {checked(std::move(y))};
}

void eval_transpose(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const op::Ints& perm = attributes<op::Transpose>(op).perm;
  const int rank = out[0].shape().rank();
  const Strides dense = dense_strides(in[0].shape());
  std::array<Strides, 1> strides{};
  for (int i = 0; i < rank; ++i) {
    strides[0][static_cast<std::size_t>(i)] = dense[static_cast<std::size_t>(source_axis(perm, i, rank))];
  }
  visit_bytes(size_of(out[0].dtype()), [&]<class T>(ElementTag<T>) {
    for_each_offset(
        out[0].shape(), strides,
        [x = in[0].as<T>(), y = out[0].as<T>()](std::int64_t i, const auto& at) { y[i] = x[at[0]]; });
  });
}

// --- Expand, Tile ------------------------------------------------------------------------------------------

std::vector<Type> infer_expand(const Op&, std::span<const Operand> in) {
  const Type& x = required(in, 0, "input");
  required(in, 1, "shape");
  check_inputs_at_most(in, 2);
  const TensorView target = shape_operand(in, 1, "shape");
  Shape shape;
  for (std::int64_t i = 0; i < target.count(); ++i) {
    shape.push_back(element_as_int(target, i));
    check(element_as_int(target, i) >= 0, "the target shape has an extent of {}", element_as_int(target, i));
  }
  return {moved(x, broadcast(x.shape, shape))};
}

// The input's shape with leading extents of 1 up to the rank of the output.
Shape padded_shape(const Shape& x, int rank) {
  Shape shape = Shape::filled(rank, 1);
  std::copy(x.begin(), x.end(), shape.end() - x.rank());
  return shape;
}

void eval_expand(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const Shape x = padded_shape(in[0].shape(), out[0].shape().rank());
  mapped_copy(in[0], x, out[0], [&](int axis, std::int64_t i) { return x[axis] == 1 ? 0 : i; });
}

std::vector<Type> infer_tile(const Op&, std::span<const Operand> in) {
  const Type& x = required(in, 0, "input");
  required(in, 1, "repeats");
  check_inputs_at_most(in, 2);
  const TensorView repeats = shape_operand(in, 1, "repeats");
  check_entries("repeats", repeats, x.shape.rank());
  Shape shape = x.shape;
  for (int i = 0; i < shape.rank(); ++i) {
    const std::int64_t times = element_as_int(repeats, i);
    check(times >= 0, "axis {} is repeated {} times", i, times);
    shape[i] = checked_product(shape[i], times);
  }
  return {moved(x, shape)};
}

void eval_tile(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const Shape& x = in[0].shape();
  mapped_copy(in[0], x, out[0], [&](int axis, std::int64_t i) { return i % x[axis]; });
}

constexpr QuantRule kSameScale{QuantRule::Kind::same_scale};

}  // namespace

std::vector<OpDef> layout_ops() {
  return {
      {.kind = op::Concat{},
       .onnx = {{"Concat", op::Concat{}}},
       .infer = infer_concat,
       .eval = eval_concat,
       .quant = {QuantRule::Kind::joined_scale}},
      {.kind = op::Split{},
       .onnx = {{"Split", op::Split{}, 18}},
       .upgrade = upgrade_split,
       .infer = infer_split,
       .eval = eval_split,
       .quant = kSameScale,
       .shape_inputs = 0b10},
      {.kind = op::Slice{},
       .onnx = {{"Slice", op::Slice{}, 10}},
       .upgrade = upgrade_slice,
       .infer = infer_slice,
       .eval = eval_slice,
       .quant = kSameScale,
       .shape_inputs = 0b11110},
      {.kind = op::Pad{},
       .onnx = {{"Pad", op::Pad{}, 18}},
       .upgrade = upgrade_pad,
       .infer = infer_pad,
       .eval = eval_pad,
       .quant = kSameScale,
       .opset = [](const Op& op) { return attributes<op::Pad>(op).mode == "wrap" ? 19 : 18; },
       .shape_inputs = 0b1010},
      {.kind = op::Reshape{},
       .onnx = {{"Reshape", op::Reshape{}, 14}},
       .infer = infer_reshape,
       .eval = eval_copy,
       .quant = kSameScale,
       .shape_inputs = 0b10},
      {.kind = op::Flatten{},
       .onnx = {{"Flatten", op::Flatten{}, 11}},
       .infer = infer_flatten,
       .eval = eval_copy,
       .quant = kSameScale},
      {.kind = op::Squeeze{},
       .onnx = {{"Squeeze", op::Squeeze{}, 13}},
       .upgrade = upgrade_axes,
       .infer = infer_squeeze,
       .eval = eval_copy,
       .quant = kSameScale,
       .shape_inputs = 0b10},
      {.kind = op::Unsqueeze{},
       .onnx = {{"Unsqueeze", op::Unsqueeze{}, 13}},
       .upgrade = upgrade_axes,
       .infer = infer_unsqueeze,
       .eval = eval_copy,
       .quant = kSameScale,
       .shape_inputs = 0b10},
      {.kind = op::Transpose{},
       .onnx = {{"Transpose", op::Transpose{}}},
       .infer = infer_transpose,
       .eval = eval_transpose,
       .quant = kSameScale},
      {.kind = op::Expand{},
       .onnx = {{"Expand", op::Expand{}, 8}},
       .infer = infer_expand,
       .eval = eval_expand,
       .quant = kSameScale,
       .shape_inputs = 0b10},
      {.kind = op::Tile{},
       .onnx = {{"Tile", op::Tile{}}},
       .infer = infer_tile,
       .eval = eval_tile,
       .quant = kSameScale,
       .shape_inputs = 0b10},
  };
}

}  // namespace eke
