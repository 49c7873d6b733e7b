// Normalizations. The reference computes in double and rounds once.
#include <algorithm>
#include <array>
#include <cmath>

#include "ops/broadcast.h"
#include "ops/element.h"
#include "ops/families.h"
#include "ops/operands.h"

namespace eke {
namespace {

void check_float(const Type& type, std::string_view name) {
  check(is_float(type.dtype), "{} is {}; floats are needed", name, to_string(type));
}

void check_rank(const Shape& x, int least) {
  check(x.rank() >= least, "input {} has rank {}; at least {} is needed", to_string(x), x.rank(), least);
}

void check_vector(std::span<const Operand> in, std::size_t i, std::string_view name, std::int64_t count) {
  const Type& type = required(in, i, name);
  check_float(type, name);
  check(type.shape.rank() == 1 && type.shape[0] == count, "{} has shape {}; [{}] is needed", name,
        to_string(type.shape), count);
}

double value(const TensorView& tensor, std::int64_t i) noexcept { return element_as_double(tensor, i); }

// Calls f(T{}) with the float element type of dtype.
template <class F>
void visit_float(DType dtype, F&& f) {
  visit_dtype(dtype, [&](auto tag) {
    if constexpr (kIsFloat<typename decltype(tag)::type>) f(tag);
  });
}

void store(const MutTensorView& tensor, std::int64_t i, double x) {
  visit_float(tensor.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    tensor.as<T>()[i] = static_cast<T>(x);
  });
}

struct Moments {
  double mean = 0, variance = 0;
};

// Of `count` elements, of which at(k) is the k-th; the variance is the population's.
template <class At>
Moments moments(std::int64_t count, At&& at) {
  Moments m;
  for (std::int64_t k = 0; k < count; ++k) m.mean += at(k);
  m.mean /= static_cast<double>(count);
  for (std::int64_t k = 0; k < count; ++k) m.variance += (at(k) - m.mean) * (at(k) - m.mean);
  m.variance /= static_cast<double>(count);
  return m;
}

// --- BatchNormalization ------------------------------------------------------------------------------------

// Before opset 9 `spatial` says whether statistics are per channel, and before 14 further outputs ask for
// training.
void upgrade_batch_norm(OnnxNode& node, Graph&) {
  const auto spatial = take_attribute<std::int64_t>(node, "spatial");
  check(!spatial || *spatial != 0, "spatial = 0 (statistics for each element) is not supported");
  if (node.opset >= 14) return;
  take_attribute<op::Ints>(node, "consumed_inputs");
  const auto is_test = take_attribute<std::int64_t>(node, "is_test");
  check(node.opset >= 7 || (is_test && *is_test != 0),
        "is_test = 0 (training) is not supported before opset 14");
  for (std::size_t i = 1; i < node.out.size(); ++i)
    check(node.out[i] == kNoValue,
          "the training form of opset {} is not supported; export the model for inference", node.opset);
  if (node.out.size() > 1) node.out.erase(node.out.begin() + 1, node.out.end());
}

std::vector<Type> infer_batch_norm(const Op& op, std::span<const Operand> in) {
  check_inputs_at_most(in, 5);
  const Type& x = required(in, 0, "X");
  check_float(x, "X");
  check_rank(x.shape, 2);
  constexpr std::array<std::string_view, 5> kNames{"X", "scale", "B", "input_mean", "input_var"};
  for (std::size_t i = 1; i < kNames.size(); ++i) check_vector(in, i, kNames[i], x.shape[1]);
  std::vector<Type> types{checked(x.dtype, x.shape)};
  if (attributes<op::BatchNormalization>(op).training_mode != 0) {
    check(x.shape.count() > 0, "input {} is empty", to_string(x.shape));
    for (std::size_t i : {3, 4, 3, 4}) types.push_back(Type{in[i].type->dtype, in[i].type->shape});
  }
  return types;
}

void eval_batch_norm(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::BatchNormalization>(op);
  const Shape& shape = in[0].shape();
  const std::int64_t batch = shape[0], channels = shape[1], plane = shape.count(2, shape.rank());
  const MutTensorView y = result(out, 0), running_mean = result(out, 1), running_var = result(out, 2),
                      batch_mean = result(out, 3), batch_var = result(out, 4);
  const double momentum = a.momentum;
  visit_float(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = in[0].as<T>();
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto index = [&](std::int64_t k) { return (k / plane * channels + c) * plane + k % plane; };
      Moments m{value(in[3], c), value(in[4], c)};
      if (a.training_mode != 0) {
        const Moments old = m;
        m = moments(batch * plane, [&](std::int64_t k) { return static_cast<double>(x[index(k)]); });
        if (running_mean) store(running_mean, c, old.mean * momentum + m.mean * (1 - momentum));
        if (running_var) store(running_var, c, old.variance * momentum + m.variance * (1 - momentum));
        if (batch_mean) store(batch_mean, c, m.mean);
        if (batch_var) store(batch_var, c, m.variance);
      }
      if (!y) continue;
      const double factor = value(in[1], c) / std::sqrt(m.variance + static_cast<double>(a.epsilon));
      const double shift = value(in[2], c);
      for (std::int64_t k = 0; k < batch * plane; ++k) {
        const std::int64_t i = index(k);
        double normal = (static_cast<double>(x[i]) - m.mean) * factor + shift;
        if (a.clamp.active()) normal = std::min<double>(std::max<double>(normal, a.clamp.lo), a.clamp.hi);
        y.as<T>()[i] = static_cast<T>(normal);
      }
    }
  });
}

