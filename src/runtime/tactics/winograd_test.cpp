#include "runtime/tactics/winograd.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ops/infer.h"
#include "runtime/testing/random_network.h"

namespace eke {
namespace {

struct Case {
  std::int64_t batch, in, out, height, width, pad;
  bool relu, residual;
};

// A 3x3 convolution, and where asked an Add of another one's result and a Relu.
Graph network(const Case& c) {
  std::mt19937_64 random(7);
  const auto values = [&](const Shape& shape) {
    Tensor tensor(DType::f32, shape);
    for (float& v : tensor.mutable_values<float>()) v = static_cast<float>(random() % 2001) / 1000.f - 1.f;
    return tensor;
  };
  Graph graph;
  const ValueId x = graph.add_value("x", {DType::f32, {c.batch, c.in, c.height, c.width}});
  graph.inputs.push_back(x);
  const auto conv = [&](ValueId from, std::int64_t channels, std::int64_t side, std::int64_t pad) {
    const std::string name = "conv" + std::to_string(graph.nodes.size());
    const ValueId w = graph.add_constant(name + "_w", values({channels, c.in, side, side}));
    const ValueId b = graph.add_constant(name + "_b", values({channels}));
    return graph.add_node(op::Conv{.pads = {pad, pad, pad, pad}}, {from, w, b}, name, {name + "_y"});
  };
  const ValueId other = c.residual ? conv(x, c.out, 1, 0) : kNoValue;
  ValueId y = conv(x, c.out, 3, c.pad);
  if (c.residual) y = graph.add_node(op::Binary{.fn = op::BinaryFn::Add}, {y, other}, "add", {"add_y"});
  if (c.relu) y = graph.add_node(op::Unary{op::UnaryFn::Relu}, {y}, "relu", {"relu_y"});
  graph.outputs.push_back(y);
  return infer_types(std::move(graph));
}

TEST(Winograd, EqualsTheReferenceOnEveryTierAndThreadCount) {
  const Case cases[] = {{1, 24, 24, 16, 16, 1, false, false}, {1, 40, 37, 13, 17, 1, true, false},
                        {2, 33, 64, 9, 11, 1, true, true},    {1, 64, 48, 15, 14, 0, false, false},
                        {3, 24, 130, 8, 9, 1, false, true},   {1, 32, 32, 30, 29, 2, true, false}};
  for (const Case& c : cases) {
    SCOPED_TRACE(fmt::format("{} x {} x {} x {} to {}", c.batch, c.in, c.height, c.width, c.out));
    const Graph graph = network(c);
    const std::vector<Tensor> inputs{testing::random_input(graph[graph.inputs[0]].type, 3)};
    const auto run = [&](const CompileOptions& options, int threads) {
      const Plan plan = compile(graph, options);
      const auto is_winograd = [](const StepInfo& step) { return step.tactic.starts_with("winograd"); };
      EXPECT_EQ(std::count_if(plan.steps().begin(), plan.steps().end(), is_winograd),
                options.reference_only ? 0 : 1);
      const Threads pool(threads);
      Scratch scratch(plan, pool);
      return plan.run(inputs, scratch)[0];
    };
    const Tensor expected = run({.reference_only = true}, 1);
    for (Isa isa : supported_isas()) {
      const Tensor first = run({.isa = isa}, 1);
      // 9 * channels products of values up to 4: an error of 4e-6 of their sum.
      for (std::int64_t i = 0; i < first.count(); ++i)
        ASSERT_NEAR(element_as_double(first.view(), i), element_as_double(expected.view(), i),
                    4e-6 * 9 * 4 * static_cast<double>(c.in))
            << to_string(isa) << ", element " << i;
      for (int threads : {2, 7}) ASSERT_EQ(run({.isa = isa}, threads), first) << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace eke
