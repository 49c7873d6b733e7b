#include "eke/quantize.h"

#include <algorithm>

#include "api/preprocess_for.h"
#include "base/error.h"
#include "base/file.h"
#include "learn/run_images.h"
#include "onnx/onnx.h"
#include "ptq/saved_form.h"
#include "ptq/walk.h"
#include "quant/keep.h"

namespace eke {
namespace {

struct Stopped {};

OnProgress told_to(const QuantizeOptions& options) {
  if (!options.progress) return {};
  return
      [&options, state = QuantizeState()](std::string_view what, std::int64_t done, std::int64_t of) mutable {
        if (!what.empty()) state = {std::string(what), done, of};
        if (!state.what.empty() && !options.progress(state)) throw Stopped();
      };
}

QuantizationOptions wanted(const QuantizeOptions& options) {
  QuantizationOptions result;
  result.effort = options.effort;
  result.per_tensor = !options.per_channel;
  result.weight_bits = options.weight_bits;
  result.engine = options.engine;
  result.keep = options.keep;
  return result;
}

void verify(const QuantizeOptions& options, const Graph& graph) {
  with_context([] { return "QuantizeOptions"; },
               [&] {
                 verify(wanted(options));
                 check(options.class_offset >= 0, "class_offset is {}: use 0 or more", options.class_offset);
                 check(!options.max_drop_points || *options.max_drop_points >= 0,
                       "max_drop_points is {}: use 0 to 100", *options.max_drop_points);
               });
  with_context([] { return "QuantizeOptions::keep"; }, [&] { match_nodes(graph, options.keep); });
}

QuantizeDrop drop_of(const PairedComparison& compared) {
  return {0 - 100 * compared.difference, 0 - 100 * compared.interval.high, 0 - 100 * compared.interval.low};
}

QuantizeStep step_of(const WalkStep& step) {
  QuantizeStep result{.name = step.name,
                      .kept = step.kept,
                      .sqnr_db = step.sqnr_db,
                      .right = static_cast<std::size_t>(step.right),
                      .drop = drop_of(step.drop),
                      .seconds = step.seconds};
  if (step.gain) {
    result.gain_db = step.gain_db;
    result.gain_low_db = step.gain->low;
    result.gain_high_db = step.gain->high;
  }
  return result;
}

void tell_of(const Walk& walk, const QuantizeOptions& options, QuantizeReport& report) {
  report.by_labels = walk.by_labels;
  report.float_right = static_cast<std::size_t>(walk.float_right);
  report.ended = walk.ended;
  for (const WalkStep& step : walk.steps) {
    report.steps.push_back(step_of(step));
    if (!step.kept) continue;
    report.drop = report.steps.back().drop;
    report.sqnr_db = step.sqnr_db;
  }
  report.within_max_drop = !options.max_drop_points || report.drop.points <= *options.max_drop_points;
  report.int8_layers = walk.quantized.report.layers.size();
  for (const FloatIsland& island : walk.quantized.report.islands)
    report.float_nodes.push_back(fmt::format("'{}': {}", island.node, island.reason));
}

}  // namespace

QuantizeReport quantize(const std::string& model, const QuantizeOptions& options) {
  check_output(model, options.output, "QuantizeOptions::output");
  const Graph original = load_onnx(model);
  const Preprocess how =
      preprocess_for(original, options.normalization, options.width, options.height, "QuantizeOptions");
  const Graph graph = bound_to(original, how, 1);
  verify(options, graph);
  const auto stored = original.metadata.find(std::string(kLabelsKey));
  std::vector<std::string> labels;
  if (stored != original.metadata.end()) labels = labels_from_json(stored->second);
  Dataset data = open_dataset(options.data, {.classes = labels, .part = "train"});
  if (options.images > 0 && data.size() > options.images) data = data.split(options.images).chosen;
  const bool labelled = has_output_for_each(graph, data, options.class_offset);
  if (labelled && labels.empty()) labels = data.classes();

  const CalibrationParts parts = hold_back(data, options.effort != "fast" || options.max_drop_points);
  const Threads threads(options.threads);
  const OnProgress progress = told_to(options);
  CalibrationImages images(parts.calibration, how, threads, progress);
  std::optional<HeldBack> held;
  if (parts.held_back)
    held.emplace(held_back_images(*parts.held_back, how, threads, labelled, options.class_offset, progress));
  QuantizeReport report{.calibration_images = parts.calibration.size(),
                        .judging_images = parts.held_back ? parts.held_back->size() : 0};
  try {
    const WalkOptions steps{wanted(options), options.max_drop_points
                                                 ? std::optional(*options.max_drop_points / 100)
                                                 : std::nullopt};
    Walk made = walk(graph, images, held ? &*held : nullptr, steps, threads);
    tell_of(made, options, report);
    const Graph saved = saved_form(std::move(made.quantized.graph), original, how, labels);
    const std::string bytes = to_onnx(saved, {.pack_weights = options.weight_bits <= 4});
    report.bytes = bytes.size();
    report.written = report.within_max_drop ? options.output : marked_name(options.output, "above-max-drop");
    write_file_atomically(report.written, bytes);
  } catch (const Stopped&) {
    report.finished = false;
  }
  return report;
}

}  // namespace eke