int batch_norm_opset(const Op& op) {
  return attributes<op::BatchNormalization>(op).training_mode != 0 ? 14 : 9;
}

// --- InstanceNormalization and GroupNormalization ----------------------------------------------------------

std::vector<Type> infer_instance_norm(const Op&, std::span<const Operand> in) {
  check_inputs_at_most(in, 3);
  const Type& x = required(in, 0, "input");
  check_float(x, "input");
  check_rank(x.shape, 3);
  check_vector(in, 1, "scale", x.shape[1]);
  check_vector(in, 2, "B", x.shape[1]);
  return {checked(x.dtype, x.shape)};
}

// Normalizes over each group of channels of each image. There are `scale_count` scales and biases.
void normalize_groups(std::span<const TensorView> in, const MutTensorView& out, std::int64_t groups,
                      std::int64_t scale_count, double epsilon) {
  const Shape& shape = in[0].shape();
  const std::int64_t channels = shape[1], plane = shape.count(2, shape.rank());
  const std::int64_t size = channels / groups * plane, per_scale = channels / scale_count * plane;
  visit_float(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (std::int64_t g = 0; g < shape[0] * groups; ++g) {
      const T* x = in[0].as<T>() + g * size;
      const Moments m = moments(size, [&](std::int64_t k) { return static_cast<double>(x[k]); });
      const double factor = 1 / std::sqrt(m.variance + epsilon);
      for (std::int64_t k = 0; k < size; ++k) {
        const std::int64_t s = (g % groups * size + k) / per_scale;
        out.as<T>()[g * size + k] =
            static_cast<T>((static_cast<double>(x[k]) - m.mean) * factor * value(in[1], s) + value(in[2], s));
      }
    }
  });
}

void eval_instance_norm(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const std::int64_t channels = in[0].shape()[1];
  if (in[0].count() == 0) return;
  normalize_groups(in, out[0], channels, channels, attributes<op::InstanceNormalization>(op).epsilon);
}

// Before opset 21 scale and bias are per group.
void upgrade_group_norm(OnnxNode& node, Graph&) {
  if (node.opset < 21) node.attributes["per_group"] = std::int64_t{1};
}

std::vector<Type> infer_group_norm(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::GroupNormalization>(op);
  check_inputs_at_most(in, 3);
  const Type& x = required(in, 0, "X");
  check_float(x, "X");
  check_rank(x.shape, 2);
  check(a.num_groups >= 1 && x.shape[1] % a.num_groups == 0, "{} groups do not divide {} channels",
        a.num_groups, x.shape[1]);
  const std::int64_t scales = a.per_group ? a.num_groups : x.shape[1];
  check_vector(in, 1, "scale", scales);
  check_vector(in, 2, "bias", scales);
  return {checked(x.dtype, x.shape)};
}

void eval_group_norm(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::GroupNormalization>(op);
  if (in[0].count() == 0) return;
  normalize_groups(in, out[0], a.num_groups, a.per_group ? a.num_groups : in[0].shape()[1], a.epsilon);
}

int group_norm_opset(const Op& op) { return attributes<op::GroupNormalization>(op).per_group ? 18 : 21; }

// --- LayerNormalization ------------------------------------------------------------------------------------

void check_broadcasts_to(const Operand& operand, const Shape& x, std::string_view name) {
  if (!operand) return;
  check_float(*operand.type, name);
  const Shape& shape = operand.type->shape;
  check(shape.rank() <= x.rank() && broadcast(shape, x) == x,
        "{} has shape {}, which does not broadcast to {}", name, to_string(shape), to_string(x));
}

