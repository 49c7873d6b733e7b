#include "zoo/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/infer.h"

namespace eke {
namespace {

constexpr double kBiasDeviation = 0.02;  // small, but no two alike
constexpr double kMeanDeviation = 0.1;   // of a running mean, in deviations of its channel

// Mean 0, deviation 1, bell-shaped: the sum of four 16-bit numbers, which ends at 3.46 deviations. Exact
// arithmetic only, where the logarithm of a true normal differs between mathematical libraries: equal seeds give
// equal files on every machine.
double bell(Random& random) {
  const std::uint64_t b = random.next();
  const auto sum = static_cast<double>((b & 0xffff) + (b >> 16 & 0xffff) + (b >> 32 & 0xffff) + (b >> 48));
  constexpr double kMean = 2 * 65535.0, kDeviation = 37837.22723720648;  // sqrt((65536^2 - 1) / 3)
  return (sum - kMean) / kDeviation;
}

// What an activation does to the mean square of a value that is normal with mean 0.
double kept_by(Activation activation) {
  switch (activation) {
    case Activation::none:
      return 1;
    case Activation::relu:
    case Activation::relu6:
      return 0.5;
    case Activation::hard_swish:
      return 1.0 / 3;  // of a variance of 1, as after a BatchNormalization
    case Activation::prelu:
      return 0.53;  // (1 + 0.25^2) / 2
  }
  return 1;
}

std::string_view suffix(Activation activation) {
  switch (activation) {
    case Activation::none:
      return "";
    case Activation::relu:
      return ".relu";
    case Activation::relu6:
      return ".relu6";
    case Activation::hard_swish:
      return ".hard_swish";
    case Activation::prelu:
      return ".prelu";
  }
  return "";
}

op::Ints pads_of(const Window& w) {
  const std::int64_t vertical = w.pad >= 0 ? w.pad : (w.height - 1) / 2,
                     horizontal = w.pad >= 0 ? w.pad : (w.width - 1) / 2;
  return {vertical, horizontal, vertical, horizontal};
}

template <class A>
A windowed(const Window& w) {
  A a;
  a.kernel_shape = {w.height, w.width};
  a.strides = {w.stride, w.stride};
  a.pads = pads_of(w);
  return a;
}

}  // namespace

std::int64_t divisible(double channels) {
  std::int64_t rounded = std::max<std::int64_t>(8, static_cast<std::int64_t>(channels + 4) / 8 * 8);
  if (static_cast<double>(rounded) < 0.9 * channels) rounded += 8;
  return rounded;
}

std::int64_t NetworkBuilder::scaled(std::int64_t channels) const {
  return options_.width == 1 ? channels : divisible(static_cast<double>(channels) * options_.width);
}

ValueId NetworkBuilder::image() {
  const ValueId x = graph_.add_value("image", {DType::f32, {1, 3, options_.input, options_.input}});
  graph_[x].dim_names = {"batch", "", "", ""};
  graph_.inputs = {x};
  moments_.resize(graph_.values.size(), 1);
  return x;
}

Graph NetworkBuilder::finish(ValueId scores, std::string_view name) && {
  graph_.name = name;
  graph_.outputs = {scores};
  graph_[graph_.inputs[0]].type.shape[0] = kDynamic;
  for (const Node& node : graph_.nodes) {
    for (const ValueId id : node.out) graph_[id].type = {};
  }
  graph_[scores].type = {DType::f32, {kDynamic, options_.classes}};
  graph_[scores].dim_names = {"batch", ""};
  verify(graph_);
  return std::move(graph_);
}

ValueId NetworkBuilder::node(Op op, std::vector<ValueId> in, const std::string& name, double moment) {
  const ValueId out = graph_.add_node(std::move(op), std::move(in), name, {name + ".out"});
  with_context([&] { return describe(graph_, graph_.nodes.back()); },
               [&] { infer_node(graph_, graph_.nodes.back()); });
  moments_.resize(graph_.values.size(), 1);
  moments_.back() = moment;
  return out;
}

ValueId NetworkBuilder::drawn(const std::string& name, const Shape& shape, double mean, double deviation) {
  Tensor tensor(DType::f32, shape);
  for (float& value : tensor.mutable_values<float>())
    value = static_cast<float>(mean + deviation * bell(random_));
  return graph_.add_constant(name, std::move(tensor));
}

ValueId NetworkBuilder::jittered(const std::string& name, std::int64_t count, double lo, double hi) {
  Tensor tensor(DType::f32, {count});
  for (float& value : tensor.mutable_values<float>()) value = static_cast<float>(random_.uniform(lo, hi));
  return graph_.add_constant(name, std::move(tensor));
}

ValueId NetworkBuilder::conv(const std::string& name, ValueId x, std::int64_t out, const Window& window,
                             bool bias, std::int64_t groups) {
  auto a = windowed<op::Conv>(window);
  a.group = groups;
  const std::int64_t in = channels(x) / groups;
  const double fan_in = static_cast<double>(in * window.height * window.width);
  std::vector<ValueId> inputs = {
      x, drawn(name + ".weight", {out, in, window.height, window.width}, 0, std::sqrt(2 / fan_in))};
  if (bias) inputs.push_back(drawn(name + ".bias", {out}, 0, kBiasDeviation));
  return node(std::move(a), std::move(inputs), name, 2 * moment(x));
}

ValueId NetworkBuilder::batchnorm(const std::string& name, ValueId x) {
  const std::int64_t c = channels(x);
  const double variance = moment(x);
  Tensor ones(DType::f32, {c});
  std::ranges::fill(ones.mutable_values<float>(), 1.f);
  const ValueId scale = graph_.add_constant(name + ".scale", std::move(ones));
  const ValueId shift = graph_.add_constant(name + ".shift", Tensor(DType::f32, {c}));
  const ValueId mean = drawn(name + ".mean", {c}, 0, kMeanDeviation * std::sqrt(variance));
  const ValueId var = jittered(name + ".var", c, 0.9 * variance, 1.1 * variance);
  return node(op::BatchNormalization{}, {x, scale, shift, mean, var}, name, 1);
}

ValueId NetworkBuilder::activate(const std::string& name, ValueId x, Activation activation) {
  const double after = moment(x) * kept_by(activation);
  const std::string full = name + std::string(suffix(activation));
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return node(op::Unary{op::UnaryFn::Relu}, {x}, full, after);
    case Activation::relu6: {
      const ValueId lo = graph_.add_constant(full + ".min", Tensor::scalar(0.f)),
                    hi = graph_.add_constant(full + ".max", Tensor::scalar(6.f));
      return node(op::Clip{}, {x, lo, hi}, full, after);
    }
    case Activation::hard_swish:
      return node(op::Unary{op::UnaryFn::HardSwish}, {x}, full, after);
    case Activation::prelu: {
      Tensor slope(DType::f32, {channels(x), 1, 1});
      for (float& value : slope.mutable_values<float>())
        value = static_cast<float>(random_.uniform(0.2, 0.3));
      return node(op::Binary{op::BinaryFn::PRelu},
                  {x, graph_.add_constant(full + ".slope", std::move(slope))}, full, after);
    }
  }
  return x;
}

