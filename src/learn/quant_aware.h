// Quantization-aware training: the loop of fine_tune.h on a network that simulates its own quantized form, weights and
// scales learning together (Esser et al., Learned Step Size Quantization, 2020). It starts where post-training
// quantization ends, is judged by the integer form after each epoch, and never ends below its start. BatchNormalization
// is folded before it begins. What another engine will run is trained and judged by that engine's arithmetic.
#pragma once

#include <cstddef>

#include "learn/fine_tune.h"
#include "quant/calibrator.h"
#include "quant/rewrite.h"
#include "target/arithmetic.h"

namespace eke {

// The highest learning rates by default: it starts from weights that are good already, and has no normalization that
// forgives large steps.
inline constexpr double kQuantAwareSgdRate = 2e-4, kQuantAwareAdamRate = 5e-5;
// The longest gradient by default: networks whose inputs are large, as pixels of 0 to 255, would lose all in the first step.
inline constexpr float kQuantAwareClip = 1;

struct QuantAwareOptions {
  FineTuneOptions tuning = {};   // all parameters and scales learn, with frozen statistics
  RewriteOptions quantize = {};  // and what the arithmetic requires
  Calibrator calibrator = Calibrator::mse;
  bool equalize = false;  // channels, before it begins (quant/equalize.h)
  Arithmetic arithmetic = {};
};

struct QuantAware {
  Graph graph;      // in Q/DQ form: of the best epoch, or of the start where no epoch was better
  FineTuned tuned;  // its best_epoch is 0 where no epoch was better than the start
  // Right answers on the validation images, by that arithmetic but for `float_correct`.
  std::size_t float_correct = 0, start_correct = 0, correct = 0;
};

// `graph` is a portable float classifier of images as `train` are preprocessed, `validation` tells which epoch is best.
// Throws as fine_tune() and quantize() do.
QuantAware train_quantized(const Graph& graph, const FittedImages& train, const FittedImages& validation,
                           const QuantAwareOptions& options, const Threads& threads,
                           const FineTuneHooks& hooks = {});

}  // namespace eke
