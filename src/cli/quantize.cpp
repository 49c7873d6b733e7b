// eke quantize: an int8 model from a float one and a folder of images, with what it costs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/file.h"
#include "cli/command.h"
#include "cli/energy_report.h"
#include "cli/evaluate.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/provenance.h"
#include "cli/quantization_options.h"
#include "cli/quantize_report.h"
#include "cli/timing.h"
#include "data/split.h"
#include "onnx/onnx.h"
#include "passes/passes.h"
#include "ptq/calibration_images.h"
#include "ptq/saved_form.h"
#include "quant/calibrate.h"
#include "quant/keep.h"
#include "quant/rewrite.h"
#include "runtime/session.h"
#include "tensor/values.h"

namespace eke::cli {

namespace {

constexpr double kCollapsedShare = 0.5;
constexpr std::int64_t kExplainedImages = 4;

QuantizeImages open_images(const QuantizeCommand& options, const std::vector<std::string>& labels) {
  QuantizeImages images;
  const Dataset data = open_dataset(options.data, {.classes = labels, .part = "train"});
  const auto wanted = static_cast<std::size_t>(options.count);
  if (!options.evaluation.empty()) {
    images.calibration = data.size() > wanted ? data.split(wanted).chosen : data;
    images.evaluation = open_dataset(options.evaluation, {.classes = labels, .part = "test"});
    images.shared = shared_images(*images.evaluation, *images.calibration).size();
  } else if (data.size() > wanted) {
    Dataset::Split split = data.split(wanted);
    images.calibration = std::move(split.chosen);
    images.evaluation = std::move(split.rest);
    images.shared = shared_images(*images.evaluation, *images.calibration).size();
  } else {
    images.calibration = data;
  }
  if (images.evaluation && options.limit > 0 &&
      images.evaluation->size() > static_cast<std::size_t>(options.limit)) {
    images.evaluation = images.evaluation->split(static_cast<std::size_t>(options.limit)).chosen;
  }
  return images;
}

Comparison compare(Session& before, Session& after, const QuantizeImages& images,
                   const Preprocess& preprocess, int class_offset, const Threads& threads) {
  const Dataset& data = *images.evaluation;
  Comparison result;
  Embeddings in_float, in_int8;
  const bool embeds = !data.pairs().empty() || !images.persons.empty();
  Scorer score_before(data, class_offset), score_after(data, class_offset);
  Session* const sessions[] = {&before, &after};
  for_each_row(sessions, DatasetRows(data, preprocess, threads), "evaluating", [&](const RowDone& done) {
    const std::vector<float> a = before.output_row(0, done.in_batch), b = after.output_row(0, done.in_batch);
    score_before.add(done.row, a);
    score_after.add(done.row, b);
    result.likeness.add(a, b);
    if (!embeds) return;
    in_float.push_back(a);
    in_int8.push_back(b);
  });
  result.before = score_before.finish();
  result.after = score_after.finish();
  result.paired = compare_scores(result.before, result.after);
  if (embeds) {
    result.embeddings = data.pairs().empty() ? compare_identification(images.persons, in_float, in_int8)
                                             : compare_verification(data.pairs(), in_float, in_int8);
  }
  return result;
}

// More than half of the predictions on one class, while the float model has not.
bool collapsed(const Comparison& comparison) {
  return comparison.after.classification && comparison.after.classification->count() >= 10 &&
         comparison.after.classification->largest_predicted_share() > kCollapsedShare &&
         comparison.before.classification->largest_predicted_share() <= kCollapsedShare;
}

// The drop is judged on the evaluation images where there are some, else on those held back.
std::string what_drops_too_much(const QuantizeCommand& options, const QuantizeResult& result) {
  const bool evaluated = result.comparison && result.comparison->paired;
  const std::optional<PairedComparison> drop = evaluated ? result.comparison->paired : result.walk.drop();
  if (!options.max_drop || !drop || -100 * drop->difference <= *options.max_drop) return "";
  return fmt::format("{:.2f} points ({:.2f} to {:.2f}) over {} {}", -100 * drop->difference,
                     -100 * drop->interval.high, -100 * drop->interval.low, drop->count,
                     evaluated ? "evaluation images" : "images held back from calibration");
}

int quantize(const QuantizeCommand& options) {
  check_output(options.model, options.output, "--output");
  check_quantization(options.quantization);  // wrong flags first
  const Model model = load_model(options.model);
  const Preprocess preprocess = resolve_preprocess(options.preprocess, model.graph);
  std::vector<std::string> labels = resolve_labels(options.preprocess, model.graph);
  QuantizeResult result{
      .options = options, .images = open_images(options, labels), .bytes_before = model.file_bytes};
  const Threads threads(thread_count(options.common));
  const Graph graph = prepare(model.graph, options.shapes, &preprocess);
  const bool labelled = has_output_for_each(graph, *result.images.calibration, options.class_offset);
  if (labelled) {
    if (labels.empty()) labels = result.images.calibration->classes();
  } else if (result.images.evaluation && result.images.evaluation->has_labels() &&
             result.images.evaluation->pairs().empty()) {
    for (const Sample& sample : result.images.evaluation->samples())
      result.images.persons.push_back(sample.label);
    result.images.evaluation = without_labels(*result.images.evaluation);
    result.labels_unused = true;
  }
  check_patterns(graph, options.quantization);
  CalibrationParts parts =
      hold_back(*result.images.calibration, options.quantization.effort != "fast" || options.max_drop);
  result.images.calibration = std::move(parts.calibration);
  result.images.held_back = std::move(parts.held_back);

  Metering metering(options.meters);
  std::optional<energy::Window> window = metering.begin("calibration");
  const OnProgress shown = shown_progress();
  CalibrationImages images(*result.images.calibration, preprocess, threads, shown);
  std::optional<HeldBack> held;
  if (result.images.held_back) {
    held.emplace(held_back_images(*result.images.held_back, preprocess, threads, labelled,
                                  options.class_offset, shown));
  }
  const WalkOptions walk_options{options.quantization,
                                 options.max_drop ? std::optional(*options.max_drop / 100) : std::nullopt,
                                 !options.no_explain};
  result.walk = walk(graph, images, held ? &*held : nullptr, walk_options, threads);
  Quantized& quantized = result.walk.quantized;
  const CalibratedGraph& prepared = *result.walk.calibrated;
  result.calibration_energy = finish(metering, window);
  result.equalized = prepared.equalized;
  result.calibration =
      check_calibration(*result.images.calibration, images.duplicates().size(), prepared.ranges);
  result.ranges = ranges_json(prepared.ranges);
  result.report = quantized.report;
  if (!options.no_explain) {
    result.explanation =
        explain_model(prepared, quantized, result.walk.settings, images, kExplainedImages, true, threads);
    result.culprits = culprits_of(*result.explanation, result.walk.settings);
  }
  for (const Node& node : graph.nodes) result.macs += cost_of(graph, node).macs;

  Session before(graph, threads), after(optimize(quantized.graph), threads);
  if (result.images.evaluation) {
    window = metering.begin("evaluation of both models");
    result.comparison = compare(before, after, result.images, preprocess, options.class_offset, threads);
    result.evaluation_energy = finish(metering, window);
    result.collapsed = collapsed(*result.comparison);
  }
  Session* const sessions[] = {&before, &after};
  result.timing = timed_with_progress(sessions, 5, options.runs);
  // By the undisturbed runs too: a machine that is busy with other things says little by its median.
  const bool is_simulated = options.quantization.activation_bits == 16 || !options.quantization.wide.empty();
  result.slower = !options.allow_slower && !is_simulated && result.timing.ratio[1].median > 1 &&
                  result.timing.ms[1].p10 > result.timing.ms[0].p10;

  result.above_max_drop = what_drops_too_much(options, result);

  const Graph saved = saved_form(std::move(quantized.graph), model.graph, preprocess, labels);
  const std::string bytes = to_onnx(saved, {.pack_weights = options.quantization.weight_bits <= 4});
  result.bytes_after = static_cast<std::int64_t>(bytes.size());
  result.written = result.collapsed                 ? marked_name(options.output, "collapsed")
                   : !result.above_max_drop.empty() ? marked_name(options.output, "above-max-drop")
                                                    : options.output;
  throw_if_interrupted();
  write_file_atomically(result.written, bytes);
  if (options.common.json) {
    print_json(with_provenance("quantize", report_json(result)));
  } else {
    report_text(result);
  }
  return result.collapsed || result.slower || !result.above_max_drop.empty() ? kFailed : kGood;
}

}  // namespace

void add_quantize(App& app, Action& action) {
  auto options = std::make_shared<QuantizeCommand>();
  App* command =
      app.add_subcommand("quantize", "Make an int8 model from a float one and images, and say what it costs");
  command->add_option("model", options->model, "ONNX file")->required()->type_name("MODEL");
  command
      ->add_option("--data", options->data, "images to calibrate on; those beyond --count are evaluated on")
      ->required()
      ->type_name("DATA");
  command->add_option("--eval", options->evaluation, "evaluate on this data instead")->type_name("DATA");
  command->add_option("-o,--output", options->output, "the int8 model")->required()->type_name("FILE");
  command->add_option("--count", options->count, "calibration images, spread evenly over the data")
      ->check(between(1, 1000000))
      ->capture_default_str();
  command->add_option("--limit", options->limit, "evaluation images at most (0: all)")
      ->check(between(0, 100000000))
      ->capture_default_str();
  declare_quantization(*command, options->quantization);
  command
      ->add_option(
          "--max-drop", options->max_drop,
          "points of accuracy that may be lost: no further step is tried once images held back show no more, "
          "and more is a failure")
      ->check(between(0.0, 100.0))
      ->type_name("POINTS");
  command
      ->add_option("--class-offset", options->class_offset,
                   "output index of class 0 (1 where output 0 is a background class)")
      ->check(between(0, 100000))
      ->capture_default_str();
  command->add_option("--runs", options->runs, "runs of each model for the latency")
      ->check(between(1, 1000000))
      ->capture_default_str();
  command->add_flag(
      "--no-explain", options->no_explain,
      "do not measure which layers lose most (saves a run of each layer alone on a few images)");
  command->add_flag("--allow-slower", options->allow_slower,
                    "a model that is slower than the float one is a success too");
  declare_common(*command, options->common);
  declare_meters(*command, options->meters);
  declare_shapes(*command, options->shapes);
  declare_preprocess(*command, options->preprocess);
  command->footer(
      "A quarter of the calibration images is held back, unless --effort is fast: on them each step is "
      "judged.\n"
      "Exit code 1 where the int8 model collapsed or loses more than --max-drop (it is then kept under "
      "another name), "
      "or is slower than the float one.\n"
      "Examples:\n"
      "  eke quantize model.onnx --data photos/ --mean 127.5 --scale 127.5 -o model.int8.onnx\n"
      "  eke quantize model.onnx --data train/ --eval validation/ --normalization imagenet -o "
      "model.int8.onnx\n"
      "  eke quantize model.onnx --data photos/ --normalization imagenet --effort best --max-drop 0.5 -o "
      "model.int8.onnx\n"
      "  eke quantize fitted.onnx --data photos/ --normalization tf --for dla-orin -o model.int8.onnx\n"
      "  eke quantize face.onnx --data faces/ --eval pairs.csv --calibrator entropy --keep 'fc*' -o "
      "face.int8.onnx");
  command->callback([options, &action] { action = [options] { return quantize(*options); }; });
}

}  // namespace eke::cli
