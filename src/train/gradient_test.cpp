// Every gradient against central differences of the reference, in float64: with steps h = 1e-5 the differences are off by
// h^2 / 6 times the third derivative and by 1e-16 / h of rounding, both below 1e-9 for the values here, so a bound of 1e-6
// (relative to 1 + the gradient) only lets pass attributes that are rounded to float32.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "ops/infer.h"
#include "ops/node_builder.h"
#include "ops/op_def.h"
#include "train/backward.h"

namespace eke {
namespace {

constexpr double kStep = 1e-5, kBound = 1e-6;

// An input: float64 values drawn from [lo, hi] and differentiated, or a constant.
struct In {
  Shape shape;
  double lo = -2, hi = 2;
  std::optional<Tensor> constant = std::nullopt;
  bool differentiate = true;
};

struct Case {
  std::string name;
  Op op;
  std::vector<In> in;
  std::size_t outputs = 1;
};

In ints(std::vector<std::int64_t> values) {
  const Shape shape{static_cast<std::int64_t>(values.size())};
  return {{}, 0, 0, Tensor::from<std::int64_t>(shape, std::span<const std::int64_t>(values))};
}
In number(double value) { return {{}, 0, 0, Tensor::scalar(value)}; }
In fixed(Shape shape, double lo, double hi) { return {shape, lo, hi, std::nullopt, false}; }

Op unary(op::UnaryFn fn) { return op::Unary{fn}; }
Op binary(op::BinaryFn fn) { return op::Binary{fn}; }
Op reduce(op::ReduceFn fn, bool keepdims = true) { return op::Reduce{.fn = fn, .keepdims = keepdims}; }

std::vector<Case> cases() {
  using op::BinaryFn;
  using op::ReduceFn;
  using op::UnaryFn;
  using op::VariadicFn;
  const In v{{2, 3}}, positive{{2, 3}, 0.3, 2}, inside{{2, 3}, -0.9, 0.9}, image{{2, 3, 5, 6}};
  std::vector<Case> all{
      {"conv", op::Conv{}, {{{2, 3, 5, 4}}, {{4, 3, 3, 2}}, {{4}}}},
      {"conv_strided_padded",
       op::Conv{.strides = {2, 3}, .pads = {1, 0, 2, 1}, .dilations = {1, 2}},
       {{{2, 2, 7, 8}}, {{3, 2, 3, 2}}}},
      {"conv_same",
       op::Conv{.auto_pad = "SAME_UPPER", .strides = {2, 2}},
       {{{1, 2, 6, 5}}, {{3, 2, 3, 3}}, {{3}}}},
      {"conv_grouped",
       op::Conv{.strides = {2, 1}, .pads = {1, 1, 1, 1}, .group = 2},
       {{{2, 4, 5, 5}}, {{6, 2, 3, 3}}}},
      {"conv_depthwise",
       op::Conv{.strides = {2, 2}, .pads = {1, 1, 1, 1}, .group = 4},
       {{{2, 4, 6, 7}}, {{4, 1, 3, 3}}, {{4}}}},
      {"conv_1x1_strided", op::Conv{.strides = {2, 2}}, {{{1, 2, 6, 5}}, {{3, 2, 1, 1}}}},
      {"conv_1d", op::Conv{.strides = {2}, .pads = {1, 1}}, {{{2, 2, 7}}, {{3, 2, 3}}}},
      {"conv_transpose",
       op::ConvTranspose{.strides = {2, 2}, .pads = {1, 1, 0, 1}, .output_padding = {1, 0}},
       {{{2, 3, 4, 3}}, {{3, 2, 3, 3}}, {{2}}}},
      {"conv_transpose_grouped",
       op::ConvTranspose{.dilations = {2, 1}, .group = 2},
       {{{1, 4, 3, 3}}, {{4, 2, 2, 2}}}},
      {"gemm", op::Gemm{.alpha = 0.5f, .beta = 2}, {{{3, 4}}, {{4, 5}}, {{5}}}},
      {"gemm_transposed_b", op::Gemm{.transB = 1}, {{{3, 4}}, {{5, 4}}, {{1, 5}}}},
      {"gemm_transposed_a", op::Gemm{.transA = 1}, {{{4, 3}}, {{4, 5}}}},
      {"gemm_transposed", op::Gemm{.transA = 1, .transB = 1}, {{{4, 3}}, {{5, 4}}, {{3, 1}}}},
      {"matmul", op::MatMul{}, {{{3, 4}}, {{4, 5}}}},
      {"matmul_batched", op::MatMul{}, {{{2, 3, 4}}, {{4, 5}}}},
      {"matmul_broadcast", op::MatMul{}, {{{2, 1, 3, 4}}, {{3, 4, 2}}}},
      {"max_pool", op::MaxPool{.kernel_shape = {3, 2}, .strides = {2, 1}, .pads = {1, 0, 1, 1}}, {image}},
      {"max_pool_ceil", op::MaxPool{.kernel_shape = {3, 3}, .strides = {2, 2}, .ceil_mode = 1}, {image}},
      {"average_pool",
       op::AveragePool{.kernel_shape = {3, 2}, .strides = {2, 1}, .pads = {1, 0, 1, 1}},
       {image}},
      {"average_pool_padded",
       op::AveragePool{
           .kernel_shape = {3, 3}, .strides = {2, 2}, .pads = {1, 1, 1, 1}, .count_include_pad = 1},
       {image}},
      {"global_average_pool", op::GlobalAveragePool{}, {image}},
      {"global_max_pool", op::GlobalMaxPool{}, {image}},
      {"batch_norm", op::BatchNormalization{}, {image, {{3}}, {{3}}, fixed({3}, -1, 1), fixed({3}, 0.5, 2)}},
      {"batch_norm_training",
       op::BatchNormalization{.training_mode = 1},
       {image, {{3}}, {{3}}, fixed({3}, -1, 1), fixed({3}, 0.5, 2)}},
      {"instance_norm", op::InstanceNormalization{}, {image, {{3}}, {{3}}}},
      {"layer_norm", op::LayerNormalization{}, {{{2, 3, 4}}, {{4}}, {{4}}}},
      {"layer_norm_axis_1", op::LayerNormalization{.axis = 1}, {{{2, 3, 4}}, {{3, 4}}, {{3, 4}}}},
      {"softmax", op::Softmax{}, {{{3, 4}}}},
      {"softmax_axis_1", op::Softmax{.axis = 1}, {{{2, 3, 4}}}},
      {"softmax_coerced", op::Softmax{.axis = 1, .coerce2d = true}, {{{2, 3, 4}}}},
      {"log_softmax", op::LogSoftmax{.axis = 1}, {{{2, 3, 4}}}},
      {"nll", op::NegativeLogLikelihoodLoss{}, {{{4, 3}}, ints({2, 0, 1, 1})}},
      {"nll_weighted",
       op::NegativeLogLikelihoodLoss{.ignore_index = 1},
       {{{4, 3}}, ints({2, 0, 1, 0}), {{}, 0, 0, Tensor::from<double>({3}, {0.5, 2.0, 3.0})}}},
      {"nll_none", op::NegativeLogLikelihoodLoss{.reduction = "none"}, {{{4, 3}}, ints({2, 0, 1, 1})}},
      {"cross_entropy", op::SoftmaxCrossEntropyLoss{}, {{{4, 3}}, ints({2, 0, 1, 1})}, 2},
      {"cross_entropy_sum", op::SoftmaxCrossEntropyLoss{.reduction = "sum"}, {{{4, 3}}, ints({2, 0, 1, 1})}},
      {"clip", op::Clip{}, {v, number(-1), number(0.5)}},
      {"leaky_relu", op::LeakyRelu{.alpha = 0.25f}, {v}},
      {"elu", op::Elu{.alpha = 0.5f}, {v}},
      {"celu", op::Celu{.alpha = 0.5f}, {v}},
      {"selu", op::Selu{}, {v}},
      {"hard_sigmoid", op::HardSigmoid{.alpha = 0.25f}, {{{4, 3}, -4, 4}}},
      {"thresholded_relu", op::ThresholdedRelu{.alpha = 0.5f}, {v}},
      {"gelu", op::Gelu{}, {v}},
      {"gelu_tanh", op::Gelu{.approximate = "tanh"}, {v}},
      {"swish", op::Swish{.alpha = 1.5f}, {v}},
      {"cast", op::Cast{.to = DType::f64}, {v}},
      {"where", op::Where{}, {{{}, 0, 0, Tensor::from<bool>({2, 1}, {true, false})}, v, {{3}}}},
      {"concat", op::Concat{.axis = 1}, {{{2, 3}}, {{2, 1}}, {{2, 2}}}},
      {"split", op::Split{.axis = 1}, {{{2, 5}}, ints({2, 3})}, 2},
      {"reshape", op::Reshape{}, {{{2, 6}}, ints({3, 4})}},
      {"flatten", op::Flatten{}, {image}},
      {"squeeze", op::Squeeze{}, {{{2, 1, 3}}, ints({1})}},
      {"unsqueeze", op::Unsqueeze{}, {{{2, 3}}, ints({1})}},
      {"identity", op::Identity{}, {v}},
      {"dropout", op::Dropout{}, {v}},
      {"transpose", op::Transpose{{1, 2, 0}}, {{{2, 3, 4}}}},
      {"transpose_default", op::Transpose{}, {{{2, 3, 4}}}},
      {"slice", op::Slice{}, {{{4, 5}}, ints({1, -3}), ints({3, 9}), ints({0, 1})}},
      {"slice_in_steps", op::Slice{}, {{{2, 7, 6}}, ints({1, 0}), ints({7, 6}), ints({1, 2}), ints({2, 3})}},
      {"pad", op::Pad{}, {{{2, 3}}, ints({1, 0, 0, 2})}},
      {"expand", op::Expand{}, {{{3, 1}}, ints({2, 3, 4})}},
      {"sum", op::Variadic{VariadicFn::Sum}, {v, {{3}}, v}},
      {"mean", op::Variadic{VariadicFn::Mean}, {v, v}},
      {"max", op::Variadic{VariadicFn::Max}, {v, v, {{1, 3}}}},
      {"min", op::Variadic{VariadicFn::Min}, {v, v}},
      {"add", binary(BinaryFn::Add), {v, {{3}}}},
      {"sub", binary(BinaryFn::Sub), {{{2, 1}}, v}},
      {"mul", binary(BinaryFn::Mul), {v, {{1}}}},
      {"div", binary(BinaryFn::Div), {v, positive}},
      {"pow", binary(BinaryFn::Pow), {positive, v}},
      {"prelu", binary(BinaryFn::PRelu), {{{2, 3, 2, 2}}, {{3, 1, 1}}}},
      {"reduce_mean", reduce(ReduceFn::ReduceMean, false), {{{2, 3, 4}}, ints({0, 2})}},
      {"reduce_sum", reduce(ReduceFn::ReduceSum), {{{2, 3, 4}}, ints({-1})}},
      {"reduce_sum_all", reduce(ReduceFn::ReduceSum, false), {v}},
      {"reduce_sum_square", reduce(ReduceFn::ReduceSumSquare), {v, ints({1})}},
      {"reduce_l1", reduce(ReduceFn::ReduceL1), {v, ints({1})}},
      {"reduce_l2", reduce(ReduceFn::ReduceL2), {v, ints({1})}},
      {"reduce_log_sum", reduce(ReduceFn::ReduceLogSum), {positive, ints({1})}},
      {"reduce_log_sum_exp", reduce(ReduceFn::ReduceLogSumExp, false), {v, ints({1})}},
  };
  const std::pair<UnaryFn, In> functions[] = {{UnaryFn::Abs, v},
                                              {UnaryFn::Neg, v},
                                              {UnaryFn::Sqrt, positive},
                                              {UnaryFn::Reciprocal, positive},
                                              {UnaryFn::Exp, v},
                                              {UnaryFn::Log, positive},
                                              {UnaryFn::Sin, v},
                                              {UnaryFn::Cos, v},
                                              {UnaryFn::Tan, inside},
                                              {UnaryFn::Asin, inside},
                                              {UnaryFn::Acos, inside},
                                              {UnaryFn::Atan, v},
                                              {UnaryFn::Sinh, v},
                                              {UnaryFn::Cosh, v},
                                              {UnaryFn::Tanh, v},
                                              {UnaryFn::Asinh, v},
                                              {UnaryFn::Acosh, {{2, 3}, 1.2, 3}},
                                              {UnaryFn::Atanh, inside},
                                              {UnaryFn::Erf, v},
                                              {UnaryFn::Relu, v},
                                              {UnaryFn::Sigmoid, v},
                                              {UnaryFn::Softplus, v},
                                              {UnaryFn::Softsign, v},
                                              {UnaryFn::HardSwish, {{4, 3}, -5, 5}},
                                              {UnaryFn::Mish, v}};
  for (const auto& [fn, in] : functions) all.push_back({std::string(op::to_string(fn)), unary(fn), {in}});
  return all;
}

class GradientTest : public ::testing::TestWithParam<Case> {
 protected:
  // The graph of one operator, and the sum of its outputs times random factors.
  void build() {
    const Case& c = GetParam();
    std::mt19937 random(7);
    std::vector<ValueId> in;
    for (const In& i : c.in) {
      if (i.constant) {
        in.push_back(graph_.add_constant("c", *i.constant));
        continue;
      }
      Tensor value(DType::f64, i.shape);
      std::uniform_real_distribution<double> draw(i.lo, i.hi);
      for (double& x : value.mutable_values<double>()) x = draw(random);
      in.push_back(graph_.add_value("x", value.type()));
      graph_.inputs.push_back(in.back());
      if (i.differentiate) {
        wrt_.push_back(in.back());
        wrt_index_.push_back(values_.size());
      }
      values_.push_back(std::move(value));
    }
    NodeBuilder builder(graph_, "n");
    ValueId loss = kNoValue;
    for (const ValueId out : builder.add(c.op, in, c.outputs)) {
      Tensor factors(builder.type(out).dtype, builder.shape(out));
      for (double& x : factors.mutable_values<double>())
        x = std::uniform_real_distribution<double>(-1, 1)(random);
      const ValueId part = builder.add(op::Reduce{.fn = op::ReduceFn::ReduceSum, .keepdims = 0},
                                       {builder.mul(out, builder.constant(factors))});
      loss = loss == kNoValue ? part : builder.plus(loss, part);
    }
    graph_.outputs = {loss};
    verify(graph_);
  }

