#include "target/dla_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "target/testing/graphs.h"

namespace eke {
namespace {

using test::Net;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using testing::UnorderedElementsAre;

// conv, relu | global average, flatten | gemm
Graph classifier() {
  Net net({2, 3, 16, 16});
  net.conv(8, 3, 1, "conv");
  net.relu("relu");
  net.add(op::GlobalAveragePool{}, {}, "pool");
  net.add(op::Flatten{}, {}, "flatten");
  net.gemm(10, "fc");
  return net.finish();
}

std::vector<std::string> engines(const DlaPlan& plan) {
  std::vector<std::string> result;
  for (const PlacedNode& node : plan.nodes)
    result.push_back(node.name + " " + std::string(to_string(node.engine)));
  return result;
}

TEST(DlaPlanTest, PlacesNodesInBlocks) {
  const DlaPlan plan = plan_dla(classifier(), {});
  EXPECT_THAT(engines(plan), ElementsAre("conv DLA", "relu DLA", "pool GPU", "flatten GPU", "fc DLA"));
  ASSERT_EQ(plan.blocks.size(), 3u);
  EXPECT_EQ(plan.blocks[0].nodes, 2);
  EXPECT_EQ(plan.blocks[1].engine, Engine::gpu);
  EXPECT_EQ(plan.blocks[2].macs, 2 * 8 * 10);
  EXPECT_EQ(plan.batch, 2);
  EXPECT_THAT(plan.nodes[2].remedy, HasSubstr("AveragePool"));
  EXPECT_EQ(plan.nodes[2].reasons.size(), 1u);
}

TEST(DlaPlanTest, CountsWhatCrosses) {
  const DlaPlan int8 = plan_dla(classifier(), {}),
                fp16 = plan_dla(classifier(), {kDefaultTensorRt, DlaPrecision::fp16});
  ASSERT_EQ(int8.transitions.size(), 2u);
  EXPECT_EQ(int8.transitions[0].tensor, "relu.out");
  EXPECT_EQ(int8.transitions[0].bytes, 2 * 8 * 16 * 16);
  EXPECT_EQ(int8.transitions[1].bytes, 2 * 8);
  EXPECT_EQ(fp16.transition_bytes(), 2 * int8.transition_bytes());
  EXPECT_TRUE(int8.estimated_dla_ms.has_value());
  EXPECT_FALSE(fp16.estimated_dla_ms.has_value());
}

// A branch that leaves the DLA and comes back: what joins it is no part of the block it left.
TEST(DlaPlanTest, BlocksAreConvex) {
  Net net({1, 4, 8, 8});
  const ValueId a = net.conv(4, 3, 1, "a");
  net.add(op::Unary{op::UnaryFn::Exp}, {}, "exp");
  net.node(op::Binary{op::BinaryFn::Add}, {net.last(), a}, "add");
  const DlaPlan plan = plan_dla(net.finish(), {});
  EXPECT_EQ(plan.blocks.size(), 3u);
  EXPECT_NE(plan.nodes[0].block, plan.nodes[2].block);
  EXPECT_EQ(plan.transitions.size(), 3u);  // a to exp, a to add, exp to add
}

TEST(DlaPlanTest, SeesThroughQuantization) {
  Net net({1, 3, 8, 8});
  net.conv(4, 3, 1, "conv");
  const ValueId scale = net.scalar(0.1f),
                zero = net.graph().add_constant("z", Tensor::scalar(std::int8_t{0}));
  net.add(op::QuantizeLinear{}, {scale, zero}, "q");
  net.add(op::DequantizeLinear{}, {scale, zero}, "dq");
  net.relu("relu");
  const DlaPlan plan = plan_dla(net.finish(), {});
  EXPECT_THAT(engines(plan), ElementsAre("conv DLA", "q folded", "dq folded", "relu DLA"));
  EXPECT_EQ(plan.blocks.size(), 1u);
  EXPECT_TRUE(plan.transitions.empty());
}

TEST(DlaPlanTest, TiesScalesAtJoins) {
  Net net({1, 4, 8, 8});
  const ValueId x = net.last();
  const ValueId a = net.conv(4, 3, 1, "a"), b = net.node(op::Binary{op::BinaryFn::Add}, {a, x}, "add");
  const ValueId c = net.node(op::Concat{1}, {b, b}, "join");
  net.relu("relu");
  static_cast<void>(c);
  const DlaPlan plan = plan_dla(net.finish(), {});
  ASSERT_EQ(plan.scale_groups.size(), 2u);
  EXPECT_THAT(plan.scale_groups[0].tensors, UnorderedElementsAre("x", "a.out"));
  EXPECT_THAT(plan.scale_groups[1].tensors, UnorderedElementsAre("add.out", "join.out"));
  EXPECT_THAT(plan.scale_groups[1].because, ElementsAre("join"));
}

TEST(DlaPlanTest, MarksWhatIsRaisedToFp16) {
  Net net({1, 4, 8, 8});
  net.add(op::Unary{op::UnaryFn::Sigmoid});
  net.relu();
  const DlaPlan plan = plan_dla(net.finish(), {});
  EXPECT_TRUE(plan.nodes[0].raised);
  EXPECT_FALSE(plan.nodes[1].raised);
}

TEST(DlaPlanTest, RefusesDynamicShapes) {
  Graph graph = classifier();
  graph[graph.inputs[0]].type.shape[0] = kDynamic;
  EXPECT_THAT([&] { plan_dla(graph, {}); }, ThrowsMessage<Error>(HasSubstr("--batch")));
}

TEST(DlaPlanTest, DrawsBlocksAndEscapesNames) {
  Net net({1, 4, 8, 8});
  net.add(op::Unary{op::UnaryFn::Exp}, {}, "a<b & \"c\"");
  net.relu();
  const std::string svg = to_svg(plan_dla(net.finish(), {}), "net & co");
  EXPECT_THAT(svg, HasSubstr("a&lt;b &amp; &quot;c&quot;"));
  EXPECT_THAT(svg, HasSubstr("net &amp; co"));
  EXPECT_THAT(svg, HasSubstr("GPU block 1"));
  EXPECT_THAT(svg, HasSubstr("DLA block 2"));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

TEST(DlaPlanTest, PlacesANetworkWithoutConvolutions) {
  Net net({1, 4});
  net.relu();
  EXPECT_EQ(plan_dla(net.finish(), {}).count(Engine::dla), 1);
}

}  // namespace
}  // namespace eke
