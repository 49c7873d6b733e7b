#include "target/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "passes/passes.h"
#include "quant/rewrite.h"
#include "runtime/plan.h"
#include "target/testing/graphs.h"

namespace eke {
namespace {

using test::Net;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr float kStep = 0.1f;

// A chain of one layer on the grid of kStep; `scale` is that of its result.
class Grid {
 public:
  explicit Grid(const Shape& shape) : net_(shape) { round(kStep); }

  void round(float scale) {
    const ValueId s = net_.scalar(scale), z = net_.graph().add_constant("z", Tensor::scalar(std::int8_t{0}));
    net_.add(op::QuantizeLinear{}, {s, z});
    net_.add(op::DequantizeLinear{}, {s, z});
  }
  Net& net() { return net_; }

 private:
  Net net_;
};

Graph averages(float scale) {
  Grid grid({1, 2, 6, 6});
  op::AveragePool pool;
  pool.kernel_shape = {2, 2};
  pool.strides = {2, 2};
  pool.pads = {0, 0, 0, 0};
  grid.net().add(pool, {}, "pool");
  grid.round(scale);
  return grid.net().finish();
}

Graph sums(float scale) {
  Grid grid({1, 2, 6, 6});
  const ValueId x = grid.net().last();
  grid.net().node(op::Binary{op::BinaryFn::Add}, {x, x}, "sum");
  grid.round(scale);
  return grid.net().finish();
}

// 1x1 with weights 1 and -1 on the diagonal.
Graph products(float scale) {
  Grid grid({1, 2, 6, 6});
  const ValueId w = grid.net().graph().add_constant(
      "w", Tensor::from<std::int8_t>({2, 2, 1, 1}, std::vector<std::int8_t>{127, 0, 0, -127}));
  const ValueId s = grid.net().scalar(1.f / 127);
  const ValueId x = grid.net().last(), real = grid.net().node(op::DequantizeLinear{}, {w, s});
  op::Conv conv;
  conv.kernel_shape = {1, 1};
  conv.strides = {1, 1};
  conv.pads = {0, 0, 0, 0};
  conv.dilations = {1, 1};
  grid.net().node(std::move(conv), {x, real}, "conv");
  grid.round(scale);
  return grid.net().finish();
}

// Integers of the grid: all of small magnitude, with every tie of a quarter and a half among them.
Tensor inputs() {
  Tensor x(Type{DType::f32, {1, 2, 6, 6}});
  int i = 0;
  for (float& value : x.mutable_values<float>()) value = kStep * static_cast<float>(i++ * 7 % 23 - 11);
  return x;
}

std::vector<int> steps(const Graph& graph, float scale) {
  const Plan plan = compile(optimize(graph));
  const Threads threads(1);
  Scratch scratch(plan, threads);
  std::vector<int> result;
  for (const float value : as_floats(plan.run({inputs()}, scratch)[0]))
    result.push_back(static_cast<int>(std::lround(value / scale)));
  return result;
}

// The same in exact arithmetic.
template <class Rounded>
std::vector<int> averages_by_hand(Rounded rounded) {
  const Tensor x = inputs();
  const auto q = [&](int c, int h, int w) {
    return std::lround(x.values<float>()[static_cast<std::size_t>((c * 6 + h) * 6 + w)] / kStep);
  };
  std::vector<int> result;
  for (int c = 0; c < 2; ++c)
    for (int h = 0; h < 6; h += 2)
      for (int w = 0; w < 6; w += 2) {
        const long sum = q(c, h, w) + q(c, h + 1, w) + q(c, h, w + 1) + q(c, h + 1, w + 1);
        result.push_back(static_cast<int>(rounded(static_cast<double>(sum) / 4)));
      }
  return result;
}

template <class Rounded>
std::vector<int> elements_by_hand(double factor, double second_channel, Rounded rounded) {
  std::vector<int> result;
  const Tensor x = inputs();
  for (std::size_t i = 0; i < 72; ++i)
    result.push_back(static_cast<int>(rounded(static_cast<double>(std::lround(x.values<float>()[i] / kStep)) *
                                              factor * (i < 36 ? 1 : second_channel))));
  return result;
}

double to_even(double x) { return std::nearbyint(x); }
double away(double x) { return std::round(x); }

TEST(SimulateTest, TiesGoAwayFromZeroOnTheDlaAndToEvenOnTheGpu) {
  for (const char* version : {"8.5", "10.3", "11.4"}) {
    SCOPED_TRACE(version);
    const DlaTarget target{parse_tensorrt_version(version), DlaPrecision::int8};
    EXPECT_EQ(steps(simulate_dla(averages(kStep), target).graph, kStep), averages_by_hand(away));
    // x + x at four times the step is x / 2.
    EXPECT_EQ(steps(simulate_dla(sums(4 * kStep), target).graph, 4 * kStep), elements_by_hand(0.5, 1, away));
    EXPECT_EQ(steps(simulate_dla(products(2 * kStep), target).graph, 2 * kStep),
              elements_by_hand(0.5, -1, away));
  }
  EXPECT_EQ(steps(simulate_gpu(averages(kStep)).graph, kStep), averages_by_hand(to_even));
  EXPECT_EQ(steps(simulate_gpu(sums(4 * kStep)).graph, 4 * kStep), elements_by_hand(0.5, 1, to_even));
  EXPECT_NE(averages_by_hand(away), averages_by_hand(to_even));
  EXPECT_NE(elements_by_hand(0.5, 1, away), elements_by_hand(0.5, 1, to_even));
}

// What is not a tie stays where it was: a hundred layers deep the nudge is a ten-thousandth of a step.
TEST(SimulateTest, NothingButTiesMoves) {
  Grid grid({1, 2, 6, 6});
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) {
    names.push_back("relu" + std::to_string(i));
    grid.net().add(op::LeakyRelu{1.f}, {}, names.back());
    grid.round(kStep);
  }
  const Graph graph = grid.net().finish();
  EXPECT_EQ(steps(round_ties_away(graph, names), kStep), elements_by_hand(1, 1, away));
}

TEST(SimulateTest, JoinedTensorsHaveTheScaleOfTheCache) {
  Net net({1, 4, 8, 8});
  const ValueId a = net.conv(4, 3, 1, "a");
  net.relu("a_relu");
  const ValueId x = net.last();
  net.conv(4, 3, 1, "b");
  net.node(op::Binary{op::BinaryFn::Add}, {net.last(), x}, "add");
  static_cast<void>(a);
  net.relu("out");
  const Graph graph = optimize(net.finish());
  RewriteOptions options;
  options.activations = {DType::i8, true};
  options.float_outputs = false;
  Ranges ranges;
  float width = 1;
  for (const std::string& name : ranges_needed(graph, options))
    ranges[name] = {{-width, width}, {-width, width}, "test", {}}, width *= 1.5f;
  const Graph quantized = quantize(graph, ranges, options).graph;
  std::map<std::string, float> cache;
  for (const CacheEntry& entry : export_dla(quantized, {}).cache.entries) cache[entry.tensor] = entry.scale;
  const Simulated simulated = simulate_dla(quantized, {});
  int rounded = 0;
  for (const auto& [name, scale] : tensor_scales(simulated.graph)) {
    if (name == "out.out_unrounded") continue;
    ++rounded;
    ASSERT_TRUE(cache.contains(name)) << name;
    EXPECT_NEAR(scale.scale / cache.at(name), 1, 1e-4) << name;
    EXPECT_EQ(scale.zero_point, 0) << name;
  }
  EXPECT_EQ(rounded, 3);  // x, a_relu and b
  EXPECT_THAT(simulated.notes,
              testing::Contains(testing::Field(&ExportNote::what, HasSubstr("add ties it"))));
  EXPECT_EQ(simulated.graph[simulated.graph.outputs[0]].name, graph[graph.outputs[0]].name);
}

// Weights of a layer that stays in fp16 have eleven bits, and so has what it writes.
TEST(SimulateTest, LayersWithoutScalesComputeInHalfPrecision) {
  Net net({1, 3, 8, 8});
  net.conv(4, 3, 1, "first");
  net.relu("relu");
  net.conv(5, 1, 1, "scores");
  const Graph graph = optimize(net.finish());
  RewriteOptions options;
  options.activations = {DType::i8, true};
  options.keep = {"scores*"};
  Ranges ranges;
  for (const std::string& name : ranges_needed(graph, options)) ranges[name] = {{-1, 1}, {-1, 1}, "test", {}};
  const Graph quantized = quantize(graph, ranges, options).graph;
  const Simulated simulated = simulate_dla(quantized, {});
  int casts = 0;
  for (const Node& node : simulated.graph.nodes) casts += std::holds_alternative<op::Cast>(node.op) ? 1 : 0;
  const std::size_t layers = export_dla(quantized, {}).fp16_layers.size();
  EXPECT_GT(layers, 0u);
  EXPECT_EQ(static_cast<std::size_t>(casts),
            2 * (layers + 1));  // what each reads, and the output: there and back
  Random random(2);
  Tensor x(simulated.graph[simulated.graph.inputs[0]].type);
  for (float& value : x.mutable_values<float>()) value = static_cast<float>(random.normal());
  for (const float value : as_floats(evaluate(simulated.graph, {x})[0]))
    EXPECT_EQ(value, as_floats(converted(converted(Tensor::scalar(value), DType::f16), DType::f32))[0]);
}

TEST(SimulateTest, ActivationsRaisedByTheDlaReadAndWriteHalfPrecision) {
  Grid grid({1, 4, 8, 8});
  grid.net().add(op::Unary{op::UnaryFn::Sigmoid}, {}, "sigmoid");
  grid.round(1.f / 127);
  const Graph graph = grid.net().finish();
  const auto casts = [](const Graph& g) {
    return std::ranges::count_if(g.nodes,
                                 [](const Node& node) { return std::holds_alternative<op::Cast>(node.op); });
  };
  EXPECT_EQ(casts(simulate_dla(graph, {}).graph), 4);
  EXPECT_EQ(casts(simulate_gpu(graph).graph), 0);
}

TEST(SimulateTest, RefusesFloatModels) {
  Net net({1, 3, 8, 8});
  net.conv(4, 3);
  const Graph graph = net.finish();
  EXPECT_THAT([&] { simulate_gpu(graph); }, ThrowsMessage<Error>(HasSubstr("eke quantize")));
  EXPECT_THAT([&] { simulate_dla(graph, {}); }, ThrowsMessage<Error>(HasSubstr("eke quantize")));
}

}  // namespace
}  // namespace eke
