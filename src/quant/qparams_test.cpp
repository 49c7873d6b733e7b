#include "quant/qparams.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"

namespace eke {
namespace {

constexpr ActivationScheme kU8{DType::u8, false}, kI8{DType::i8, false}, kU8Symmetric{DType::u8, true},
    kI8Symmetric{DType::i8, true};

TEST(Qparams, Table) {
  struct Case {
    Range range;
    ActivationScheme scheme;
    ScaleZero expected;
  };
  const Case cases[] = {
      {{0, 255}, kU8, {1, 0}},
      {{0, 255}, kI8, {1, -128}},
      {{0, 6}, kU8, {6.0f / 255, 0}},
      {{-1, 1}, kU8, {2.0f / 255, 127}},
      {{-128, 127}, kI8, {1, 0}},
      {{-255, 0}, kU8, {1, 255}},
      {{2, 255}, kU8, {1, 0}},  // widened to 0
      {{-255, -2}, kI8, {1, 127}},
      {{0, 0}, kU8, {1, 0}},
      {{0, 0}, kI8, {1, 0}},
      {{0, 0}, kU8Symmetric, {1, 128}},
      {{-1, 2}, kI8Symmetric, {2.0f / 127, 0}},
      {{0, 127}, kU8Symmetric, {1, 128}},
      {{0, 1e-30f}, kU8, {kMinScale, 0}},
      {{-1e-30f, 0}, kI8Symmetric, {kMinScale, 0}},
  };
  for (const Case& c : cases)
    EXPECT_EQ(qparams_for(c.range, c.scheme), c.expected) << c.range.lo << " " << c.range.hi;
}

TEST(Qparams, ZeroIsExactAndEndsMoveByHalfAStepAtMost) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> any(-5, 5);
  for (int i = 0; i < 1000; ++i) {
    float lo = any(random), hi = any(random);
    if (lo > hi) std::swap(lo, hi);
    for (const auto& scheme : {kU8, kI8}) {
      const ScaleZero q = qparams_for({lo, hi}, scheme);
      const Levels levels = levels_of(scheme);
      EXPECT_GE(q.zero_point, levels.lo);
      EXPECT_LE(q.zero_point, levels.hi);
      const double half = 0.5001 * q.scale;
      EXPECT_NEAR((levels.lo - q.zero_point) * double{q.scale}, std::min(lo, 0.0f), half);
      EXPECT_NEAR((levels.hi - q.zero_point) * double{q.scale}, std::max(hi, 0.0f), half);
    }
  }
}

TEST(Qparams, RefusesWhatIsNotARange) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const Range range : {Range{1, 0}, Range{0, inf}, Range{std::nanf(""), 1}}) {
    EXPECT_THROW(qparams_for(range, kU8), Error);
  }
  EXPECT_THROW(qparams_for({0, 1}, {DType::i32, false}), Error);
}

const ProductInput kInput{{0.5f, 10}, {0, 255}};

TEST(Weights, PerChannelTable) {
  // Two channels of three weights along axis 0.
  const Tensor w = Tensor::from<float>({2, 3}, {1.27f, -0.635f, 0, -127, 63.5f, 0.4f});
  const QuantizedWeights q = quantize_weights(w, 0, std::vector<float>{1, -1}, kInput, {});
  EXPECT_EQ(q.weights, Tensor::from<std::int8_t>({2, 3}, {127, -64, 0, -127, 64, 0}));
  EXPECT_FLOAT_EQ(q.scale[0], 0.01f);
  EXPECT_FLOAT_EQ(q.scale[1], 1);
  EXPECT_EQ(q.bias, (std::vector<std::int32_t>{200, -2}));
  EXPECT_EQ(q.dead_channels, 0);
  EXPECT_EQ(q.widened_channels, 0);
}