ValueId NetworkBuilder::max_pool(const std::string& name, ValueId x, const Window& window, bool ceil) {
  auto a = windowed<op::MaxPool>(window);
  a.ceil_mode = ceil ? 1 : 0;
  // Between that of one value and of the largest of nine independent ones: neighbours are much alike.
  return node(std::move(a), {x}, name, 1.5 * moment(x));
}

ValueId NetworkBuilder::average_pool(const std::string& name, ValueId x, const Window& window) {
  auto a = windowed<op::AveragePool>(window);
  a.count_include_pad = 1;
  return node(std::move(a), {x}, name, 0.7 * moment(x));
}

ValueId NetworkBuilder::add(const std::string& name, ValueId a, ValueId b) {
  return node(op::Binary{op::BinaryFn::Add}, {a, b}, name, moment(a) + moment(b));
}

ValueId NetworkBuilder::concat(const std::string& name, const std::vector<ValueId>& parts) {
  double sum = 0, count = 0;
  for (const ValueId part : parts) {
    sum += moment(part) * static_cast<double>(channels(part));
    count += static_cast<double>(channels(part));
  }
  return node(op::Concat{1}, parts, name, sum / count);
}

ValueId NetworkBuilder::flatten(const std::string& name, ValueId x) {
  return node(op::Flatten{}, {x}, name, moment(x));
}

ValueId NetworkBuilder::dense(const std::string& name, ValueId x, std::int64_t out, Activation activation) {
  const std::int64_t in = channels(x);
  const double gain = activation == Activation::none ? 1 : 2;
  op::Gemm a;
  a.transB = 1;
  const ValueId weight = drawn(name + ".weight", {out, in}, 0, std::sqrt(gain / static_cast<double>(in)));
  const ValueId bias = drawn(name + ".bias", {out}, 0, kBiasDeviation);
  return activate(name, node(std::move(a), {x, weight, bias}, name, gain * moment(x)), activation);
}

ValueId NetworkBuilder::conv_bn(const std::string& name, ValueId x, std::int64_t out, const Window& window,
                                Activation activation, std::int64_t groups) {
  return activate(name, batchnorm(name + ".bn", conv(name, x, out, window, false, groups)), activation);
}

ValueId NetworkBuilder::conv_act(const std::string& name, ValueId x, std::int64_t out, const Window& window,
                                 Activation activation) {
  return activate(name, conv(name, x, out, window, true), activation);
}

ValueId NetworkBuilder::squeeze_excite(const std::string& name, ValueId x, std::int64_t squeezed, Gate gate) {
  const ValueId means = global_average(name + ".pool", x);
  const ValueId hidden = conv_act(name + ".squeeze", means, squeezed, square(1), Activation::relu);
  const ValueId logits = conv(name + ".excite", hidden, channels(x), square(1), true);
  const ValueId factor = gate == Gate::sigmoid
                             ? node(op::Unary{op::UnaryFn::Sigmoid}, {logits}, name + ".sigmoid", 0.25)
                             : node(op::HardSigmoid{1.f / 6, 0.5f}, {logits}, name + ".hard_sigmoid", 0.25);
  return node(op::Binary{op::BinaryFn::Mul}, {x, factor}, name + ".scale", 0.25 * moment(x));
}

ValueId NetworkBuilder::global_average(const std::string& name, ValueId x) {
  return node(op::GlobalAveragePool{}, {x}, name, 0.5 * moment(x));
}

ValueId NetworkBuilder::classifier(ValueId x) {
  return dense("classifier", flatten("flatten", global_average("pool", x)), options_.classes);
}

}  // namespace eke
