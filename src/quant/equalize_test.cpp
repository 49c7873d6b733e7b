#include "quant/equalize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "quant/calibrate.h"
#include "quant/test_network.h"

namespace eke {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Ranges calibrated(const Graph& graph, const RewriteOptions& options, const std::vector<Tensor>& inputs) {
  return calibrated(graph, options, {.method = Calibrator::min_max, .clip_histograms = true}, inputs);
}

double int8_sqnr(const Graph& original, const Graph& graph, const RewriteOptions& options) {
  const std::vector<Tensor> calibration = images(graph, 1, 8), test = images(graph, 2, 8);
  const Quantized quantized = quantize(graph, calibrated(graph, options, calibration), options);
  return sqnr(outputs(original, test), outputs(quantized.graph, test));
}

const RewriteOptions kPerTensor{.weights = {.per_channel = false}};

struct Case {
  const char* name;
  Graph graph;
  std::size_t links;     // that are equalized
  double float_sqnr_db;  // at least
  double int8_gain_db;   // at least
};

class EqualizeTest : public testing::TestWithParam<Case> {};

TEST_P(EqualizeTest, KeepsTheFloatResultAndLosesLessInInt8) {
  const Case& c = GetParam();
  const Ranges seen = calibrated(c.graph, kPerTensor, images(c.graph, 1, 8));
  const Equalized result = equalize(c.graph, seen, kPerTensor);
  EXPECT_EQ(result.layers.size(), c.links);
  EXPECT_EQ(infer_types(result.graph), result.graph);
  const std::vector<Tensor> test = images(c.graph, 2, 8);
  EXPECT_GE(sqnr(outputs(c.graph, test), outputs(result.graph, test)), c.float_sqnr_db);
  EXPECT_GE(int8_sqnr(c.graph, result.graph, kPerTensor),
            int8_sqnr(c.graph, c.graph, kPerTensor) + c.int8_gain_db);
  for (const EqualizedLayers& layers : result.layers) EXPECT_LT(layers.noise_ratio, 1) << layers.nodes[0];
}

INSTANTIATE_TEST_SUITE_P(
    Networks, EqualizeTest,
    testing::Values(
        Case{"relu", Builder(4, 8).conv(8, 3, 300).relu().reading(4, 300).done(), 1, 100, 10},
        Case{"prelu", Builder(4, 8).conv(8, 3, 300).prelu().reading(4, 300).done(), 1, 100, 10},
        Case{"pool", Builder(4, 8).conv(8, 3, 300).relu().max_pool().reading(4, 300).done(), 1, 100, 10},
        Case{"depthwise",
             Builder(4, 8).conv(8, 1, 100).relu().conv(8, 3, 0.001, 8).relu().reading(4, 0.1).done(), 2, 100,
             10},
        Case{"residual",
             Builder(4, 8)
                 .conv(8, 1, 300)
                 .mark()
                 .relu()
                 .reading(8, 300)
                 .relu()
                 .conv(8, 3, 300)
                 .add_marked()
                 .relu()
                 .reading(4, 300)
                 .done(),
             2, 100, 6},
        Case{"clip", Builder(4, 8).conv(8, 1, 0.003).clip(12).reading(4, 0.003).done(), 1, 100, 10}),
    [](const auto& info) { return std::string(info.param.name); });

// A channel whose weights are far larger than all others and whose value is 0 or the bound nearly everywhere.
TEST(Equalize, CutsAnOutlierThatSaturates) {
  Graph graph = Builder(4, 16).conv(8, 1).clip(6).conv(8, 1).done();
  Tensor weights = *graph[graph.nodes[0].in[1]].constant;
  for (std::size_t i = 12; i < 16; ++i) weights.mutable_values<float>()[i] *= 1000;
  graph[graph.nodes[0].in[1]].constant = std::make_shared<const Tensor>(weights);
  const Equalized result = equalize(graph, calibrated(graph, kPerTensor, images(graph, 1, 8)), kPerTensor);
  ASSERT_EQ(result.layers.size(), 1u);
  EXPECT_GE(result.layers[0].cut_channels, 1);
  EXPECT_GE(result.layers[0].max_scale, 4);
  EXPECT_GE(int8_sqnr(graph, result.graph, kPerTensor), int8_sqnr(graph, graph, kPerTensor) + 3);
}

TEST(Equalize, LeavesAloneWhatGoesElsewhere) {
  const Graph end = Builder(4, 8).conv(8, 3, 300).relu().done();
  EXPECT_THAT(equalize(end, calibrated(end, kPerTensor, images(end, 1, 2)), kPerTensor).layers, IsEmpty());
  const Graph graph = Builder(4, 8).conv(8, 3, 300).relu().reading(4, 300).done();
  RewriteOptions kept = kPerTensor;
  kept.keep = {"n2"};
  EXPECT_THAT(equalize(graph, calibrated(graph, kept, images(graph, 1, 2)), kept).layers, IsEmpty());
  EXPECT_THAT(equalize(graph, {}, kPerTensor).layers, IsEmpty());  // nothing is known
  const Graph bent = Builder(4, 8).conv(8, 3, 300).relu().then(op::Unary{op::UnaryFn::Tanh}, {4}).done();
  EXPECT_THAT(equalize(bent, calibrated(bent, kPerTensor, images(bent, 1, 2)), kPerTensor).layers, IsEmpty());
}

TEST(Equalize, StaysFiniteWithExtremeWeights) {
  for (const float factor : {0.0f, 1e-42f, 1e-30f, 1e18f}) {
    Graph graph = Builder(4, 8).conv(8, 3, 300).relu().reading(4, 300).done();
    Tensor weights = *graph[graph.nodes[0].in[1]].constant;
    for (std::size_t i = 0; i < 36; ++i) weights.mutable_values<float>()[i] *= factor;
    graph[graph.nodes[0].in[1]].constant = std::make_shared<const Tensor>(weights);
    const Equalized result = equalize(graph, calibrated(graph, kPerTensor, images(graph, 1, 4)), kPerTensor);
    for (const Value& value : result.graph.values) {
      if (!value.constant) continue;
      for (const float x : value.constant->values<float>()) ASSERT_TRUE(std::isfinite(x)) << factor;
    }
    const std::vector<Tensor> test = images(graph, 2, 4);
    EXPECT_GE(sqnr(outputs(graph, test), outputs(result.graph, test)), 90) << factor;
  }
}

TEST(ClippedValues, AreThoseThatAClipAloneReads) {
  EXPECT_THAT(clipped_values(Builder(4, 8).conv(8, 1).clip(6).conv(4, 1).relu().done()), ElementsAre("v"));
  EXPECT_THAT(clipped_values(Builder(4, 8).conv(8, 1).mark().clip(6).add_marked().done()), IsEmpty());
}

}  // namespace
}  // namespace eke
