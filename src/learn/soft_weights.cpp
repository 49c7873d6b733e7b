#include "learn/soft_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace eke {
namespace {

constexpr float kMeanDecay = 0.9f, kSquareDecay = 0.999f;
constexpr float kUndecided = 0.05f;  // how far from the middle a weight starts at least
constexpr float kStepRate = 0.05f;   // of the logarithm of a step, against that of a weight
constexpr double kBiasUnit = 8;      // steps of the input in all weights of a channel: what a bias moves by
constexpr double kMaxBias = 1 << 30;
constexpr double kMostInput = 255;

}  // namespace

float Moments::change(std::size_t i, float gradient, int step) {
  mean_[i] += (1 - kMeanDecay) * (gradient - mean_[i]);
  square_[i] += (1 - kSquareDecay) * (gradient * gradient - square_[i]);
  const auto count = static_cast<float>(step);
  const float mean = mean_[i] / (1 - std::pow(kMeanDecay, count)),
              square = square_[i] / (1 - std::pow(kSquareDecay, count));
  return square > 0 ? -mean / std::sqrt(square) : 0;
}

SoftWeights::SoftWeights(const QuantizedWeights& start, std::span<const float> wanted, int axis,
                         double input_scale, bool learn_steps)
    : start_(start),
      outputs_(static_cast<std::size_t>(start.weights.shape()[axis])),
      inner_(static_cast<std::size_t>(start.weights.shape().count(axis + 1, start.weights.shape().rank()))),
      input_scale_(input_scale),
      learn_steps_(learn_steps && start.scale.size() > 1),
      below_(wanted.size()),
      part_(wanted.size()),
      fixed_(wanted.size()),
      scale_(start.scale),
      bias_unit_(outputs_),
      weights_(wanted.size()),
      of_parts_(wanted.size()),
      of_scales_(outputs_),
      of_biases_(outputs_) {
  const auto stored = start_.weights.values<std::int8_t>();
  check(stored.size() == wanted.size(), "{} float weights for {} integers", wanted.size(), stored.size());
  const float levels = static_cast<float>(weight_levels(start.bits));
  std::vector<double> power(outputs_);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto q = static_cast<float>(stored[i]);
    const float exact = wanted[i] / step_size(channel(i));
    // Of the two integers one is the present one; the other one lies on the side of the float weight.
    const float below = std::clamp(exact < q ? q - 1 : q, -levels, levels - 1);
    const float part = std::clamp(exact - below, 0.0f, 1.0f);
    below_[i] = static_cast<std::int8_t>(below);
    part_[i] = q > below ? std::max(part, 0.5f + kUndecided) : std::min(part, 0.5f - kUndecided);
    power[channel(i)] += double{wanted[i]} * double{wanted[i]};
  }
  for (std::size_t c = 0; c < start_.bias.size(); ++c)
    bias_.push_back(static_cast<float>(start_.bias[c] * input_scale_ * double{step_size(c)}));
  for (std::size_t c = 0; c < outputs_; ++c)
    bias_unit_[c] = static_cast<float>(kBiasUnit * input_scale_ * std::sqrt(power[c]));
  update_values();
}

void SoftWeights::update_values() {
  for (std::size_t i = 0; i < weights_.size(); ++i)
    weights_[i] = (static_cast<float>(below_[i]) + part_[i]) * step_size(channel(i));
}

void SoftWeights::step(std::span<const float> weight_gradient, std::span<const float> bias_gradient,
                       float rate) {
  ++steps_;
  std::vector<float> of_steps(outputs_);
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    of_steps[channel(i)] += weight_gradient[i] * weights_[i];
    if (fixed_[i]) continue;
    const float change = of_parts_.change(i, weight_gradient[i] * step_size(channel(i)), steps_);
    part_[i] = std::clamp(part_[i] + rate * change, 0.0f, 1.0f);
  }
  if (learn_steps_) {
    for (std::size_t c = 0; c < outputs_; ++c)
      scale_[c] *= std::exp(rate * kStepRate * of_scales_.change(c, of_steps[c], steps_));
  }
  check(bias_gradient.empty() || bias_gradient.size() == bias_.size(), "{} gradients of {} biases",
        bias_gradient.size(), bias_.size());
  for (std::size_t c = 0; c < bias_gradient.size(); ++c)
    bias_[c] += rate * bias_unit_[c] * of_biases_.change(c, bias_gradient[c] * bias_unit_[c], steps_);
  update_values();
}

void SoftWeights::fix(double share) {
  if (share <= 0) return;
  const auto wanted = static_cast<std::size_t>(std::ceil(share * static_cast<double>(part_.size())));
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < part_.size(); ++i) {
    if (!fixed_[i]) open.push_back(i);
  }
  const std::size_t already = part_.size() - open.size();
  if (wanted <= already) return;
  const std::size_t more = std::min(wanted - already, open.size());
  const auto nearer = [&](std::size_t a, std::size_t b) {
    const float to_a = std::fabs(part_[a] - 0.5f), to_b = std::fabs(part_[b] - 0.5f);
    return to_a != to_b ? to_a > to_b : a < b;
  };
  std::ranges::nth_element(open, open.begin() + static_cast<std::ptrdiff_t>(more), nearer);
  for (std::size_t k = 0; k < more; ++k) {
    const std::size_t i = open[k];
    part_[i] = std::round(part_[i]);
    fixed_[i] = 1;
  }
  update_values();
}

QuantizedWeights SoftWeights::rounded() const {
  QuantizedWeights result = start_;
  const auto stored = result.weights.mutable_values<std::int8_t>();
  std::vector<double> most(outputs_);
  const auto integer = [&](std::size_t i) {
    return static_cast<std::int8_t>(below_[i] + (part_[i] >= 0.5f ? 1 : 0));
  };
  for (std::size_t i = 0; i < stored.size(); ++i) most[channel(i)] += kMostInput * std::abs(integer(i));
  std::vector<double> bias(outputs_);
  for (std::size_t c = 0; c < bias_.size(); ++c)
    bias[c] = std::nearbyint(double{bias_[c]} / (input_scale_ * double{step_size(c)}));
  const auto fits = [&](std::size_t c) {
    return std::fabs(bias[c]) <= kMaxBias &&
           most[c] + std::fabs(bias[c]) <= double{std::numeric_limits<std::int32_t>::max()};
  };
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (fits(channel(i))) stored[i] = integer(i);
  }
  for (std::size_t c = 0; c < outputs_; ++c) {
    if (!fits(c)) continue;
    if (scale_.size() > 1) result.scale[c] = scale_[c];
    if (!bias_.empty()) result.bias[c] = static_cast<std::int32_t>(bias[c]);
  }
  return result;
}

}  // namespace eke
