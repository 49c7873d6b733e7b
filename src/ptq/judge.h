// Judging quantized forms of one float model on images that they have not seen.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "data/metrics.h"
#include "ptq/calibration_images.h"
#include "runtime/plan.h"

namespace eke {

// A quarter of the calibration images is held back where steps are to be judged by them.
struct CalibrationParts {
  Dataset calibration;
  std::optional<Dataset> held_back;
};
CalibrationParts hold_back(const Dataset& images, bool judged);

// Images that steps are judged on. Without labels an image counts as right where the largest output stays the same: the
// share that is not right then bounds the drop in accuracy from above.
struct HeldBack {
  CalibrationImages images;
  std::vector<int> labels;  // an output for each image; empty without labels
};

HeldBack held_back_images(const Dataset& data, const Preprocess& preprocess, const Threads& threads,
                          bool labelled, int class_offset, OnProgress progress = {});

// Image by image.
struct Judged {
  std::vector<double> sqnr_db;  // of the first output; equal outputs count as kExactDb
  std::vector<bool> right;
};
inline constexpr double kExactDb = 150;

class Judge {
 public:
  // Runs the float model once. The images and the threads must outlive it.
  Judge(const Graph& graph, HeldBack& held, const Threads& threads);

  Judged of(const Graph& graph, Floats floats = Floats::f32);
  const std::vector<bool>& float_right() const noexcept { return right_; }
  bool by_labels() const noexcept { return !held_.labels.empty(); }

 private:
  void run(const Graph& graph, Floats floats, const std::function<void(std::vector<float> output)>& take);

  HeldBack& held_;
  const Threads& threads_;
  std::vector<std::vector<float>> reference_;
  std::vector<bool> right_;
};

}  // namespace eke
