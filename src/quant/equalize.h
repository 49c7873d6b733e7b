// Cross-layer equalization: gives the channels between layers scales under which 8 bits lose less, without
// changing what the network computes. A channel that is divided by s where it is made is multiplied by s in the
// weights that read it (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
// Correction", section 4.1; Xiao et al. 2023, "SmoothQuant", for the balance of activations against weights).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "quant/calibrator.h"
#include "quant/rewrite.h"

namespace eke {

// Layers whose output channels were scaled together: one, or those that a residual addition joins.
struct EqualizedLayers {
  std::vector<std::string> nodes;
  int channels = 0;      // that got a scale other than 1
  int cut_channels = 0;  // of them: those that a Clip now cuts at another value
  float min_scale = 1, max_scale = 1;
  double noise_ratio = 1;  // of the expected noise of 8 bits, after to before
};

using ChannelScales = std::map<std::string, std::vector<float>>;  // by label of the layer (keep.h)

struct Equalized {
  Graph graph;
  std::vector<EqualizedLayers> layers;
  ChannelScales divided_by;  // of each layer that was scaled: what its output channels were divided by
};

// The values that a Clip between 0 and a bound alone reads: what their histograms tell lets equalize() scale
// channels that reach the bound.
std::vector<std::string> clipped_values(const Graph& graph);

// How Calibration measures what equalize() goes by.
inline constexpr CalibratorOptions kEqualizationStatistics{.method = Calibrator::min_max,
                                                           .clip_histograms = true};

// Layers are convolutions and matrix products with constant weights that are quantized under `options`; between
// them may stand what commutes with a positive scale a channel: Relu, PRelu, LeakyRelu, pooling, the addition of
// two such values, and a Clip between 0 and a bound. A channel that comes near that bound in `seen` keeps its
// scale and the others stay below it by a margin, so that the float network stays the same for all images that
// keep within the margin; except where the histogram of a clipped value tells that to cut a channel at another
// place costs less than rounding it does.
//
// `seen` holds the channel statistics of what layers read (as Calibration measures them under kEqualizationStatistics). Of many candidate scales
// those are taken under which the noise of rounded activations and weights, as it arrives in the sums of the
// reading layers and weighs there for the network's output, is least. What nothing improves stays as it is. Pure.
Equalized equalize(const Graph& graph, const Ranges& seen, const RewriteOptions& options);

}  // namespace eke
