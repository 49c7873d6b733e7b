#include "quant/round_weights.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace eke {
namespace {

constexpr std::size_t kRows = 64;  // taken in together, so that a row of the matrix stays in the cache
constexpr double kHold = 0.01;  // of the mean variance of an input, that holds weights to their float values
constexpr int kSweeps = 20;
// Fewer fit the samples instead of the network: such a row keeps its rounding, and gets its bias.
constexpr std::int64_t kSamplesPerInput = 2;

}  // namespace

RoundingSums::RoundingSums(std::size_t inputs, std::size_t outputs)
    : inputs_(inputs),
      outputs_(outputs),
      read_(inputs),
      wanted_(outputs),
      read_read_(inputs * inputs),
      read_wanted_(inputs * outputs),
      wanted_wanted_(outputs) {}

void RoundingSums::add(std::span<const float> read, std::span<const float> wanted) {
  check(read.size() == inputs_ && wanted.size() == outputs_, "a sample of {} and {} values for {} and {}",
        read.size(), wanted.size(), inputs_, outputs_);
  rows_read_.insert(rows_read_.end(), read.begin(), read.end());
  rows_wanted_.insert(rows_wanted_.end(), wanted.begin(), wanted.end());
  ++samples_;
  if (rows_read_.size() >= kRows * inputs_) take_in();
}

void RoundingSums::take_in() {
  const std::size_t rows = inputs_ == 0 ? 0 : rows_read_.size() / inputs_;
  for (std::size_t i = 0; i < inputs_; ++i) {
    double* const to_read = read_read_.data() + i * inputs_;
    double* const to_wanted = read_wanted_.data() + i * outputs_;
    for (std::size_t r = 0; r < rows; ++r) {
      const double x = double{rows_read_[r * inputs_ + i]};
      if (x == 0) continue;
      const float* const read = rows_read_.data() + r * inputs_;
      const float* const wanted = rows_wanted_.data() + r * outputs_;
      read_[i] += x;
      for (std::size_t k = i; k < inputs_; ++k) to_read[k] += x * double{read[k]};
      for (std::size_t o = 0; o < outputs_; ++o) to_wanted[o] += x * double{wanted[o]};
    }
  }
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < outputs_; ++o) {
      const double y = double{rows_wanted_[r * outputs_ + o]};
      wanted_[o] += y;
      wanted_wanted_[o] += y * y;
    }
  }
  rows_read_.clear();
  rows_wanted_.clear();
}

void RoundingSums::finish() {
  take_in();
  const double n = static_cast<double>(std::max<std::int64_t>(samples_, 1));
  for (double& x : read_) x /= n;
  for (double& y : wanted_) y /= n;
  for (std::size_t i = 0; i < inputs_; ++i) {
    for (std::size_t k = i; k < inputs_; ++k) {
      double& upper = read_read_[i * inputs_ + k];
      upper = upper / n - read_[i] * read_[k];
      read_read_[k * inputs_ + i] = upper;
    }
    for (std::size_t o = 0; o < outputs_; ++o) {
      double& cross = read_wanted_[i * outputs_ + o];
      cross = cross / n - read_[i] * wanted_[o];
    }
  }
  for (std::size_t o = 0; o < outputs_; ++o)
    wanted_wanted_[o] = std::max(0.0, wanted_wanted_[o] / n - wanted_[o] * wanted_[o]);
}

RoundedRow round_row(const RoundingSums& sums, std::size_t o, std::span<const float> weights,
                     std::span<const std::int32_t> nearest, double scale, std::int32_t levels) {
  const std::size_t count = sums.inputs();
  check(weights.size() == count && nearest.size() == count && scale > 0, "a row of {} weights for {} inputs",
        weights.size(), count);
  RoundedRow row{{nearest.begin(), nearest.end()}};
  double trace = 0;
  for (std::size_t i = 0; i < count; ++i) trace += sums.covariance(i)[i];
  const bool enough = sums.samples() >= kSamplesPerInput * static_cast<std::int64_t>(count);
  const double hold = trace / static_cast<double>(std::max<std::size_t>(count, 1)) * kHold;

  // The gradient of the error: covariance times what is missing of the best real weights.
  std::vector<double> missing(count);
  double error = sums.variance_wanted(o);
  for (std::size_t i = 0; i < count; ++i) {
    const std::span<const double> with = sums.covariance(i);
    double made = 0;
    for (std::size_t k = 0; k < count; ++k) made += with[k] * row.q[k] * scale;
    missing[i] = sums.cross(i, o) - made;
    error -= row.q[i] * scale * (sums.cross(i, o) + missing[i]);
  }
  row.before = row.after = std::max(error, 0.0);
  if (enough && hold > 0) {
    for (std::size_t i = 0; i < count; ++i) missing[i] += hold * (double{weights[i]} - row.q[i] * scale);
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      bool changed = false;
      for (std::size_t i = 0; i < count; ++i) {
        const std::span<const double> with = sums.covariance(i);
        const double curvature = with[i] + hold;
        const auto steps = static_cast<std::int32_t>(
            std::clamp(std::nearbyint(missing[i] / (curvature * scale)), -2.0 * levels, 2.0 * levels));
        const std::int32_t moved = std::clamp(row.q[i] + steps, -levels, levels) - row.q[i];
        if (moved == 0) continue;
        changed = true;
        row.q[i] += moved;
        const double by = moved * scale;
        for (std::size_t k = 0; k < count; ++k) missing[k] -= with[k] * by;
        missing[i] -= hold * by;
      }
      if (!changed) break;
    }
    error = sums.variance_wanted(o);
    for (std::size_t i = 0; i < count; ++i) {
      const double w = row.q[i] * scale, left = missing[i] - hold * (double{weights[i]} - w);
      error -= w * (sums.cross(i, o) + left);
    }
    row.after = std::max(error, 0.0);
  }
  row.bias = sums.mean_wanted(o);
  for (std::size_t i = 0; i < count; ++i) row.bias -= row.q[i] * scale * sums.mean_read(i);
  return row;
}

}  // namespace eke