TEST(Weights, AxisOneAndPerTensor) {
  const Tensor w = Tensor::from<float>({3, 2}, {127, 1, -127, 1.27f, 0, 0.5f});
  const QuantizedWeights columns = quantize_weights(w, 1, {}, kInput, {});
  EXPECT_EQ(columns.weights, Tensor::from<std::int8_t>({3, 2}, {127, 100, -127, 127, 0, 50}));
  const QuantizedWeights whole = quantize_weights(w, 1, {}, kInput, {.per_channel = false});
  EXPECT_EQ(whole.weights, Tensor::from<std::int8_t>({3, 2}, {127, 1, -127, 1, 0, 0}));
  EXPECT_EQ(whole.scale, std::vector<float>{1});
}

TEST(Weights, DeadChannelsBorrowAScaleAndKeepTheirBias) {
  const Tensor w = Tensor::from<float>({3, 2}, {0, 0, 1.27f, -1.27f, 1e-35f, 0});
  const QuantizedWeights q = quantize_weights(w, 0, std::vector<float>{3, 0, 5}, kInput, {});
  EXPECT_EQ(q.dead_channels, 1);
  EXPECT_FLOAT_EQ(q.scale[0], 0.01f);
  EXPECT_NEAR(q.bias[0] * 0.5 * q.scale[0], 3, 1e-2);
  // The third has a bias that its own tiny scale could not hold.
  EXPECT_LE(std::abs(static_cast<double>(q.bias[2])), 1 << 30);
  EXPECT_NEAR(q.bias[2] * 0.5 * double{q.scale[2]}, 5, 1e-6);
  EXPECT_EQ(q.widened_channels, 1);
}

TEST(Weights, AllDead) {
  const QuantizedWeights q =
      quantize_weights(Tensor(DType::f32, {2, 2}), 0, std::vector<float>{1e12f, 0}, kInput, {});
  EXPECT_EQ(q.dead_channels, 2);
  EXPECT_LE(std::abs(static_cast<double>(q.bias[0])), 1 << 30);
  EXPECT_NEAR(q.bias[0] * 0.5 * double{q.scale[0]}, 1e12, 1e6);
  EXPECT_EQ(q.scale[1], 1);
}

TEST(Weights, TheAccumulatorCannotOverflow) {
  // 70,000 full-scale weights: 70,000 * 127 * 245 exceeds 2^31.
  const std::vector<float> ones(70000, 1.0f);
  const Tensor w = Tensor::from<float>({1, 70000}, std::span(ones));
  const QuantizedWeights q = quantize_weights(w, 0, std::vector<float>{100}, kInput, {});
  std::int64_t most = std::abs(q.bias[0]);
  for (const std::int8_t x : q.weights.values<std::int8_t>()) most += std::int64_t{245} * std::abs(x);
  EXPECT_LE(most, std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(q.widened_channels, 1);
  EXPECT_NEAR(q.weights.values<std::int8_t>()[0] * double{q.scale[0]}, 1, 0.01);
}

TEST(Weights, MseIsNeverWorseThanMax) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(64 * 27);
  for (float& x : values) x = std::pow(normal(random), 3.0f);
  const Tensor w = Tensor::from<float>({64, 27}, std::span(values));
  const double by_max = quantize_weights(w, 0, {}, kInput, {.range = WeightRange::max}).sqnr_db;
  const double by_mse = quantize_weights(w, 0, {}, kInput, {.range = WeightRange::mse}).sqnr_db;
  EXPECT_GE(by_mse, by_max);
  EXPECT_GT(by_max, 30);
}

// Four outputs, two groups of two inputs, kernels of 1x3: the mean of the output must come out exact to one unit.
TEST(Weights, TheBiasTakesUpTheMeanError) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> values(4 * 2 * 3);
  for (float& x : values) x = normal(random);
  const Tensor w = Tensor::from<float>({4, 2, 1, 3}, std::span<const float>(values));
  const std::vector<float> means{1, 20, -3, 0.5f}, bias{1, 2, 3, 4};
  const ProductInput input{.qparams = {0.01f, 10}, .levels = {0, 255}, .channel_means = means, .groups = 2};
  for (const bool has_bias : {true, false}) {
    const QuantizedWeights q = quantize_weights(w, 0, has_bias ? bias : std::vector<float>(), input, {});
    ASSERT_EQ(q.bias.size(), 4u);
    for (std::size_t c = 0; c < 4; ++c) {
      double exact = has_bias ? bias[c] : 0, rounded = q.bias[c] * 0.01 * q.scale[c];
      for (std::size_t i = 0; i < 6; ++i) {
        const double mean = means[(c / 2) * 2 + i / 3];
        exact += values[c * 6 + i] * mean;
        rounded += q.weights.values<std::int8_t>()[c * 6 + i] * double{q.scale[c]} * mean;
      }
      EXPECT_NEAR(rounded, exact, 0.006 * q.scale[c]) << c;
    }
  }
}

