// Pooling on quantized tensors, normalizations and quantization forms that ONNX's older cases leave out, and
// the forms of older opsets.
#include <gtest/gtest.h>

#include "ops/families.h"
#include "ops/run_op.h"

namespace eke {
namespace {

using testing::infer;
using testing::run_op;

Tensor floats(const Shape& shape, std::initializer_list<float> values) {
  return Tensor::from<float>(shape, values);
}

const Tensor kQuantized =
    Tensor::from<std::uint8_t>({1, 1, 2, 2}, {10, 20, 31, 250}).with_quant(QParams{{0.5f}, {20}});

TEST(Pool, QuantizedAverageDividesByWhatOnnxCounts) {
  const QParams y{{0.5f}, {0}};
  const op::AveragePool inside{.kernel_shape = {2, 2}, .pads = {1, 1, 0, 0}};
  op::AveragePool all = inside;
  all.count_include_pad = 1;
  // The sums above the zero point are -10, -10, 1, 231.
  EXPECT_EQ(run_op(inside, {kQuantized}, QParams{{0.5f}, {50}})[0],
            Tensor::from<std::uint8_t>({1, 1, 2, 2}, {40, 45, 50, 108}).with_quant(QParams{{0.5f}, {50}}));
  EXPECT_EQ(run_op(all, {kQuantized}, y)[0],
            Tensor::from<std::uint8_t>({1, 1, 2, 2}, {0, 0, 0, 58}).with_quant(y));
  EXPECT_EQ(run_op(op::GlobalAveragePool{}, {kQuantized}, y)[0],
            Tensor::from<std::uint8_t>({1, 1, 1, 1}, {58}).with_quant(y));
}

TEST(Pool, MaximumKeepsTheScale) {
  const Tensor y = run_op(op::MaxPool{.kernel_shape = {2, 2}}, {kQuantized})[0];
  EXPECT_EQ(y, Tensor::from<std::uint8_t>({1, 1, 1, 1}, {250}).with_quant(kQuantized.type().quant));
  EXPECT_EQ(run_op(op::GlobalMaxPool{}, {kQuantized})[0], y);
}

TEST(Pool, LpOverWindowsAndPlanes) {
  const Tensor x = floats({1, 1, 4}, {3, -4, 0, 12});
  EXPECT_EQ(run_op(op::LpPool{.kernel_shape = {2}, .strides = {2}}, {x})[0], floats({1, 1, 2}, {5, 12}));
  EXPECT_EQ(run_op(op::LpPool{.kernel_shape = {2}, .strides = {2}, .p = 1}, {x})[0],
            floats({1, 1, 2}, {7, 12}));
  EXPECT_EQ(run_op(op::GlobalLpPool{}, {x})[0], floats({1, 1, 1}, {13}));
}

TEST(Pool, EveryWindowTouchesTheInput) {
  const Tensor x(DType::f32, {1, 1, 2});
  EXPECT_THROW(infer(op::MaxPool{.kernel_shape = {2}, .pads = {2, 0}}, {x}), Error);
  EXPECT_THROW(infer(op::MaxPool{.kernel_shape = {2}, .pads = {2, 2}, .dilations = {4}}, {x}), Error);
  EXPECT_NO_THROW(infer(op::MaxPool{.kernel_shape = {2}, .pads = {1, 1}}, {x}));
}

TEST(GroupNormalization, ScalesPerChannelOrPerGroup) {
  const Tensor x = floats({1, 4, 1}, {1, 3, 10, 30});
  const op::GroupNormalization per_channel{.epsilon = 0, .num_groups = 2};
  op::GroupNormalization per_group = per_channel;
  per_group.per_group = true;
  EXPECT_EQ(run_op(per_channel, {x, floats({4}, {1, 2, 3, 4}), floats({4}, {0, 0, 1, 1})})[0],
            floats({1, 4, 1}, {-1, 2, -2, 5}));
  EXPECT_EQ(run_op(per_group, {x, floats({2}, {1, 2}), floats({2}, {0, 1})})[0],
            floats({1, 4, 1}, {-1, 1, -1, 3}));
  EXPECT_THROW(infer(per_group, {x, floats({4}, {1, 2, 3, 4}), floats({2}, {0, 1})}), Error);
  EXPECT_THROW(
      infer(op::GroupNormalization{.num_groups = 3}, {x, Tensor(DType::f32, {4}), Tensor(DType::f32, {4})}),
      Error);
}

TEST(Softmax, OldFormRunsOverAllAxesFromOneOn) {
  const Tensor x = floats({2, 1, 2}, {0, 0, 5, 5});
  EXPECT_EQ(run_op(op::Softmax{.axis = 1, .coerce2d = true}, {x})[0],
            floats({2, 1, 2}, {.5f, .5f, .5f, .5f}));
  EXPECT_EQ(run_op(op::Softmax{.axis = 1}, {x})[0], floats({2, 1, 2}, {1, 1, 1, 1}));
}

TEST(Quantize, BlocksAndWideTypes) {
  const Tensor x = floats({1, 4}, {1, 2, 30, 40}), scale = floats({1, 2}, {1, 10});
  const op::QuantizeLinear q{.axis = 1, .block_size = 2};
  const Tensor want = Tensor::from<std::uint8_t>({1, 4}, {1, 2, 3, 4});
  EXPECT_EQ(run_op(q, {x, scale})[0], want);
  EXPECT_EQ(run_op(op::DequantizeLinear{.axis = 1, .block_size = 2}, {want, scale})[0], x);
  EXPECT_EQ(run_op(op::QuantizeLinear{.output_dtype = 5}, {x, Tensor::scalar(0.001f)})[0],
            Tensor::from<std::int16_t>({1, 4}, {1000, 2000, 30000, 32767}));
  EXPECT_THROW(infer(op::QuantizeLinear{.output_dtype = 21}, {x, Tensor::scalar(1.f)}), Error);
  EXPECT_THROW(infer(op::QuantizeLinear{}, {x, floats({3}, {1, 1, 1})}), Error);
}

TEST(Quantize, ParametersMayBeThoseOfTheTypes) {
  const Type u8{DType::u8, {3}, QParams{{0.5f}, {128}}}, i8{DType::i8, {3}, QParams{{1.f}, {0}}};
  const Tensor x = floats({3}, {-1, 0, 1.5f});
  const Tensor q = testing::eval(op::QuantizeLinear{}, {x}, {u8})[0];
  EXPECT_EQ(q, Tensor::from<std::uint8_t>({3}, {126, 128, 131}).with_quant(u8.quant));
  EXPECT_EQ(testing::eval(op::DequantizeLinear{}, {q}, {Type{DType::f32, {3}}})[0], x);
  EXPECT_EQ(testing::eval(op::QuantizeLinear{}, {q}, {i8})[0],
            Tensor::from<std::int8_t>({3}, {-1, 0, 2}).with_quant(i8.quant));
}

// The node that the upgrade hook of a family's first operator makes.
OnnxNode upgraded(const std::vector<OpDef>& family, OnnxNode node, Graph& graph) {
  family.front().upgrade(node, graph);
  return node;
}

TEST(Upgrade, OldForms) {
  Graph graph;
  const OnnxNode softmax = upgraded(softmax_ops(), {.type = "Softmax", .opset = 11}, graph);
  EXPECT_EQ(softmax.attributes.at("axis"), OnnxAttribute(std::int64_t{1}));
  EXPECT_EQ(softmax.attributes.at("coerce2d"), OnnxAttribute(std::int64_t{1}));
  EXPECT_TRUE(upgraded(softmax_ops(), {.type = "Softmax", .opset = 13}, graph).attributes.empty());

  const OnnxNode norm = upgraded(
      norm_ops(), {.type = "BatchNormalization", .opset = 7, .attributes = {{"spatial", std::int64_t{1}}}},
      graph);
  EXPECT_TRUE(norm.attributes.empty());
  EXPECT_THROW(upgraded(norm_ops(), {.type = "BatchNormalization", .opset = 9, .out = {0, 1}}, graph), Error);

  const OnnxNode upsample = upgraded(
      resize_ops(),
      {.type = "Upsample", .opset = 7, .attributes = {{"scales", op::Floats{1, 1, 2, 2}}}, .in = {5}}, graph);
  EXPECT_EQ(upsample.type, "Resize");
  ASSERT_EQ(upsample.in.size(), 3u);
  EXPECT_EQ(upsample.in[0], 5);
  EXPECT_EQ(upsample.in[1], kNoValue);
  EXPECT_EQ(graph.constant(upsample.in[2])->count(), 4);
  EXPECT_EQ(upsample.attributes.at("nearest_mode"), OnnxAttribute(std::string("floor")));
}

}  // namespace
}  // namespace eke
