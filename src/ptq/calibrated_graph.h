// A network and its ranges over the calibration images, and the integer forms that are made of them.
#pragma once

#include <vector>

#include "learn/reconstruct.h"
#include "ptq/calibration_images.h"
#include "ptq/options.h"
#include "quant/equalize.h"
#include "quant/learn_rounding.h"
#include "quant/rewrite.h"

namespace eke {

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

}  // namespace eke
