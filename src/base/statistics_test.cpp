#include "base/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace eke {
namespace {

// Roughly normal: the sum of twelve uniform numbers.
class Normal {
 public:
  double operator()() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) {
      state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
      sum += static_cast<double>(state_ >> 11) * 0x1p-53;
    }
    return sum;
  }

 private:
  std::uint64_t state_ = 42;
};

TEST(Statistics, QuantilesInterpolate) {
  const std::vector<double> values = {1, 2, 4, 8};
  EXPECT_EQ(quantile(values, 0), 1);
  EXPECT_EQ(quantile(values, 1), 8);
  EXPECT_EQ(quantile(values, 0.5), 3);
  EXPECT_EQ(median({5, 1, 3}), 3);
  EXPECT_THROW(median({}), Error);
}

TEST(Statistics, StudentEqualsItsTable) {
  const std::pair<int, double> table[] = {{1, 12.706},  {4, 2.776},     {10, 2.228}, {11, 2.201},
                                          {15, 2.131},  {20, 2.086},    {30, 2.042}, {60, 2.000},
                                          {120, 1.980}, {100000, 1.960}};
  for (const auto& [degrees, t] : table) EXPECT_NEAR(student_t(degrees), t, 0.001) << degrees;
  EXPECT_THROW(student_t(0), Error);
}

TEST(Statistics, IntervalsHoldTheTruthAsOftenAsTheySay) {
  Normal normal;
  for (int count : {5, 10, 40}) {
    int mean_hits = 0, median_hits = 0;
    constexpr int kTrials = 400;
    for (int trial = 0; trial < kTrials; ++trial) {
      std::vector<double> values;
      for (int i = 0; i < count; ++i) values.push_back(10 + 2 * normal());
      const Interval a = mean_interval(values), b = bootstrap_median_interval(values, 300);
      if (a.low <= 10 && 10 <= a.high) ++mean_hits;
      if (b.low <= 10 && 10 <= b.high) ++median_hits;
    }
    EXPECT_GE(mean_hits, kTrials * 92 / 100) << count;
    EXPECT_LE(mean_hits, kTrials * 98 / 100) << count;
    EXPECT_GE(median_hits, kTrials * 88 / 100) << count;
  }
}

TEST(Statistics, DriftWidensTheInterval) {
  Normal normal;
  int plain = 0, widened = 0;
  constexpr int kTrials = 400;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values;
    double drift = normal();
    for (int i = 0; i < 40; ++i) {
      drift = 0.7 * drift + normal();
      values.push_back(10 + drift);
    }
    const Interval a = mean_interval(values), b = drifting_mean_interval(values);
    if (a.low <= 10 && 10 <= a.high) ++plain;
    if (b.low <= 10 && 10 <= b.high) ++widened;
  }
  EXPECT_LT(plain, kTrials * 75 / 100);
  EXPECT_GE(widened, kTrials * 85 / 100);
}

// A level that changes every fifteen values, as when another program comes and goes.
TEST(Statistics, SlowDriftWidensTheInterval) {
  Normal normal;
  int widened = 0;
  double quiet_width = 0;
  constexpr int kTrials = 400;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values, quiet;
    double level = 0;
    for (int i = 0; i < 48; ++i) {
      if (i % 15 == trial % 15 || i == 0) level = normal();
      values.push_back(10 + level + 0.1 * normal());
      quiet.push_back(10 + 0.1 * normal());
    }
    const Interval interval = drifting_mean_interval(values);
    if (interval.low <= 10 && 10 <= interval.high) ++widened;
    const Interval steady = drifting_mean_interval(quiet), student = mean_interval(quiet);
    quiet_width += (steady.high - steady.low) / (student.high - student.low) / kTrials;
  }
  EXPECT_GE(widened, kTrials * 80 / 100);  // three or four levels say little of their mean
  EXPECT_LT(quiet_width, 2);
}

TEST(Statistics, OneValueHasNoInterval) {
  const double one[] = {3.0};
  EXPECT_TRUE(std::isinf(mean_interval(one).high));
  EXPECT_EQ(standard_deviation(one), 0);
}

TEST(Statistics, PairsCancelWhatBothShare) {
  Normal normal;
  std::vector<double> a, b, c;
  for (int i = 0; i < 12; ++i) {
    const double weather = std::exp(0.3 * normal());  // both see the same disturbance
    a.push_back(weather);
    b.push_back(1.05 * weather * std::exp(0.01 * normal()));
    c.push_back(weather * std::exp(0.01 * normal()));
  }
  const PairedRatio slower = paired_ratio(a, b), same = paired_ratio(a, c);
  EXPECT_TRUE(slower.differs());
  EXPECT_NEAR(slower.ratio, 1.05, 0.02);
  EXPECT_LT(slower.interval.low, 1.05);
  EXPECT_GT(slower.interval.high, 1.05);
  EXPECT_LT(std::abs(same.ratio - 1), 0.02);
  EXPECT_EQ(slower.pairs, 12);
  const double one[] = {1.0}, zero[] = {0.0};
  EXPECT_THROW(paired_ratio(one, zero), Error);
  EXPECT_FALSE(paired_ratio(one, one).differs());
}

}  // namespace
}  // namespace eke
