#include "quant/learn_rounding.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "quant/calibrate.h"
#include "quant/test_network.h"

namespace eke {
namespace {

const RewriteOptions kPerTensor{.weights = {.per_channel = false}};
constexpr int kImages = 16;
constexpr float kFaint = 50;  // how much smaller than the others the first channel is

// A convolution, a depthwise one, one of two groups and one more. The first reads a channel of small values with large
// weights, so that one step for all its weights is coarse.
Graph network() {
  Builder builder(4, 12);
  builder.conv(8, 3).relu().conv(8, 3, 1, 8).relu().conv(8, 3, 1, 2).relu().conv(6, 1, 10);
  Graph graph = builder.done();
  Tensor weights = *graph[graph.nodes[0].in[1]].constant;
  for (std::size_t i = 0; i < static_cast<std::size_t>(weights.count()); ++i) {
    if (i / 9 % 4 == 0) weights.mutable_values<float>()[i] *= kFaint;
  }
  graph[graph.nodes[0].in[1]].constant = std::make_shared<const Tensor>(weights);
  return graph;
}

// Like photographs in that neighbouring pixels and channels are much alike.
std::vector<Tensor> smooth_images(const Graph& graph, unsigned seed) {
  std::vector<Tensor> all = images(graph, seed, kImages);
  std::mt19937 random(seed + 100);
  std::normal_distribution<float> normal;
  for (Tensor& image : all) {
    const float light = 3 * normal(random);
    const auto values = image.mutable_values<float>();
    for (float& x : values) x = light + 0.5f * x;
    for (float& x : values.first(values.size() / 4)) x /= kFaint;
  }
  return all;
}

Ranges ranges_of(const Graph& graph, const std::vector<Tensor>& inputs) {
  return calibrated(graph, kPerTensor, {.method = Calibrator::mse, .clip_histograms = true}, inputs);
}

Learned learned(const Graph& graph, const Ranges& ranges, const std::vector<Tensor>& inputs,
                LearnOptions options = {}, int threads = 1) {
  options.images = kImages;
  return learn_rounding(graph, ranges, kPerTensor, each_of(inputs), options, Threads(threads));
}

TEST(LearnRounding, LosesLessOnOtherImages) {
  const Graph graph = network();
  const std::vector<Tensor> seen = smooth_images(graph, 1), other = smooth_images(graph, 2);
  const Ranges ranges = ranges_of(graph, seen);
  const Learned result = learned(graph, ranges, seen);
  EXPECT_EQ(result.layers.size(), 4u);
  for (const LearnedLayer& layer : result.layers) EXPECT_LE(layer.after, layer.before * 1.0001) << layer.node;
  const std::vector<float> wanted = outputs(graph, other);
  const double plain = sqnr(wanted, outputs(quantize(graph, ranges, kPerTensor).graph, other));
  EXPECT_GE(sqnr(wanted, outputs(result.quantized.graph, other)), plain + 1);
}

TEST(LearnRounding, DependsNotOnThreadsAndReportsProgress) {
  const Graph graph = network();
  const std::vector<Tensor> seen = smooth_images(graph, 1);
  const Ranges ranges = ranges_of(graph, seen);
  std::vector<std::size_t> done;
  LearnOptions options;
  options.progress = [&](std::size_t layer, std::size_t layers) {
    EXPECT_EQ(layers, 4u);
    done.push_back(layer);
  };
  const Learned one = learned(graph, ranges, seen, options);
  EXPECT_EQ(done, (std::vector<std::size_t>{1, 2, 3, 4}));
  EXPECT_EQ(one.quantized.graph, learned(graph, ranges, seen, {}, 3).quantized.graph);
  options.progress = [](std::size_t, std::size_t) { throw std::runtime_error("stop"); };
  EXPECT_THROW(learned(graph, ranges, seen, options), std::runtime_error);
}

// After equalization the layers make other numbers; what they should make is still what the first network made.
TEST(LearnRounding, AimsAtTheNetworkFromBeforeItWasEqualized) {
  const Graph graph = network();
  const std::vector<Tensor> seen = smooth_images(graph, 1), other = smooth_images(graph, 2);
  const Equalized equalized = equalize(graph, ranges_of(graph, seen), kPerTensor);
  ASSERT_FALSE(equalized.divided_by.empty());
  const Ranges ranges = ranges_of(equalized.graph, seen);
  LearnOptions options;
  options.wanted = &graph;
  options.divided_by = equalized.divided_by;
  const std::vector<float> wanted = outputs(graph, other);
  const double plain = sqnr(wanted, outputs(quantize(equalized.graph, ranges, kPerTensor).graph, other));
  const Learned result = learned(equalized.graph, ranges, seen, options);
  EXPECT_GE(sqnr(wanted, outputs(result.quantized.graph, other)), plain);
}

}  // namespace
}  // namespace eke
