#include "quant/calibrator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "base/error.h"

namespace eke {
namespace {

constexpr std::array<std::pair<Calibrator, std::string_view>, 5> kNames{
    {{Calibrator::min_max, "min-max"},
     {Calibrator::moving_average, "moving-average"},
     {Calibrator::percentile, "percentile"},
     {Calibrator::mse, "mse"},
     {Calibrator::entropy, "entropy"}}};

constexpr int kSide = Histogram::kSide;

// The histogram without the exact zeros, which every range represents.
std::uint64_t nonzero_count(const Observer& seen, int bin) {
  return seen.histogram().count(bin) - (bin == 0 ? seen.zeros() : 0);
}

Range with_zero(Range range) { return {std::min(range.lo, 0.0f), std::max(range.hi, 0.0f)}; }

// Sums of count, value and squared value over all values below x; values are spread evenly within a bin.
struct Moments {
  double count = 0, sum = 0, square = 0;
  friend Moments operator-(const Moments& a, const Moments& b) {
    return {a.count - b.count, a.sum - b.sum, a.square - b.square};
  }
  // The sum of (x - center)^2.
  double about(double center) const { return square - 2 * center * sum + center * center * count; }
};

class Cumulative {
 public:
  explicit Cumulative(const Observer& seen) : width_(seen.histogram().bin_width()), below_(2 * kSide + 1) {
    for (int bin = -kSide; bin < kSide; ++bin) {
      const auto count = static_cast<double>(nonzero_count(seen, bin));
      const Moments part = part_of(bin, count, 1);
      const Moments& before = below_[index(bin)];
      below_[index(bin) + 1] = {before.count + part.count, before.sum + part.sum,
                                before.square + part.square};
    }
  }

  Moments below(double x) const {
    const double position = x / width_;
    if (position <= -kSide) return {};
    if (position >= kSide) return below_.back();
    const int bin = static_cast<int>(std::floor(position));
    const Moments& before = below_[index(bin)];
    const double count = below_[index(bin) + 1].count - before.count;
    const Moments part = part_of(bin, count, position - bin);
    return {before.count + part.count, before.sum + part.sum, before.square + part.square};
  }
  const Moments& all() const { return below_.back(); }

 private:
  static std::size_t index(int bin) { return static_cast<std::size_t>(bin + kSide); }
  // The first `fraction` of a bin.
  Moments part_of(int bin, double count, double fraction) const {
    const double a = bin, b = bin + fraction;
    return {count * fraction, count * fraction * width_ * (a + b) / 2,
            count * fraction * width_ * width_ * (a * a + a * b + b * b) / 3};
  }

  double width_;
  std::vector<Moments> below_;
};

// Exact where it is no more than `limit`; above, the error of the outermost levels alone may be returned, which tells
// of most ranges that are too narrow that they are.
double mean_squared_error(const Cumulative& values, std::uint64_t total, Range range,
                          const ActivationScheme& scheme,
                          double limit = std::numeric_limits<double>::infinity()) {
  if (total == 0) return 0;
  const auto count = static_cast<double>(total);
  const ScaleZero qparams = qparams_for(range, scheme);
  const Levels levels = levels_of(scheme);
  const auto center = [&](std::int32_t q) { return double(q - qparams.zero_point) * qparams.scale; };
  const auto upto = [&](std::int32_t q) { return values.below(center(q) + 0.5 * qparams.scale); };
  Moments before = upto(levels.lo);
  double error =
      before.about(center(levels.lo)) + (values.all() - upto(levels.hi - 1)).about(center(levels.hi));
  if (error > limit * count) return error / count;
  for (std::int32_t q = levels.lo + 1; q < levels.hi; ++q) {
    const Moments next = upto(q);
    error += (next - before).about(center(q));
    before = next;
  }
  return error / count;
}

// Prefix sums over bins that make the divergence of a candidate cost one step a level.
class Entropy {
 public:
  explicit Entropy(const Observer& seen) : width_(seen.histogram().bin_width()), below_(2 * kSide + 1) {
    for (int bin = -kSide; bin < kSide; ++bin) {
      const auto count = static_cast<double>(nonzero_count(seen, bin));
      const Sums& before = below_[index(bin)];
      below_[index(bin) + 1] = {before.count + count, before.bins + (count > 0),
                                before.entropy + xlogx(count)};
    }
  }

