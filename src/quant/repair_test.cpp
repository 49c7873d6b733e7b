#include "quant/repair.h"

#include <gtest/gtest.h>

#include "quant/calibrate.h"
#include "quant/test_network.h"

namespace eke {
namespace {

const RewriteOptions kOptions;
constexpr std::int64_t kChannels = 24;

Ranges ranges_of(const Graph& graph, const std::vector<Tensor>& inputs) {
  return calibrated(graph, kOptions, {.method = Calibrator::min_max}, inputs);
}

// Changes the constant that input `i` of node `n` is.
template <class F>
void change(Graph& graph, std::size_t n, std::size_t i, F&& f) {
  const ValueId id = graph.nodes[n].in[i];
  Tensor tensor = *graph[id].constant;
  f(tensor.mutable_values<float>());
  graph[id].constant = std::make_shared<const Tensor>(tensor);
}

// One channel of the first layer is much larger than the others; what reads it has small weights for it.
Graph with_outlier(Graph graph, std::size_t reader) {
  constexpr float kLarger = 20;
  change(graph, 0, 1, [](std::span<float> w) {
    for (float& x : w.first(w.size() / kChannels)) x *= kLarger;
  });
  change(graph, 0, 2, [](std::span<float> b) { b[0] *= kLarger; });
  change(graph, reader, 1, [](std::span<float> w) {
    for (std::size_t i = 0; i < w.size(); i += kChannels) w[i] /= kLarger;
  });
  return graph;
}

double sqnr_in_8_bits(const Graph& wanted, const Graph& graph, const std::vector<Tensor>& inputs) {
  return sqnr(outputs(wanted, inputs),
              outputs(quantize(graph, ranges_of(graph, inputs), kOptions).graph, inputs));
}

TEST(SplitChannels, HalvesAnOutlierAndKeepsTheMeaning) {
  const Graph networks[] = {Builder(3, 8).conv(kChannels, 3).relu().conv(6, 1).done(),
                            Builder(3, 8).conv(kChannels, 3).prelu().max_pool().conv(6, 1).done()};
  for (const Graph& network : networks) {
    const std::size_t reader = network.nodes.size() - 1;
    const Graph graph = with_outlier(network, reader);
    const std::vector<Tensor> seen = images(graph, 1, 8);
    const Repaired result = split_channels(graph, ranges_of(graph, seen), kOptions);
    ASSERT_EQ(result.layers.size(), 1u);
    EXPECT_EQ(result.layers[0].node, "n0");
    EXPECT_EQ(result.layers[0].channels, 1);
    EXPECT_EQ(result.graph.constant(result.graph.nodes[0].in[1])->shape()[0], kChannels + 1);
    EXPECT_GT(sqnr(outputs(graph, seen), outputs(result.graph, seen)), 100);
    EXPECT_GT(sqnr_in_8_bits(graph, result.graph, seen), sqnr_in_8_bits(graph, graph, seen) + 3);
  }
}

TEST(SplitChannels, LeavesAloneWhatHasNoOutlierOrCannotBeSplit) {
  const Graph plain = Builder(3, 8).conv(kChannels, 3).relu().conv(6, 1).done();
  // A bound, a depthwise convolution, an output.
  const Graph networks[] = {
      plain, with_outlier(Builder(3, 8).conv(kChannels, 3).clip(6).conv(6, 1).done(), 2),
      with_outlier(Builder(3, 8).conv(kChannels, 3).relu().conv(kChannels, 3, 1, kChannels).done(), 2)};
  for (const Graph& graph : networks) {
    const std::vector<Tensor> seen = images(graph, 1, 8);
    const Repaired result = split_channels(graph, ranges_of(graph, seen), kOptions);
    EXPECT_TRUE(result.layers.empty());
    EXPECT_EQ(result.graph, graph);
  }
}

TEST(AbsorbBiases, MovesWhatAllValuesHaveInCommon) {
  Graph graph = Builder(3, 8).conv(8, 3).relu().conv(6, 1).done();
  change(graph, 0, 2, [](std::span<float> b) {
    for (float& x : b) x = 20;
  });
  const std::vector<Tensor> seen = images(graph, 1, 8);
  const Repaired result = absorb_biases(graph, ranges_of(graph, seen), kOptions);
  ASSERT_EQ(result.layers.size(), 1u);
  EXPECT_EQ(result.layers[0].channels, 8);
  EXPECT_LT(result.graph.constant(result.graph.nodes[0].in[2])->values<float>()[0], 18);
  EXPECT_GT(sqnr(outputs(graph, seen), outputs(result.graph, seen)), 40);  // a few values are cut
  const auto step = [&](const Graph& g) {
    return quantize(g, ranges_of(g, seen), kOptions).report.tensors.at(1).scale;
  };
  EXPECT_LT(step(result.graph), 0.6f * step(graph));
  // A border of zeros would not hold what the others have in common.
  Graph padded = Builder(3, 8).conv(8, 3).relu().conv(6, 3).done();
  change(padded, 0, 2, [](std::span<float> b) {
    for (float& x : b) x = 20;
  });
  EXPECT_TRUE(absorb_biases(padded, ranges_of(padded, seen), kOptions).layers.empty());
}

}  // namespace
}  // namespace eke
