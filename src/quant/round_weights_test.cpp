#include "quant/round_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"

namespace eke {
namespace {

using testing::ElementsAre;

// Samples of one output: inputs that share a common part, and what `weights` make of them.
struct Samples {
  std::vector<std::vector<float>> read;
  std::vector<float> wanted;
};

Samples samples(std::span<const float> weights, int count, float common, float offset = 0) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  Samples result;
  for (int n = 0; n < count; ++n) {
    const float shared = common * normal(random);
    std::vector<float> row;
    float sum = 0.25f;  // the bias
    for (const float w : weights) {
      row.push_back(shared + normal(random));
      sum += w * row.back();
      row.back() += offset;
    }
    result.read.push_back(row);
    result.wanted.push_back(sum);
  }
  return result;
}

RoundingSums sums_of(const Samples& samples) {
  RoundingSums sums(samples.read[0].size(), 1);
  for (std::size_t n = 0; n < samples.read.size(); ++n) sums.add(samples.read[n], {&samples.wanted[n], 1});
  sums.finish();
  return sums;
}

double error_of(const Samples& samples, std::span<const std::int32_t> q, double scale, double bias) {
  double error = 0;
  for (std::size_t n = 0; n < samples.read.size(); ++n) {
    double sum = bias;
    for (std::size_t i = 0; i < q.size(); ++i) sum += q[i] * scale * double{samples.read[n][i]};
    error += (sum - double{samples.wanted[n]}) * (sum - double{samples.wanted[n]});
  }
  return error / static_cast<double>(samples.read.size());
}

std::vector<float> random_weights(std::size_t count) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> weights(count);
  for (float& w : weights) w = normal(random);
  return weights;
}

std::vector<std::int32_t> nearest(std::span<const float> weights, double scale) {
  std::vector<std::int32_t> q;
  for (const float w : weights) q.push_back(static_cast<std::int32_t>(std::nearbyint(double{w} / scale)));
  return q;
}

TEST(RoundWeights, LosesLessThanNearestWhereInputsAreAlike) {
  const std::vector<float> weights = random_weights(24);
  for (const double scale : {0.4, 0.1, 0.03}) {
    const Samples seen = samples(weights, 500, 3);
    const std::vector<std::int32_t> before = nearest(weights, scale);
    const RoundedRow row = round_row(sums_of(seen), 0, weights, before, scale, 127);
    EXPECT_LT(row.after, 0.5 * row.before) << scale;
    EXPECT_NEAR(row.after, error_of(seen, row.q, scale, row.bias), 1e-6 + 1e-3 * row.after);
  }
}

// What the samples have of their own must not go into the weights: a fine step could follow it anywhere.
TEST(RoundWeights, FollowsNoNoise) {
  const std::vector<float> weights = random_weights(24);
  const Samples other = samples(weights, 2000, 1);
  for (const double scale : {0.4, 0.1, 0.03}) {
    Samples seen = samples(weights, 200, 1);
    std::mt19937 random(7);
    std::normal_distribution<float> noise;
    for (float& sum : seen.wanted) sum += noise(random);
    const std::vector<std::int32_t> before = nearest(weights, scale);
    const RoundedRow row = round_row(sums_of(seen), 0, weights, before, scale, 127);
    EXPECT_LE(error_of(other, row.q, scale, 0.25), error_of(other, before, scale, 0.25)) << scale;
  }
}

TEST(RoundWeights, KeepsWeightsThatAreExact) {
  const std::vector<float> weights{0.5f, -1, 0, 2};
  const RoundedRow row =
      round_row(sums_of(samples(weights, 100, 1)), 0, weights, nearest(weights, 0.5), 0.5, 127);
  EXPECT_THAT(row.q, ElementsAre(1, -2, 0, 4));
  EXPECT_NEAR(row.bias, 0.25, 1e-5);
  EXPECT_NEAR(row.after, 0, 1e-6);
}

TEST(RoundWeights, TakesWhatInputsWereShiftedByOffTheBias) {
  const std::vector<float> weights{0.5f, -1, 0, 2};
  const RoundedRow row =
      round_row(sums_of(samples(weights, 100, 1, 0.125f)), 0, weights, nearest(weights, 0.5), 0.5, 127);
  EXPECT_NEAR(row.bias, 0.25 - 1.5 * 0.125, 1e-5);
}

TEST(RoundWeights, FindsAStepThatFewLevelsLoseLessBy) {
  std::vector<float> weights = random_weights(24);
  weights[3] = 4;  // stretches the step of all
  const Samples seen = samples(weights, 500, 1);
  const double scale = 4.0 / 7;
  const RoundedRow given = round_row(sums_of(seen), 0, weights, nearest(weights, scale), scale, 7);
  const RoundedRow free = round_row_and_step(sums_of(seen), 0, weights, scale, 7);
  EXPECT_LT(free.held, given.held);
  EXPECT_NE(free.scale, scale);
  EXPECT_NEAR(free.after, error_of(seen, free.q, free.scale, free.bias), 1e-6 + 1e-3 * free.after);
  for (const std::int32_t q : free.q) EXPECT_LE(std::abs(q), 7);
}

TEST(RoundWeights, KeepsItsLevelsAndHoldsHarderWhereSamplesAreFew) {
  const std::vector<float> weights = random_weights(24);
  const std::vector<std::int32_t> before = nearest(weights, 0.4);
  std::vector<std::int32_t> clipped = before;
  for (std::int32_t& q : clipped) q = std::clamp(q, -2, 2);
  const RoundedRow bounded = round_row(sums_of(samples(weights, 500, 3)), 0, weights, clipped, 0.4, 2);
  for (const std::int32_t q : bounded.q) EXPECT_LE(std::abs(q), 2);
  // Two samples for 24 inputs could be met by many weights far from the real ones.
  for (const int count : {2, 6, 24}) {
    const RoundedRow scarce = round_row(sums_of(samples(weights, count, 3)), 0, weights, before, 0.4, 127);
    for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_NEAR(scarce.q[i] * 0.4, weights[i], 0.7) << count;
  }
  const std::vector<float> zeros(24);
  RoundingSums constant(24, 1);  // inputs that never change say nothing
  for (int n = 0; n < 100; ++n) constant.add(zeros, {zeros.data(), 1});
  constant.finish();
  EXPECT_EQ(round_row(constant, 0, weights, before, 0.4, 127).q, before);
  EXPECT_THROW(constant.add(std::span(zeros).first(3), {zeros.data(), 1}), Error);
}

}  // namespace
}  // namespace eke
