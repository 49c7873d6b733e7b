// Activations of 16 bits.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "quant/calibrate.h"
#include "quant/rewrite.h"
#include "quant/test_network.h"

namespace eke {
namespace {

Graph network() {
  Builder builder(8, 12);
  builder.conv(8, 3).relu().mark().conv(8, 3).add_marked().relu().max_pool().conv(6, 1);
  return builder.done();
}

Ranges ranges_of(const Graph& graph, const std::vector<Tensor>& inputs) {
  return calibrated(graph, {}, {.method = Calibrator::mse}, inputs);
}

int wide_pairs(const Graph& graph) {
  return static_cast<int>(std::ranges::count_if(graph.nodes, [&](const Node& node) {
    return std::holds_alternative<op::QuantizeLinear>(node.op) && is_wide(graph[node.out[0]].type.dtype);
  }));
}

TEST(Wide, LosesLittleMoreThanTheWeightsDo) {
  const Graph graph = network();
  const std::vector<Tensor> seen = images(graph, 1, 8);
  const Ranges ranges = ranges_of(graph, seen);
  const std::vector<float> wanted = outputs(graph, seen);
  const double narrow = sqnr(wanted, outputs(quantize(graph, ranges, {}).graph, seen));
  for (const ActivationScheme scheme :
       {ActivationScheme{DType::u8, false}, ActivationScheme{DType::i8, true}}) {
    const Quantized all = quantize(graph, ranges, {.activations = scheme, .wide = true});
    EXPECT_EQ(wide_pairs(all.graph), static_cast<int>(all.report.tensors.size()));
    for (const QuantizedTensor& tensor : all.report.tensors) EXPECT_EQ(tensor.bits, 16);
    for (const QuantizedLayer& layer : all.report.layers) EXPECT_EQ(layer.widened_channels, 0) << layer.node;
    EXPECT_GT(sqnr(wanted, outputs(all.graph, seen)), narrow + 2);
  }
  const Quantized some = quantize(graph, ranges, {.wide_nodes = {"n1"}});
  EXPECT_EQ(wide_pairs(some.graph), 1);
  EXPECT_GT(sqnr(wanted, outputs(some.graph, seen)), narrow);
  EXPECT_THROW(quantize(graph, ranges, {.wide_nodes = {"missing"}}), Error);
  EXPECT_THROW(fake_quantize(graph, ranges, {.wide = true}), Error);
}

// What shares a scale shares its width.
TEST(Wide, GoesWithTheScale) {
  const Graph graph = Builder(3, 8).conv(8, 3).relu().max_pool().conv(6, 1).done();
  const std::vector<Tensor> seen = images(graph, 1, 4);
  const Quantized pooled = quantize(graph, ranges_of(graph, seen), {.wide_nodes = {"n2"}});
  EXPECT_EQ(wide_pairs(pooled.graph), 2);
}

}  // namespace
}  // namespace eke
