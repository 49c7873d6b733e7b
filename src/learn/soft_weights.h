// The integer weights, steps and bias of one layer while they are learned: each weight between two neighbouring integers
// until it is fixed to one of them (Nagel et al. 2020, "Up or Down? Adaptive Rounding", with the relaxed variable itself
// in [0, 1] and, in place of a regularizer, a growing share of weights that are fixed). One thread of control.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/qparams.h"

namespace eke {

// Adaptive moments (Kingma and Ba, 2015) of some variables.
class Moments {
 public:
  explicit Moments(std::size_t count) : mean_(count), square_(count) {}
  // What gradient step `step` (from 1) changes variable i by, at rate 1.
  float change(std::size_t i, float gradient, int step);

 private:
  std::vector<float> mean_, square_;
};

class SoftWeights {
 public:
  // From `start` on, which the integers also round to at first; `wanted` are the float weights, in the same order.
  // `axis` is that of the output channels, `input_scale` that of what the layer reads. Steps are learned where
  // `learn_steps` says so and there is one a channel.
  SoftWeights(const QuantizedWeights& start, std::span<const float> wanted, int axis, double input_scale,
              bool learn_steps);

  std::span<const float> weights() const noexcept { return weights_; }  // what they stand for now
  std::span<const float> bias() const noexcept { return bias_; }        // empty where there is none

  // Gradients of what is to be made small, for weights() and bias(); none of the bias: it stays.
  void step(std::span<const float> weight_gradient, std::span<const float> bias_gradient, float rate);
  // Fixes weights, those nearest to an integer first, until this share of all is fixed; none where it is negative.
  void fix(double share);
  // The nearest integers. Channels whose sums could leave 32 bits are as they were at first.
  QuantizedWeights rounded() const;

 private:
  std::size_t channel(std::size_t i) const { return i / inner_ % outputs_; }
  float step_size(std::size_t c) const { return scale_[scale_.size() == 1 ? 0 : c]; }
  void update_values();

  QuantizedWeights start_;
  std::size_t outputs_, inner_;
  double input_scale_;
  bool learn_steps_;
  int steps_ = 0;
  std::vector<std::int8_t> below_;   // the lower one of two integers
  std::vector<float> part_;          // how far each weight is from it to the upper one
  std::vector<std::uint8_t> fixed_;  // 0 or 1
  std::vector<float> scale_, bias_, bias_unit_, weights_;
  Moments of_parts_, of_scales_, of_biases_;
};

}  // namespace eke
