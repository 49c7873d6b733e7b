// Convolutions in training with factors rounded to bfloat16, one node at a time: against the reference over rounded
// factors, with the same bits on every tier and at any number of threads.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/gemm/registry.h"
#include "ops/infer.h"
#include "ops/node_builder.h"
#include "runtime/plan.h"
#include "runtime/testing/bf16.h"
#include "runtime/testing/random_network.h"

namespace eke {
namespace {

struct Case {
  std::string name;
  Op op;
  std::vector<Shape> in;   // the first two are rounded
  std::string tactic;      // what the name of the one that has to take it begins with
  std::int64_t terms = 1;  // of a sum
};

op::Conv conv(std::int64_t stride, std::int64_t pad, std::int64_t group = 1) {
  return {.strides = {stride, stride}, .pads = {pad, pad, pad, pad}, .group = group};
}
op::ConvTranspose transposed(std::int64_t stride, std::int64_t pad, std::int64_t more = 0) {
  return {.strides = {stride, stride}, .pads = {pad, pad, pad, pad}, .output_padding = {more, more}};
}
op::ConvGradWeight grad(std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  return {.kernel_shape = {kernel, kernel}, .strides = {stride, stride}, .pads = {pad, pad, pad, pad}};
}

std::vector<Case> cases() {
  op::Conv clamped = conv(1, 1);
  clamped.clamp = {.lo = 0, .hi = 2};
  return {
      {"forward_3x3", conv(1, 1), {{2, 24, 7, 9}, {24, 24, 3, 3}}, "train_gemm_bf16", 216},
      {"forward_bias_clamp", clamped, {{1, 40, 6, 5}, {37, 40, 3, 3}, {37}}, "train_gemm_bf16", 360},
      {"forward_strided", conv(2, 1), {{2, 16, 9, 8}, {130, 16, 3, 3}}, "train_gemm_bf16", 144},
      {"forward_1x1_deep", conv(1, 0), {{3, 600, 3, 4}, {20, 600, 1, 1}}, "train_gemm_bf16", 600},
      {"forward_few_channels", conv(1, 1), {{1, 3, 8, 8}, {16, 3, 3, 3}}, "train_gemm_f32", 27},
      {"forward_many_pixels", conv(1, 1), {{2, 24, 17, 18}, {24, 24, 3, 3}}, "train_gemm_bf16", 216},
      {"input_many_pixels", transposed(1, 1), {{2, 24, 17, 18}, {24, 24, 3, 3}}, "transposed_gemm_bf16", 216},
      {"forward_winograd", conv(1, 1), {{2, 25, 17, 18}, {24, 25, 3, 3}}, "train_winograd", 225},
      {"weights_winograd", grad(3, 1, 1), {{2, 24, 17, 18}, {2, 40, 17, 18}}, "grad_winograd", 612},
      {"forward_odd_channels", conv(1, 0), {{1, 9, 8, 8}, {16, 9, 1, 1}}, "train_gemm_f32", 9},
      {"forward_grouped", conv(1, 1, 2), {{1, 16, 8, 8}, {16, 8, 3, 3}}, "train_gemm_f32", 72},
      {"forward_depthwise", conv(1, 1, 16), {{1, 16, 8, 8}, {16, 1, 3, 3}}, "train_dwconv", 9},
      {"forward_in_parts", conv(1, 1), {{1, 1200, 4, 3}, {40, 1200, 3, 3}, {40}}, "train_gemm_bf16", 10800},
      {"input_in_parts",
       transposed(1, 1),
       {{1, 1200, 4, 3}, {1200, 40, 3, 3}},
       "transposed_gemm_bf16",
       10800},
      {"input_strided_in_parts",
       transposed(2, 2, 1),
       {{1, 1400, 3, 3}, {1400, 20, 5, 5}},
       "transposed_gemm_bf16",
       12600},
      {"input_3x3", transposed(1, 1), {{2, 24, 7, 9}, {24, 17, 3, 3}}, "transposed_gemm_bf16", 216},
      {"input_strided", transposed(2, 1, 1), {{2, 70, 5, 4}, {70, 24, 3, 3}}, "transposed_gemm_bf16", 280},
      {"input_1x1_strided", transposed(2, 0, 1), {{1, 64, 4, 4}, {64, 33, 1, 1}}, "transposed_gemm_bf16", 64},
      {"input_odd_channels", transposed(1, 0), {{1, 9, 4, 4}, {9, 16, 1, 1}}, "transposed_gemm_f32", 9},
      {"weights_3x3", grad(3, 1, 1), {{2, 40, 7, 9}, {2, 37, 7, 9}}, "grad_gemm_bf16", 126},
      {"weights_many_pixels", grad(5, 1, 2), {{3, 32, 21, 20}, {3, 70, 21, 20}}, "grad_gemm_bf16", 1260},
      {"weights_many_columns", grad(1, 1, 0), {{2, 150, 5, 5}, {2, 24, 5, 5}}, "grad_gemm_bf16", 50},
      {"weights_strided", grad(3, 2, 1), {{1, 33, 9, 9}, {1, 30, 5, 5}}, "grad_gemm_bf16", 25},
      {"weights_one_pixel", grad(1, 1, 0), {{1, 32, 1, 1}, {1, 24, 1, 1}}, "grad_gemm_bf16", 1},
      {"weights_few_channels", grad(3, 1, 1), {{1, 3, 8, 8}, {1, 16, 8, 8}}, "outer_f32", 64},
  };
}

class TrainBf16 : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    std::vector<ValueId> in;
    for (std::size_t i = 0; i < GetParam().in.size(); ++i) {
      in.push_back(graph_.add_value("x", {DType::f32, GetParam().in[i]}));
      graph_.inputs.push_back(in.back());
      values_.push_back(testing::random_input(graph_[in.back()].type, i + 1));
    }
    graph_.outputs = {NodeBuilder(graph_, "n").add(GetParam().op, in)};
    verify(graph_);
  }

