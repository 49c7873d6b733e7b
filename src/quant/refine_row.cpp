#include "quant/refine_row.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace eke {
namespace {

constexpr int kSweeps = 2;  // then the step is fitted, and one more follows

// In an order that vector instructions take, and short sums in float.
template <class Term>
double sum(std::size_t count, Term term) {
  constexpr std::size_t kLanes = 16, kRun = 64 * kLanes;
  double all = 0;
  std::size_t i = 0;
  while (i + kLanes <= count) {
    std::array<float, kLanes> lanes{};
    for (const std::size_t end = std::min(count, i + kRun); i + kLanes <= end; i += kLanes)
      for (std::size_t k = 0; k < kLanes; ++k) lanes[k] += term(i + k);
    for (const float lane : lanes) all += double{lane};
  }
  for (; i < count; ++i) all += double{term(i)};
  return all;
}

// Integers times a step, and what is missing of each wanted sum, all about the means of what counts.
class Refinement {
 public:
  Refinement(const ReadSamples& read, const RefinedRow& row, double hold)
      : read_(read), row_(row), hold_(hold), missing_(read.samples()) {
    const float* const counts = row.counts.data();
    const float* const wanted = row.wanted.data();
    total_ = sum(read.samples(), [=](std::size_t s) { return counts[s]; });
    mean_wanted_ = sum(read.samples(), [=](std::size_t s) { return counts[s] * wanted[s]; }) / total_;
    for (std::size_t i = 0; i < row.weights.size(); ++i) {
      const float* const x = read.column(i).data();
      const double mean = sum(read.samples(), [=](std::size_t s) { return counts[s] * x[s]; }) / total_;
      const double square =
          sum(read.samples(), [=](std::size_t s) { return counts[s] * x[s] * x[s]; }) / total_;
      mean_read_.push_back(mean);
      variance_.push_back(std::max(0.0, square - mean * mean));
    }
  }

  void begin(std::span<const std::int32_t> q, double scale) {
    q_.assign(q.begin(), q.end());
    scale_ = scale;
    const auto mean = static_cast<float>(mean_wanted_);
    for (std::size_t s = 0; s < missing_.size(); ++s) missing_[s] = row_.counts[s] * (row_.wanted[s] - mean);
    for (std::size_t i = 0; i < q_.size(); ++i) take_off(i, q_[i] * scale_);
  }

  void sweep() {
    for (std::size_t i = 0; i < q_.size(); ++i) {
      const double unit = (variance_[i] + hold_) * scale_;
      if (unit <= 0) continue;
      const double pull = covariance(read_.column(i)) + hold_ * (double{row_.weights[i]} - q_[i] * scale_);
      const double most = 2.0 * row_.levels;
      const auto steps = static_cast<std::int32_t>(std::clamp(std::nearbyint(pull / unit), -most, most));
      const std::int32_t moved = std::clamp(q_[i] + steps, -row_.levels, row_.levels) - q_[i];
      if (moved == 0) continue;
      q_[i] += moved;
      take_off(i, moved * scale_);
    }
  }

  // To the step that is best for these integers.
  void fit_scale() {
    const double of_wanted = variance_of_wanted(), with_wanted = covariance(row_.wanted);
    double reached = (of_wanted - with_wanted) / scale_,
           power = (of_wanted - 2 * with_wanted + error()) / (scale_ * scale_);
    for (std::size_t i = 0; i < q_.size(); ++i) {
      reached += hold_ * q_[i] * double{row_.weights[i]};
      power += hold_ * q_[i] * q_[i];
    }
    if (!(reached > 0 && power > 0)) return;
    const double fitted = double{static_cast<float>(reached / power)};
    const auto kept = static_cast<float>(fitted / scale_), mean = static_cast<float>(mean_wanted_);
    for (std::size_t s = 0; s < missing_.size(); ++s)
      missing_[s] = kept * missing_[s] + (1 - kept) * row_.counts[s] * (row_.wanted[s] - mean);
    scale_ = fitted;
  }

  double error() const {
    const float* const missing = missing_.data();
    const float* const counts = row_.counts.data();
    return sum(missing_.size(), [=](std::size_t s) { return missing[s] * missing[s] / counts[s]; }) / total_;
  }

  RoundedRow result(double before) const {
    RoundedRow result{.q = q_, .scale = scale_, .bias = mean_wanted_, .before = before, .after = error()};
    result.held = result.after;
    result.hold = hold_;
    for (std::size_t i = 0; i < q_.size(); ++i) {
      const double off = double{row_.weights[i]} - q_[i] * scale_;
      result.held += hold_ * off * off;
      result.bias -= q_[i] * scale_ * mean_read_[i];
    }
    return result;
  }

 private:
  // Of what is missing.
  double covariance(std::span<const float> with) const {
    const float* const missing = missing_.data();
    const float* const x = with.data();
    return sum(missing_.size(), [=](std::size_t s) { return missing[s] * x[s]; }) / total_;
  }
  double variance_of_wanted() const {
    const auto mean = static_cast<float>(mean_wanted_);
    const float* const counts = row_.counts.data();
    const float* const wanted = row_.wanted.data();
    return sum(missing_.size(),
               [=](std::size_t s) { return counts[s] * (wanted[s] - mean) * (wanted[s] - mean); }) /
           total_;
  }
  void take_off(std::size_t i, double weight) {
    if (weight == 0) return;
    const float* const x = read_.column(i).data();
    const auto w = static_cast<float>(weight), mean = static_cast<float>(mean_read_[i]);
    for (std::size_t s = 0; s < missing_.size(); ++s) missing_[s] -= w * row_.counts[s] * (x[s] - mean);
  }

  const ReadSamples& read_;
  const RefinedRow& row_;
  double hold_, total_ = 0, mean_wanted_ = 0, scale_ = 1;
  std::vector<double> mean_read_, variance_;
  std::vector<std::int32_t> q_;
  std::vector<float> missing_;  // of each wanted sum, about its mean, times what the sample counts
};

}  // namespace

void ReadSamples::add(std::span<const float> read) {
  check(filled_ < samples_ && read.size() * samples_ == values_.size(),
        "a sample of {} values beyond {} of them", read.size(), samples_);
  for (std::size_t i = 0; i < read.size(); ++i) values_[i * samples_ + filled_] = read[i];
  ++filled_;
}

RoundedRow refine_row(const ReadSamples& read, const RefinedRow& row, const RoundedRow& start) {
  check(row.wanted.size() == read.samples() && row.counts.size() == read.samples() &&
            row.nearest.size() == row.weights.size() && start.q.size() == row.weights.size() &&
            start.scale > 0,
        "{} sums of {} weights for {} samples", row.wanted.size(), row.weights.size(), read.samples());
  Refinement refinement(read, row, start.hold);
  refinement.begin(row.nearest, row.scale);
  const double before = refinement.error();
  refinement.begin(start.q, start.scale);
  for (int sweep = 0; sweep < kSweeps; ++sweep) refinement.sweep();
  if (row.fits_scale) refinement.fit_scale();
  refinement.sweep();
  return refinement.result(before);
}

}  // namespace eke
