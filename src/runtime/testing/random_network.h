// Random networks for tests: the same seed gives the same graph. Every operator that the plan has a tactic
// for appears, over random shapes, strides, pads and groups; optionally quantized with random parameters.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "ops/infer.h"
#include "ops/op_def.h"

namespace eke::testing {

struct NetworkOptions {
  bool quantized = false;
  bool signed_activations = false;
  bool asymmetric_weights = false;
  int nodes = 12;
  std::int64_t images = 0;  // 0: one or two
};

// An inverted residual: a convolution to `wide` channels, a depthwise one, a projection; or a part of that.
struct BlockShape {
  std::int64_t images = 1, channels = 8, height = 8, width = 8;
  std::int64_t wide = 24, first_kernel = 1;  // wide = 0: the depthwise convolution comes first
  std::int64_t kernel = 3, stride = 1;
  std::int64_t projected = 8;  // channels; 0: the depthwise convolution comes last
  bool residual = false;       // the block's input is added to its result
};

class RandomNetwork {
 public:
  RandomNetwork(std::uint64_t seed, const NetworkOptions& options) : random_(seed), options_(options) {}

  Graph make() {
    graph_.name = "random";
    const std::int64_t size = pick(5, 12);
    Shape shape{pick(1, 2), pick(1, 3) * 4 - pick(0, 1), size, size + pick(0, 2)};
    if (options_.images > 0) shape[0] = options_.images;
    const ValueId x = graph_.add_value("x", {DType::f32, shape});
    graph_.inputs.push_back(x);
    features_.push_back(rounded(x));
    for (int i = 0; i < options_.nodes; ++i) add_layer();
    const ValueId last = features_.back();
    graph_.outputs.push_back(classify(last));
    graph_.outputs.push_back(features_[features_.size() / 2]);
    return infer_types(std::move(graph_));
  }

  Graph make_block(const BlockShape& s) {
    graph_.name = "block";
    graph_.inputs.push_back(
        graph_.add_value("x", {DType::f32, Shape{s.images, s.channels, s.height, s.width}}));
    graph_.outputs.push_back(block(rounded(graph_.inputs[0]), s));
    return infer_types(std::move(graph_));
  }

 private:
  std::int64_t pick(std::int64_t lo, std::int64_t hi) {
    return lo + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(hi - lo + 1));
  }
  float uniform(float lo, float hi) {
    return lo + (hi - lo) * static_cast<float>(random_() % 10007) / 10006.f;
  }

  Tensor values(const Shape& shape, float lo, float hi) {
    Tensor tensor(DType::f32, shape);
    for (float& v : tensor.mutable_values<float>()) v = uniform(lo, hi);
    return tensor;
  }

  std::string name(const std::string& what) { return what + std::to_string(names_++); }

  ValueId constant(Tensor tensor) { return graph_.add_constant(name("c"), std::move(tensor)); }

  ValueId add(Op op, std::vector<ValueId> in) {
    const std::string n = name("n");
    std::vector<Operand> operands;
    for (ValueId id : in)
      operands.push_back(id == kNoValue ? Operand{} : Operand{&graph_[id].type, graph_.constant(id)});
    const Type type = def(op).infer(op, operands)[0];
    const ValueId out = graph_.add_node(std::move(op), std::move(in), n, {n + "_out"});
    graph_[out].type = type;
    return out;
  }

  // A QuantizeLinear and a DequantizeLinear after a value, in a quantized network.
  ValueId rounded(ValueId id, float range = 4) {
    if (!options_.quantized) return id;
    const ValueId scale = constant(Tensor::scalar(uniform(0.7f, 1.3f) * range / 128));
    const std::int64_t z = pick(0, 4) == 0 ? -128 : pick(-40, 40);
    const ValueId zero = options_.signed_activations
                             ? constant(Tensor::scalar(static_cast<std::int8_t>(z)))
                             : constant(Tensor::scalar(static_cast<std::uint8_t>(z + 128)));
    const ValueId q = add(op::QuantizeLinear{}, {id, scale, zero});
    return add(op::DequantizeLinear{}, {q, scale, zero});
  }

  ValueId weights(const Shape& shape, int axis) {
    if (!options_.quantized) return constant(values(shape, -0.4f, 0.4f));
    const bool per_channel = pick(0, 2) != 0 && !options_.asymmetric_weights;
    const std::int64_t channels = shape[axis];
    Tensor scale = per_channel ? values({channels}, 0.001f, 0.005f) : Tensor::scalar(uniform(0.001f, 0.005f));
    const ValueId s = constant(scale);
    if (options_.asymmetric_weights) {
      Tensor bytes(DType::u8, shape);
      for (auto& v : bytes.mutable_values<std::uint8_t>()) v = static_cast<std::uint8_t>(pick(0, 254));
      const ValueId zero = constant(Tensor::scalar(static_cast<std::uint8_t>(pick(90, 160))));
      return add(op::DequantizeLinear{.axis = axis}, {constant(bytes), s, zero});
    }
    Tensor bytes(DType::i8, shape);
    for (auto& v : bytes.mutable_values<std::int8_t>()) v = static_cast<std::int8_t>(pick(-127, 127));
    return add(op::DequantizeLinear{.axis = axis}, {constant(bytes), s});
  }

