// Classifiers of features that a frozen network gives: fitted in closed form or to convergence, deterministic, the
// same at any thread count. Pure functions of the features.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/threads.h"
#include "learn/head.h"

namespace eke {

struct FeatureSet {
  std::size_t count = 0, size = 0;  // rows, numbers a row
  std::vector<float> values;        // count x size
  std::vector<int> labels;          // 0 .. classes - 1
  int classes = 0;

  const float* row(std::size_t i) const { return values.data() + i * size; }
};

enum class HeadKind : std::uint8_t {
  linear,    // softmax regression with weight decay on standardized features, by L-BFGS
  ridge,     // least squares to the classes, the penalty by the leave-one-out error
  centroid,  // cosine to the mean direction of each class: one image a class is enough
  arcface,   // cosine to learned centres with an additive angular margin (Deng et al. 2019)
};
std::string_view to_string(HeadKind kind) noexcept;
HeadKind parse_head_kind(std::string_view name);  // throws UsageError with the names

struct HeadOptions {
  HeadKind kind = HeadKind::linear;
  double penalty = 0;               // of linear: weight decay; of ridge: the penalty; 0: chosen
  float margin = 0.3f, scale = 16;  // of arcface
  int iterations = 200;             // at most, of linear and arcface
};

// Throws an Error when a class has no row, or a value is not finite.
ClassHead fit_head(const FeatureSet& set, const HeadOptions& options, const Threads& threads);

// Row i's class by `head`.
int predict(const ClassHead& head, const FeatureSet& set, std::size_t i);
// By how much the logit of the right class exceeds the mean of the others, on average. At least two classes.
double mean_margin(const ClassHead& head, const FeatureSet& set);
// How many rows it gets right.
std::size_t count_correct(const ClassHead& head, const FeatureSet& set);

}  // namespace eke
