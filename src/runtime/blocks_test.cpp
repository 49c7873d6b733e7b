// Blocks carried out strip by strip give what their layers give one by one, to the bit.
#include "runtime/blocks.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/lower.h"
#include "runtime/testing/random_network.h"

namespace eke {
namespace {

using testing::BlockShape;
using testing::random_block;
using testing::random_inputs;
using testing::random_network;

std::vector<Tensor> run(const Graph& graph, const Plan& plan, int threads) {
  const Threads pool(threads);
  Scratch scratch(plan, pool);
  return plan.run(random_inputs(graph, 5), scratch);
}

int fused_steps(const Plan& plan) {
  return static_cast<int>(std::ranges::count_if(
      plan.steps(), [](const StepInfo& step) { return step.tactic.starts_with("fused"); }));
}

// All blocks fused, with the kernels of a tier.
Choices all_fused(const Graph& graph, Isa isa) {
  Choices choices;
  for (const Ways& way : ways(graph, {.isa = isa}))
    if (!way.block.empty()) choices[way.output] = {std::string(kFused), isa};
  return choices;
}

struct ShapeCase {
  const char* name;
  BlockShape shape;
};

// Heights of several strips (their memory is bounded) where rows are wide, with a shorter one at the end.
const ShapeCase kShapes[] = {
    {"small", {}},
    {"one pixel", {.height = 1, .width = 1, .residual = true}},
    {"a row", {.height = 1, .width = 50, .kernel = 5}},
    {"several strips", {.height = 47, .width = 61, .wide = 72, .residual = true}},
    {"stride 2", {.channels = 7, .height = 45, .width = 63, .wide = 70, .stride = 2, .projected = 12}},
    {"images", {.images = 3, .height = 33, .width = 41, .wide = 90, .stride = 2, .projected = 5}},
    {"5x5", {.height = 40, .width = 51, .wide = 80, .kernel = 5, .residual = true}},
    {"7x7, stride 2", {.height = 37, .width = 40, .wide = 99, .kernel = 7, .stride = 2}},
    {"stride over the kernel", {.height = 41, .width = 60, .wide = 64, .kernel = 3, .stride = 5}},
    {"without expansion", {.channels = 65, .height = 39, .width = 80, .wide = 0, .projected = 33}},
    {"without projection", {.height = 35, .width = 70, .wide = 81, .projected = 0}},
    {"after a 3x3", {.channels = 5, .height = 44, .width = 64, .wide = 72, .first_kernel = 3, .stride = 2}},
    {"many channels",
     {.channels = 40, .height = 9, .width = 9, .wide = 700, .projected = 40, .residual = true}},
};

TEST(Blocks, EqualTheirLayersOneByOne) {
  for (const bool quantized : {true, false})
    for (const ShapeCase& c : kShapes) {
      const Graph graph =
          random_block(11, {.quantized = quantized, .signed_activations = c.shape.stride == 2}, c.shape);
      for (const Isa isa : supported_isas()) {
        const std::vector<Tensor> expected = run(graph, compile(graph, {.isa = isa, .fuse = false}), 1);
        const Plan plan = compile(graph, {.isa = isa, .choices = all_fused(graph, isa)});
        ASSERT_EQ(fused_steps(plan), 1) << c.name;
        for (const int threads : {1, 2, 7})
          EXPECT_TRUE(run(graph, plan, threads) == expected)
              << c.name << (quantized ? ", int8, " : ", float, ") << to_string(isa) << ", " << threads
              << " threads";
      }
    }
}

TEST(Blocks, InRandomNetworksEqualTheirLayersOneByOne) {
  int blocks = 0;
  for (const bool quantized : {true, false})
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
      const Graph graph = random_network(seed, {.quantized = quantized, .signed_activations = seed % 2 == 0});
      const std::vector<Tensor> expected = run(graph, compile(graph, {.fuse = false}), 1);
      const Plan plan = compile(graph, {.choices = all_fused(graph, selected_isa())});
      blocks += fused_steps(plan);
      EXPECT_TRUE(run(graph, plan, 2) == expected) << (quantized ? "int8" : "float") << " seed " << seed;
    }
  EXPECT_GT(blocks, 30);
}

TEST(Blocks, AreNotFusedWhereSomethingElseReadsTheTensorsInBetween) {
  const Graph graph = random_block(3, {}, {.height = 20, .width = 20});
  ASSERT_EQ(fused_steps(compile(graph, {.choices = all_fused(graph, selected_isa())})), 1);
  const Graph lowered = lower(graph);
  const std::vector<Block> blocks = find_blocks(lowered);
  ASSERT_EQ(blocks.size(), 1u);
  ASSERT_EQ(blocks[0].nodes.size(), 3u);
  for (std::size_t i = 0; i < 2; ++i) {
    Graph watched = lowered;
    watched.outputs.push_back(watched.nodes[blocks[0].nodes[i]].out[0]);
    const std::vector<Block> smaller = find_blocks(watched);
    ASSERT_EQ(smaller.size(), 1u);
    EXPECT_EQ(smaller[0].nodes.size(), 2u);
  }
}

TEST(Blocks, AreFusedByRuleWhereTheTensorsInBetweenAreLarge) {
  const BlockShape large{
      .channels = 16, .height = 112, .width = 112, .wide = 96, .stride = 2, .projected = 24};
  const BlockShape small{.channels = 16, .height = 14, .width = 14, .wide = 96, .projected = 24};
  const Graph graph = random_block(1, {.quantized = true}, large);
  const Plan fused = compile(graph), apart = compile(graph, {.fuse = false});
  EXPECT_EQ(fused_steps(fused), 1);
  EXPECT_EQ(fused_steps(apart), 0);
  constexpr std::size_t kWide = 112 * 112 * 96;
  EXPECT_GT(apart.arena_bytes(), kWide);
  EXPECT_LT(fused.arena_bytes(), kWide);
  EXPECT_EQ(fused_steps(compile(random_block(1, {.quantized = true}, small))), 0);
  // A tuning that wants a layer of the block otherwise gets the layers.
  const std::vector<Ways> all = ways(graph);
  const auto last = std::ranges::find_if(all, [](const Ways& way) { return !way.block.empty(); });
  ASSERT_NE(last, all.end());
  EXPECT_EQ(last->choices[0].tactic, kFused);
  EXPECT_EQ(fused_steps(compile(graph, {.choices = {{last->output, last->choices[1]}}})), 0);
  EXPECT_EQ(fused_steps(compile(graph, {.choices = {{last->block[0], {"conv_u8s8", Isa::scalar}}}})), 0);
}

TEST(Blocks, ATuningThatFusesWhatIsNoBlockIsRefused) {
  const Graph graph = random_network(3, {.quantized = true});
  for (const Ways& way : ways(graph)) {
    if (!way.block.empty()) continue;
    EXPECT_THROW(compile(graph, {.choices = {{way.output, {std::string(kFused), selected_isa()}}}}), Error);
    break;
  }
}

}  // namespace
}  // namespace eke