  const Shape& shape(ValueId id) const { return graph_[id].type.shape; }
  ValueId any_feature() {
    return features_[static_cast<std::size_t>(pick(0, static_cast<std::int64_t>(features_.size()) - 1))];
  }
  void keep(ValueId id) { features_.push_back(id); }

  void add_layer() {
    const ValueId x = pick(0, 2) == 0 ? any_feature() : features_.back();
    switch (pick(0, 14)) {
      case 0:
      case 1:
      case 2:
        return keep(conv(x, 1));
      case 3:
        return keep(conv(x, shape(x)[1]));
      case 4:
        return keep(residual(x));
      case 5:
        return keep(rounded(add(
            op::MaxPool{
                .kernel_shape = {2, 2}, .strides = {1, 1}, .pads = {0, 1, 1, 0}, .ceil_mode = pick(0, 1)},
            {x})));
      case 6:
        return keep(rounded(add(op::AveragePool{.kernel_shape = {3, 2},
                                                .strides = {1, 1},
                                                .pads = {1, 0, 1, 1},
                                                .count_include_pad = pick(0, 1)},
                                {x})));
      case 7:
        return keep(rounded(add(unary(), {x})));
      case 8:
        return keep(joined(x));
      case 9:
        return keep(excited(x));
      case 10:
        return keep(rounded(add(op::Binary{.fn = op::BinaryFn::PRelu},
                                {x, constant(values({shape(x)[1], 1, 1}, -0.5f, 0.5f))})));
      case 11:
        return keep(rounded(moved(x)));
      case 12:
        return keep(inverted(x));
      case 13:
        return keep(
            rounded(add(op::Binary{.fn = op::BinaryFn::Mul}, {x, constant(Tensor::scalar(uniform(-1, 1)))})));
      default:
        return keep(
            rounded(add(op::Binary{.fn = pick(0, 1) ? op::BinaryFn::Add : op::BinaryFn::Sub}, {x, x})));
    }
  }

  Op unary() {
    switch (pick(0, 5)) {
      case 0:
        return op::Unary{op::UnaryFn::HardSwish};
      case 1:
        return op::Unary{op::UnaryFn::Sigmoid};
      case 2:
        return op::LeakyRelu{0.2f};
      case 3:
        return op::Unary{op::UnaryFn::Relu};
      case 4:
        return op::HardSigmoid{};
      default:
        return op::Unary{op::UnaryFn::Tanh};
    }
  }

  // group 1, some divisor, or one channel a group; now and then followed by an activation without rounding.
  ValueId conv(ValueId x, std::int64_t group) {
    const std::int64_t channels = shape(x)[1], h = shape(x)[2], w = shape(x)[3];
    const bool depthwise = group == channels && group > 1;
    if (group == 1 && channels % 2 == 0 && pick(0, 3) == 0) group = 2;
    const std::int64_t out = depthwise ? channels : group * pick(1, 20);
    const std::int64_t kh = pick(1, std::min<std::int64_t>(3, h)), kw = pick(1, std::min<std::int64_t>(3, w));
    const ValueId weight = weights({out, channels / group, kh, kw}, 0);
    const op::Conv op{.strides = {pick(1, 2), pick(1, 2)},
                      .pads = {pick(0, kh - 1), pick(0, kw - 1), pick(0, kh - 1), pick(0, kw - 1)},
                      .group = group};
    return finished(add(op, {x, weight, pick(0, 3) ? constant(values({out}, -0.5f, 0.5f)) : kNoValue}));
  }

  // With an activation, most times, and rounded.
  ValueId finished(ValueId y) {
    switch (pick(0, 3)) {
      case 0:
        y = add(op::Unary{op::UnaryFn::Relu}, {y});
        break;
      case 1:
        y = add(op::Binary{.fn = op::BinaryFn::PRelu},
                {y, constant(values({shape(y)[1], 1, 1}, -0.5f, 0.5f))});
        break;
      case 2:
        y = add(op::Clip{}, {y, constant(Tensor::scalar(-0.5f)), constant(Tensor::scalar(1.5f))});
        break;
      default:
        break;
    }
    return rounded(y);
  }

  // A square kernel, padded so that a stride of 1 keeps the size.
  ValueId convolved(ValueId x, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                    std::int64_t group) {
    const ValueId weight = weights({out, shape(x)[1] / group, kernel, kernel}, 0);
    const std::int64_t pad = kernel / 2;
    return add(op::Conv{.strides = {stride, stride}, .pads = {pad, pad, pad, pad}, .group = group},
               {x, weight, constant(values({out}, -0.5f, 0.5f))});
  }

