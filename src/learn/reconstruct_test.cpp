#include "learn/reconstruct.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "learn/network_blocks.h"
#include "learn/soft_weights.h"
#include "quant/calibrate.h"
#include "quant/test_network.h"

namespace eke {
namespace {

RewriteOptions four_bits() {
  RewriteOptions options;
  options.weights.range = WeightRange::mse;
  options.weights.bits = 4;
  return options;
}

// A convolution, a residual block of two and a depthwise one, two more.
Graph network() {
  Builder builder(3, 12);
  builder.conv(8, 3).relu().mark().conv(8, 3).relu().conv(8, 3, 1, 8).add_marked().relu().max_pool();
  return builder.conv(12, 1).relu().conv(6, 3).done();
}

Ranges ranges_of(const Graph& graph, const std::vector<Tensor>& inputs) {
  return calibrated(graph, four_bits(), {.method = Calibrator::mse}, inputs);
}

Reconstructed reconstructed(const Graph& graph, const Ranges& ranges, const std::vector<Tensor>& inputs,
                            ReconstructOptions options = {}, int threads = 1) {
  options.steps = 600;
  return reconstruct_blocks(graph, ranges, four_bits(), quantize(graph, ranges, four_bits()), each_of(inputs),
                            options, Threads(threads));
}

TEST(FindBlocks, EndWhereOneValueGoesOn) {
  const Graph graph = network();
  std::set<std::string> layers;
  for (const Node& node : graph.nodes)
    if (std::holds_alternative<op::Conv>(node.op)) layers.insert(node.name);
  const auto any = [](ValueId) { return true; };
  const std::vector<NetworkBlock> single = find_network_blocks(graph, layers, 1, any);
  ASSERT_EQ(single.size(), 4u);
  EXPECT_EQ(single[0].layers, std::vector<std::string>{"n0"});
  EXPECT_EQ(single[1].layers, (std::vector<std::string>{"n2", "n4"}));
  EXPECT_EQ(single[0].makes, single[1].reads);
  EXPECT_EQ(single[3].makes, graph[graph.outputs[0]].name);
  const std::vector<NetworkBlock> joined = find_network_blocks(graph, layers, 3, any);
  ASSERT_EQ(joined.size(), 2u);
  EXPECT_EQ(joined[0].layers, (std::vector<std::string>{"n0", "n2", "n4"}));
  EXPECT_EQ(joined[1].layers, (std::vector<std::string>{"n8", "n10"}));
  EXPECT_EQ(find_network_blocks(graph, layers, 1, [](ValueId) { return false; }).size(), 1u);
  const Graph pooled = Builder(3, 8).conv(4, 1).relu().max_pool().done();
  const auto makes = [&](bool borders) {
    return find_network_blocks(pooled, {"n0"}, 3, [=](ValueId) { return borders; }).at(0).makes;
  };
  EXPECT_EQ(makes(true), pooled[pooled.nodes[1].out[0]].name);
  EXPECT_EQ(makes(false), pooled[pooled.outputs[0]].name);
}

TEST(SoftWeights, BeginAtTheIntegersAndEndAtIntegers) {
  QuantizedWeights start{.weights = Tensor(DType::i8, {2, 2, 1, 1}), .scale = {0.5f, 2}, .bias = {10, -10}};
  start.bits = 4;
  const std::vector<std::int8_t> q{7, -3, 0, -7};
  std::ranges::copy(q, start.weights.mutable_values<std::int8_t>().begin());
  SoftWeights weights(start, std::vector<float>{3.6f, -1.7f, 0.9f, -14}, 0, 0.1, true);
  EXPECT_EQ(weights.rounded().weights, start.weights);
  EXPECT_EQ(weights.rounded().bias, start.bias);
  weights.fix(-0.5);
  // What pulls upwards ends at the upper one of the two.
  const std::vector<float> gradient(4, -1), of_bias(2, 0);
  for (int i = 0; i < 40; ++i) weights.step(gradient, of_bias, 0.05f);
  weights.step(gradient, {}, 0);  // a bias that no node reads has no gradient
  weights.fix(1);
  const QuantizedWeights rounded = weights.rounded();
  const auto stored = rounded.weights.values<std::int8_t>();
  EXPECT_EQ(std::vector<std::int8_t>(stored.begin(), stored.end()), (std::vector<std::int8_t>{7, -3, 1, -6}));
  const std::vector<float> fixed(weights.weights().begin(), weights.weights().end());
  EXPECT_FLOAT_EQ(fixed[0], 7 * rounded.scale[0]);
}

TEST(ReconstructBlocks, LosesLessOnOtherImages) {
  const Graph graph = network();
  const std::vector<Tensor> seen = images(graph, 1, 24), other = images(graph, 2, 24);
  const Ranges ranges = ranges_of(graph, seen);
  const Reconstructed result = reconstructed(graph, ranges, seen);
  ASSERT_EQ(result.blocks.size(), 2u);
  for (const ReconstructedBlock& block : result.blocks) EXPECT_LT(block.after, block.before);
  const std::vector<float> wanted = outputs(graph, other);
  const double plain = sqnr(wanted, outputs(quantize(graph, ranges, four_bits()).graph, other));
  EXPECT_GE(sqnr(wanted, outputs(result.quantized.graph, other)), plain + 0.3);
}

TEST(ReconstructBlocks, DependsNotOnThreadsAndReportsProgress) {
  const Graph graph = network();
  const std::vector<Tensor> seen = images(graph, 1, 8);
  const Ranges ranges = ranges_of(graph, seen);
  std::vector<std::size_t> done;
  ReconstructOptions options;
  options.progress = [&](std::size_t block, std::size_t blocks) {
    EXPECT_EQ(blocks, 2u);
    done.push_back(block);
  };
  const Reconstructed one = reconstructed(graph, ranges, seen, options);
  EXPECT_EQ(done, (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(one.quantized.graph, reconstructed(graph, ranges, seen, {}, 3).quantized.graph);
  options.progress = [](std::size_t, std::size_t) { throw std::runtime_error("stop"); };
  EXPECT_THROW(reconstructed(graph, ranges, seen, options), std::runtime_error);
}

}  // namespace
}  // namespace eke
