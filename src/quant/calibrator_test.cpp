#include "quant/calibrator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "base/error.h"

namespace eke {
namespace {

Observer observed(std::span<const float> values) {
  const Threads one(1);
  Observer observer;
  observer.observe(values, static_cast<std::int64_t>(values.size()), one);
  return observer;
}

enum class Kind { normal, relu, skewed, outlier, laplace, constant };

std::vector<float> sample(Kind kind, std::size_t count = 100000) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::exponential_distribution<float> exponential;
  std::vector<float> values(count);
  for (float& x : values) {
    switch (kind) {
      case Kind::normal:
        x = normal(random);
        break;
      case Kind::relu:
        x = std::max(normal(random), 0.0f);
        break;
      case Kind::skewed:
        x = std::max(3 * normal(random) + 2, -0.5f);
        break;
      case Kind::outlier:
        x = normal(random);
        break;
      case Kind::laplace:
        x = (random() % 2 ? 1 : -1) * exponential(random);
        break;
      case Kind::constant:
        x = 2.5f;
        break;
    }
  }
  if (kind == Kind::outlier) values[values.size() / 2] = 100;
  return values;
}

constexpr Kind kAllKinds[] = {Kind::normal,  Kind::relu,    Kind::skewed,
                              Kind::outlier, Kind::laplace, Kind::constant};
const ActivationScheme kSchemes[] = {
    {DType::u8, false}, {DType::i8, false}, {DType::u8, true}, {DType::i8, true}};

double true_mse(std::span<const float> values, Range range, const ActivationScheme& scheme) {
  const ScaleZero q = qparams_for(range, scheme);
  const Levels levels = levels_of(scheme);
  double sum = 0;
  for (const float x : values) {
    const double step =
        std::clamp<double>(std::nearbyint(double{x} / q.scale) + q.zero_point, levels.lo, levels.hi);
    const double error = x - (step - q.zero_point) * q.scale;
    sum += error * error;
  }
  return sum / static_cast<double>(values.size());
}

TEST(Calibrator, NamesRoundTrip) {
  for (const Calibrator c : {Calibrator::min_max, Calibrator::moving_average, Calibrator::percentile,
                             Calibrator::mse, Calibrator::entropy}) {
    EXPECT_EQ(parse_calibrator(to_string(c)), c);
  }
  EXPECT_EQ(parse_calibrator("minmax?"), std::nullopt);
}

TEST(Calibrator, RangesContainZeroAndStayWithinWhatWasSeen) {
  for (const Kind kind : kAllKinds) {
    const std::vector<float> values = sample(kind);
    const auto [lo, hi] = std::ranges::minmax(values);
    const Observer seen = observed(values);
    for (const ActivationScheme& scheme : kSchemes) {
      for (const Calibrator method : {Calibrator::min_max, Calibrator::moving_average, Calibrator::percentile,
                                      Calibrator::mse, Calibrator::entropy}) {
        const Range range = choose_range(seen, {.method = method, .scheme = scheme});
        EXPECT_LE(range.lo, 0);
        EXPECT_GE(range.hi, 0);
        EXPECT_GE(range.lo, std::min(lo, 0.0f));
        EXPECT_LE(range.hi, std::max(hi, 0.0f));
        EXPECT_LT(range.lo, range.hi);
      }
    }
  }
}

TEST(Calibrator, ExactCases) {
  const std::vector<float> values{-1, 0, 0.5f, 3};
  EXPECT_EQ(choose_range(observed(values), {.method = Calibrator::min_max}), (Range{-1, 3}));
  EXPECT_EQ(choose_range(observed(std::vector<float>{2, 5}), {.method = Calibrator::min_max}), (Range{0, 5}));
  EXPECT_EQ(choose_range(observed(std::vector<float>{0, 0}), {.method = Calibrator::entropy}), (Range{0, 0}));
  EXPECT_THROW(choose_range(Observer(), {}), Error);
  EXPECT_THROW(choose_range(observed(values), {.method = Calibrator::percentile, .percentile = 101}), Error);
}

TEST(Calibrator, PercentileIsTheQuantile) {
  std::vector<float> values = sample(Kind::normal);
  const Range range = choose_range(observed(values), {.method = Calibrator::percentile, .percentile = 99});
  std::ranges::sort(values);
  EXPECT_NEAR(range.lo, values[values.size() / 200], 0.01);
  EXPECT_NEAR(range.hi, values[values.size() - values.size() / 200], 0.01);
}

TEST(Calibrator, ExpectedErrorIsTheTrueError) {
  for (const Kind kind : kAllKinds) {
    const std::vector<float> values = sample(kind);
    const Observer seen = observed(values);
    const Range full{std::min(seen.bounds().lo, 0.0f), std::max(seen.bounds().hi, 0.0f)};
    for (const ActivationScheme& scheme : kSchemes) {
      for (const float factor : {1.0f, 0.7f, 0.3f, 0.1f}) {
        const Range range{full.lo * factor, full.hi * factor};
        const double expected = true_mse(values, range, scheme);
        // A bin has a width: within it the histogram cannot tell.
        const double blur = std::pow(seen.histogram().bin_width(), 2);
        EXPECT_NEAR(expected_mse(seen, range, scheme), expected, 0.03 * expected + blur)
            << static_cast<int>(kind) << " x" << factor;
      }
    }
  }
}

TEST(Calibrator, MseFindsTheBestOfAGridOfRanges) {
  for (const Kind kind : {Kind::normal, Kind::relu, Kind::skewed, Kind::outlier, Kind::laplace}) {
    const std::vector<float> values = sample(kind, 20000);
    const Observer seen = observed(values);
    const Range full{std::min(seen.bounds().lo, 0.0f), std::max(seen.bounds().hi, 0.0f)};
    const ActivationScheme scheme;
    double best = true_mse(values, full, scheme);
    for (int i = 1; i <= 20; ++i) {
      for (int j = full.lo == 0 ? 20 : 1; j <= 20; ++j) {
        best = std::min(
            best,
            true_mse(values, {full.lo * static_cast<float>(j) / 20, full.hi * static_cast<float>(i) / 20},
                     scheme));
      }
    }
    const double found = true_mse(values, choose_range(seen, {.method = Calibrator::mse}), scheme);
    EXPECT_LE(found, 1.03 * best) << static_cast<int>(kind);
  }
}

// The definition, over explicit distributions.
double brute_divergence(const Observer& seen, int first, int last, int levels) {
  std::map<int, double> p, q;
  double inside = 0, total = 0;
  for (int bin = -Histogram::kSide; bin < Histogram::kSide; ++bin) {
    const double count =
        static_cast<double>(seen.histogram().count(bin)) - (bin == 0 ? static_cast<double>(seen.zeros()) : 0);
    if (count == 0) continue;
    total += count;
    p[std::clamp(bin, first, last - 1)] += count;
    if (bin >= first && bin < last) {
      q[bin] = count;
      inside += count;
    }
  }
  for (int level = 0; level < levels; ++level) {
    const int from = first + (last - first) * level / levels,
              to = first + (last - first) * (level + 1) / levels;
    double sum = 0, bins = 0;
    for (int bin = from; bin < to; ++bin) {
      if (!p.contains(bin)) continue;
      sum += q.contains(bin) ? q[bin] : 0;
      ++bins;
    }
    for (int bin = from; bin < to; ++bin) q[bin] = std::max(sum, 1e-4) / bins;
  }
  double divergence = 0;
  for (const auto& [bin, count] : p)
    divergence += count / total * std::log(count / total / (q[bin] / inside));
  return divergence;
}

TEST(Calibrator, DivergenceIsItsDefinition) {
  for (const Kind kind : {Kind::normal, Kind::relu, Kind::skewed, Kind::outlier, Kind::laplace}) {
    const Observer seen = observed(sample(kind));
    const double width = seen.histogram().bin_width();
    const Range full{std::min(seen.bounds().lo, 0.0f), std::max(seen.bounds().hi, 0.0f)};
    for (const double factor : {1.0, 0.8, 0.5}) {
      const int first = static_cast<int>(std::floor(full.lo * factor / width));
      const int last = static_cast<int>(std::ceil(full.hi * factor / width));
      const Range range{static_cast<float>(first * width), static_cast<float>(last * width)};
      EXPECT_NEAR(divergence(seen, range, {}), brute_divergence(seen, first, last, 255), 1e-9)
          << static_cast<int>(kind) << " x" << factor;
    }
  }
}

TEST(Calibrator, EntropyCutsAnOutlierOff) {
  const Range range = choose_range(observed(sample(Kind::outlier)), {.method = Calibrator::entropy});
  EXPECT_LT(range.hi, 50);
  EXPECT_GT(range.hi, 3);
}

}  // namespace
}  // namespace eke
