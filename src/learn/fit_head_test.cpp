#include "learn/fit_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/random.h"
#include "learn/lbfgs.h"
#include "learn/ridge.h"

namespace eke {
namespace {

// Clouds around a centre a class.
FeatureSet clouds(int classes, int each, std::size_t size, double noise, std::uint64_t seed) {
  FeatureSet set;
  set.classes = classes;
  set.size = size;
  for (int c = 0; c < classes; ++c) {
    for (int i = 0; i < each; ++i) {
      Random centre(1, static_cast<std::uint64_t>(c)), spread(seed, static_cast<std::uint64_t>(c), i);
      for (std::size_t k = 0; k < size; ++k) {
        set.values.push_back(static_cast<float>(3 + centre.normal() + noise * spread.normal()));
      }
      set.labels.push_back(c);
      ++set.count;
    }
  }
  return set;
}

class HeadKinds : public ::testing::TestWithParam<HeadKind> {};

TEST_P(HeadKinds, LearnsCloudsAndGeneralizes) {
  const Threads threads(2);
  for (const std::size_t size : {std::size_t{8}, std::size_t{200}}) {
    const FeatureSet train = clouds(5, 12, size, 0.3, 2), test = clouds(5, 40, size, 0.3, 3);
    const ClassHead head = fit_head(train, {.kind = GetParam()}, threads);
    EXPECT_EQ(head.weights.shape(), Shape({5, static_cast<std::int64_t>(size)}));
    EXPECT_GE(count_correct(head, test), 190u) << size;
  }
}

TEST_P(HeadKinds, BitsDoNotDependOnThreads) {
  const FeatureSet set = clouds(3, 200, 20, 1, 2);
  const ClassHead one = fit_head(set, {.kind = GetParam()}, Threads(1));
  for (const int count : {2, 7}) {
    const ClassHead other = fit_head(set, {.kind = GetParam()}, Threads(count));
    EXPECT_EQ(other.weights, one.weights);
    EXPECT_EQ(other.bias, one.bias);
  }
}

TEST_P(HeadKinds, RefusesBadSets) {
  const Threads threads(1);
  FeatureSet empty_class = clouds(3, 4, 5, 1, 2);
  for (int& label : empty_class.labels) label = label == 1 ? 0 : label;
  EXPECT_THROW(fit_head(empty_class, {.kind = GetParam()}, threads), Error);
  FeatureSet nan = clouds(3, 4, 5, 1, 2);
  nan.values[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(fit_head(nan, {.kind = GetParam()}, threads), Error);
  EXPECT_THROW(fit_head({}, {.kind = GetParam()}, threads), Error);
  FeatureSet alien = clouds(3, 4, 5, 1, 2);
  alien.labels[0] = 3;
  EXPECT_THROW(fit_head(alien, {.kind = GetParam()}, threads), Error);
}

TEST_P(HeadKinds, ConstantFeaturesAndOneImageAClassAreFine) {
  FeatureSet set = clouds(4, 1, 6, 0, 2);
  for (std::size_t i = 0; i < set.count; ++i) set.values[i * 6 + 2] = 5;
  const ClassHead head = fit_head(set, {.kind = GetParam()}, Threads(1));
  for (const float w : head.weights.values<float>()) EXPECT_TRUE(std::isfinite(w));
  EXPECT_EQ(count_correct(head, set), 4u);
}

INSTANTIATE_TEST_SUITE_P(All, HeadKinds,
                         ::testing::Values(HeadKind::linear, HeadKind::ridge, HeadKind::centroid,
                                           HeadKind::arcface),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST(HeadKindNames, ParseAndPrint) {
  for (const char* name : {"linear", "ridge", "centroid", "arcface"}) {
    EXPECT_EQ(to_string(parse_head_kind(name)), name);
  }
  EXPECT_THROW(parse_head_kind("softmax"), UsageError);
}

TEST(Ridge, BothFormsSolveTheNormalEquations) {
  const Threads threads(2);
  for (const std::size_t size : {std::size_t{4}, std::size_t{30}}) {
    FeatureSet set = clouds(2, 8, size, 1, 2);
    for (std::size_t k = 0; k < size; ++k) {
      double mean = 0;
      for (std::size_t i = 0; i < set.count; ++i)
        mean += set.values[i * size + k] / static_cast<double>(set.count);
      for (std::size_t i = 0; i < set.count; ++i) set.values[i * size + k] -= static_cast<float>(mean);
    }
    constexpr double kPenalty = 0.7;
    const RidgeFit fit = fit_ridge_weights(set, kPenalty, threads);
    // X^T (X w - y) + penalty w = 0
    for (int c = 0; c < 2; ++c) {
      for (std::size_t k = 0; k < size; ++k) {
        double gradient = kPenalty * fit.weights[c * size + k];
        for (std::size_t i = 0; i < set.count; ++i) {
          double residual = fit.bias[c] - (set.labels[i] == c ? 1 : -1);
          for (std::size_t j = 0; j < size; ++j) residual += fit.weights[c * size + j] * set.row(i)[j];
          gradient += residual * set.row(i)[k];
        }
        EXPECT_NEAR(gradient, 0, 1e-4) << size;
      }
    }
  }
}

TEST(Ridge, ChoosesAPenalty) {
  const FeatureSet set = clouds(3, 10, 6, 1, 2);
  EXPECT_GT(fit_ridge_weights(set, 0, Threads(1)).penalty, 0);
}

TEST(Minimize, FindsTheMinimumOfAQuadraticAndOfRosenbrock) {
  std::vector<double> x{3, -4, 5};
  minimize(
      [](const std::vector<double>& at, std::vector<double>& g) {
        double value = 0;
        for (std::size_t i = 0; i < 3; ++i) {
          const double d = at[i] - static_cast<double>(i), weight = std::pow(10.0, static_cast<double>(i));
          value += weight * d * d;
          g[i] = 2 * weight * d;
        }
        return value;
      },
      x, 100, 1e-10);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(x[i], static_cast<double>(i), 1e-6);
  std::vector<double> y{-1.2, 1};
  minimize(
      [](const std::vector<double>& at, std::vector<double>& g) {
        const double a = 1 - at[0], b = at[1] - at[0] * at[0];
        g[0] = -2 * a - 400 * at[0] * b;
        g[1] = 200 * b;
        return a * a + 100 * b * b;
      },
      y, 200, 1e-10);
  EXPECT_NEAR(y[0], 1, 1e-4);
  EXPECT_NEAR(y[1], 1, 1e-4);
}

}  // namespace
}  // namespace eke
