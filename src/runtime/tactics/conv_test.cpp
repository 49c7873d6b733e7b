#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ops/infer.h"
#include "runtime/plan.h"
#include "runtime/testing/random_network.h"

namespace eke {
namespace {

struct Case {
  std::int64_t batch, channels, height, width, kernel_h, kernel_w, stride_h, dilation_w, left, right;
  bool residual;
  std::int64_t out = 0, stride_w = 1;
};

// A convolution, depthwise where `out` is 0, where asked an Add of its input, and a PRelu; all of it in integers, or in float.
Graph network(const Case& c, bool quantized) {
  std::mt19937_64 random(11);
  const auto values = [&](const Shape& shape, float largest) {
    Tensor tensor(DType::f32, shape);
    for (float& v : tensor.mutable_values<float>())
      v = largest * (static_cast<float>(random() % 2001) / 1000.f - 1.f);
    return tensor;
  };
  Graph graph;
  int names = 0;
  const auto constant = [&](Tensor tensor) {
    return graph.add_constant("c" + std::to_string(names++), std::move(tensor));
  };
  const auto add = [&](Op op, std::vector<ValueId> in) {
    const std::string name = "n" + std::to_string(names++);
    return graph.add_node(std::move(op), std::move(in), name, {name + "_y"});
  };
  const auto rounded = [&](ValueId x, float step) {
    if (!quantized) return x;
    const ValueId scale = constant(Tensor::scalar(step)), zero = constant(Tensor::scalar(std::uint8_t{119}));
    return add(op::DequantizeLinear{}, {add(op::QuantizeLinear{}, {x, scale, zero}), scale, zero});
  };
  const auto weights = [&](const Shape& shape) {
    if (!quantized) return constant(values(shape, 1));
    Tensor bytes(DType::i8, shape);
    for (auto& v : bytes.mutable_values<std::int8_t>())
      v = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
    return add(op::DequantizeLinear{.axis = 0}, {constant(bytes), constant(Tensor::scalar(0.007f))});
  };
  const ValueId x = graph.add_value("x", {DType::f32, {c.batch, c.channels, c.height, c.width}});
  graph.inputs.push_back(x);
  const ValueId from = rounded(x, 0.01f);
  const std::int64_t out = c.out > 0 ? c.out : c.channels, group = c.out > 0 ? 1 : c.channels;
  const op::Conv conv{.strides = {c.stride_h, c.stride_w},
                      .pads = {c.kernel_h / 2, c.left, c.kernel_h / 2, c.right},
                      .dilations = {1, c.dilation_w},
                      .group = group};
  ValueId y = add(
      conv, {from, weights({out, c.channels / group, c.kernel_h, c.kernel_w}), constant(values({out}, 1))});
  if (c.residual) y = add(op::Binary{.fn = op::BinaryFn::Add}, {y, from});
  y = add(op::Binary{.fn = op::BinaryFn::PRelu}, {y, constant(values({out, 1, 1}, 0.5f))});
  graph.outputs.push_back(rounded(y, 0.03f));
  return infer_types(std::move(graph));
}

void expect_reference(const Case& c) {
  for (const bool quantized : {true, false}) {
    SCOPED_TRACE(fmt::format("{} channels to {}, {}x{}, kernel {}x{}, {}", c.channels, c.out, c.height,
                             c.width, c.kernel_h, c.kernel_w, quantized ? "int8" : "float"));
    const Graph graph = network(c, quantized);
    const std::vector<Tensor> inputs{testing::random_input(graph[graph.inputs[0]].type, 5)};
    const auto run = [&](const CompileOptions& options, int threads) {
      const Plan plan = compile(graph, options);
      const Threads pool(threads);
      Scratch scratch(plan, pool);
      return plan.run(inputs, scratch)[0];
    };
    const Tensor expected = run({.reference_only = true}, 1);
    for (Isa isa : supported_isas()) {
      const Tensor first = run({.isa = isa}, 1);
      // A sum of at most 72 products of values up to 4: an error of 1e-6 of each.
      for (std::int64_t i = 0; i < first.count(); ++i)
        ASSERT_NEAR(element_as_double(first.view(), i), element_as_double(expected.view(), i),
                    quantized ? 0 : 3e-4)
            << to_string(isa) << ", element " << i;
      for (int threads : {2, 7}) ASSERT_EQ(run({.isa = isa}, threads), first) << threads << " threads";
    }
  }
}

// Few channels, which kernels read as fewer pixels of more channels, and others beside them; edges that cut such a group.
TEST(Conv, DepthwiseEqualsTheReferenceOnEveryTierAndThreadCount) {
  const Case cases[] = {{1, 8, 9, 16, 3, 3, 1, 1, 1, 1, true},   {2, 4, 7, 16, 3, 3, 1, 1, 1, 1, false},
                        {1, 16, 6, 12, 3, 3, 2, 1, 1, 1, false}, {1, 3, 8, 42, 3, 3, 1, 1, 1, 1, true},
                        {1, 8, 8, 20, 5, 5, 1, 1, 2, 2, true},   {1, 2, 5, 8, 3, 7, 1, 1, 3, 3, true},
                        {2, 5, 6, 10, 3, 3, 1, 2, 2, 2, false},  {1, 8, 6, 9, 2, 2, 1, 1, 0, 0, false},
                        {1, 8, 5, 300, 3, 3, 1, 1, 1, 1, true},  {1, 24, 6, 8, 3, 3, 1, 1, 1, 1, true},
                        {1, 8, 6, 4, 3, 6, 1, 1, 4, 5, false},   {1, 72, 7, 7, 7, 7, 1, 1, 3, 3, false}};
  for (const Case& c : cases) expect_reference(c);
}

// To few channels, where pixels share the lanes of a kernel.
TEST(Conv, DenseEqualsTheReferenceOnEveryTierAndThreadCount) {
  const Case cases[] = {
      {1, 3, 9, 16, 3, 3, 2, 1, 1, 1, false, 8, 2}, {2, 3, 8, 17, 3, 3, 2, 1, 0, 1, false, 8, 2},
      {1, 1, 7, 24, 5, 5, 1, 1, 2, 2, false, 4, 1}, {1, 8, 5, 12, 1, 1, 1, 1, 0, 0, false, 5, 1},
      {1, 3, 6, 15, 3, 3, 1, 1, 1, 1, false, 3, 1}, {1, 8, 6, 8, 3, 3, 1, 1, 1, 1, true, 8, 1},
      {1, 2, 6, 12, 3, 3, 1, 2, 2, 2, false, 8, 1}, {3, 4, 4, 4, 3, 3, 1, 1, 1, 1, false, 1, 1}};
  for (const Case& c : cases) expect_reference(c);
}

}  // namespace
}  // namespace eke