  // P is the distribution of all values with those outside moved into the outermost bins; Q that of the
  // values inside, evened out within each level over the bins that P does not leave empty.
  double divergence(Range range, const ActivationScheme& scheme) const {
    const int first = std::max(-kSide, static_cast<int>(std::floor(range.lo / width_)));
    const int last = std::min(kSide, static_cast<int>(std::ceil(range.hi / width_)));
    const double scale = qparams_for(range, scheme).scale;
    const int levels = std::max(1, static_cast<int>(std::nearbyint((range.hi - range.lo) / scale)));
    const int bins = last - first;
    if (bins < 2 * levels) return std::numeric_limits<double>::infinity();
    const double inside = at(last).count - at(first).count, total = below_.back().count;
    if (inside == 0) return total == 0 ? 0 : std::numeric_limits<double>::infinity();
    const double low = at(first).count, high = total - at(last).count;
    const double first_bin = count(first), last_bin = count(last - 1);
    double sum = at(last).entropy - at(first).entropy - xlogx(first_bin) - xlogx(last_bin) +
                 xlogx(first_bin + low) + xlogx(last_bin + high);
    for (int level = 0, from = first; level < levels; ++level) {
      const int to = first + static_cast<int>(std::int64_t{bins} * (level + 1) / levels);
      double p = at(to).count - at(from).count, nonempty = at(to).bins - at(from).bins;
      const double q = std::max(p, kSmoothing);
      if (level == 0) {
        p += low;
        nonempty += first_bin == 0 && low > 0;
      }
      if (level == levels - 1) {
        p += high;
        nonempty += last_bin == 0 && high > 0;
      }
      if (p > 0) sum -= p * std::log(q / nonempty);
      from = to;
    }
    return sum / total + std::log(inside / total);
  }

 private:
  static constexpr double kSmoothing = 1e-4;  // stands for Q where only values from outside lie
  struct Sums {
    double count = 0, bins = 0, entropy = 0;
  };
  static double xlogx(double x) { return x > 0 ? x * std::log(x) : 0; }
  static std::size_t index(int bin) { return static_cast<std::size_t>(bin + kSide); }
  const Sums& at(int bin) const { return below_[index(bin)]; }
  double count(int bin) const { return at(bin + 1).count - at(bin).count; }

  double width_;
  std::vector<Sums> below_;
};

// Candidates are the full range with each end shrunk by a power of 2^(1/8): first both ends together, then
// each alone as long as that helps; then ever smaller steps from the best. Of a cost above the limit that it is given,
// only that it is above need be known.
template <class Cost>
class RangeSearch {
 public:
  RangeSearch(Range full, bool symmetric, Cost cost)
      : full_(full),
        symmetric_(symmetric),
        cost_(cost),
        best_(full),
        least_(cost(full, std::numeric_limits<double>::infinity())) {}

  Range run() {
    for (int i = 1; i <= kSteps; ++i) try_shrunk(factor(i), factor(i));
    for (int round = 0; round < 3 && two_ends(); ++round) {
      bool better = false;
      const Range start = best_;
      for (int i = 0; i <= kSteps; ++i) better |= consider({start.lo, full_.hi * factor(i)});
      const float hi = best_.hi;
      for (int i = 0; i <= kSteps; ++i) better |= consider({full_.lo * factor(i), hi});
      if (!better) break;
    }
    for (const float step : {1 / 16.0f, 1 / 32.0f, 1 / 64.0f}) refine(step);
    return best_;
  }

 private:
  static constexpr int kSteps = 48;
  static float factor(int step) { return std::exp2(static_cast<float>(-step) / 8); }

  bool two_ends() const { return !symmetric_ && full_.lo < 0 && full_.hi > 0; }