  Tensor run(const CompileOptions& options, int threads, const std::vector<Tensor>& values) {
    const Plan plan = compile(graph_, options);
    const Threads pool(threads);
    Scratch scratch(plan, pool);
    return plan.run(values, scratch)[0];
  }

  bool is_bf16() const { return GetParam().tactic.find("bf16") != std::string::npos; }

  Graph graph_;
  std::vector<Tensor> values_;
};

// Sums of products of values up to 4 in another order: 6e-8 a term, of which each is at most 16; by Winograd's filtering 4e-6
// of the sum of their sizes.
TEST_P(TrainBf16, EqualsTheReferenceOverRoundedFactorsOnEveryTierAndThreadCount) {
  std::vector<Tensor> values = values_;
  if (is_bf16())
    for (std::size_t i = 0; i < 2; ++i) values[i] = testing::rounded_to_bf16(values[i]);
  const Tensor want = run({.reference_only = true}, 1, values);
  const Tensor first = run({.isa = Isa::scalar, .floats = Floats::bf16}, 1, values_);
  const bool winograd = GetParam().tactic.find("winograd") != std::string::npos;
  const double bound = (winograd ? 1e-5 : 1e-6) * static_cast<double>(GetParam().terms);
  for (std::int64_t e = 0; e < want.count(); ++e)
    ASSERT_NEAR(element_as_double(first.view(), e), element_as_double(want.view(), e), bound) << e;
  for (const Isa isa : supported_isas())
    for (const int threads : {1, 2, 7})
      ASSERT_EQ(run({.isa = isa, .floats = Floats::bf16}, threads, values_), first)
          << to_string(isa) << ", " << threads << " threads";
}

TEST_P(TrainBf16, IsTheOneThatIsMeant) {
  bool found = false;
  const Plan plan = compile(graph_, {.floats = Floats::bf16});
  for (const StepInfo& step : plan.steps()) found = found || step.tactic.starts_with(GetParam().tactic);
  EXPECT_TRUE(found) << plan.steps().back().tactic;
}

INSTANTIATE_TEST_SUITE_P(Cases, TrainBf16, ::testing::ValuesIn(cases()),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace eke
