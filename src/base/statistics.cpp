#include "base/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/error.h"

namespace eke {

namespace {

// Uniform in [0, count), the same on every machine (Knuth's MMIX constants).
class Draw {
 public:
  std::size_t operator()(std::size_t count) {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<std::size_t>((state_ >> 33) % count);
  }

 private:
  std::uint64_t state_ = 0x853c49e6748fea9bull;
};

// Half of Student's interval of the means of so many blocks.
double half_of_blocks(std::span<const double> values, std::size_t blocks) {
  std::vector<double> means;
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::size_t begin = i * values.size() / blocks, end = (i + 1) * values.size() / blocks;
    means.push_back(mean(values.subspan(begin, end - begin)));
  }
  const Interval interval = mean_interval(means);
  return 0.5 * (interval.high - interval.low);
}

}  // namespace

double quantile(std::span<const double> sorted, double q) {
  check(!sorted.empty(), "no value to take a quantile of");
  const double at = static_cast<double>(sorted.size() - 1) * q;
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - static_cast<double>(low));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

double mean(std::span<const double> values) {
  check(!values.empty(), "no value to take a mean of");
  double sum = 0;
  for (double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double m = mean(values);
  double sum = 0;
  for (double v : values) sum += (v - m) * (v - m);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double student_t(int degrees) {
  check(degrees >= 1, "Student's distribution has at least one degree of freedom, not {}", degrees);
  static constexpr double kFirst[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
  if (degrees <= 10) return kFirst[degrees - 1];
  // Cornish-Fisher expansion around the normal point (Abramowitz and Stegun 26.7.5).
  const double z = 1.959964, n = degrees, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
  return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n);
}

Interval mean_interval(std::span<const double> values) {
  const double m = mean(values);
  if (values.size() < 2)
    return {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  const double half = student_t(static_cast<int>(std::min<std::size_t>(values.size() - 1, 1'000'000))) *
                      standard_deviation(values) / std::sqrt(static_cast<double>(values.size()));
  return {m - half, m + half};
}

Interval drifting_mean_interval(std::span<const double> values) {
  const Interval plain = mean_interval(values);
  if (values.size() < 3) return plain;
  const double m = mean(values);
  double together = 0, apart = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    apart += (values[i] - m) * (values[i] - m);
    if (i > 0) together += (values[i] - m) * (values[i - 1] - m);
  }
  const double correlation = apart > 0 ? std::clamp(together / apart, 0.0, 0.9) : 0;
  double half = (plain.high - m) * std::sqrt((1 + correlation) / (1 - correlation));
  for (const std::size_t blocks : {4, 6, 8}) {
    if (values.size() >= 2 * blocks) half = std::max(half, half_of_blocks(values, blocks));
  }
  return {m - half, m + half};
}

Interval bootstrap_median_interval(std::span<const double> values, int resamples) {
  check(!values.empty() && resamples >= 1, "no value to resample");
  Draw draw;
  std::vector<double> medians, sample(values.size());
  for (int i = 0; i < resamples; ++i) {
    for (double& v : sample) v = values[draw(values.size())];
    medians.push_back(median(sample));
  }
  std::sort(medians.begin(), medians.end());
  return {quantile(medians, 0.025), quantile(medians, 0.975)};
}

PairedRatio paired_ratio(std::span<const double> a, std::span<const double> b) {
  check(a.size() == b.size() && !a.empty(), "{} and {} values do not make pairs", a.size(), b.size());
  std::vector<double> logs;
  for (std::size_t i = 0; i < a.size(); ++i) {
    check(a[i] > 0 && b[i] > 0, "pair {} is {} and {}: ratios want positive values", i, a[i], b[i]);
    logs.push_back(std::log(b[i] / a[i]));
  }
  const Interval interval = mean_interval(logs);
  return {
      std::exp(mean(logs)), {std::exp(interval.low), std::exp(interval.high)}, static_cast<int>(logs.size())};
}

}  // namespace eke
