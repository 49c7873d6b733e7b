// eke train: a network for the classes of a folder of images, from one that knows others, or from scratch.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>

#include "base/file.h"
#include "cli/command.h"
#include "cli/energy_report.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/provenance.h"
#include "cli/table.h"
#include "cli/tuning.h"
#include "data/metrics.h"
#include "data/split.h"
#include "learn/run_images.h"
#include "learn/run_lock.h"
#include "learn/transfer.h"
#include "onnx/onnx.h"
#include "ptq/saved_form.h"

namespace eke::cli {

namespace {

struct Options {
  std::string model = "-", data, evaluation, output;
  CommonOptions common;
  PreprocessOptions preprocess;
  MeterOptions meters;
  // data
  double validation = 0.2;
  std::size_t per_class = 0, train_per_class = 0;
  std::int64_t seed = 1;
  // head
  std::string head = "linear", features_at, backbone = "int8", feature_file;
  bool from_scratch = false;
  double penalty = 0;
  TuningOptions tuning;
};

Graph read_model(const std::string& path) {
  if (path != "-") return load_model(path).graph;
  const std::string bytes{std::istreambuf_iterator<char>(std::cin), {}};
  check(!bytes.empty(),
        "no model came through standard input: name a file, or pipe one as in eke new NAME | eke train");
  return with_context([] { return std::string("standard input"); },
                      [&] { return parse_onnx(std::as_bytes(std::span(bytes))); });
}

// A size that the user gives replaces one that the model fixes.
void open_image_extents(Graph& graph, const PreprocessOptions& options) {
  if (options.size.empty() || graph.inputs.size() != 1) return;
  Value& input = graph[graph.inputs[0]];
  if (input.type.shape.rank() != 4) return;
  const bool channels_last = input.type.shape[3] == 1 || input.type.shape[3] == 3;
  for (const int axis : channels_last ? std::array{1, 2} : std::array{2, 3})
    input.type.shape[axis] = kDynamic;
}

struct Parts {
  Dataset train;
  std::optional<Dataset> validation;
  std::size_t empty_classes = 0;
};

Parts open_parts(const Options& options) {
  const Dataset all = open_dataset(options.data, {.part = "train"});
  check(all.has_labels(),
        "data '{}' has no classes: give a folder per class, a CSV of file,class, or IDX files", options.data);
  if (options.per_class > 0) {
    PerClassParts parts = split_per_class(all, {options.per_class, options.train_per_class});
    return {std::move(parts.train), std::move(parts.validation)};
  }
  const Dataset data = without_empty_classes(all);
  const std::size_t empty = all.classes().size() - data.classes().size();
  if (!options.evaluation.empty()) {
    return {data, with_classes(open_dataset(options.evaluation, {.part = "test"}), data.classes()), empty};
  }
  const auto seed = static_cast<std::uint64_t>(options.seed);
  const TrainValidation split = split_by_class(data, options.validation, seed);
  if (split.validation.empty()) return {data, std::nullopt, empty};
  return {data.select(split.train), data.select(split.validation), empty};
}

// The classes of a model whose head stays, in its order.
void take_classes(Parts& parts, const std::vector<std::string>& labels) {
  if (labels.empty()) return;
  parts.train = with_classes(parts.train, labels);
  if (parts.validation) parts.validation = with_classes(*parts.validation, labels);
}

struct Result {
  const Options& options;
  std::size_t classes = 0, empty_classes = 0, single_classes = 0, train_images = 0, validation_images = 0;
  std::vector<std::string> unreadable = {};
  std::optional<Transferred> head = std::nullopt;
  std::optional<std::size_t> head_validated = std::nullopt;  // of the float network
  std::optional<FineTuned> tuned = std::nullopt;
  std::optional<QuantAware> quantized = std::nullopt;
  std::optional<std::size_t> validated = std::nullopt;
  EnergyOf energy = {};
  std::vector<EnergyOf> epoch_energy = {};  // of the last epochs of training: those of this process
  double seconds = 0;
  std::int64_t bytes = 0;
};

double share(std::size_t part, std::size_t of) {
  return static_cast<double>(part) / static_cast<double>(std::max<std::size_t>(of, 1));
}

std::string score_text(std::size_t correct, std::size_t of) {
  const Interval interval =
      wilson_interval(static_cast<std::int64_t>(correct), static_cast<std::int64_t>(of));
  return fmt::format("{} ({} of {}; {:.2f} to {:.2f})", percent_text(share(correct, of)), correct, of,
                     100 * interval.low, 100 * interval.high);
}

Json score_json(std::size_t correct, std::size_t of) {
  const Interval interval =
      wilson_interval(static_cast<std::int64_t>(correct), static_cast<std::int64_t>(of));
  return {{"accuracy", share(correct, of)},
          {"correct", correct},
          {"images", of},
          {"low", interval.low},
          {"high", interval.high}};
}

const FineTuned* tuning_of(const Result& r) {
  if (r.quantized) return &r.quantized->tuned;
  return r.tuned ? &*r.tuned : nullptr;
}

// Null for an epoch that another process did.
const EnergyOf* epoch_energy(const Result& r, std::size_t index) {
  const std::size_t before = tuning_of(r)->epochs.size() - r.epoch_energy.size();
  return index < before ? nullptr : &r.epoch_energy[index - before];
}

Json step_json(std::vector<double> seconds) {
  std::ranges::sort(seconds);
  const auto at = [&](double part) {
    return 1000 * seconds[static_cast<std::size_t>(part * static_cast<double>(seconds.size() - 1))];
  };
  return {
      {"steps", seconds.size()}, {"least", at(0)}, {"p10", at(0.1)}, {"median", at(0.5)}, {"p90", at(0.9)}};
}

Json tuning_json(const Result& r, const FineTuned& tuned) {
  Json json{{"epochs", Json::array()},
            {"best_epoch", tuned.best_epoch},
            {"resumed_at_step", tuned.resumed_at_step},
            {"stopped_early", tuned.stopped_early},
            {"precision", r.options.tuning.precision},
            {"planned_bytes", tuned.planned_bytes},
            {"recomputed_share", tuned.recomputed_share}};
  if (!tuned.step_seconds.empty()) json["step_ms"] = step_json(tuned.step_seconds);
  for (const EpochRecord& e : tuned.epochs) {
    Json epoch{{"epoch", e.epoch}, {"loss", e.loss}, {"accuracy", e.accuracy}};
    if (e.validated) epoch["validated"] = *e.validated;
    if (const EnergyOf* energy = epoch_energy(r, json["epochs"].size()))
      epoch["energy"] = energy_json(*energy, static_cast<std::int64_t>(r.train_images), "image");
    json["epochs"].push_back(std::move(epoch));
  }
  return json;
}

bool is_simulated(const Result& r) { return r.quantized && !r.options.tuning.engine.as.empty(); }

Json report_json(const Result& r) {
  Json json{{"model", r.options.model},
            {"output", r.options.output},
            {"classes", r.classes},
            {"train_images", r.train_images},
            {"validation_images", r.validation_images},
            {"unreadable_images", r.unreadable},
            {"classes_without_images", r.empty_classes},
            {"classes_with_one_image", r.single_classes},
            {"seed", r.options.seed},
            {"seconds", r.seconds},
            {"bytes", r.bytes}};
  json["energy"] = energy_json(r.energy, static_cast<std::int64_t>(r.train_images), "image");
  if (r.head) {
    json["head"] = {{"kind", r.options.head},
                    {"features", r.head->place.features},
                    {"feature_size", r.head->feature_size},
                    {"backbone", r.options.backbone},
                    {"features_from_disk", r.head->features_from_disk},
                    {"feature_seconds", r.head->feature_seconds},
                    {"calibration_seconds", r.head->calibration_seconds},
                    {"head_seconds", r.head->head_seconds},
                    {"train", score_json(r.head->train_correct, r.train_images)}};
    if (r.head->validation_correct) {
      json["head"]["validation_by_features"] = score_json(*r.head->validation_correct, r.validation_images);
    }
    if (r.head_validated) json["head"]["validation"] = score_json(*r.head_validated, r.validation_images);
  }
  if (const FineTuned* tuned = tuning_of(r)) json["fine_tuning"] = tuning_json(r, *tuned);
  if (r.quantized) {
    json["quantization"] = {{"weights", r.options.tuning.per_tensor ? "per tensor" : "per channel"},
                            {"calibrator", r.options.tuning.calibrator},
                            {"equalize", r.options.tuning.equalize},
                            {"float", score_json(r.quantized->float_correct, r.validation_images)},
                            {"post_training", score_json(r.quantized->start_correct, r.validation_images)},
                            {"trained", score_json(r.quantized->correct, r.validation_images)},
                            {"helped", r.quantized->tuned.best_epoch > 0}};
    if (is_simulated(r)) {
      json["quantization"]["origin"] = "simulated";
      json["quantization"]["simulated"] = {{"engine", to_string(resolve_engine(r.options.tuning.engine))}};
    }
  }
  if (r.validated) json["validation"] = score_json(*r.validated, r.validation_images);
  if (r.validated && is_simulated(r)) json["validation"]["origin"] = "simulated";
  return json;
}

std::string quantization_text(const Result& r) {
  const QuantAware& q = *r.quantized;
  const std::size_t of = r.validation_images;
  const std::string simulated = is_simulated(r)
                                    ? fmt::format("simulated   int8 by the arithmetic of {}\n",
                                                  to_string(resolve_engine(r.options.tuning.engine)))
                                    : std::string();
  return simulated +
         fmt::format(
             "validation  float                     {}\n"
             "            int8, post-training       {}\n"
             "            int8, after {:<3} epochs    {}\n",
             score_text(q.float_correct, of), score_text(q.start_correct, of), q.tuned.epochs.size(),
             q.tuned.best_epoch > 0
                 ? fmt::format("{}, the best is epoch {}", score_text(q.correct, of), q.tuned.best_epoch)
                 : "none better: training did not help, and the post-training model is kept");
}

void report_text(const Result& r) {
  print(fmt::format("{} classes, {} images to train, {} to validate\n", r.classes, r.train_images,
                    r.validation_images));
  for (const std::string& why : r.unreadable) print(paint(Colour::bad, "skipped") + ": " + why + "\n");
  if (r.empty_classes > 0) print(fmt::format("{} classes without images are left out\n", r.empty_classes));
  if (r.single_classes > 0) {
    print(fmt::format("{} classes have one image: it trains, nothing validates them\n", r.single_classes));
  }
  if (r.head) {
    print(fmt::format("features    {} numbers at '{}' by the {} network, {}\n", r.head->feature_size,
                      r.head->place.features, r.options.backbone,
                      r.head->features_from_disk ? std::string("from disk")
                                                 : fmt::format("in {:.2f} s", r.head->feature_seconds)));
    print(fmt::format("head        {}, in {:.2f} s; of the training images {}\n", r.options.head,
                      r.head->head_seconds, percent_text(share(r.head->train_correct, r.train_images))));
    if (r.head->validation_correct) {
      print(fmt::format("            validation by {} features {}\n", r.options.backbone,
                        score_text(*r.head->validation_correct, r.validation_images)));
      print(fmt::format("            validation of the float model {}\n",
                        score_text(*r.head_validated, r.validation_images)));
    }
  }
  if (r.tuned) {
    print(fmt::format("fine-tuning {} epochs{}, {}\n", r.tuned->epochs.size(),
                      r.tuned->stopped_early ? " (stopped early)" : "",
                      r.tuned->best_epoch > 0 ? fmt::format("the best is {}", r.tuned->best_epoch)
                                              : "none better than the new head alone, which is kept"));
    if (r.validated)
      print(fmt::format("            validation {}\n", score_text(*r.validated, r.validation_images)));
  }
  if (r.quantized) print(quantization_text(r));
  if (tuning_of(r) && r.validation_images > 0) {
    print(
        "the best epoch was chosen on these validation images: other images tell how it does on new "
        "ones\n");
  }
  print(energy_line(r.energy, static_cast<std::int64_t>(r.train_images), "training image"));
  print(laps_line(r.epoch_energy, "epoch"));
  print(paint(Colour::good, "written") + fmt::format(" to '{}' in {:.1f} s\n", r.options.output, r.seconds));
}

void check_options(const Options& options) {
  const std::filesystem::path folder = std::filesystem::path(options.output).parent_path();
  check(folder.empty() || std::filesystem::is_directory(folder), "cannot write '{}': there is no folder '{}'",
        options.output, folder.string());
  check(!std::filesystem::is_directory(options.output), "cannot write '{}': it is a folder", options.output);
  if ((options.per_class > 0) != (options.train_per_class > 0)) {
    throw UsageError(
        "--per-class and --train-per-class belong together: so many images a class, the first of them "
        "to train");
  }
  check_tuning(options.tuning);
  parse_head_kind(options.head);
}

void describe_images(Result& result, const Parts& parts, const FittedImages& train,
                     const FittedImages* validation) {
  result.classes = train.dataset().classes().size();
  result.empty_classes = parts.empty_classes;
  const std::vector<std::size_t> counts = class_counts(train.dataset());
  result.single_classes = static_cast<std::size_t>(std::ranges::count(counts, std::size_t{1}));
  result.train_images = train.size();
  result.validation_images = validation ? validation->size() : 0;
  result.unreadable = train.unreadable();
  if (validation) {
    result.unreadable.insert(result.unreadable.end(), validation->unreadable().begin(),
                             validation->unreadable().end());
  }
}

Graph fit_new_head(Result& result, const Graph& graph, const FittedImages& train,
                   const FittedImages* validation, const Threads& threads) {
  const Options& options = result.options;
  TransferOptions transfer;
  transfer.head.kind = parse_head_kind(options.head);
  transfer.head.penalty = options.penalty;
  transfer.features_at = options.features_at;
  transfer.backbone = options.backbone == "int8" ? BackboneKind::int8 : BackboneKind::f32;
  transfer.feature_file = options.feature_file == "none" ? ""
                          : options.feature_file.empty() ? options.output + ".features"
                                                         : options.feature_file;
  Progress progress("features of images", static_cast<std::int64_t>(train.size()));
  result.head = train_head(graph, train, validation, transfer, threads, [&](std::size_t done, std::size_t) {
    progress.update(static_cast<std::int64_t>(std::min(done, train.size())));
  });
  if (validation) result.head_validated = count_correct(result.head->graph, *validation, threads);
  return result.head->graph;
}

// Right before fine-tuning, a network that was as good already: the better one is kept.
bool head_was_better(const Result& r) {
  return r.tuned && r.validated && r.head_validated && *r.head_validated > *r.validated;
}

int train(const Options& options) {
  check_options(options);
  const auto begin = std::chrono::steady_clock::now();
  Graph graph = read_model(options.model);
  open_image_extents(graph, options.preprocess);
  const Preprocess preprocess = resolve_preprocess(options.preprocess, graph);
  graph = opened_for(std::move(graph), preprocess);
  const RunLock lock(options.output + ".lock");
  Metering metering(options.meters);
  std::optional<energy::Window> window = metering.begin("training");
  const Threads threads(thread_count(options.common));
  Parts parts = open_parts(options);
  if (options.tuning.quantized) take_classes(parts, resolve_labels(options.preprocess, graph));
  const FittedImages train(parts.train, preprocess, threads);
  std::optional<FittedImages> held_out;
  if (parts.validation) held_out.emplace(*parts.validation, preprocess, threads);
  const FittedImages* validation = held_out ? &*held_out : nullptr;
  Result result{.options = options};
  describe_images(result, parts, train, validation);
  throw_if_interrupted();

  const bool keeps_head = options.from_scratch || options.model == "-" || options.tuning.quantized;
  if (!keeps_head) graph = fit_new_head(result, graph, train, validation, threads);
  Laps epochs(metering, "epoch");
  if (options.tuning.asked()) {
    if (result.head) graph = ready_to_tune(*result.head);
    result.tuned = tune(std::move(graph), train, validation, options.tuning,
                        static_cast<std::uint64_t>(options.seed), options.output, threads, epochs);
    graph = std::move(result.tuned->graph);
  }
  if (options.tuning.quantized) {
    check(validation != nullptr,
          "--qat needs validation images to judge the int8 model by: give --validation or --eval");
    result.quantized =
        tune_quantized(graph, train, *validation, options.tuning, static_cast<std::uint64_t>(options.seed),
                       options.output, threads, epochs);
    graph = result.quantized->graph;
    result.validated = result.quantized->correct;
  } else if (validation) {
    result.validated = result.tuned ? count_correct(graph, *validation, threads) : result.head_validated;
  }
  if (head_was_better(result)) {
    graph = std::move(result.head->graph);
    result.tuned->best_epoch = 0;
    result.validated = result.head_validated;
  }
  store_preprocess(graph, preprocess, train.dataset().classes());
  const std::string bytes = to_onnx(graph);
  result.bytes = static_cast<std::int64_t>(bytes.size());
  result.energy = finish(metering, window);
  result.epoch_energy = epochs.finish();
  write_file_atomically(options.output, bytes);
  std::error_code ignored;
  std::filesystem::remove(checkpoint_path(options.output), ignored);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (options.common.json) {
    print_json(with_provenance("train", report_json(result)));
  } else {
    report_text(result);
  }
  return kGood;
}

void declare_data(App& app, Options& options) {
  const std::string group = "Data";
  app.add_option("--validation", options.validation, "part of each class that validates, chosen by the seed")
      ->group(group)
      ->check(between(0.0, 0.9))
      ->capture_default_str();
  app.add_option("--eval", options.evaluation, "validate on this data instead")
      ->group(group)
      ->type_name("DATA");
  app.add_option("--per-class", options.per_class,
                 "only classes with so many images, and the first so many of each by name")
      ->group(group)
      ->type_name("N");
  app.add_option("--train-per-class", options.train_per_class,
                 "with --per-class: the first so many train, the others validate")
      ->group(group)
      ->type_name("N");
  app.add_option("--seed", options.seed, "decides splits, order and augmentation")
      ->group(group)
      ->check(not_negative())
      ->capture_default_str();
}

void declare_head(App& app, Options& options) {
  const std::string group = "The new head, on the frozen network";
  app.add_option("--head", options.head, "linear, ridge, centroid or arcface")
      ->group(group)
      ->capture_default_str();
  app.add_option("--penalty", options.penalty, "of linear: weight decay; of ridge: the penalty (0: chosen)")
      ->group(group)
      ->check(not_negative())
      ->capture_default_str();
  app.add_option("--features-at", options.features_at, "value that the head reads (default: found)")
      ->group(group)
      ->type_name("VALUE");
  app.add_option("--backbone", options.backbone, "computes the features in int8 or float")
      ->group(group)
      ->check(one_of({"int8", "float"}))
      ->capture_default_str();
  app.add_option("--features", options.feature_file,
                 "keeps the features for the next time (default: OUTPUT.features; none: nowhere)")
      ->group(group)
      ->type_name("FILE");
  app.add_flag("--from-scratch", options.from_scratch,
               "no new head: train the one that the model has (always so for a model from standard input)")
      ->group(group);
}

}  // namespace

void add_train(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command = app.add_subcommand("train", "Teach a network new classes, or train one from scratch");
  command->add_option("model", options->model, "ONNX file (default: standard input)")->type_name("MODEL");
  command->add_option("--data", options->data, "a folder per class, a CSV of file,class, or IDX files")
      ->required()
      ->type_name("DATA");
  command->add_option("-o,--output", options->output, "the trained model")->required()->type_name("FILE");
  declare_data(*command, *options);
  declare_head(*command, *options);
  declare_tuning(*command, options->tuning);
  declare_quant_aware(*command, options->tuning);
  declare_common(*command, options->common);
  declare_preprocess(*command, options->preprocess);
  declare_meters(*command, options->meters);
  command->footer(
      "Ctrl-C leaves a checkpoint beside the output; the same command with --resume goes on and ends with "
      "the same "
      "model.\n"
      "Examples:\n"
      "  eke train base.onnx --data faces/ -o mine.onnx\n"
      "  eke train face.onnx --data faces/ --head ridge --epochs 0 -o mine.onnx\n"
      "  eke train base.onnx --data faces/ --precision bf16 -o mine.onnx\n"
      "  eke train mine.onnx --data faces/ --qat -o mine.int8.onnx\n"
      "  eke train fitted.onnx --data faces/ --qat --as dla-orin --tensorrt 8.6 -o mine.int8.onnx\n"
      "  eke new resnet8 --classes 10 | eke train --data fashion-mnist --epochs 15 -o fashion.onnx");
  command->callback([options, &action] { action = [options] { return train(*options); }; });
}

}  // namespace eke::cli
