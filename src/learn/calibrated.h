// Ranges of a network over images of a set.
#pragma once

#include "base/threads.h"
#include "data/fitted.h"
#include "quant/calibrator.h"
#include "quant/rewrite.h"

namespace eke {

// From at most 100 images, evenly spread over the set, one at a time. `bound` is a network of bound_to(graph, how, 1),
// which `options` will quantize. Throws as Calibration does.
Ranges ranges_on(const Graph& bound, const FittedImages& images, const QuantizeOptions& options,
                 Calibrator method, const Threads& threads);

}  // namespace eke
