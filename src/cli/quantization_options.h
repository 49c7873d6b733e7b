// How a model is quantized, as eke quantize and eke explain take it: flags, and what follows from them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/calibration_images.h"
#include "cli/command_line.h"
#include "learn/reconstruct.h"
#include "quant/equalize.h"
#include "quant/learn_rounding.h"
#include "quant/rewrite.h"

namespace eke::cli {

struct QuantizationOptions {
  std::string engine = "cpu";
  std::string calibrator = "mse", activations = "uint8", weight_range = "auto", equalize = "auto",
              effort = "balanced";
  double percentile = 99.99;
  int weight_bits = 8, activation_bits = 8;
  bool per_tensor = false, symmetric = false, round_outputs = false, keep_biases = false;
  std::vector<std::string> keep, wide;
  // No flags: the walk (quantization_walk.h) decides, as it does on what is "auto".
  std::map<std::string, int> layer_bits;  // of weights, by label: instead of weight_bits
  bool learn = false, absorb_biases = false, split_channels = false;
  // No flag: calibrates also what a rewrite needs that leaves layers in float, to measure them or for good.
  bool every_range = false;
};
void declare_quantization(App& app, QuantizationOptions& options);

void check_quantization(const QuantizationOptions& options);  // throws UsageError
// With what the engine requires of `graph`, which is the float one, all types known.
QuantizeOptions rewrite_options(const QuantizationOptions& options, const Graph& graph);
// A pattern that matches nothing is wrong use, and is said before the long work begins.
void check_patterns(const Graph& graph, const QuantizationOptions& options);

// Patterns that match these names and no others, as far as names can say.
std::vector<std::string> as_patterns(std::vector<std::string> names);

// What the rewrite needs: the graph, equalized where `equalize` is "on", and its ranges.
struct CalibratedGraph {
  Graph graph, before;  // before it was equalized
  Ranges ranges;
  std::vector<EqualizedLayers> equalized;
  ChannelScales divided_by;
};
CalibratedGraph calibrate_on(const Graph& graph, CalibrationImages& images, const Threads& threads,
                             const QuantizationOptions& options);

// The int8 form: with learned rounding where `learn` says so. `learned` gets what learning did to each layer.
Quantized quantize_calibrated(const CalibratedGraph& calibrated, CalibrationImages& images,
                              const Threads& threads, const QuantizationOptions& options,
                              std::vector<LearnedLayer>& learned);

// `start`, made with these options, with its blocks reconstructed.
Reconstructed reconstruct_calibrated(const CalibratedGraph& calibrated, Quantized start,
                                     CalibrationImages& images, const Threads& threads,
                                     const QuantizationOptions& options);

}  // namespace eke::cli
