// Ridge regression of one-hot classes on centred features, in the smaller of its two forms (features x features, or
// images x images), with the penalty that has the least leave-one-out error (Rifkin and Lippert 2007, "Notes on
// regularized least squares").
#pragma once

#include "learn/fit_head.h"

namespace eke {

struct RidgeFit {
  std::vector<double> weights, bias;  // classes x size; a class
  double penalty = 0;
};

// `centred`: each feature has mean 0. `penalty` 0 chooses one from powers of ten around the mean variance.
RidgeFit fit_ridge_weights(const FeatureSet& centred, double penalty, const Threads& threads);

}  // namespace eke
