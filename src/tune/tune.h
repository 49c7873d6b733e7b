// Tuning: which way to carry out each layer costs least on this machine, measured in place: whole inferences by rule
// and with other ways alternate, so that each layer finds the caches as the network leaves them. What an inference
// costs says an objective of the caller's: time, energy, anything that adds up over the layers.
#pragma once

#include <functional>
#include <vector>

#include "base/threads.h"
#include "tensor/tensor.h"
#include "tune/tuning.h"

namespace eke {

// Calls the function, one inference, as often as it wants, and returns what one costs: above zero. A layer's part of it
// is its part of the time.
using Objective = std::function<double(const std::function<void()>& infer)>;

// Milliseconds of an inference: the median of as many as fit into `window_s`, five at least.
Objective latency_objective(double window_s);

struct TuneOptions {
  int rounds = 10;                                  // windows of each in a comparison
  std::function<void(int done, int total)> window;  // after each window; may throw to stop
  std::function<void()> measured;                   // when the plan has new results worth keeping
};

// Measures what `plan` does not have yet, and finishes it. `inputs` are of exactly the graph's types. Throws an Error
// where the layers of a begun plan are not those of the graph.
void tune_plan(const Graph& graph, const std::vector<Tensor>& inputs, const Threads& threads,
               const Objective& objective, const TuneOptions& options, TunedPlan& plan);

}  // namespace eke