std::vector<Type> infer_layer_norm(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::LayerNormalization>(op);
  check_inputs_at_most(in, 3);
  const Type& x = required(in, 0, "X");
  check_float(x, "X");
  const int axis = normalize_axis(a.axis, x.shape.rank());
  static_cast<void>(required(in, 1, "Scale"));
  check_broadcasts_to(in[1], x.shape, "Scale");
  check_broadcasts_to(operand(in, 2), x.shape, "B");
  Shape statistics = x.shape;
  for (int i = axis; i < statistics.rank(); ++i) statistics[i] = 1;
  return {checked(x.dtype, x.shape), checked(DType::f32, statistics), checked(DType::f32, statistics)};
}

void eval_layer_norm(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::LayerNormalization>(op);
  const Shape& shape = in[0].shape();
  if (in[0].count() == 0) return;
  const int axis = normalize_axis(a.axis, shape.rank());
  const std::int64_t inner = shape.count(axis, shape.rank());
  const MutTensorView y = result(out, 0), mean = result(out, 1), inverse = result(out, 2);
  const TensorView scale = in[1], bias = operand(in, 2);
  const std::array<Strides, 2> strides{broadcast_strides(scale.shape(), shape),
                                       bias ? broadcast_strides(bias.shape(), shape) : Strides{}};
  visit_float(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = in[0].as<T>();
    Moments m;
    double factor = 1;
    for_each_offset(shape, strides, [&](std::int64_t i, const auto& at) {
      const std::int64_t row = i / inner;
      if (i % inner == 0) {
        m = moments(inner, [&](std::int64_t k) { return static_cast<double>(x[row * inner + k]); });
        factor = 1 / std::sqrt(m.variance + static_cast<double>(a.epsilon));
        if (mean) store(mean, row, m.mean);
        if (inverse) store(inverse, row, factor);
      }
      const double shift = bias ? value(bias, at[1]) : 0;
      if (y)
        y.as<T>()[i] =
            static_cast<T>((static_cast<double>(x[i]) - m.mean) * factor * value(scale, at[0]) + shift);
    });
  });
}

// --- LRN ---------------------------------------------------------------------------------------------------

std::vector<Type> infer_lrn(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::LRN>(op);
  check_inputs_at_most(in, 1);
  const Type& x = required(in, 0, "X");
  check_float(x, "X");
  check_rank(x.shape, 2);
  check(a.size >= 1, "size is {}; it must be at least 1", a.size);
  return {checked(x.dtype, x.shape)};
}

void eval_lrn(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::LRN>(op);
  const Shape& shape = in[0].shape();
  const std::int64_t channels = shape[1], plane = shape.count(2, shape.rank());
  const std::int64_t before = std::min((a.size - 1) / 2, channels), after = std::min(a.size / 2, channels);
  visit_float(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* x = in[0].as<T>();
    for (std::int64_t n = 0; n < shape[0]; ++n)
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t p = 0; p < plane; ++p) {
          double squares = 0;
          for (std::int64_t k = std::max<std::int64_t>(c - before, 0); k <= std::min(c + after, channels - 1);
               ++k) {
            const auto v = static_cast<double>(x[(n * channels + k) * plane + p]);
            squares += v * v;
          }
          const std::int64_t i = (n * channels + c) * plane + p;
          const double base = static_cast<double>(a.bias) +
                              static_cast<double>(a.alpha) / static_cast<double>(a.size) * squares;
          out[0].as<T>()[i] =
              static_cast<T>(static_cast<double>(x[i]) / std::pow(base, static_cast<double>(a.beta)));
        }
  });
}

// --- LpNormalization ---------------------------------------------------------------------------------------

std::vector<Type> infer_lp_norm(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::LpNormalization>(op);
  check_inputs_at_most(in, 1);
  const Type& x = required(in, 0, "input");
  check_float(x, "input");
  static_cast<void>(normalize_axis(a.axis, x.shape.rank()));
  check(a.p == 1 || a.p == 2, "p is {}; it must be 1 or 2", a.p);
  return {checked(x.dtype, x.shape)};
}

void eval_lp_norm(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::LpNormalization>(op);
  const Shape& shape = in[0].shape();
  const int axis = normalize_axis(a.axis, shape.rank());
  const std::int64_t outer = shape.count(0, axis), extent = shape[axis],
                     inner = shape.count(axis + 1, shape.rank());
  visit_float(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (std::int64_t o = 0; o < outer; ++o)
      for (std::int64_t i = 0; i < inner; ++i) {
        const T* x = in[0].as<T>() + o * extent * inner + i;
        T* y = out[0].as<T>() + o * extent * inner + i;
        double norm = 0;
        for (std::int64_t k = 0; k < extent; ++k) {
          const double v = std::abs(static_cast<double>(x[k * inner]));
          norm += a.p == 1 ? v : v * v;
        }
        if (a.p == 2) norm = std::sqrt(norm);
        // A vector of zeros stays one.
        for (std::int64_t k = 0; k < extent; ++k)
          y[k * inner] = norm == 0 ? T(0.f) : static_cast<T>(static_cast<double>(x[k * inner]) / norm);
      }
  });
}

