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
#include "cli/progress.h"
#include "cli/provenance.h"
#include "cli/timing.h"
#include "onnx/onnx.h"
#include "ops/infer.h"
#include "passes/passes.h"
#include "quant/calibrate.h"
#include "quant/keep.h"
#include "quant/rewrite.h"
#include "tensor/values.h"

namespace eke::cli {

namespace {

constexpr double kCollapsedShare = 0.5;

struct Options {
  std::string model, data, evaluation, output;
  CommonOptions common;
  ShapeOptions shapes;
  PreprocessOptions preprocess;
  MeterOptions meters;
  std::string calibrator = "mse", activations = "uint8";
  double percentile = 99.99;
  bool per_tensor = false, symmetric = false, round_outputs = false, keep_biases = false,
       allow_slower = false;
  std::string weight_range = "max";
  std::vector<std::string> keep;
  std::int64_t count = 100, limit = 0;
  int class_offset = 0, runs = 50;
};

QuantizeOptions rewrite_options(const Options& options) {
  QuantizeOptions result;
  result.activations = {options.activations == "int8" ? DType::i8 : DType::u8, options.symmetric};
  result.weights.per_channel = !options.per_tensor;
  result.weights.range = options.weight_range == "mse" ? WeightRange::mse : WeightRange::max;
  result.correct_biases = !options.keep_biases;
  result.float_outputs = !options.round_outputs;
  result.keep = options.keep;
  return result;
}

CalibratorOptions calibrator_options(const Options& options) {
  const std::optional<Calibrator> method = parse_calibrator(options.calibrator);
  if (!method) {
    throw UsageError(fmt::format(
        "--calibrator {}: the calibrators are min-max, moving-average, percentile, mse and entropy",
        options.calibrator));
  }
  return {*method, options.percentile, rewrite_options(options).activations};
}

// What is calibrated on and what is evaluated on.
struct Images {
  std::optional<Dataset> calibration, evaluation;
  std::size_t shared = 0;  // images that are in both
};

Images open_images(const Options& options, const std::vector<std::string>& labels) {
  Images images;
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

Ranges calibrate_on(const Graph& graph, const Dataset& data, const Preprocess& preprocess,
                    const Threads& threads, const Options& options) {
  Calibration calibration(graph, rewrite_options(options), calibrator_options(options), threads);
  check_has_elements(calibration.input_types().at(0).shape);
  const DatasetRows rows(data, preprocess, threads);
  const std::int64_t batch = calibration.batch(),
                     row_size = calibration.input_types().at(0).shape.count() / batch;
  // Enough images at a time to keep all threads decoding, in whole batches.
  const std::int64_t chunk = (std::max<std::int64_t>(batch, 4 * threads.count()) + batch - 1) / batch * batch;
  std::vector<float> values(static_cast<std::size_t>(chunk * row_size));
  Tensor input(calibration.input_types()[0]);
  Progress progress("calibrating", rows.count());
  for (std::int64_t begin = 0; begin < rows.count(); begin += chunk) {
    const std::int64_t end = std::min(begin + chunk, rows.count());
    rows.read(begin, end, std::span(values).first(static_cast<std::size_t>((end - begin) * row_size)));
    for (std::int64_t at = begin; at < end; at += batch) {
      const std::int64_t count = std::min(batch, end - at);
      std::vector<std::string> names;
      for (std::int64_t i = 0; i < count; ++i) names.push_back(rows.name(at + i));
      assign(input, std::span(values).subspan(static_cast<std::size_t>((at - begin) * row_size),
                                              static_cast<std::size_t>(count * row_size)));
      const TensorView view = input.view();
      calibration.observe({&view, 1}, names);
      progress.update(at + count);
    }
  }
  return calibration.ranges();
}

// The saved model takes any batch where the float one did and nothing in the graph fixed it.
Graph with_open_batch(Graph graph, const Graph& original) {
  const Value& before = original[original.inputs[0]];
  if (before.type.shape.rank() == 0 || before.type.shape[0] != kDynamic) return graph;
  Graph open = graph;
  Value& input = open[open.inputs[0]];
  input.type.shape[0] = kDynamic;
  input.dim_names.resize(static_cast<std::size_t>(input.type.shape.rank()));
  input.dim_names[0] =
      before.dim_names.empty() || before.dim_names[0].empty() ? "batch" : before.dim_names[0];
  Shape two = input.type.shape;
  two[0] = 2;
  try {
    Bindings bindings;
    bindings.shapes[input.name] = two;
    const Graph bound = specialize(open, bindings);
    for (ValueId id : bound.outputs) {
      if (bound[id].type.shape.rank() == 0 || bound[id].type.shape[0] != 2) return graph;
    }
  } catch (const Error&) {
    return graph;
  }
  for (ValueId id : open.outputs) open[id].type.shape[0] = kDynamic;
  return open;
}

struct Comparison {
  Scores before, after;
  Likeness likeness;
  std::optional<PairedComparison> paired;
};

Comparison compare(Session& before, Session& after, const Dataset& data, const Preprocess& preprocess,
                   int class_offset, const Threads& threads) {
  Comparison result;
  Scorer score_before(data, class_offset), score_after(data, class_offset);
  Session* const sessions[] = {&before, &after};
  for_each_row(sessions, DatasetRows(data, preprocess, threads), "evaluating", [&](const RowDone& done) {
    const std::vector<float> a = before.output_row(0, done.in_batch), b = after.output_row(0, done.in_batch);
    score_before.add(done.row, a);
    score_after.add(done.row, b);
    result.likeness.add(a, b);
  });
  result.before = score_before.finish();
  result.after = score_after.finish();
  if (result.before.classification) {
    result.paired =
        compare_paired(result.before.classification->correct(), result.after.classification->correct());
  }
  return result;
}

// More than half of the predictions on one class, while the float model has not.
bool collapsed(const Comparison& comparison) {
  return comparison.after.classification && comparison.after.classification->count() >= 10 &&
         comparison.after.classification->largest_predicted_share() > kCollapsedShare &&
         comparison.before.classification->largest_predicted_share() <= kCollapsedShare;
}

// "model.int8.onnx" becomes "model.int8.collapsed.onnx".
std::string collapsed_name(const std::string& path) {
  const std::filesystem::path p(path);
  return (p.parent_path() / (p.stem().string() + ".collapsed" + p.extension().string())).string();
}

struct Result {
  const Options& options;
  QuantReport report = {};
  Images images;
  std::optional<Comparison> comparison = std::nullopt;
  Timing timing = {};
  EnergyOf calibration_energy = {}, evaluation_energy = {};
  std::int64_t bytes_before = 0, bytes_after = 0, macs = 0;
  bool collapsed = false, slower = false;
  std::string written = {};
};

double island_share(const Result& result) {
  std::int64_t macs = 0;
  for (const FloatIsland& island : result.report.islands) macs += island.cost.macs;
  return result.macs > 0 ? static_cast<double>(macs) / static_cast<double>(result.macs) : 0;
}

Json report_json(const Result& r) {
  Json json{{"model", r.options.model},
            {"output", r.written},
            {"success", !r.collapsed && !r.slower},
            {"collapsed", r.collapsed},
            {"slower", r.slower},
            {"calibrator", r.options.calibrator},
            {"calibration_images", r.images.calibration->size()},
            {"evaluation_images", r.images.evaluation ? r.images.evaluation->size() : 0},
            {"images_in_both", r.images.shared},
            {"float_bytes", r.bytes_before},
            {"int8_bytes", r.bytes_after}};
  json["float"] = r.comparison ? to_json(r.comparison->before) : Json::object();
  json["int8"] = r.comparison ? to_json(r.comparison->after) : Json::object();
  json["float"]["ms"] = to_json(r.timing.ms[0]);
  json["int8"]["ms"] = to_json(r.timing.ms[1]);
  json["int8_time_over_float"] = to_json(r.timing.ratio[1]);
  json["timing"] = {
      {"runs", r.timing.runs}, {"warmup", r.timing.warmup}, {"threads", thread_count(r.options.common)}};
  if (r.comparison) json["likeness"] = to_json(r.comparison->likeness);
  if (r.comparison && r.comparison->paired) {
    json["difference"] = {{"accuracy", r.comparison->paired->difference},
                          {"low", r.comparison->paired->interval.low},
                          {"high", r.comparison->paired->interval.high},
                          {"mcnemar_p", r.comparison->paired->mcnemar_p}};
  }
  json["energy"]["calibration"] =
      energy_json(r.calibration_energy, static_cast<std::int64_t>(r.images.calibration->size()), "image");
  if (r.comparison)
    json["energy"]["evaluation_of_both"] =
        energy_json(r.evaluation_energy, static_cast<std::int64_t>(r.images.evaluation->size()), "image");
  json["layers"] = Json::array();
  for (const QuantizedLayer& layer : r.report.layers) {
    json["layers"].push_back(
        {{"node", layer.node},
         {"operator", layer.op},
         {"macs", layer.cost.macs},
         {"channels", layer.channels},
         {"dead_channels", layer.dead_channels},
         {"widened_channels", layer.widened_channels},
         {"weight_sqnr_db",
          std::isfinite(layer.weight_sqnr_db) ? Json(layer.weight_sqnr_db) : Json(nullptr)}});
  }
  json["float_islands"] = Json::array();
  for (const FloatIsland& island : r.report.islands) {
    json["float_islands"].push_back({{"node", island.node},
                                     {"operator", island.op},
                                     {"reason", island.reason},
                                     {"macs", island.cost.macs}});
  }
  return json;
}

std::string islands_text(const Result& r) {
  if (r.report.islands.empty()) return "all layers compute in integers\n";
  Table table(
      {{"stays in float", Align::left, 40}, {"operator", Align::left}, {"MACs"}, {"reason", Align::left}});
  for (const FloatIsland& island : r.report.islands) {
    table.add({island.node, island.op, count_text(static_cast<double>(island.cost.macs)), island.reason});
  }
  return table.text() + fmt::format("{} of the MACs are in float\n", percent_text(island_share(r)));
}

std::string spread_text(const Spread& ms) {
  return fmt::format("{} ({} to {})", ms_text(ms.median), ms_text(ms.p10), ms_text(ms.p90));
}

std::string comparison_table(const Result& r) {
  Table table(
      {{"", Align::left}, {"float", Align::left}, {"int8", Align::left}, {"difference", Align::left}});
  if (r.comparison && (r.comparison->before.classification || r.comparison->before.verification)) {
    std::string difference;
    if (r.comparison->paired) {
      const PairedComparison& p = *r.comparison->paired;
      difference = fmt::format("{:+.2f} points ({:+.2f} to {:+.2f})", 100 * p.difference,
                               100 * p.interval.low, 100 * p.interval.high);
    } else {
      difference = fmt::format("{:+.2f} points", 100 * (r.comparison->after.verification->accuracy -
                                                        r.comparison->before.verification->accuracy));
    }
    table.add({"accuracy", headline(r.comparison->before), headline(r.comparison->after), difference});
  }
  const double size =
      static_cast<double>(r.bytes_before) / static_cast<double>(std::max<std::int64_t>(r.bytes_after, 1));
  table.add({"size", bytes_text(static_cast<double>(r.bytes_before)),
             bytes_text(static_cast<double>(r.bytes_after)), fmt::format("{:.2f} times smaller", size)});
  const Spread& ratio = r.timing.ratio[1];
  table.add({"latency", spread_text(r.timing.ms[0]), spread_text(r.timing.ms[1]),
             fmt::format("{:.2f} times the time ({:.2f} to {:.2f})", ratio.median, ratio.p10, ratio.p90)});
  return table.text();
}

std::string likeness_text(const Likeness& likeness) {
  const Spread sqnr = spread_of(likeness.sqnr_db), cosine = spread_of(likeness.cosine);
  return fmt::format(
      "outputs, int8 against float over {} images: cosine {:.5f} (p10 {:.5f}), SQNR {:.1f} dB (p10 {:.1f})\n",
      likeness.cosine.size(), cosine.median, cosine.p10, sqnr.median, sqnr.p10);
}

std::string verdict_text(const Result& r) {
  if (r.collapsed) {
    return paint(Colour::bad, "collapsed") +
           fmt::format(
               ": more than half of the predictions fall on one class and the float model's do not. This is "
               "no success; kept as '{}'.\n"
               "Try --calibrator min-max, more images (--count), or --keep for layers that eke diff shows.\n",
               r.written);
  }
  if (r.slower) {
    return paint(Colour::bad, "slower than float") +
           fmt::format(" on this machine: no success. Written to '{}'; --allow-slower accepts it.\n",
                       r.written);
  }
  return paint(Colour::good, "written") + fmt::format(" to '{}'\n", r.written);
}

void report_text(const Result& r) {
  print(fmt::format("{}  calibrated on {} images ({})", r.options.model, r.images.calibration->size(),
                    r.options.calibrator));
  print(r.images.evaluation ? fmt::format(", evaluated on {} others\n", r.images.evaluation->size()) : "\n");
  if (r.images.shared > 0) {
    print(paint(Colour::bad, "warning") +
          fmt::format(": {} of the evaluation images are calibration images too: the int8 figures flatter\n",
                      r.images.shared));
  }
  if (!r.images.evaluation) print("no image is left to evaluate: give --eval DATA, or a smaller --count\n");
  print("\n" + islands_text(r) + "\n" + comparison_table(r));
  if (r.comparison) print(likeness_text(r.comparison->likeness));
  print(energy_line(r.calibration_energy, static_cast<std::int64_t>(r.images.calibration->size()),
                    "calibration image"));
  if (r.comparison)
    print(energy_line(r.evaluation_energy, static_cast<std::int64_t>(r.images.evaluation->size()),
                      "image evaluated with both models"));
  print(fmt::format("latency: median (p10 to p90) of {} runs each, interleaved, {} thread{}\n\n",
                    r.timing.runs, thread_count(r.options.common),
                    thread_count(r.options.common) == 1 ? "" : "s"));
  print(verdict_text(r));
}

void check_output(const std::string& model, const std::string& output) {
  if (output.empty()) throw UsageError("--output: give the name of a file");
  const std::filesystem::path folder = std::filesystem::path(output).parent_path();
  check(folder.empty() || std::filesystem::is_directory(folder), "cannot write '{}': there is no folder '{}'",
        output, folder.string());
  check(!std::filesystem::is_directory(output), "cannot write '{}': it is a folder", output);
  std::error_code none;
  check(!std::filesystem::exists(output, none) || std::filesystem::is_regular_file(output, none),
        "cannot write '{}': it is not a regular file", output);
  if (std::filesystem::equivalent(model, output, none))
    throw UsageError(fmt::format("--output '{}' would replace the float model: give another name", output));
}

// A pattern that matches nothing is wrong use, and is said before the long work begins.
void check_keep(const Graph& graph, const std::vector<std::string>& patterns) {
  try {
    match_nodes(graph, patterns);
  } catch (const Error& error) {
    throw UsageError(fmt::format("--keep: {}", error.what()));
  }
}

int quantize(const Options& options) {
  check_output(options.model, options.output);
  calibrator_options(options);  // wrong flags first
  const Model model = load_model(options.model);
  const Preprocess preprocess = resolve_preprocess(options.preprocess, model.graph);
  std::vector<std::string> labels = resolve_labels(options.preprocess, model.graph);
  Result result{.options = options, .images = open_images(options, labels), .bytes_before = model.file_bytes};
  if (labels.empty()) labels = result.images.calibration->classes();
  const Threads threads(thread_count(options.common));
  const Graph graph = prepare(model.graph, options.shapes, &preprocess);
  check_keep(graph, options.keep);

  Metering metering(options.meters);
  std::optional<energy::Window> window = metering.begin("calibration");
  const Ranges ranges = calibrate_on(graph, *result.images.calibration, preprocess, threads, options);
  result.calibration_energy = finish(metering, window);
  Quantized quantized = quantize(graph, ranges, rewrite_options(options));
  result.report = std::move(quantized.report);
  for (const Node& node : graph.nodes) result.macs += cost_of(graph, node).macs;

  Session before(graph, threads), after(optimize(quantized.graph), threads);
  if (result.images.evaluation) {
    window = metering.begin("evaluation of both models");
    result.comparison =
        compare(before, after, *result.images.evaluation, preprocess, options.class_offset, threads);
    result.evaluation_energy = finish(metering, window);
    result.collapsed = collapsed(*result.comparison);
  }
  Session* const sessions[] = {&before, &after};
  result.timing = measure(sessions, 5, options.runs);
  // By the undisturbed runs too: a machine that is busy with other things says little by its median.
  result.slower = !options.allow_slower && result.timing.ratio[1].median > 1 &&
                  result.timing.ms[1].p10 > result.timing.ms[0].p10;

  Graph saved = with_open_batch(std::move(quantized.graph), model.graph);
  saved.metadata.insert(model.graph.metadata.begin(), model.graph.metadata.end());
  store_preprocess(saved, preprocess, labels);
  const std::string bytes = to_onnx(saved);
  result.bytes_after = static_cast<std::int64_t>(bytes.size());
  result.written = result.collapsed ? collapsed_name(options.output) : options.output;
  throw_if_interrupted();
  write_file_atomically(result.written, bytes);
  if (options.common.json) {
    print_json(with_provenance("quantize", report_json(result)));
  } else {
    report_text(result);
  }
  return result.collapsed || result.slower ? kFailed : kGood;
}

}  // namespace

void add_quantize(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("quantize", "Make an int8 model from a float one and images, and say what it costs");
  command->add_option("model", options->model, "ONNX file")->required()->type_name("MODEL");
  command
      ->add_option("--data", options->data, "images to calibrate on; those beyond --count are evaluated on")
      ->required()
      ->type_name("DATA");
  command->add_option("--eval", options->evaluation, "evaluate on this data instead")->type_name("DATA");
  command->add_option("-o,--output", options->output, "the int8 model")->required()->type_name("FILE");
  command->add_option("--count", options->count, "calibration images, spread evenly over the data")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--limit", options->limit, "evaluation images at most (0: all)")
      ->check(CLI::Range(0, 100000000))
      ->capture_default_str();
  const std::string group = "How it is quantized";
  command
      ->add_option("--calibrator", options->calibrator, "min-max, moving-average, percentile, mse or entropy")
      ->group(group)
      ->capture_default_str();
  command
      ->add_option("--percentile", options->percentile,
                   "with --calibrator percentile: share of the values that stay inside")
      ->group(group)
      ->check(CLI::Range(50.0, 100.0))
      ->capture_default_str();
  command
      ->add_flag("--per-tensor", options->per_tensor,
                 "one scale for all weights of a layer (default: one a channel)")
      ->group(group);
  command
      ->add_option("--weight-range", options->weight_range,
                   "max: the largest magnitude; mse: clipped for the least squared error")
      ->group(group)
      ->check(CLI::IsMember({"max", "mse"}))
      ->capture_default_str();
  command
      ->add_flag("--keep-biases", options->keep_biases,
                 "do not take the mean error of rounded weights off the biases")
      ->group(group);
  command->add_option("--activations", options->activations, "uint8 or int8")
      ->group(group)
      ->check(CLI::IsMember({"uint8", "int8"}))
      ->capture_default_str();
  command->add_flag("--symmetric", options->symmetric, "activations with their zero point in the middle")
      ->group(group);
  command
      ->add_flag("--round-outputs", options->round_outputs,
                 "round the results of the last layers to 8 bits, too (near scores then become equal)")
      ->group(group);
  command->add_option("--keep", options->keep, "nodes to leave in float; * and ? are wildcards")
      ->group(group)
      ->type_name("NODE...");
  command
      ->add_option("--class-offset", options->class_offset,
                   "output index of class 0 (1 where output 0 is a background class)")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  command->add_option("--runs", options->runs, "runs of each model for the latency")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_flag("--allow-slower", options->allow_slower,
                    "a model that is slower than the float one is a success too");
  declare_common(*command, options->common);
  declare_meters(*command, options->meters);
  declare_shapes(*command, options->shapes);
  declare_preprocess(*command, options->preprocess);
  command->footer(
      "Exit code 1 where the int8 model collapsed (it is then kept under another name) or is slower than the "
      "float one.\n"
      "Examples:\n"
      "  eke quantize model.onnx --data photos/ --mean 127.5 --scale 127.5 -o model.int8.onnx\n"
      "  eke quantize model.onnx --data train/ --eval validation/ --normalization imagenet -o "
      "model.int8.onnx\n"
      "  eke quantize face.onnx --data faces/ --eval pairs.csv --calibrator entropy --keep 'fc*' -o "
      "face.int8.onnx");
  command->callback([options, &action] { action = [options] { return quantize(*options); }; });
}

}  // namespace eke::cli
