// Chooses the integers of a layer's weights so that its sums stay close to those of the float layer, where the layer
// reads what the quantized network gives it: least squares over integers by coordinate descent (Behdin et al. 2023,
// "QuantEase"; the objective of Nagel et al. 2020, "Up or Down? Adaptive Rounding", with inputs as in Wei et al. 2022,
// "QDrop"). Pure functions of sums over samples; one thread of control uses a RoundingSums.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace eke {

// Second moments of what a layer reads (in the quantized network) and what it should make (in the float one).
class RoundingSums {
 public:
  RoundingSums(std::size_t inputs, std::size_t outputs);

  // The elements that one output element is summed over, and the wanted sums with their bias.
  void add(std::span<const float> read, std::span<const float> wanted);
  void finish();  // once, after the last sample: turns sums into moments about the means

  std::size_t inputs() const noexcept { return inputs_; }
  std::size_t outputs() const noexcept { return outputs_; }
  std::int64_t samples() const noexcept { return samples_; }
  double mean_read(std::size_t i) const { return read_[i]; }
  double mean_wanted(std::size_t o) const { return wanted_[o]; }
  // Of input i with all inputs, and with output o.
  std::span<const double> covariance(std::size_t i) const {
    return std::span(read_read_).subspan(i * inputs_, inputs_);
  }
  double cross(std::size_t i, std::size_t o) const { return read_wanted_[i * outputs_ + o]; }
  double variance_wanted(std::size_t o) const { return wanted_wanted_[o]; }

 private:
  void take_in();

  std::size_t inputs_, outputs_;
  std::int64_t samples_ = 0;
  std::vector<double> read_, wanted_, read_read_, read_wanted_, wanted_wanted_;
  std::vector<float> rows_read_, rows_wanted_;  // not yet taken in
};

struct RoundedRow {
  std::vector<std::int32_t> q;
  double scale = 1;
  double bias = 0;               // so that the mean of the sums is the wanted one
  double before = 0, after = 0;  // mean squared error of the sums, each with its best bias
  double held = 0;               // what was made least: `after`, and what the hold adds
  double hold = 0;               // that, for each squared difference to a float weight
};

// Output `o`: integers near `nearest` (the row rounded to nearest) in [-levels, levels], times `scale` the weights.
// `weights` is the float row, which holds the result a little. Never worse than `nearest` in the mean squared error
// with that hold, which is the harder the fewer the samples and the finer the step against that error.
RoundedRow round_row(const RoundingSums& sums, std::size_t o, std::span<const float> weights,
                     std::span<const std::int32_t> nearest, double scale, std::int32_t levels);

// The same with a scale of its own: of several clippings of the one given, each made best for its integers in turn.
RoundedRow round_row_and_step(const RoundingSums& sums, std::size_t o, std::span<const float> weights,
                              double scale, std::int32_t levels);

}  // namespace eke