// --- MeanVarianceNormalization -----------------------------------------------------------------------------

struct AxisSplit {
  Shape kept, reduced;
  Strides kept_strides{}, reduced_strides{};
};

AxisSplit split_axes(const op::Ints& axes, const Shape& x) {
  std::array<bool, Shape::kMaxRank> reduce{};
  for (std::int64_t axis : axes) reduce[static_cast<std::size_t>(normalize_axis(axis, x.rank()))] = true;
  const Strides strides = dense_strides(x);
  AxisSplit split;
  for (int i = 0; i < x.rank(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    Shape& shape = reduce[k] ? split.reduced : split.kept;
    (reduce[k] ? split.reduced_strides : split.kept_strides)[static_cast<std::size_t>(shape.rank())] =
        strides[k];
    shape.push_back(x[i]);
  }
  return split;
}

std::vector<Type> infer_mvn(const Op& op, std::span<const Operand> in) {
  check_inputs_at_most(in, 1);
  const Type& x = required(in, 0, "X");
  check_float(x, "X");
  static_cast<void>(split_axes(attributes<op::MeanVarianceNormalization>(op).axes, x.shape));
  return {checked(x.dtype, x.shape)};
}

void eval_mvn(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const AxisSplit split = split_axes(attributes<op::MeanVarianceNormalization>(op).axes, in[0].shape());
  constexpr double kEpsilon = 1e-9;  // of ONNX's definition: added to the standard deviation
  const auto count = static_cast<double>(split.reduced.count());
  visit_float(in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const std::array<Strides, 1> outer{split.kept_strides}, inner{split.reduced_strides};
    for_each_offset(split.kept, outer, [&](std::int64_t, const auto& base) {
      const T* x = in[0].as<T>() + base[0];
      T* y = out[0].as<T>() + base[0];
      double mean = 0, variance = 0;
      for_each_offset(split.reduced, inner,
                      [&](std::int64_t, const auto& at) { mean += static_cast<double>(x[at[0]]) / count; });
      for_each_offset(split.reduced, inner, [&](std::int64_t, const auto& at) {
        const double d = static_cast<double>(x[at[0]]) - mean;
        variance += d * d / count;
      });
      for_each_offset(split.reduced, inner, [&](std::int64_t, const auto& at) {
        y[at[0]] = static_cast<T>((static_cast<double>(x[at[0]]) - mean) / (std::sqrt(variance) + kEpsilon));
      });
    });
  });
}

}  // namespace

std::vector<OpDef> norm_ops() {
  return {
      {.kind = op::BatchNormalization{},
       .onnx = {{"BatchNormalization", op::BatchNormalization{}, 9}},
       .upgrade = upgrade_batch_norm,
       .infer = infer_batch_norm,
       .eval = eval_batch_norm,
       .opset = batch_norm_opset},
      {.kind = op::InstanceNormalization{},
       .onnx = {{"InstanceNormalization", op::InstanceNormalization{}, 7}},
       .infer = infer_instance_norm,
       .eval = eval_instance_norm},
      {.kind = op::LayerNormalization{},
       .onnx = {{"LayerNormalization", op::LayerNormalization{}, 17}},
       .infer = infer_layer_norm,
       .eval = eval_layer_norm},
      {.kind = op::GroupNormalization{},
       .onnx = {{"GroupNormalization", op::GroupNormalization{}, 18}},
       .upgrade = upgrade_group_norm,
       .infer = infer_group_norm,
       .eval = eval_group_norm,
       .opset = group_norm_opset},
      {.kind = op::LRN{}, .onnx = {{"LRN", op::LRN{}, 7}}, .infer = infer_lrn, .eval = eval_lrn},
      {.kind = op::LpNormalization{},
       .onnx = {{"LpNormalization", op::LpNormalization{}, 7}},
       .infer = infer_lp_norm,
       .eval = eval_lp_norm},
      {.kind = op::MeanVarianceNormalization{},
       .onnx = {{"MeanVarianceNormalization", op::MeanVarianceNormalization{}, 9}},
       .infer = infer_mvn,
       .eval = eval_mvn},
  };
}

}  // namespace eke
