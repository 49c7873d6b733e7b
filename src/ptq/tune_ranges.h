// Ranges of activations by what they do to the network's output, one after the other, each where the noise of the output is
// least while the others stand: what a calibrator finds best for a tensor alone cuts or rounds what the network needs.
#pragma once

#include "ptq/calibrated_graph.h"
#include "ptq/calibration_images.h"
#include "ptq/options.h"

namespace eke {

struct TunedRanges {
  CalibratedGraph calibrated;
  Quantized quantized;
  int changed = 0;
};

// From `calibrated` and `quantized`, made from it with `options`: plainly, since learned weights fit the ranges that they
// learned with. On the first `limit` images.
TunedRanges tune_ranges(const CalibratedGraph& calibrated, const Quantized& quantized,
                        const QuantizationOptions& options, CalibrationImages& images, std::int64_t limit,
                        const Threads& threads);

}  // namespace eke