  // Under a symmetric scheme an end below the other one's magnitude is free, and stays.
  bool try_shrunk(float lo, float hi) {
    if (!symmetric_) return consider({full_.lo * lo, full_.hi * hi});
    const float end = std::max(-full_.lo, full_.hi) * hi;
    return consider({std::max(full_.lo, -end), std::min(full_.hi, end)});
  }

  void refine(float step) {
    const float grow = std::exp2(step);
    const Range start = best_;
    for (const float by : {grow, 1 / grow}) {
      if (two_ends()) {
        consider({start.lo * by, start.hi});
        consider({start.lo, start.hi * by});
      }
      consider({start.lo * by, start.hi * by});
    }
  }

  bool consider(Range range) {
    range = {std::max(range.lo, full_.lo), std::min(range.hi, full_.hi)};
    const double cost = cost_(range, least_);
    if (cost >= least_) return false;
    least_ = cost;
    best_ = range;
    return true;
  }

  Range full_;
  bool symmetric_;
  Cost cost_;
  Range best_;
  double least_;
};

// The value below which `share` of all values lie, by linear interpolation within a bin.
double quantile(const Observer& seen, double share) {
  const double wanted = share * static_cast<double>(seen.values());
  double below = 0;
  for (int bin = -kSide; bin < kSide; ++bin) {
    const auto count = static_cast<double>(seen.histogram().count(bin));
    if (count > 0 && below + count >= wanted) {
      return (bin + (wanted - below) / count) * seen.histogram().bin_width();
    }
    below += count;
  }
  return seen.bounds().hi;
}

Range percentile_range(const Observer& seen, double percentile) {
  check(percentile > 50 && percentile <= 100, "a percentile of {} is not in (50, 100]", percentile);
  const double tail = (1 - percentile / 100) / 2;
  const Range bounds = with_zero(seen.bounds());
  // A quantile interpolates within a bin that may reach over the bounds.
  return {static_cast<float>(std::clamp<double>(quantile(seen, tail), bounds.lo, 0)),
          static_cast<float>(std::clamp<double>(quantile(seen, 1 - tail), 0, bounds.hi))};
}

}  // namespace

std::string_view to_string(Calibrator calibrator) noexcept {
  for (const auto& [value, name] : kNames) {
    if (value == calibrator) return name;
  }
  return "";
}

std::optional<Calibrator> parse_calibrator(std::string_view name) noexcept {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  return std::nullopt;
}

bool needs_histogram(Calibrator calibrator) noexcept {
  return calibrator != Calibrator::min_max && calibrator != Calibrator::moving_average;
}

Range choose_range(const Observer& seen, const CalibratorOptions& options) {
  check(seen.values() > 0, "no values were seen; calibration needs at least one image");
  check(!needs_histogram(options.method) || seen.has_histogram(), "the calibrator '{}' needs a histogram",
        to_string(options.method));
  const Range full = with_zero(seen.bounds());
  if (full.lo == full.hi) return full;
  switch (options.method) {
    case Calibrator::min_max:
      return full;
    case Calibrator::moving_average:
      return with_zero(seen.mean_bounds());
    case Calibrator::percentile:
      return percentile_range(seen, options.percentile);
    case Calibrator::mse: {
      const Cumulative values(seen);
      return RangeSearch(full, options.scheme.symmetric,
                         [&](Range range, double limit) {
                           return mean_squared_error(values, seen.values(), range, options.scheme, limit);
                         })
          .run();
    }
    case Calibrator::entropy: {
      const Entropy entropy(seen);
      return RangeSearch(full, options.scheme.symmetric,
                         [&](Range range, double) { return entropy.divergence(range, options.scheme); })
          .run();
    }
  }
  return full;
}

double expected_mse(const Observer& seen, Range range, const ActivationScheme& scheme) {
  return mean_squared_error(Cumulative(seen), seen.values(), range, scheme);
}

double divergence(const Observer& seen, Range range, const ActivationScheme& scheme) {
  return Entropy(seen).divergence(with_zero(range), scheme);
}

}  // namespace eke
