// Tactics of training, one node at a time, against the reference: on every tier, and with the same bits at any number of
// threads.
#include <gtest/gtest.h>

#include <cmath>

#include "ops/infer.h"
#include "ops/node_builder.h"
#include "runtime/plan.h"
#include "runtime/testing/random_network.h"

namespace eke {
namespace {

struct Case {
  std::string name;
  Op op;
  std::vector<Shape> in;
  std::string tactic;  // part of the name of the one that has to take it
  std::size_t outputs = 1;
  // Of float32 sums of products of values up to 4 in any order: 16 * 6e-8 times the root of the number of terms, times
  // what their sum grows to.
  double bound = 5e-5;
};

std::vector<Case> cases() {
  const op::Gemm transposed{.transB = 1}, outer{.transA = 1};
  return {
      {"gemm", op::Gemm{}, {{5, 7}, {7, 33}}, "train_"},
      {"gemm_bias", op::Gemm{}, {{5, 7}, {7, 33}, {33}}, "train_", 1},
      {"gemm_long", op::Gemm{}, {{16, 1280}, {1280, 10}}, "train_", 1, 5e-3},
      {"gemm_transposed", transposed, {{16, 300}, {70, 300}, {1, 70}}, "train_", 1, 1e-3},
      {"gemm_one_row", transposed, {{1, 3}, {5, 3}}, "train_"},
      {"gemm_tall", op::Gemm{.transB = 1, .clamp = {.lo = 0}}, {{200, 20}, {3, 20}}, "train_"},
      {"gemm_outer", outer, {{16, 100}, {16, 130}}, "outer_"},
      {"gemm_outer_deep", outer, {{300, 9}, {300, 5}}, "outer_", 1, 1e-3},
      {"gemm_scaled", op::Gemm{.alpha = 0.5f}, {{5, 7}, {7, 9}}, "reference"},
      {"gemm_both", op::Gemm{.transA = 1, .transB = 1}, {{7, 5}, {9, 7}}, "reference"},
      {"gemm_matrix_bias", op::Gemm{}, {{5, 7}, {7, 9}, {5, 9}}, "reference"},
      {"matmul", op::MatMul{}, {{5, 7}, {7, 33}}, "train_"},
      {"winograd",
       op::Conv{.pads = {1, 1, 1, 1}},
       {{3, 24, 13, 14}, {40, 24, 3, 3}},
       "train_winograd",
       1,
       2e-3},
      {"winograd_bias_clamp",
       op::Conv{.pads = {0, 1, 2, 1}, .clamp = {.lo = 0, .hi = 30}},
       {{2, 50, 18, 15}, {33, 50, 3, 3}, {33}},
       "train_winograd",
       1,
       4e-3},
      {"conv_in_parts",
       op::Conv{.strides = {2, 2}, .pads = {1, 1, 1, 1}, .clamp = {.lo = -50, .hi = 50}},
       {{1, 700, 7, 6}, {40, 700, 3, 3}, {40}},
       "train_gemm",
       1,
       2e-2},
      {"conv_input_in_parts",
       op::ConvTranspose{.pads = {1, 1, 1, 1}},
       {{1, 700, 4, 3}, {700, 40, 3, 3}, {40}},
       "transposed_gemm",
       1,
       2e-2},
      {"conv_input_strided_in_parts",
       op::ConvTranspose{.strides = {2, 2}, .pads = {2, 2, 2, 2}},
       {{1, 900, 3, 3}, {900, 20, 5, 5}},
       "transposed_gemm",
       1,
       2e-2},
      {"winograd_in_parts", op::Conv{}, {{32, 700, 3, 3}, {50, 700, 3, 3}}, "train_winograd", 1, 4e-2},
      {"winograd_input",
       op::ConvTranspose{.pads = {1, 1, 1, 1}},
       {{3, 24, 13, 14}, {24, 40, 3, 3}},
       "transposed_winograd",
       1,
       2e-3},
      {"winograd_input_padding",
       op::ConvTranspose{.pads = {0, 2, 1, 0}},
       {{2, 33, 17, 18}, {33, 50, 3, 3}, {50}},
       "transposed_winograd",
       1,
       4e-3},
      {"winograd_weights",
       op::ConvGradWeight{.kernel_shape = {3, 3}, .pads = {1, 1, 1, 1}},
       {{3, 24, 13, 14}, {3, 40, 13, 14}},
       "grad_winograd",
       1,
       2e-3},
      {"winograd_weights_padding",
       op::ConvGradWeight{.kernel_shape = {3, 3}, .pads = {0, 1, 2, 1}},
       {{2, 50, 18, 15}, {2, 33, 18, 15}},
       "grad_winograd",
       1,
       2e-3},
      {"winograd_weights_in_parts",
       op::ConvGradWeight{.kernel_shape = {3, 3}},
       {{40, 700, 3, 3}, {40, 70, 1, 1}},
       "grad_winograd",
       1,
       2e-3},
      {"grad_product",
       op::ConvGradWeight{.kernel_shape = {3, 3}, .strides = {2, 2}, .pads = {1, 1, 1, 1}},
       {{3, 37, 21, 20}, {3, 70, 11, 10}},
       "grad_gemm",
       1,
       1e-3},
      {"grad_product_few_pixels",
       op::ConvGradWeight{.kernel_shape = {1, 1}},
       {{1, 150, 3, 3}, {1, 64, 3, 3}},
       "grad_gemm",
       1,
       1e-4},
      {"grad_outer",
       op::ConvGradWeight{.kernel_shape = {3, 3}},
       {{2, 9, 8, 8}, {2, 20, 6, 6}},
       "outer_f32",
       1,
       1e-3},
      {"winograd_few_tiles",
       op::Conv{.pads = {1, 1, 1, 1}},
       {{2, 24, 4, 4}, {24, 24, 3, 3}},
       "train_gemm",
       1,
       1e-3},
      {"depthwise",
       op::Conv{.pads = {1, 1, 1, 1}, .group = 20, .clamp = {.lo = -2, .hi = 2}},
       {{2, 20, 9, 11}, {20, 1, 3, 3}, {20}},
       "train_dwconv"},
      {"depthwise_strided",
       op::Conv{.strides = {2, 2}, .pads = {0, 1, 1, 0}, .group = 70},
       {{3, 70, 8, 9}, {70, 1, 3, 3}},
       "train_dwconv"},
      {"depthwise_5x5_dilated",
       op::Conv{.pads = {2, 2, 2, 2}, .dilations = {2, 1}, .group = 17},
       {{2, 17, 12, 7}, {17, 1, 5, 5}},
       "train_dwconv"},
      {"depthwise_input",
       op::ConvTranspose{.pads = {1, 0, 1, 2}, .group = 20},
       {{2, 20, 9, 11}, {20, 1, 3, 3}, {20}},
       "transposed_dwconv"},
      {"depthwise_input_dilated",
       op::ConvTranspose{.pads = {3, 2, 3, 2}, .dilations = {2, 1}, .group = 40},
       {{2, 40, 8, 7}, {40, 1, 3, 5}},
       "transposed_dwconv"},
      {"depthwise_input_strided",
       op::ConvTranspose{.strides = {2, 2}, .pads = {1, 1, 1, 1}, .output_padding = {1, 0}, .group = 33},
       {{2, 33, 5, 6}, {33, 1, 3, 3}},
       "transposed_dwconv"},
      {"depthwise_weights",
       op::ConvGradWeight{.kernel_shape = {3, 3}, .strides = {2, 1}, .pads = {1, 1, 1, 1}, .group = 37},
       {{3, 37, 13, 14}, {3, 37, 7, 14}},
       "depthwise_grad",
       1,
       1e-3},
      {"rounding", op::QuantizeLinear{}, {{3, 5, 4, 4}, {}}, "quantize_by_state"},
      {"rounding_rows", op::QuantizeLinear{.axis = 0}, {{9, 2, 3, 3}, {9}}, "quantize_by_state"},
      {"rounding_columns", op::QuantizeLinear{.axis = 1}, {{9, 20}, {20}}, "reference"},
      {"rounding_grad",
       op::ClampGrad{{-128, 127}},
       {{3, 50, 20, 20}, {3, 50, 20, 20}, {}},
       "rounding_grad_f32",
       2,
       1e-3},
      {"rounding_grad_rows",
       op::ClampGrad{{-128, 127}},
       {{9, 40}, {9, 40}, {9}},
       "rounding_grad_f32",
       2,
       1e-4},
  };
}

class TrainTactics : public ::testing::TestWithParam<Case> {
 protected:
  // A scale (of one or no extent) is some hundredths, so that some values lie outside.
  void SetUp() override {
    const bool scaled = std::holds_alternative<op::QuantizeLinear>(GetParam().op) ||
                        std::holds_alternative<op::ClampGrad>(GetParam().op);
    std::vector<ValueId> in;
    for (std::size_t i = 0; i < GetParam().in.size(); ++i) {
      in.push_back(graph_.add_value("x", {DType::f32, GetParam().in[i]}));
      graph_.inputs.push_back(in.back());
      values_.push_back(testing::random_input(graph_[in.back()].type, i + 1));
      if (!scaled || i + 1 < GetParam().in.size()) continue;
      for (float& x : values_.back().mutable_values<float>()) x = 0.006f + 0.004f * std::abs(x);
    }
    graph_.outputs = NodeBuilder(graph_, "n").add(GetParam().op, in, GetParam().outputs);
    verify(graph_);
  }

