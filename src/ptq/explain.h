// Why an int8 model differs from its float one: what each layer and each activation contributes, measured on images.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ptq/calibrated_graph.h"
#include "ptq/calibration_images.h"
#include "ptq/layer_diff.h"
#include "ptq/options.h"

namespace eke {

// A convolution or matrix product. Noises without another word are of the network's first output.
struct LayerEffect {
  std::string node, op;
  std::string reads;  // the activation
  std::int64_t macs = 0;
  int channels = 0, dead_weights = 0;  // output channels, and those of them whose weights are all zero
  Noise only, only_weights, all_but;   // this layer alone is rounded; its weights alone; all layers but this
  std::optional<Noise> isolated, accumulated;  // of what the layer makes, where it is rounded
  double share = 0;                            // of the noise of all layers, each rounded alone
};

// An activation that is rounded to 8 bits.
struct ActivationEffect {
  std::string name;
  Range seen, range;
  std::int64_t values = 0, below = 0, above = 0;  // saturated: outside the range
  double clipping = 0, rounding = 0;              // squared errors, summed
  int channels = 0, dead = 0, exploding = 0;  // always zero; larger than kExploding times the median channel
  std::string widest_image;                   // that holds the largest magnitude
  double widest_over_median = 1;              // its largest magnitude over that of the median image

  double clipping_share() const { return clipping + rounding > 0 ? clipping / (clipping + rounding) : 0; }
  bool has_outlier_image() const { return widest_over_median > 3; }
};
inline constexpr double kExploding = 16;

struct Explanation {
  std::int64_t images = 0;
  Noise all, weights_only, activations_only;
  std::vector<LayerEffect> layers;            // in the order of the network
  std::vector<ActivationEffect> activations;  // likewise; empty in the short form
};

// The short form runs only what ranks the layers: the whole model, its weights and activations alone, and each layer
// alone. `whole` was made from `calibrated`; with its weights each layer is measured.
Explanation explain_model(const CalibratedGraph& calibrated, const Quantized& whole,
                          const QuantizationOptions& options, CalibrationImages& images, std::int64_t limit,
                          bool short_form, const Threads& threads);

}  // namespace eke
