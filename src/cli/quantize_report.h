// What eke quantize did, told as text or JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/embeddings.h"
#include "cli/energy_report.h"
#include "cli/evaluate.h"
#include "cli/explanation_report.h"
#include "cli/options.h"
#include "cli/quantization_options.h"
#include "cli/timing.h"
#include "cli/walk_report.h"
#include "data/dataset.h"
#include "quant/equalize.h"
#include "quant/rewrite.h"

namespace eke::cli {

struct QuantizeCommand {
  std::string model, data, evaluation, output;
  CommonOptions common;
  ShapeOptions shapes;
  PreprocessOptions preprocess;
  MeterOptions meters;
  QuantizationOptions quantization;
  bool allow_slower = false, no_explain = false;
  std::optional<double> max_drop;  // in points
  std::int64_t count = 100, limit = 0;
  int class_offset = 0, runs = 50;
};

// What is calibrated on and what is evaluated on.
struct QuantizeImages {
  std::optional<Dataset> calibration, held_back, evaluation;
  std::vector<int> persons;  // of the evaluation images, where the model gives no scores of their classes
  std::size_t shared = 0;    // images that are in both
};

struct Comparison {
  Scores before, after;
  Likeness likeness;
  std::optional<PairedComparison> paired;
  std::optional<EmbeddingComparison> embeddings;  // where there are pairs, or persons
};

// What speaks against the calibration images.
struct CalibrationCheck {
  std::size_t duplicates = 0;  // images that equal one before them
  std::size_t images = 0;
  std::size_t classes = 0, empty_classes = 0;  // where images have classes
  std::int64_t fewest = 0, most = 0;           // images of a class that has some
  std::size_t ranges = 0, moving = 0;  // ranges, and those of them that the last doubling moved by kMoved
  std::int64_t images_before = 0;      // that the ranges were compared at
  std::string moved_most;              // the tensor
  double movement = 0;                 // of its range, as a share of its width
};
inline constexpr double kMoved = 0.1;
// All of one class, or enough images for all classes and yet some have none or a few have most.
bool is_unbalanced(const CalibrationCheck& check);
CalibrationCheck check_calibration(const Dataset& data, std::size_t duplicates, const Ranges& ranges);

struct QuantizeResult {
  const QuantizeCommand& options;
  QuantReport report = {};
  std::vector<EqualizedLayers> equalized = {};
  Walk walk = {};
  CalibrationCheck calibration = {};
  Json ranges = {};                                       // of calibration
  std::optional<Explanation> explanation = std::nullopt;  // its short form
  std::vector<Culprit> culprits = {};
  QuantizeImages images;
  std::optional<Comparison> comparison = std::nullopt;
  Timing timing = {};
  EnergyOf calibration_energy = {}, evaluation_energy = {};
  std::int64_t bytes_before = 0, bytes_after = 0, macs = 0;
  bool collapsed = false, slower = false;
  // Where the drop is more than --max-drop: what it was measured on. Empty: it is within, or was not asked for.
  std::string above_max_drop = {};
  bool labels_unused = false;  // the model has no output for each class of the data
  std::string written = {};
};

Json report_json(const QuantizeResult& result);
void report_text(const QuantizeResult& result);

}  // namespace eke::cli
