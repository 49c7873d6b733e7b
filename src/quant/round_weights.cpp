#include "quant/round_weights.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"

namespace eke {
namespace {

constexpr std::size_t kRows = 64;  // taken in together, so that a row of the matrix stays in the cache
constexpr double kHold = 0.2;  // of the mean variance of an input, that holds weights to their float values
constexpr int kSweeps = 20;
// Samples of one image are alike: of so many, one counts.
constexpr double kAlike = 2;

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

namespace {

// The problem of one row: `hold` is in the units of the covariance.
struct Row {
  const RoundingSums& sums;
  std::size_t output;
  std::span<const float> weights;
  double hold = 0;

  // Samples fit their own noise as well, and few of them that more than the network. Ridge regression weighs the two: the
  // hold is the variance of the noise, over the number of samples, against that of the weights, which lie within a step
  // around the float ones. What the weights lose that are rounded to nearest stands for the noise.
  void hold_against(double noise, double scale) {
    const std::size_t count = sums.inputs();
    double trace = 0;
    for (std::size_t i = 0; i < count; ++i) trace += sums.covariance(i)[i];
    const double samples = static_cast<double>(std::max<std::int64_t>(sums.samples(), 1)) / kAlike;
    hold = kHold * trace / static_cast<double>(std::max<std::size_t>(count, 1)) +
           noise / (samples * scale * scale / 12);
  }
};

// Integers times a step, and the gradient that belongs to them.
class Descent {
 public:
  Descent(const Row& row, std::vector<std::int32_t> q, double scale, std::int32_t levels)
      : row_(row), q_(std::move(q)), scale_(scale), levels_(levels), missing_(q_.size()) {
    for (std::size_t i = 0; i < q_.size(); ++i) {
      const std::span<const double> with = row_.sums.covariance(i);
      double made = 0;
      for (std::size_t k = 0; k < q_.size(); ++k) made += with[k] * q_[k];
      missing_[i] = row_.sums.cross(i, row_.output) - made * scale_;
    }
  }

  double error() const {
    double error = row_.sums.variance_wanted(row_.output);
    for (std::size_t i = 0; i < q_.size(); ++i)
      error -= q_[i] * scale_ * (row_.sums.cross(i, row_.output) + missing_[i]);
    return std::max(error, 0.0);
  }

  // What holding the weights adds to the error.
  double held() const {
    double held = 0;
    for (std::size_t i = 0; i < q_.size(); ++i) {
      const double off = double{row_.weights[i]} - q_[i] * scale_;
      held += row_.hold * off * off;
    }
    return held;
  }

  void run() {
    if (row_.hold <= 0) return;
    bool changed = true;
    for (int sweep = 0; sweep < kSweeps && changed; ++sweep) {
      changed = false;
      for (std::size_t i = 0; i < q_.size(); ++i) changed = move(i) || changed;
    }
  }

  // The step that is best for these integers; the present one where they are all 0.
  double best_scale() const {
    double reached = 0, power = 0;
    for (std::size_t i = 0; i < q_.size(); ++i) {
      const double made = row_.sums.cross(i, row_.output) - missing_[i];
      reached += q_[i] * (row_.sums.cross(i, row_.output) + row_.hold * double{row_.weights[i]});
      power += q_[i] * (made / scale_ + row_.hold * q_[i]);
    }
    return power > 0 && reached > 0 ? reached / power : scale_;
  }

  RoundedRow result(double before) const {
    RoundedRow row{.q = q_, .scale = scale_, .before = before, .after = error()};
    row.held = row.after + held();
    row.hold = row_.hold;
    row.bias = row_.sums.mean_wanted(row_.output);
    for (std::size_t i = 0; i < q_.size(); ++i) row.bias -= q_[i] * scale_ * row_.sums.mean_read(i);
    return row;
  }
  const std::vector<std::int32_t>& q() const noexcept { return q_; }

 private:
  bool move(std::size_t i) {
    const std::span<const double> with = row_.sums.covariance(i);
    const double pull = missing_[i] + row_.hold * (double{row_.weights[i]} - q_[i] * scale_);
    const auto steps = static_cast<std::int32_t>(
        std::clamp(std::nearbyint(pull / ((with[i] + row_.hold) * scale_)), -2.0 * levels_, 2.0 * levels_));
    const std::int32_t moved = std::clamp(q_[i] + steps, -levels_, levels_) - q_[i];
    if (moved == 0) return false;
    q_[i] += moved;
    const double by = moved * scale_;
    for (std::size_t k = 0; k < q_.size(); ++k) missing_[k] -= with[k] * by;
    return true;
  }

  const Row& row_;
  std::vector<std::int32_t> q_;
  double scale_;
  std::int32_t levels_;
  std::vector<double> missing_;  // the covariance times what is missing of the best real weights
};

std::vector<std::int32_t> to_nearest(std::span<const float> weights, double scale, std::int32_t levels) {
  std::vector<std::int32_t> q;
  for (const float w : weights)
    q.push_back(static_cast<std::int32_t>(
        std::clamp(std::nearbyint(double{w} / scale), -double{1} * levels, double{1} * levels)));
  return q;
}

}  // namespace

RoundedRow round_row(const RoundingSums& sums, std::size_t o, std::span<const float> weights,
                     std::span<const std::int32_t> nearest, double scale, std::int32_t levels) {
  check(weights.size() == sums.inputs() && nearest.size() == sums.inputs() && scale > 0,
        "a row of {} weights for {} inputs", weights.size(), sums.inputs());
  Row row{sums, o, weights};
  Descent descent(row, {nearest.begin(), nearest.end()}, scale, levels);
  const double before = descent.error();
  row.hold_against(before, scale);
  descent.run();
  return descent.result(before);
}

RoundedRow round_row_and_step(const RoundingSums& sums, std::size_t o, std::span<const float> weights,
                              double scale, std::int32_t levels) {
  constexpr double kClippings[] = {1.25, 1, 0.8, 0.65};
  constexpr int kTurns = 3;
  check(weights.size() == sums.inputs() && scale > 0, "a row of {} weights for {} inputs", weights.size(),
        sums.inputs());
  Row row{sums, o, weights};
  const double before = Descent(row, to_nearest(weights, scale, levels), scale, levels).error();
  row.hold_against(before, scale);
  std::optional<RoundedRow> best;
  for (const double clipping : kClippings) {
    auto step = static_cast<double>(static_cast<float>(scale * clipping));
    std::vector<std::int32_t> q = to_nearest(weights, step, levels);
    for (int turn = 0; turn < kTurns; ++turn) {
      Descent descent(row, q, step, levels);
      descent.run();
      RoundedRow found = descent.result(before);
      if (!best || found.held < best->held) best = std::move(found);
      q = descent.q();
      step = static_cast<double>(static_cast<float>(descent.best_scale()));
    }
  }
  return *best;
}

}  // namespace eke
