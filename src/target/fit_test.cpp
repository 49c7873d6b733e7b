#include "target/fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "target/dla_plan.h"
#include "target/testing/graphs.h"

namespace eke {
namespace {

using test::Net;
using testing::Each;
using testing::Field;
using testing::HasSubstr;
using testing::ThrowsMessage;

struct Case {
  const char* name;
  std::function<Graph()> make;
  const char* becomes;  // part of what a change says
};

Graph with(const Shape& x, Op op, const std::vector<float>& scalars = {}) {
  Net net(x);
  std::vector<ValueId> more;
  for (const float value : scalars) more.push_back(net.scalar(value));
  net.add(std::move(op), more, "node");
  return net.finish();
}

template <class A>
Graph pooled(const Shape& x, std::int64_t window, std::int64_t stride, std::int64_t pad) {
  A a;
  a.kernel_shape = {window, window};
  a.strides = {stride, stride};
  a.pads = {pad, pad, pad, pad};
  if constexpr (std::is_same_v<A, op::AveragePool>) a.count_include_pad = 1;
  return with(x, std::move(a));
}

Graph sliced(const Shape& x, std::int64_t step) {
  Net net(x);
  net.add(op::Slice{}, {net.ints({0, 0}), net.ints({100, 100}), net.ints({2, 3}), net.ints({step, step})});
  return net.finish();
}

// Between activations, so that no convolution takes the padding up.
Graph padded(const std::vector<std::int64_t>& pads) {
  Net net({1, 4, 8, 8});
  net.relu();
  net.add(op::Pad{}, {net.ints(pads)});
  net.relu();
  return net.finish();
}

Graph over_padded(std::int64_t kernel, std::int64_t pad, std::int64_t dilation = 1) {
  Net net({1, 4, 8, 8});
  op::Conv a;
  a.kernel_shape = {kernel, kernel};
  a.strides = {1, 1};
  a.pads = {pad, pad, pad, pad};
  a.dilations = {dilation, dilation};
  net.add(std::move(a), {net.constant({3, 4, kernel, kernel}), net.constant({3})});
  return net.finish();
}

// As in ShuffleNet.
Graph shuffled() {
  Net net({2, 4, 6, 6});
  const ValueId x = net.relu();
  net.node(op::Concat{1}, {x, net.conv(8, 3)});
  net.add(op::Reshape{}, {net.ints({2, 3, 4, 6, 6})});
  net.add(op::Transpose{{0, 2, 1, 3, 4}});
  net.add(op::Reshape{}, {net.ints({2, 12, 6, 6})});
  net.relu();
  return net.finish();
}

// Two maps, flattened before they are multiplied.
Graph product_of_vectors() {
  Net net({2, 4, 6, 6});
  const ValueId x = net.relu(), y = net.conv(4, 3), a = net.node(op::Flatten{}, {x}),
                b = net.node(op::Flatten{}, {y});
  net.node(op::Binary{op::BinaryFn::Mul}, {a, b});
  net.gemm(3);
  return net.finish();
}

// As classifiers end; `middle` is put between the two products.
Graph products(const std::function<void(Net&)>& middle, const Shape& x = {2, 4, 3, 5}) {
  Net net(x);
  net.conv(6, 3);
  net.add(op::Flatten{});
  net.gemm(7, "fc1");
  middle(net);
  net.gemm(5, "fc2");
  return net.finish();
}

Graph squeeze_excite() {
  Net net({2, 8, 14, 14});
  const ValueId x = net.conv(8, 3);
  net.add(op::GlobalAveragePool{});
  net.add(op::Flatten{});
  net.gemm(4);
  net.relu();
  net.gemm(8);
  net.add(op::HardSigmoid{1.f / 6, 0.5f});
  net.add(op::Reshape{}, {net.ints({2, 8, 1, 1})});
  net.node(op::Binary{op::BinaryFn::Mul}, {x, net.last()});
  return net.finish();
}

class FitTest : public testing::TestWithParam<Case> {};

TEST_P(FitTest, KeepsTheMeaningAndStaysOnTheDla) {
  const Graph graph = GetParam().make();
  const Fitted fitted = fit_dla(graph, {{parse_tensorrt_version("8.5"), DlaPrecision::int8}});
  EXPECT_GT(plan_dla(graph, {TensorRtVersion{8, 5}}).count(Engine::gpu), 0) << "nothing to fit";
  const DlaPlan plan = plan_dla(fitted.graph, {TensorRtVersion{8, 5}});
  for (const PlacedNode& node : plan.nodes)
    EXPECT_NE(node.engine, Engine::gpu) << node.name << " (" << node.op << ")";
  EXPECT_THAT(fitted.changes, testing::Contains(Field(&FitChange::what, HasSubstr(GetParam().becomes))));
  EXPECT_THAT(fitted.changes, Each(Field(&FitChange::exact, true)));
  const Threads threads(1);
  const Agreement agreed = agreement(graph, fitted.graph, threads);
  EXPECT_GT(agreed.elements, 0);
  EXPECT_LT(agreed.largest_difference, 2e-5);
  // A second time there is nothing left to do.
  EXPECT_TRUE(fit_dla(fitted.graph, {{parse_tensorrt_version("8.5"), DlaPrecision::int8}}).changes.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Rules, FitTest,
    testing::Values(
        Case{"global_7",
             [] {
               return with({1, 8, 7, 7}, op::GlobalAveragePool{});
             },
             "depthwise convolution 7x7"},
        Case{"global_10x8",
             [] {
               return with({1, 8, 10, 8}, op::GlobalAveragePool{});
             },
             "depthwise convolution 10x8"},
        Case{"global_112",
             [] {
               return with({1, 2, 112, 112}, op::GlobalAveragePool{});
             },
             "chain of 3"},
        Case{"global_13",
             [] {
               return with({1, 8, 13, 13}, op::GlobalAveragePool{});
             },
             "depthwise"},
        Case{"global_max_14",
             [] {
               return with({1, 8, 14, 14}, op::GlobalMaxPool{});
             },
             "MaxPools"},
        Case{"average_9",
             [] {
               return pooled<op::AveragePool>({1, 4, 20, 20}, 9, 2, 4);
             },
             "depthwise"},
        Case{"max_13",
             [] {
               return pooled<op::MaxPool>({1, 4, 20, 20}, 13, 1, 6);
             },
             "chain of 2"},
        Case{"max_17",
             [] {
               return pooled<op::MaxPool>({1, 4, 40, 40}, 17, 4, 8);
             },
             "chain of 3"},
        Case{"slice_stride_2",
             [] {
               return sliced({1, 4, 9, 8}, 2);
             },
             "depthwise"},
        Case{"slice_stride_3",
             [] {
               return sliced({1, 4, 9, 8}, 3);
             },
             "depthwise"},
        Case{"pad_channels",
             [] {
               return padded({0, 2, 0, 0, 0, 3, 0, 0});
             },
             "copies channels"},
        Case{"pad_map",
             [] {
               return padded({0, 0, 1, 2, 0, 0, 0, 3});
             },
             "one tap"},
        Case{"padded_1x1", [] { return over_padded(1, 1); }, "convolution 3x3"},
        Case{"padded_3x3", [] { return over_padded(3, 4); }, "convolution 7x7"},
        Case{"padded_dilated", [] { return over_padded(3, 3, 3); }, "convolution 7x7"},
        Case{"shuffle", shuffled, "puts channels in order"},
        Case{"product_of_vectors", product_of_vectors, "convolution 6x6"},
        Case{"hard_swish",
             [] {
               return with({1, 8, 7, 7}, op::Unary{op::UnaryFn::HardSwish});
             },
             "Clip"},
        Case{"hard_sigmoid",
             [] {
               return with({1, 8, 7, 7}, op::HardSigmoid{});
             },
             "Clip"},
        Case{"clip_symmetric",
             [] {
               return with({1, 8, 7, 7}, op::Clip{}, {-1, 1});
             },
             "Clip between"},
        Case{"clip_narrow",
             [] {
               return with({1, 8, 7, 7}, op::Clip{}, {0, 0.25f});
             },
             "Clip between"},
        Case{"clip_wide",
             [] {
               return with({1, 8, 7, 7}, op::Clip{}, {0, 300});
             },
             "Clip between"},
        Case{"negative",
             [] {
               return with({1, 8, 7, 7}, op::Unary{op::UnaryFn::Neg});
             },
             "Mul by -1"},
        Case{"minus_constant",
             [] {
               return with({1, 8, 7, 7}, op::Binary{op::BinaryFn::Sub}, {2.5f});
             },
             "Add"},
        Case{"over_constant",
             [] {
               return with({1, 8, 7, 7}, op::Binary{op::BinaryFn::Div}, {3});
             },
             "reciprocal"},
        Case{"products", [] { return products([](Net& net) { net.relu(); }); }, "convolution 3x5"},
        Case{"products_clip",
             [] { return products([](Net& net) {
                    net.add(op::Clip{}, {net.scalar(0), net.scalar(6)});
                  }); },
             "convolution 1x1"},
        Case{"products_prelu",
             [] {
               return products(
                   [](Net& net) { net.add(op::Binary{op::BinaryFn::PRelu}, {net.constant({7})}); });
             },
             "convolution 3x5"},
        Case{"products_hard_swish",
             [] { return products([](Net& net) { net.add(op::Unary{op::UnaryFn::HardSwish}); }); }, "Clip"},
        Case{"squeeze_excite", squeeze_excite, "convolution 1x1"}),
    [](const auto& info) { return std::string(info.param.name); });

// There is no scale to share.
TEST(FitDlaTest, PoolsInHalfPrecision) {
  const DlaTarget fp16{kDefaultTensorRt, DlaPrecision::fp16};
  const std::pair<Shape, const char*> cases[] = {{{1, 8, 7, 7}, "AveragePool 7x7"},
                                                 {{1, 8, 10, 8}, "a chain of 2 AveragePools"}};
  for (const auto& [shape, becomes] : cases) {
    const Fitted fitted = fit_dla(with(shape, op::GlobalAveragePool{}), {fp16});
    ASSERT_EQ(fitted.changes.size(), 1u);
    EXPECT_EQ(fitted.changes[0].what, becomes);
    EXPECT_EQ(plan_dla(fitted.graph, fp16).count(Engine::gpu), 0);
  }
}

// An average pooling over a whole map that the DLA has.
TEST(FitDlaTest, AveragesOfWholeMapsGetAScaleOfTheirOwn) {
  const Graph graph = pooled<op::AveragePool>({1, 4, 8, 8}, 8, 8, 0);
  EXPECT_THAT(fit_dla(graph, {}).changes, Each(Field(&FitChange::what, "a depthwise convolution 8x8")));
  EXPECT_EQ(fit_dla(graph, {}).changes.size(), 1u);
  EXPECT_TRUE(fit_dla(graph, {{kDefaultTensorRt, DlaPrecision::fp16}}).changes.empty());
  EXPECT_TRUE(fit_dla(pooled<op::AveragePool>({1, 4, 8, 8}, 2, 2, 0), {}).changes.empty());
}

TEST(FitDlaTest, OutputsKeepTheirNamesAndSayTheirShape) {
  const Graph graph = products([](Net& net) { net.relu(); });
  const Fitted fitted = fit_dla(graph, {});
  ASSERT_EQ(fitted.graph.outputs.size(), 1u);
  EXPECT_EQ(fitted.graph[fitted.graph.outputs[0]].name, graph[graph.outputs[0]].name);
  EXPECT_EQ(fitted.graph[fitted.graph.outputs[0]].type.shape, (Shape{2, 5, 1, 1}));
  EXPECT_THAT(fitted.changes.back().why, HasSubstr("2x5x1x1 instead of 2x5"));
}

TEST(FitDlaTest, CutsNormalizationOnRequest) {
  Net net({1, 4, 4, 4});
  net.conv(8, 3);
  net.add(op::GlobalAveragePool{});
  net.add(op::Flatten{});
  net.add(op::LpNormalization{1, 2}, {}, "norm");
  const Graph graph = net.finish();
  const Fitted kept = fit_dla(graph, {}), cut = fit_dla(graph, {{}, true});
  EXPECT_EQ(plan_dla(kept.graph, {}).count(Engine::gpu), 1);
  EXPECT_TRUE(kept.for_host.empty());
  EXPECT_EQ(plan_dla(cut.graph, {}).count(Engine::gpu), 0);
  ASSERT_EQ(cut.for_host.size(), 1u);
  EXPECT_THAT(cut.for_host[0], HasSubstr("LpNormalization"));
  EXPECT_EQ(cut.graph[cut.graph.outputs[0]].name, "norm.out");
}

// As the end of a detector: two heads, put side by side and decoded.
TEST(FitDlaTest, CutsDecodingIntoAGraphOfTheHost) {
  Net net({1, 4, 6, 6});
  const ValueId x = net.conv(8, 3, 1, "body");
  net.conv(4, 3, 1, "near");
  const ValueId a = net.add(op::Reshape{}, {net.ints({1, 36, 4})});
  net.node(op::Transpose{{0, 2, 3, 1}}, {net.node(op::Unary{op::UnaryFn::Relu}, {x})}, "order");
  const ValueId b = net.add(op::Reshape{}, {net.ints({1, 72, 4})});
  net.node(op::Concat{1}, {a, b}, "boxes");
  net.add(op::Unary{op::UnaryFn::Exp}, {}, "exp");
  const Graph graph = net.finish();
  const Fitted kept = fit_dla(graph, {}), cut = fit_dla(graph, {{}, true});
  EXPECT_GT(plan_dla(kept.graph, {}).count(Engine::gpu), 0);
  EXPECT_FALSE(kept.host.has_value());
  EXPECT_EQ(plan_dla(cut.graph, {}).count(Engine::gpu), 0);
  ASSERT_TRUE(cut.host.has_value());
  EXPECT_EQ(cut.graph.outputs.size(), 2u);
  EXPECT_EQ((*cut.host)[cut.host->outputs[0]].name, "exp.out");
  EXPECT_THAT(cut.for_host[0], HasSubstr("from 2 tensors"));
  const Agreement agreed = agreement(graph, cut, Threads(1));
  EXPECT_GT(agreed.elements, 0);
  EXPECT_LT(agreed.largest_difference, 1e-6);
}

TEST(FitDlaTest, ApproximatesOnlyWhenAllowed) {
  const Graph graph = with({1, 8, 7, 7}, op::Gelu{});
  EXPECT_TRUE(fit_dla(graph, {}).changes.empty());
  const Fitted fitted = fit_dla(graph, {{}, false, true});
  ASSERT_EQ(fitted.changes.size(), 1u);
  EXPECT_FALSE(fitted.changes[0].exact);
  EXPECT_EQ(plan_dla(fitted.graph, {}).count(Engine::gpu), 0);
  const Agreement agreed = agreement(graph, fitted.graph, Threads(1));
  EXPECT_GT(agreed.cosine, 0.999);
  EXPECT_GT(agreed.largest_difference, 1e-4);
}

TEST(FitDlaTest, RefusesQuantizedModels) {
  Net net({1, 3, 8, 8});
  const ValueId scale = net.scalar(0.1f),
                zero = net.graph().add_constant("z", Tensor::scalar(std::int8_t{0}));
  net.add(op::QuantizeLinear{}, {scale, zero}, "q");
  net.add(op::DequantizeLinear{}, {scale, zero}, "dq");
  const Graph graph = net.finish();
  EXPECT_THAT([&] { fit_dla(graph, {}); }, ThrowsMessage<Error>(HasSubstr("fit the float model")));
}

TEST(FitDlaTest, LeavesWhatFits) {
  Net net({1, 3, 8, 8});
  net.conv(4, 3);
  net.relu();
  EXPECT_TRUE(fit_dla(net.finish(), {}).changes.empty());
}

}  // namespace
}  // namespace eke