  std::vector<Tensor> run(const CompileOptions& options, int threads) {
    const Plan plan = compile(graph_, options);
    const Threads pool(threads);
    Scratch scratch(plan, pool);
    return plan.run(values_, scratch);
  }

  Graph graph_;
  std::vector<Tensor> values_;
};

TEST_P(TrainTactics, EqualTheReference) {
  const std::vector<Tensor> want = run({.reference_only = true}, 1);
  for (const Isa isa : supported_isas()) {
    SCOPED_TRACE(std::string(to_string(isa)));
    const std::vector<Tensor> got = run({.isa = isa}, 1);
    for (const int threads : {2, 7}) EXPECT_EQ(run({.isa = isa}, threads), got) << threads;
    for (std::size_t o = 0; o < want.size(); ++o)
      for (std::int64_t e = 0; e < want[o].count(); ++e) {
        const double expected = element_as_double(want[o].view(), e);
        ASSERT_NEAR(element_as_double(got[o].view(), e), expected,
                    GetParam().bound * (1 + std::abs(expected)))
            << o << " " << e;
      }
  }
}

TEST_P(TrainTactics, AreTheOnesThatAreMeant) {
  bool found = false;
  const Plan plan = compile(graph_);
  for (const StepInfo& step : plan.steps())
    found = found || step.tactic.find(GetParam().tactic) != std::string::npos;
  EXPECT_TRUE(found) << GetParam().tactic;
}

INSTANTIATE_TEST_SUITE_P(Cases, TrainTactics, ::testing::ValuesIn(cases()),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace eke
