// Ranges of a network over images of a set, and what else quantization measures there.
#pragma once

#include "base/threads.h"
#include "data/fitted.h"
#include "quant/calibrator.h"
#include "quant/rewrite.h"

namespace eke {

// From at most 100 images, evenly spread over the set, one at a time. `bound` is a network of bound_to(graph, how, 1),
// which `options` will quantize. Throws as Calibration does.
Ranges ranges_on(const Graph& bound, const FittedImages& images, const RewriteOptions& options,
                 Calibrator method, const Threads& threads);

// `bound` with its channels equalized (quant/equalize.h), by the same images.
Graph equalized_on(const Graph& bound, const FittedImages& images, const RewriteOptions& options,
                   const Threads& threads);

}  // namespace eke