  double loss_at(std::size_t input, std::int64_t element, double shift) const {
    std::vector<Tensor> moved = values_;
    moved[input].mutable_values<double>()[static_cast<std::size_t>(element)] += shift;
    return evaluate(graph_, moved)[0].values<double>()[0];
  }

  Graph graph_;
  std::vector<Tensor> values_;
  std::vector<ValueId> wrt_;
  std::vector<std::size_t> wrt_index_;
};

TEST_P(GradientTest, EqualsDifferences) {
  build();
  Backward result = backward(graph_, graph_.outputs[0], wrt_);
  for (const ValueId id : result.gradients) ASSERT_NE(id, kNoValue);
  result.graph.outputs = result.gradients;
  verify(result.graph);
  const std::vector<Tensor> gradients = evaluate(result.graph, values_);
  for (std::size_t i = 0; i < wrt_.size(); ++i) {
    ASSERT_EQ(gradients[i].type(), values_[wrt_index_[i]].type());
    for (std::int64_t e = 0; e < gradients[i].count(); ++e) {
      const double want =
          (loss_at(wrt_index_[i], e, kStep) - loss_at(wrt_index_[i], e, -kStep)) / (2 * kStep);
      const double got = gradients[i].values<double>()[static_cast<std::size_t>(e)];
      ASSERT_NEAR(got, want, kBound * (1 + std::abs(want))) << "input " << i << ", element " << e;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GradientTest, ::testing::ValuesIn(cases()),
                         [](const auto& row) { return row.param.name; });

// The list is complete: every operator with a gradient has a case.
TEST(Gradients, AreAllTested) {
  std::set<std::string_view> tested;
  for (const Case& c : cases()) tested.insert(struct_name(c.op));
  tested.insert({"QuantizeLinear", "DequantizeLinear"});  // below: theirs are no derivatives
  [&]<std::size_t... kIndex>(std::index_sequence<kIndex...>) {
    const auto visit = [&](const Op& op) {
      EXPECT_TRUE(def(op).grad == nullptr || tested.contains(struct_name(op))) << struct_name(op);
    };
    (visit(Op(std::variant_alternative_t<kIndex, detail::OpVariant>{})), ...);
  }
  (std::make_index_sequence<kOpCount>());
}

// Straight through between the bounds; for the scale round(v) - v there, and the bound outside.
TEST(Gradients, OfRoundingPassStraightThrough) {
  Graph graph;
  const ValueId x = graph.add_value("x", {DType::f32, {2, 3}}),
                scale = graph.add_value("s", {DType::f32, {2}});
  graph.inputs = {x, scale};
  NodeBuilder builder(graph, "n");
  const ValueId zero = builder.constant(Tensor::from<std::uint8_t>({2}, {250, 250}));
  const ValueId stored = builder.add(op::QuantizeLinear{.axis = 0}, {x, scale, zero});
  const ValueId rounded = builder.add(op::DequantizeLinear{.axis = 0}, {stored, scale, zero});
  const ValueId loss = builder.add(op::Reduce{.fn = op::ReduceFn::ReduceSum, .keepdims = 0}, {rounded});
  Backward result = backward(graph, loss, {x, scale});
  result.graph.outputs = {rounded, result.gradients[0], result.gradients[1]};
  const std::vector<Tensor> got = evaluate(
      result.graph,
      {Tensor::from<float>({2, 3}, {-0.26f, 0.34f, 3, -9, 0.5f, 1}), Tensor::from<float>({2}, {0.1f, 0.5f})});
  const float kRounded[] = {-0.3f, 0.3f, 0.5f, -9, 0.5f, 1}, kStraight[] = {1, 1, 0, 1, 1, 1},
              kScale[] = {-0.4f - 0.4f + 5, 0};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(got[0].values<float>()[i], kRounded[i], 1e-6);
    EXPECT_EQ(got[1].values<float>()[i], kStraight[i]);
  }
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(got[2].values<float>()[i], kScale[i], 1e-5);
}

TEST(Gradients, NameTheOperatorThatHasNone) {
  Graph graph;
  const ValueId x = graph.add_value("x", {DType::f32, {1, 2, 4, 4}});
  graph.inputs = {x};
  NodeBuilder builder(graph, "lrn");
  const ValueId y = builder.add(op::LRN{.size = 3}, {x});
  const ValueId loss = builder.add(op::Reduce{.fn = op::ReduceFn::ReduceSum, .keepdims = 0}, {y});
  try {
    static_cast<void>(backward(graph, loss, {x}));
    FAIL() << "a gradient of LRN?";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("node 'lrn0' (LRN)"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("freeze"), std::string::npos) << error.what();
  }
}

// Steps pass no gradient on, and values that the loss does not need get none.
TEST(Gradients, AreAbsentWhereNothingDepends) {
  Graph graph;
  const ValueId x = graph.add_value("x", {DType::f32, {2, 3}}),
                unused = graph.add_value("u", {DType::f32, {1}});
  graph.inputs = {x, unused};
  NodeBuilder builder(graph, "n");
  const ValueId loss = builder.add(op::Reduce{.fn = op::ReduceFn::ReduceSum, .keepdims = 0},
                                   {builder.unary(op::UnaryFn::Floor, x)});
  EXPECT_EQ(backward(graph, loss, {x, unused}).gradients, (std::vector<ValueId>{kNoValue, kNoValue}));
}

}  // namespace
}  // namespace eke
