// How a model is quantized, as eke quantize and eke explain take it: flags, and what follows from them.
#pragma once

#include <string>
#include <vector>
#include "cli/command_line.h"

#include "cli/calibration_images.h"
#include "quant/equalize.h"
#include "quant/learn_rounding.h"
#include "quant/rewrite.h"

namespace eke::cli {

struct QuantizationOptions {
  std::string engine = "cpu";
  std::string calibrator = "mse", activations = "uint8", weight_range = "max", equalize = "auto",
              effort = "balanced";
  double percentile = 99.99;
  bool per_tensor = false, symmetric = false, round_outputs = false, keep_biases = false;
  std::vector<std::string> keep;
};
void declare_quantization(App& app, QuantizationOptions& options);

void check_quantization(const QuantizationOptions& options);  // throws UsageError
// A pattern that matches nothing is wrong use, and is said before the long work begins.
void check_keep(const Graph& graph, const std::vector<std::string>& patterns);

// What the rewrite needs: the graph, equalized where that is wanted, its ranges, and how it is rewritten.
struct CalibratedGraph {
  Graph graph;
  QuantizeOptions rewrite;
  Ranges ranges;
  std::vector<EqualizedLayers> equalized;
  ChannelScales divided_by;
};
CalibratedGraph calibrate_on(const Graph& graph, CalibrationImages& images, const Threads& threads,
                             const QuantizationOptions& options);

// The int8 form: with learned rounding where the effort asks for it. `original` is the float graph from before it was
// equalized; `learned` gets what learning did to each layer.
Quantized quantize_calibrated(const Graph& original, const CalibratedGraph& calibrated,
                              CalibrationImages& images, const Threads& threads,
                              const QuantizationOptions& options, std::vector<LearnedLayer>& learned);

}  // namespace eke::cli