  ValueId block(ValueId x, const BlockShape& s) {
    ValueId y = s.wide != 0 ? finished(convolved(x, s.wide, s.first_kernel, 1, 1)) : x;
    y = finished(convolved(y, shape(y)[1], s.kernel, s.stride, shape(y)[1]));
    if (s.projected == 0) return y;
    y = rounded(convolved(y, s.projected, 1, 1, 1));
    return s.residual ? rounded(add(op::Binary{.fn = op::BinaryFn::Add}, {x, y})) : y;
  }

  ValueId inverted(ValueId x) {
    const std::int64_t channels = shape(x)[1], stride = pick(1, 2);
    const bool same = stride == 1 && pick(0, 1);
    return block(x, {.wide = pick(0, 3) ? pick(8, 40) : 0,
                     .first_kernel = pick(0, 3) ? 1 : 3,
                     .kernel = 1 + 2 * pick(1, 3),
                     .stride = stride,
                     .projected = same ? channels : pick(0, 20),
                     .residual = same});
  }

  ValueId residual(ValueId x) {
    const std::int64_t channels = shape(x)[1];
    const ValueId weight = weights({channels, channels, 1, 1}, 0);
    ValueId y = add(op::Conv{}, {x, weight, constant(values({channels}, -0.5f, 0.5f))});
    if (pick(0, 1)) y = rounded(y);
    y = pick(0, 1) ? add(op::Binary{.fn = op::BinaryFn::Add}, {y, x})
                   : add(op::Binary{.fn = op::BinaryFn::Add}, {x, y});
    if (pick(0, 1)) y = add(op::Unary{op::UnaryFn::Relu}, {y});
    return rounded(y);
  }

  ValueId joined(ValueId x) {
    std::vector<ValueId> parts{x};
    for (ValueId other : features_)
      if (parts.size() < 3 && shape(other)[2] == shape(x)[2] && shape(other)[3] == shape(x)[3] &&
          shape(other)[1] < 40)
        parts.push_back(other);
    return rounded(add(op::Concat{.axis = 1}, parts));
  }

  // Squeeze and excite: a value a channel times the map.
  ValueId excited(ValueId x) {
    ValueId s = rounded(add(op::GlobalAveragePool{}, {x}));
    s = rounded(add(op::HardSigmoid{}, {s}), 1);
    return rounded(pick(0, 1) ? add(op::Binary{.fn = op::BinaryFn::Mul}, {x, s})
                              : add(op::Binary{.fn = op::BinaryFn::Mul}, {s, x}));
  }

  ValueId moved(ValueId x) {
    const auto ints = [&](std::initializer_list<std::int64_t> v) {
      return constant(Tensor::from<std::int64_t>({static_cast<std::int64_t>(v.size())}, v));
    };
    switch (pick(0, 3)) {
      case 0:
        return add(op::Pad{}, {x, ints({0, 1, 1, 0, 0, 0, 2, 1})});
      case 1:
        return shape(x)[2] < 4 ? x
                               : add(op::Slice{},
                                     {x, ints({1, 0}), ints({1 << 20, 1 << 20}), ints({2, 3}), ints({1, 2})});
      case 2:
        return shape(x)[2] > 12
                   ? x
                   : add(op::Resize{.coordinate_transformation_mode = "asymmetric", .nearest_mode = "floor"},
                         {x, kNoValue, constant(Tensor::from<float>({4}, {1.f, 1.f, 2.f, 2.f}))});
      default:
        return add(op::Transpose{.perm = {0, 1, 3, 2}}, {x});
    }
  }

  ValueId classify(ValueId x) {
    const bool in_float = pick(0, 3) == 0;  // the average leaves in float, as it does at the end of a network
    const auto maybe_rounded = [&](ValueId id) { return in_float ? id : rounded(id); };
    ValueId y = maybe_rounded(add(op::GlobalAveragePool{}, {x}));
    y = maybe_rounded(add(op::Flatten{}, {y}));
    const ValueId weight = weights({shape(y)[1], 7}, 1);
    y = add(op::Gemm{}, {y, weight, constant(values({7}, -1, 1))});
    if (pick(0, 1)) y = rounded(y);
    return add(op::Softmax{}, {y});
  }

  std::mt19937_64 random_;
  NetworkOptions options_;
  Graph graph_;
  int names_ = 0;
  std::vector<ValueId> features_;
};

inline Graph random_network(std::uint64_t seed, const NetworkOptions& options) {
  return RandomNetwork(seed, options).make();
}

inline Graph random_block(std::uint64_t seed, const NetworkOptions& options, const BlockShape& shape) {
  return RandomNetwork(seed, options).make_block(shape);
}

inline Tensor random_input(const Type& type, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Tensor tensor(type.dtype, type.shape);
  for (float& v : tensor.mutable_values<float>()) v = static_cast<float>(random() % 8001) / 1000.f - 4.f;
  return tensor;
}

inline std::vector<Tensor> random_inputs(const Graph& graph, std::uint64_t seed) {
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs) inputs.push_back(random_input(graph[id].type, seed++));
  return inputs;
}

}  // namespace eke::testing
