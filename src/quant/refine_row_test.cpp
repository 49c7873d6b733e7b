#include "quant/refine_row.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"

namespace eke {
namespace {

constexpr std::size_t kInputs = 24;
constexpr float kCut = 0.2f;

struct Row {
  std::vector<float> weights, wanted, counts;
  std::vector<std::vector<float>> read;
};

// Sums of inputs that share a part; those below zero are cut.
Row made(int samples, unsigned seed) {
  Row row;
  std::mt19937 of_weights(5), random(seed);
  std::normal_distribution<float> normal;
  for (std::size_t i = 0; i < kInputs; ++i) row.weights.push_back(normal(of_weights));
  for (int n = 0; n < samples; ++n) {
    const float shared = 2 * normal(random);
    std::vector<float> read;
    float sum = -2;
    for (const float w : row.weights) {
      read.push_back(shared + normal(random));
      sum += w * read.back();
    }
    row.read.push_back(read);
    row.wanted.push_back(sum);
    row.counts.push_back(sum > 0 ? 1 : kCut);
  }
  return row;
}

std::vector<std::int32_t> nearest(const Row& row, double scale, std::int32_t levels) {
  std::vector<std::int32_t> q;
  for (const float w : row.weights)
    q.push_back(std::clamp(static_cast<std::int32_t>(std::nearbyint(double{w} / scale)), -levels, levels));
  return q;
}

RoundedRow by_sums(const Row& row, double scale, std::int32_t levels) {
  RoundingSums sums(kInputs, 1);
  for (std::size_t n = 0; n < row.read.size(); ++n) sums.add(row.read[n], {&row.wanted[n], 1});
  sums.finish();
  return round_row(sums, 0, row.weights, nearest(row, scale, levels), scale, levels);
}

RoundedRow refined(const Row& row, const RoundedRow& start, double scale, std::int32_t levels,
                   bool fits_scale) {
  ReadSamples read(kInputs, row.read.size());
  for (const std::vector<float>& sample : row.read) read.add(sample);
  const std::vector<std::int32_t> plain = nearest(row, scale, levels);
  return refine_row(read,
                    {.wanted = row.wanted,
                     .counts = row.counts,
                     .weights = row.weights,
                     .nearest = plain,
                     .scale = scale,
                     .levels = levels,
                     .fits_scale = fits_scale},
                    start);
}

// The mean squared error of what counts; `cut`: of sums after the activation.
double error_of(const Row& row, const RoundedRow& made, bool cut) {
  double error = 0, total = 0;
  for (std::size_t n = 0; n < row.read.size(); ++n) {
    double sum = made.bias, wanted = double{row.wanted[n]};
    for (std::size_t i = 0; i < kInputs; ++i) sum += made.q[i] * made.scale * double{row.read[n][i]};
    if (cut) sum = std::max(sum, 0.0), wanted = std::max(wanted, 0.0);
    const double counts = cut ? 1 : double{row.counts[n]};
    error += counts * (sum - wanted) * (sum - wanted);
    total += counts;
  }
  return error / total;
}

TEST(RefineRow, MakesSumsThatAreSeenMoreExact) {
  for (const bool fits_scale : {false, true}) {
    double began = 0, ended = 0;  // on other samples, behind the activation
    for (unsigned seed = 1; seed < 9; ++seed) {
      const Row seen = made(1000, seed), other = made(1000, seed + 100);
      const RoundedRow start = by_sums(seen, 0.35, 7);
      const RoundedRow row = refined(seen, start, 0.35, 7, fits_scale);
      EXPECT_NEAR(row.after, error_of(seen, row, false), 1e-3 * row.after);
      EXPECT_LE(row.after, 1.001 * row.before);
      EXPECT_EQ(row.scale != start.scale, fits_scale);
      for (const std::int32_t q : row.q) EXPECT_LE(std::abs(q), 7);
      began += error_of(other, start, true);
      ended += error_of(other, row, true);
    }
    EXPECT_LT(ended, began) << fits_scale;
  }
}

TEST(RefineRow, KeepsWhatIsBestAlready) {
  Row row = made(300, 1);
  std::ranges::fill(row.counts, 1.0f);  // then nothing tells it from what began
  const RoundedRow start = by_sums(row, 0.4, 7);
  const RoundedRow same = refined(row, start, 0.4, 7, false);
  EXPECT_EQ(same.q, start.q);
  EXPECT_NEAR(same.bias, start.bias, 1e-4);
  EXPECT_NEAR(same.after, start.after, 1e-4 * start.after);
  EXPECT_NEAR(same.before, start.before, 1e-4 * start.before);
}

TEST(RefineRow, RefusesSamplesThatDoNotFit) {
  const Row row = made(3, 1);
  ReadSamples read(kInputs, 2);
  read.add(row.read[0]);
  EXPECT_THROW(read.add(std::span(row.weights).first(3)), Error);
  read.add(row.read[1]);
  EXPECT_THROW(read.add(row.read[2]), Error);
  EXPECT_THROW(refined(row, RoundedRow{}, 0.4, 7, false), Error);
}

}  // namespace
}  // namespace eke
