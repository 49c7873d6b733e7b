// eke search: which layers in float, in int8, or with 4-bit weights, so that a model costs least within a bound on its drop.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/hash.h"
#include "cli/command.h"
#include "cli/energy_objective.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/provenance.h"
#include "cli/quantization_options.h"
#include "cli/search_journal.h"
#include "cli/search_report.h"
#include "cli/tuned.h"
#include "cli/walk_report.h"
#include "onnx/onnx.h"
#include "ptq/saved_form.h"

namespace eke::cli {

namespace {

constexpr std::size_t kImagesOfNoise = 16;

struct Options {
  std::string model, data, output, journal, objective = "latency", domain, precision = "f32";
  double max_drop = 0;
  std::int64_t count = 100, limit = 500;
  int mixtures = 12, rounds = 20, class_offset = 0;
  bool again = false;
  CommonOptions common;
  ShapeOptions shapes;
  PreprocessOptions preprocess;
  MeterOptions meters;
  QuantizationOptions quantization;

  std::string journal_file() const { return journal.empty() ? output + ".search.json" : journal; }
};

SearchObjective objective_of(const Options& options) {
  return options.objective == "size"     ? SearchObjective::size
         : options.objective == "energy" ? SearchObjective::energy
                                         : SearchObjective::latency;
}

// The images beyond --count judge mixtures; where there are none, a quarter of them is held back.
struct Images {
  Dataset calibration, judged;
};
Images open_images(const Options& options, const std::vector<std::string>& labels) {
  const Dataset data = open_dataset(options.data, {.classes = labels, .part = "train"});
  const auto count = static_cast<std::size_t>(options.count);
  if (data.size() <= count) {
    CalibrationParts parts = hold_back(data, true);
    check(parts.held_back.has_value(),
          "{} images are too few to calibrate on and to judge by: give at least 8 in --data", data.size());
    return {std::move(parts.calibration), std::move(*parts.held_back)};
  }
  Dataset::Split split = data.split(count);
  const auto limit = static_cast<std::size_t>(options.limit);
  if (split.rest.size() > limit) split.rest = split.rest.split(limit).chosen;
  return {std::move(split.chosen), std::move(split.rest)};
}

// Of what a search depends on: another of these is another search.
std::string key_of(const Options& options, const Graph& graph, const Preprocess& preprocess,
                   const Images& images, const Threads& threads) {
  const QuantizationOptions& q = options.quantization;
  std::string text = fmt::format(
      "{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", options.objective, options.precision,
      q.activation_bits, fmt::join(q.wide, ","), q.engine, q.calibrator, q.activations, q.weight_range,
      q.weight_bits, q.equalize, q.effort, q.percentile, q.per_tensor, q.symmetric, q.round_outputs,
      q.keep_biases, options.mixtures, options.class_offset, threads.count(), fmt::join(q.keep, ","),
      preprocess_to_json(preprocess));
  for (const ValueId id : graph.inputs) text += to_string(graph[id].type.shape);
  std::uint64_t hash = hash_bytes(text);
  const MappedFile model(options.model);
  const auto bytes = model.bytes();
  hash = hash_bytes({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, hash);
  for (const Dataset* data : {&images.calibration, &images.judged}) {
    for (std::size_t i = 0; i < data->size(); ++i) {
      const std::uint64_t content = data->content_hash(i);
      hash = hash_bytes({reinterpret_cast<const char*>(&content), sizeof content}, hash);
    }
  }
  return fmt::format("{:016x}", hash);
}

std::string verdict_text(const Options& options, const SearchResult& result, const std::string& written) {
  const TriedMixture& chosen = result.tried[result.chosen];
  const std::string loses =
      fmt::format("{:.2f} points ({:.2f} to {:.2f} over {} images)", 100 * chosen.lost(),
                  -100 * chosen.drop.interval.high, -100 * chosen.drop.interval.low, chosen.drop.count);
  if (!result.within) {
    return paint(Colour::bad, "above --max-drop") +
           fmt::format(": of what was tried the best loses {}, and {} were allowed; kept as '{}'.\n", loses,
                       options.max_drop, written);
  }
  return paint(Colour::good, "written") + fmt::format(" to '{}': loses {}\n", written, loses);
}

SearchResult searched(const Mixtures& mixtures, Judge& few, Judge& judge, const SearchOptions& how,
                      const Threads& threads) {
  try {
    return search_precisions(mixtures, few, judge, how, threads);
  } catch (const Json::exception& error) {
    fail("the journal of the search is damaged ({}): begin it anew with --again", error.what());
  }
}

int search(const Options& options) {
  check_output(options.model, options.output, "--output");
  check_quantization(options.quantization);  // wrong flags first
  const Model model = load_model(options.model);
  const Preprocess preprocess = resolve_preprocess(options.preprocess, model.graph);
  std::vector<std::string> labels = resolve_labels(options.preprocess, model.graph);
  const Images images = open_images(options, labels);
  const Threads threads(thread_count(options.common));
  const Graph graph = prepare(model.graph, options.shapes, &preprocess);
  check_patterns(graph, options.quantization);
  const bool labelled = has_output_for_each(graph, images.judged, options.class_offset);
  if (labelled && labels.empty()) labels = images.judged.classes();

  SearchOptions how{.objective = objective_of(options), .max_drop = options.max_drop / 100};
  how.mixtures = static_cast<std::size_t>(options.mixtures);
  how.rounds = options.rounds;
  how.floats = floats_of(options.precision);
  how.saved_bytes = [&](const Graph& made) {
    return static_cast<std::int64_t>(
        to_onnx(saved_form(made, model.graph, preprocess, labels), {.pack_weights = true}).size());
  };
  std::unique_ptr<Metering> metering;
  if (how.objective == SearchObjective::energy) {
    metering = std::make_unique<Metering>(options.meters);
    check(metering->active(),
          "there is no meter ({}): name one, or --meter estimate:PROFILE for a marked estimate",
          metering->why_not());
    how.joules = energy_objective(*metering, options.domain, 0);
  }
  SearchJournal journal(options.journal_file(), key_of(options, graph, preprocess, images, threads),
                        options.again);

  const OnProgress shown = shown_progress();
  HeldBack judged =
      held_back_images(images.judged, preprocess, threads, labelled, options.class_offset, shown);
  CalibrationImages calibration(images.calibration, preprocess, threads, shown);
  const Walk base = walk(graph, calibration, &judged, {options.quantization, std::nullopt, true}, threads);
  QuantizedWeightsByNode four;
  if (how.objective == SearchObjective::size) {
    QuantizationOptions settings = base.settings;
    settings.weight_bits = 4;
    settings.weight_range = "mse";
    settings.learn = true;
    std::vector<LearnedLayer> learned;
    four = quantize_calibrated(*base.calibrated, calibration, threads, settings, learned).weights;
  }
  const Mixtures mixtures(*base.calibrated, rewrite_options(base.settings, base.calibrated->graph),
                          base.quantized, four);
  check(!mixtures.layers().empty(), "no layer of the model can be quantized: there is nothing to search");
  const Dataset some = images.calibration.size() > kImagesOfNoise
                           ? images.calibration.split(kImagesOfNoise).chosen
                           : images.calibration;
  HeldBack few_images = held_back_images(some, preprocess, threads, false, 0, shown);
  Judge few(graph, few_images, threads), judge(graph, judged, threads);
  how.progress = shown;
  how.remember = [&](const auto& path, const auto& measure) { return journal.get(path, measure); };
  const SearchResult result = searched(mixtures, few, judge, how, threads);

  const Graph saved =
      saved_form(mixtures.made(result.tried[result.chosen].assigned), model.graph, preprocess, labels);
  const std::string written = result.within ? options.output : marked_name(options.output, "above-max-drop");
  throw_if_interrupted();
  write_file_atomically(written, to_onnx(saved, {.pack_weights = true}));
  if (options.common.json) {
    Json json{{"model", options.model},
              {"output", written},
              {"success", result.within},
              {"max_drop_points", options.max_drop},
              {"calibration_images", images.calibration.size()},
              {"judging_images", images.judged.size()},
              {"journal", options.journal_file()},
              {"found_in_journal", journal.found()},
              {"floats", options.precision},
              {"threads", threads.count()}};
    json.update(to_json(result, how.objective));
    json["walk"] = to_json(base);
    print_json(with_provenance("search", std::move(json)));
  } else {
    print(fmt::format("{}  calibrated on {} images, mixtures judged on {} others\n\n", options.model,
                      images.calibration.size(), images.judged.size()));
    print(search_text(result, how.objective));
    if (how.objective != SearchObjective::size)
      print(fmt::format("{}: measured in turn with the model all in int8, {} thread{}{}\n", options.objective,
                        threads.count(), threads.count() == 1 ? "" : "s",
                        metering ? "" : fmt::format(", medians of {} runs", options.rounds)));
    if (how.floats == Floats::bf16)
      print("layers in float were run in bfloat16: run the model with --precision bf16\n");
    print(fmt::format("what was measured is in '{}'\n\n", options.journal_file()));
    print(verdict_text(options, result, written));
  }
  return result.within ? kGood : kFailed;
}

}  // namespace

void add_search(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command = app.add_subcommand(
      "search", "Choose the precision of each layer: least cost within a bound on the drop in accuracy");
  command->add_option("model", options->model, "the float ONNX file")->required()->type_name("MODEL");
  command
      ->add_option(
          "--data", options->data,
          "images to calibrate on; those beyond --count judge what is tried, by their labels where they have "
          "some")
      ->required()
      ->type_name("DATA");
  command->add_option("-o,--output", options->output, "the model that is chosen")
      ->required()
      ->type_name("FILE");
  command->add_option("--max-drop", options->max_drop, "points of accuracy that may be lost")
      ->required()
      ->check(between(0.0, 100.0))
      ->type_name("POINTS");
  command
      ->add_option("--objective", options->objective,
                   "what is made least: latency or energy (layers in float, bfloat16 with --precision bf16, "
                   "or int8), or size (and 4-bit weights)")
      ->check(one_of({"latency", "energy", "size"}))
      ->capture_default_str();
  command->add_option("--count", options->count, "calibration images, spread evenly over the data")
      ->check(between(1, 1000000))
      ->capture_default_str();
  command->add_option("--limit", options->limit, "images to judge by at most")
      ->check(between(2, 1000000))
      ->capture_default_str();
  command->add_option("--mixtures", options->mixtures, "mixtures to measure, besides those of simple rules")
      ->check(between(2, 1000))
      ->capture_default_str();
  command->add_option("--runs", options->rounds, "runs of each for its latency")
      ->check(between(1, 100000))
      ->capture_default_str();
  command->add_option("--domain", options->domain, "of the meter, where it has no total")->type_name("NAME");
  command->add_option("--journal", options->journal, "what was measured (default: OUTPUT.search.json)")
      ->type_name("FILE");
  command->add_flag("--again", options->again, "begin anew, whatever the journal holds");
  command
      ->add_option("--class-offset", options->class_offset,
                   "output index of class 0 (1 where output 0 is a background class)")
      ->check(between(0, 100000))
      ->capture_default_str();
  command
      ->add_option(
          "--precision", options->precision,
          "of layers in float when they are measured: f32, or bf16 (the model is then to be run with it)")
      ->check(one_of({"f32", "bf16"}))
      ->capture_default_str();
  declare_quantization(*command, options->quantization);
  declare_common(*command, options->common);
  declare_meters(*command, options->meters);
  declare_shapes(*command, options->shapes);
  declare_preprocess(*command, options->preprocess);
  command->footer(
      "The same command goes on where an interrupted one stopped, and gives the same answer.\n"
      "The images that judge are used up: compare the result on others, with eke eval OUTPUT --against "
      "MODEL.\n"
      "Exit code 1 where nothing that was tried is within --max-drop: the best is then kept under another "
      "name.\n"
      "Examples:\n"
      "  eke search model.onnx --data photos/ --normalization imagenet --max-drop 0.5 -o model.mixed.onnx\n"
      "  eke search model.onnx --data photos/ --normalization tf --per-tensor --objective size --max-drop 1 "
      "-o "
      "small.onnx\n"
      "  eke search model.onnx --data photos/ --normalization tf --objective energy --meter rapl --max-drop "
      "1 -o "
      "cool.onnx");
  command->callback([options, &action] { action = [options] { return search(*options); }; });
}

}  // namespace eke::cli
