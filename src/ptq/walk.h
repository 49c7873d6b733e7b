// The way from plain calibration to learned rounding, to reconstructed blocks and to layers left in float. Each step is
// judged on images that it has not seen and stays only where their outputs come closer to those of the float model, by a
// comparison image by image; none is taken once the drop in accuracy is within the bound. Nothing depends on what the
// network is called.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/statistics.h"
#include "data/metrics.h"
#include "ptq/calibrated_graph.h"
#include "ptq/calibration_images.h"
#include "ptq/judge.h"
#include "ptq/options.h"

namespace eke {

struct WalkStep {
  std::string name;
  bool kept = false;
  double sqnr_db = 0;                  // of the output: the median image
  double gain_db = 0;                  // over what was kept before: mean over the images
  std::optional<Interval> gain = {};   // of that mean; none for the first step
  std::int64_t right = 0, images = 0;  // by the labels, or with the same largest output as the float model
  PairedComparison drop = {};          // against the float model
  // Of blocks that were reconstructed: the median share of the squared error that is left.
  std::optional<double> error_left = {};
  double seconds = 0;
};

struct Walk {
  QuantizationOptions settings;  // with which steps were kept
  std::shared_ptr<const CalibratedGraph> calibrated;
  Quantized quantized;
  std::vector<LearnedLayer> learned;
  std::vector<ReconstructedBlock> blocks;
  std::vector<WalkStep> steps;  // as tried; empty where no image was held back
  bool by_labels = false;
  std::int64_t float_right = 0;
  std::string ended;  // why no further step was tried
  // Of what was kept last.
  std::optional<PairedComparison> drop() const;
};

struct WalkOptions {
  QuantizationOptions quantization;
  std::optional<double> max_drop;  // a share, 0.01 for a point
  // Calibrates also what explain_model() and other rewrites need that leave layers in float.
  bool every_range = false;
};

// The median share of the squared error that is left, of layers or blocks that learned.
template <class T>
double error_left(const std::vector<T>& learned) {
  std::vector<double> left;
  for (const T& one : learned) left.push_back(one.before > 0 ? one.after / one.before : 1);
  return median(std::move(left));
}

// `held` is null where nothing is to be judged: then the settings are those of the effort, as they are. `graph` is the
// portable one, all types known. Throws as verify() of the options does, as Calibration does, and what the progress of
// the images throws.
Walk walk(const Graph& graph, CalibrationImages& images, HeldBack* held, const WalkOptions& options,
          const Threads& threads);

}  // namespace eke