TEST(Weights, MeansFollowTheInputAxisOfAMatrix) {
  const Tensor w = Tensor::from<float>({2, 2}, {127, 1.3f, 0.4f, 127});  // [K, N]
  const std::vector<float> means{10, 1};
  const ProductInput input{.qparams = {1, 0}, .levels = {0, 255}, .channel_means = means};
  // Rounding loses 0.4 * 1 of the first output and 0.3 * 10 of the second.
  EXPECT_EQ(quantize_weights(w, 1, {}, input, {}).bias, (std::vector<std::int32_t>{0, 3}));
  const std::vector<float> wrong(3);
  EXPECT_THROW(quantize_weights(w, 1, {}, {{1, 0}, {0, 255}, wrong}, {}), Error);
}

TEST(Weights, LearnedScalesLeaveNoLevelUnusedWhereTheBuilderChoosesThemAnew) {
  const Tensor w = Tensor::from<float>({2, 2}, {1.27f, 0.5f, 1.27f, -2.54f});
  const std::vector<float> learned{0.02f, 0.015f};  // too large for the first row, cuts the second
  const QuantizedWeights plain = quantize_weights(w, 0, {}, kInput, {}, learned);
  EXPECT_EQ(plain.scale, learned);
  const QuantizedWeights all = quantize_weights(w, 0, {}, kInput, {.all_levels = true}, learned);
  EXPECT_FLOAT_EQ(all.scale[0], 0.01f);
  EXPECT_EQ(all.scale[1], learned[1]);
  for (std::size_t row = 0; row < 2; ++row) {
    const auto q = all.weights.values<std::int8_t>().subspan(2 * row, 2);
    EXPECT_EQ(std::max(std::abs(q[0]), std::abs(q[1])), 127) << row;
  }
}

TEST(Weights, RefusesNaN) {
  EXPECT_THROW(quantize_weights(Tensor::from<float>({1, 1}, {std::nanf("")}), 0, {}, kInput, {}), Error);
  EXPECT_THROW(quantize_weights(Tensor(DType::f32, {1, 1}), 0, std::vector<float>{std::nanf("")}, kInput, {}),
               Error);
  EXPECT_THROW(quantize_weights(Tensor(DType::f32, {2, 1}), 0, std::vector<float>{1}, kInput, {}), Error);
}

TEST(Constants, AScalarIsExact) {
  for (const float c : {127.5f, -3.0f, 0.0078125f}) {
    const ScaleZero q = constant_qparams(std::vector<float>{c}, kU8);
    const Tensor stored = quantize_tensor(Tensor::scalar(c), q, kU8);
    EXPECT_FLOAT_EQ(static_cast<float>(stored.values<std::uint8_t>()[0] - q.zero_point) * q.scale, c);
  }
}

TEST(Constants, QuantizeTensorFollowsRuleOne) {
  const Tensor x = Tensor::from<float>({6}, {-1000, -0.5f, 0.5f, 1.5f, 1000, 2.49f});
  EXPECT_EQ(quantize_tensor(x, {1, 3}, kU8), Tensor::from<std::uint8_t>({6}, {0, 3, 3, 5, 255, 5}));
  EXPECT_EQ(quantize_tensor(x, {1, -3}, kI8), Tensor::from<std::int8_t>({6}, {-128, -3, -3, -1, 127, -1}));
}

}  // namespace
}  // namespace eke
