#include "runtime/tactics/bf16.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "kernels/gemm/registry.h"
#include "ops/infer.h"
#include "runtime/testing/bf16.h"
#include "runtime/testing/random_network.h"

namespace eke {
namespace {

struct Case {
  std::int64_t batch, in, out, height, width, kernel, stride, pad;
  bool relu, residual;
};

Tensor random_values(const Shape& shape, std::mt19937_64& random) {
  Tensor tensor(DType::f32, shape);
  for (float& v : tensor.mutable_values<float>()) v = static_cast<float>(random() % 2001) / 1000.f - 1.f;
  return tensor;
}

// A convolution, and where asked an Add of a residual, which is an input too, and a Relu; then a matrix product.
Graph network(const Case& c, bool rounded_weights) {
  std::mt19937_64 random(7);
  const auto weights = [&](const Shape& shape) {
    const Tensor values = random_values(shape, random);
    return rounded_weights ? testing::rounded_to_bf16(values) : values;
  };
  Graph graph;
  const ValueId x = graph.add_value("x", {DType::f32, {c.batch, c.in, c.height, c.width}});
  graph.inputs.push_back(x);
  const ValueId w = graph.add_constant("w", weights({c.out, c.in, c.kernel, c.kernel}));
  const ValueId b = graph.add_constant("b", random_values({c.out}, random));
  ValueId y = graph.add_node(op::Conv{.strides = {c.stride, c.stride}, .pads = {c.pad, c.pad, c.pad, c.pad}},
                             {x, w, b}, "conv", {"conv_y"});
  if (c.residual) {
    const auto extent = [&](std::int64_t size) { return (size + 2 * c.pad - c.kernel) / c.stride + 1; };
    const ValueId r = graph.add_value("r", {DType::f32, {c.batch, c.out, extent(c.height), extent(c.width)}});
    graph.inputs.push_back(r);
    y = graph.add_node(op::Binary{.fn = op::BinaryFn::Add}, {y, r}, "add", {"add_y"});
  }
  if (c.relu) y = graph.add_node(op::Unary{op::UnaryFn::Relu}, {y}, "relu", {"relu_y"});
  graph.outputs.push_back(y);
  return infer_types(std::move(graph));
}

Graph matrix_network(std::int64_t rows, std::int64_t depth, std::int64_t columns, bool rounded_weights) {
  std::mt19937_64 random(9);
  Tensor weights = random_values({columns, depth}, random);
  if (rounded_weights) weights = testing::rounded_to_bf16(weights);
  Graph graph;
  const ValueId x = graph.add_value("x", {DType::f32, {rows, depth}});
  graph.inputs.push_back(x);
  const ValueId w = graph.add_constant("w", weights),
                b = graph.add_constant("b", random_values({columns}, random));
  graph.outputs.push_back(graph.add_node(op::Gemm{.transB = 1}, {x, w, b}, "gemm", {"y"}));
  return infer_types(std::move(graph));
}

std::vector<Tensor> inputs_of(const Graph& graph) {
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs) inputs.push_back(testing::random_input(graph[id].type, 3));
  return inputs;
}

// The plan's results in bfloat16 are those of float32 over rounded factors, but for the order of sums.
void expect_rounded_factors(const Graph& graph, const Graph& with_rounded_weights, double tolerance) {
  const std::vector<Tensor> inputs = inputs_of(graph);
  const auto run = [](const Graph& network, const std::vector<Tensor>& x, const CompileOptions& options,
                      int threads) {
    const Plan plan = compile(network, options);
    const auto is_bf16 = [](const StepInfo& step) { return step.tactic.starts_with("gemm_bf16"); };
    EXPECT_EQ(std::ranges::count_if(plan.steps(), is_bf16), options.floats == Floats::bf16 ? 1 : 0);
    const Threads pool(threads);
    Scratch scratch(plan, pool);
    return plan.run(x, scratch)[0];
  };
  std::vector<Tensor> rounded_inputs = inputs;
  rounded_inputs[0] = testing::rounded_to_bf16(rounded_inputs[0]);
  const Tensor expected = run(with_rounded_weights, rounded_inputs, {.reference_only = true}, 1);
  const Tensor first = run(graph, inputs, {.isa = Isa::scalar, .floats = Floats::bf16}, 1);
  for (std::int64_t i = 0; i < first.count(); ++i)
    ASSERT_NEAR(element_as_double(first.view(), i), element_as_double(expected.view(), i), tolerance)
        << "element " << i;
  for (const Isa isa : supported_isas())
    for (const int threads : {1, 2, 7})
      ASSERT_EQ(run(graph, inputs, {.isa = isa, .floats = Floats::bf16}, threads), first)
          << to_string(isa) << ", " << threads << " threads";
}

TEST(Bf16, ConvolutionsEqualFloatOverRoundedFactorsOnEveryTierAndThreadCount) {
  const Case cases[] = {{1, 24, 24, 8, 9, 3, 1, 1, false, false}, {1, 40, 37, 13, 7, 1, 1, 0, true, false},
                        {2, 33, 64, 9, 11, 3, 2, 1, true, true},  {1, 9, 17, 6, 6, 5, 1, 2, false, false},
                        {3, 16, 130, 4, 5, 1, 2, 0, false, true}, {1, 64, 16, 7, 7, 7, 1, 0, true, false}};
  for (const Case& c : cases) {
    SCOPED_TRACE(fmt::format("{} x {} x {} x {} to {}, {} x {}", c.batch, c.in, c.height, c.width, c.out,
                             c.kernel, c.kernel));
    const double products = static_cast<double>(c.kernel * c.kernel * c.in);
    expect_rounded_factors(network(c, false), network(c, true), 1e-6 * 4 * products);
  }
}

TEST(Bf16, MatrixProductsEqualFloatOverRoundedFactors) {
  for (const auto& [rows, depth, columns] :
       {std::array<std::int64_t, 3>{1, 64, 10}, {5, 33, 130}, {64, 128, 48}}) {
    SCOPED_TRACE(fmt::format("{} x {} x {}", rows, depth, columns));
    expect_rounded_factors(matrix_network(rows, depth, columns, false),
                           matrix_network(rows, depth, columns, true), 1e-6 * 4 * static_cast<double>(depth));
  }
}

}  // namespace
}  // namespace eke
