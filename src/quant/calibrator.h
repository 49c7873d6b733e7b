// How a range is chosen from what an Observer has seen. Pure functions of the observation.
#pragma once

#include <optional>
#include <string_view>

#include "quant/observer.h"
#include "quant/qparams.h"

namespace eke {

enum class Calibrator : std::uint8_t {
  min_max,         // all that was seen
  moving_average,  // bounds of each image, averaged
  percentile,      // cuts the same share of the values off either end
  mse,             // least squared error of clipping and rounding together
  entropy,         // least Kullback-Leibler divergence of the quantized from the seen distribution (TensorRT)
};
std::string_view to_string(Calibrator calibrator) noexcept;
std::optional<Calibrator> parse_calibrator(
    std::string_view name) noexcept;  // "min-max", "moving-average", ...
bool needs_histogram(Calibrator calibrator) noexcept;

struct CalibratorOptions {
  Calibrator method = Calibrator::mse;
  double percentile = 99.99;  // of the values that stay inside; the rest is cut half off either end
  ActivationScheme scheme = {};
  bool clip_histograms = false;  // watch what Clips cut, too, for equalize()
  bool every_value = false;      // ranges of all float values: for rewrites that leave other layers in float
};

// The range always contains 0 and never exceeds what was seen (and 0).
Range choose_range(const Observer& seen, const CalibratorOptions& options);

// The mean squared error that rounding to the range's 8 bits would make, as the histogram tells it.
double expected_mse(const Observer& seen, Range range, const ActivationScheme& scheme);
// The divergence that the entropy calibrator minimizes, in nats; infinite where the range holds fewer bins
// than levels, so that the histogram cannot judge it.
double divergence(const Observer& seen, Range range, const ActivationScheme& scheme);

}  // namespace eke
