#include "ptq/calibrated_graph.h"

#include <algorithm>

namespace eke {

CalibratedGraph calibrate_on(const Graph& graph, CalibrationImages& images, const Threads& threads,
                             const QuantizationOptions& options) {
  CalibratedGraph result{.graph = graph, .before = graph, .ranges = {}, .equalized = {}, .divided_by = {}};
  // The means that biases are corrected by are what equalization goes by, too; whether they are used is decided later.
  RewriteOptions rewrite = rewrite_options(options, graph);
  rewrite.correct_biases = true;
  if (options.equalize == "on") {
    Calibration statistics(graph, rewrite, kEqualizationStatistics, threads);
    images.feed(statistics, 0, "measuring channels");
    Equalized equalized = equalize(graph, statistics.ranges(), rewrite);
    result.graph = std::move(equalized.graph);
    result.equalized = std::move(equalized.layers);
    result.divided_by = std::move(equalized.divided_by);
  }
  const CalibratorOptions calibrator{.method = *parse_calibrator(options.calibrator),
                                     .percentile = options.percentile,
                                     .scheme = rewrite.activations,
                                     .every_value = options.every_range};
  Calibration calibration(result.graph, rewrite, calibrator, threads);
  images.feed(calibration, 0, "calibrating");
  result.ranges = calibration.ranges();
  return result;
}

namespace {

// Whole batches of `graph`'s input.
ForEachBatch batches_of(const Graph& graph, CalibrationImages& images) {
  const Shape& input = graph[graph.inputs[0]].type.shape;
  return [&images, batch = input[0], count = input.count()](const TakeBatch& take) {
    std::vector<float> whole(static_cast<std::size_t>(count));
    images.each_batch(batch, count / batch, 0, "",
                      [&](std::span<const float> values, std::span<const std::string> names) {
                        std::ranges::copy(values, whole.begin());
                        take(whole, static_cast<std::int64_t>(names.size()));
                      });
  };
}

// One image in each batch of `graph`'s input, and others like them.
ForEachBatch versions_for(const Graph& graph, CalibrationImages& images) {
  return [&images, count = graph[graph.inputs[0]].type.shape.count()](const TakeBatch& take) {
    std::vector<float> whole(static_cast<std::size_t>(count));
    images.each_version([&](std::span<const float> values) {
      std::ranges::copy(values, whole.begin());
      take(whole, 1);
    });
  };
}

std::function<void(std::size_t, std::size_t)> told_as(std::string_view what,
                                                      const CalibrationImages& images) {
  return [what, &images](std::size_t done, std::size_t of) {
    images.tell(what, static_cast<std::int64_t>(done), static_cast<std::int64_t>(of));
  };
}

}  // namespace

Quantized quantize_calibrated(const CalibratedGraph& calibrated, CalibrationImages& images,
                              const Threads& threads, const QuantizationOptions& options,
                              std::vector<LearnedLayer>& learned) {
  const RewriteOptions rewrite = rewrite_options(options, calibrated.graph);
  if (!options.learn) return quantize(calibrated.graph, calibrated.ranges, rewrite);
  const LearnOptions learn{.images = images.version_count(),
                           .wanted = &calibrated.before,
                           .divided_by = calibrated.divided_by,
                           .progress = told_as("learning to round", images)};
  Learned result = learn_rounding(calibrated.graph, calibrated.ranges, rewrite,
                                  versions_for(calibrated.graph, images), learn, threads);
  learned = std::move(result.layers);
  return std::move(result.quantized);
}

Reconstructed reconstruct_calibrated(const CalibratedGraph& calibrated, Quantized start,
                                     CalibrationImages& images, const Threads& threads,
                                     const QuantizationOptions& options) {
  const RewriteOptions rewrite = rewrite_options(options, calibrated.graph);
  const ReconstructOptions reconstruct{.wanted = &calibrated.before,
                                       .divided_by = calibrated.divided_by,
                                       .progress = told_as("reconstructing blocks", images)};
  return reconstruct_blocks(calibrated.graph, calibrated.ranges, rewrite, std::move(start),
                            batches_of(calibrated.graph, images), reconstruct, threads);
}

}  // namespace eke
