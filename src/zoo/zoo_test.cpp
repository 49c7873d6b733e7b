#include "zoo/zoo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "ops/infer.h"
#include "ops/op_def.h"
#include "zoo/builder.h"

namespace eke {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// Weights that training changes by gradients: running statistics are none, nor are the bounds of a Clip.
std::int64_t parameters(const Graph& graph) {
  std::int64_t total = 0;
  for (const Node& node : graph.nodes) {
    const bool norm = std::holds_alternative<op::BatchNormalization>(node.op);
    if (std::holds_alternative<op::Clip>(node.op)) continue;
    for (std::size_t i = 1; i < (norm ? 3 : node.in.size()); ++i)
      if (const Tensor* constant = graph.constant(node.in[i])) total += constant->count();
  }
  return total;
}

double million_macs(const Graph& graph) {
  double total = 0;
  for (const Node& node : graph.nodes)
    if (std::holds_alternative<op::Conv>(node.op) || std::holds_alternative<op::Gemm>(node.op))
      total += static_cast<double>(cost_of(graph, node).macs) / 1e6;
  return total;
}

Graph with_batch(const Graph& graph, std::int64_t batch) {
  return specialize(graph, {.dims = {{"batch", batch}}});
}

// As published with the architecture or with the weights that became its reference.
struct Published {
  const char* name;
  double width;
  std::int64_t parameters;
  double million_macs;
};

class PublishedTest : public testing::TestWithParam<Published> {};

TEST_P(PublishedTest, HasTheParametersAndMacs) {
  const Published& p = GetParam();
  const Graph graph = with_batch(make_network(find_architecture(p.name), {.width = p.width}), 1);
  EXPECT_EQ(parameters(graph), p.parameters);
  EXPECT_NEAR(million_macs(graph), p.million_macs, 0.01 * p.million_macs);
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, PublishedTest,
    testing::Values(
        // torchvision's tables of weights; MACs of its "GFLOPS" column.
        Published{"vgg16", 1, 138'357'544, 15'470}, Published{"resnet18", 1, 11'689'512, 1'814},
        Published{"resnet34", 1, 21'797'672, 3'664}, Published{"resnet50", 1, 25'557'032, 4'089},
        Published{"mobilenet_v2", 1, 3'504'872, 300.8}, Published{"mobilenet_v3_small", 1, 2'542'856, 56.5},
        Published{"mobilenet_v3_large", 1, 5'483'032, 216.6}, Published{"squeezenet", 1, 1'235'496, 349},
        Published{"inception_v3", 1, 23'834'568, 5'713},
        // SE-ResNet-50 of timm.
        Published{"senet50", 1, 28'088'024, 4'092},
        // Howard et al. 2017, table 7; the counts of Keras, whose layers these are.
        Published{"mobilenet_v1", 1, 4'231'976, 569}, Published{"mobilenet_v1", 0.75, 2'585'560, 325},
        Published{"mobilenet_v1", 0.5, 1'331'592, 149}, Published{"mobilenet_v1", 0.25, 470'072, 41},
        Published{"mobilenet_v2", 1.4, 6'108'776, 582}, Published{"efficientnet_lite0", 1, 4'652'008, 385},
        // Chen et al. 2018 say 0.99 M parameters.
        Published{"mobilefacenet", 1, 1'003'136, 221},
        // Banbury et al. 2021: 78,666 with the running statistics, which are 480.
        Published{"resnet8", 1, 78'186, 12.5},
        // He et al. 2016 with projections.
        Published{"resnet20", 1, 272'474, 40.8}),
    [](const auto& info) {
      return std::string(info.param.name) + "_" + std::to_string(static_cast<int>(100 * info.param.width));
    });

class ArchitectureTest : public testing::TestWithParam<Architecture> {};

// Narrow, so that the big ones take no time.
NetworkOptions narrow() { return {.classes = 7, .width = 0.25, .seed = 5}; }

TEST_P(ArchitectureTest, TakesABatchAndGivesAScoreAClass) {
  const Graph graph = make_network(GetParam(), narrow());
  verify(graph);
  EXPECT_EQ(graph.name, GetParam().name);
  const Graph bound = with_batch(graph, 3);
  EXPECT_EQ(bound[bound.inputs[0]].type.shape, (Shape{3, 3, GetParam().input, GetParam().input}));
  EXPECT_EQ(bound[bound.outputs[0]].type.shape, (Shape{3, 7}));
}

TEST_P(ArchitectureTest, IsMadeByItsSeedAlone) {
  NetworkOptions options = narrow();
  const Graph graph = make_network(GetParam(), options);
  EXPECT_EQ(graph, make_network(GetParam(), options));
  options.seed = 6;
  EXPECT_NE(graph, make_network(GetParam(), options));
}

// Small images through the reference. In narrow networks the mean square wanders: each layer multiplies it by a
// random factor near 1.
TEST_P(ArchitectureTest, KeepsActivationsOfOrderOne) {
  NetworkOptions options = narrow();
  options.input = GetParam().name == "inception_v3" ? 75 : 32;
  const Graph graph = with_batch(make_network(GetParam(), options), 1);
  Random random(1);
  Tensor image(graph[graph.inputs[0]].type);
  for (float& value : image.mutable_values<float>()) value = static_cast<float>(random.normal());
  double squares = 0;
  for (const float score : as_floats(evaluate(graph, {image})[0]))
    squares += static_cast<double>(score) * score;
  EXPECT_TRUE(std::isfinite(squares));
  EXPECT_GT(squares / 7, 1e-3);
  EXPECT_LT(squares / 7, 1e3);
}

TEST_P(ArchitectureTest, HasNoTwoBiasesAlike) {
  const Graph graph = make_network(GetParam(), narrow());
  for (const Node& node : graph.nodes) {
    const bool norm = std::holds_alternative<op::BatchNormalization>(node.op);
    const bool biased = node.in.size() > 2 && (std::holds_alternative<op::Conv>(node.op) ||
                                               std::holds_alternative<op::Gemm>(node.op));
    if (!norm && !biased) continue;
    const std::vector<float> values = as_floats(*graph.constant(node.in[norm ? 3 : 2]));
    EXPECT_TRUE(values.size() == 1 || values[0] != values[1]) << node.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Zoo, ArchitectureTest,
                         testing::ValuesIn(architectures().begin(), architectures().end()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ZooTest, RefusesWhatItCannotMake) {
  const Architecture& vgg = find_architecture("vgg16");
  EXPECT_THAT([] { find_architecture("vgg17"); }, ThrowsMessage<UsageError>(HasSubstr("vgg16, resnet18")));
  EXPECT_THAT([&] { make_network(vgg, {.classes = -1}); }, ThrowsMessage<UsageError>(HasSubstr("classes")));
  EXPECT_THAT([&] { make_network(vgg, {.input = 1 << 20}); }, ThrowsMessage<UsageError>(HasSubstr("8192")));
  EXPECT_THAT([&] { make_network(vgg, {.width = std::nan("")}); },
              ThrowsMessage<UsageError>(HasSubstr("width")));
  EXPECT_THAT([&] { make_network(vgg, {.input = 16}); },
              ThrowsMessage<Error>(HasSubstr("vgg16 at 16x16: node 'pool5'")));
}

TEST(ZooTest, RoundsChannelsToEights) {
  const std::pair<double, std::int64_t> cases[] = {{1, 8},   {8, 8},   {11.9, 16}, {12, 16},
                                                   {20, 24}, {33, 32}, {40, 40}};
  for (const auto& [channels, rounded] : cases) EXPECT_EQ(divisible(channels), rounded) << channels;
}

TEST(ZooTest, DrawsWeightsAsHeEtAl) {
  const Graph graph = make_network(find_architecture("resnet18"), {});
  for (const char* name : {"stage2.0.conv2.weight", "stage4.1.conv1.weight"}) {
    const Tensor& weights = *graph.constant(find_value(graph, name));
    double sum = 0, squares = 0;
    for (const float w : weights.values<float>()) {
      sum += w;
      squares += static_cast<double>(w) * w;
    }
    const auto n = static_cast<double>(weights.count()), fan_in = n / static_cast<double>(weights.shape()[0]);
    EXPECT_NEAR(sum / n, 0, 0.001) << name;
    EXPECT_NEAR(squares / n * fan_in, 2, 0.03) << name;
  }
}

}  // namespace
}  // namespace eke
