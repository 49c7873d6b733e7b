// eke eval: the accuracy of a model on labelled images or on pairs.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/energy_report.h"
#include "cli/evaluate.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/provenance.h"
#include "cli/simulation.h"
#include "cli/tuned.h"
#include "cli/worst_images.h"
#include "data/split.h"
#include "runtime/session.h"

namespace eke::cli {

namespace {

struct Options {
  std::string model, data, against, tuning;
  CommonOptions common;
  ShapeOptions shapes;
  PreprocessOptions preprocess;
  MeterOptions meters;
  SimulationOptions simulation;
  int class_offset = 0;
  std::size_t worst = 0;
  PerClass per_class;
  std::string precision = "f32";
};

// The images to evaluate on: all, or those that eke train kept for validation by the same two numbers.
Dataset open_evaluation(const Options& options, const std::vector<std::string>& labels) {
  if (options.per_class.per_class == 0) {
    return open_dataset(options.data, {.classes = labels, .part = "test"});
  }
  const PerClassParts parts = split_per_class(open_dataset(options.data), options.per_class);
  return labels.empty() ? parts.validation : with_classes(parts.validation, labels);
}

// The images that a model got wrong, by which runs are compared pair by pair.
Json wrong_json(const Classification& c, const Dataset& data, int class_offset) {
  Json list = Json::array();
  for (std::size_t i = 0; i < data.size(); ++i)
    if (!c.correct()[i])
      list.push_back({{"image", data.samples()[i].id},
                      {"class", data.samples()[i].label},
                      {"predicted", c.predictions()[i] - class_offset}});
  return list;
}

int class_of(const Dataset& data, std::int64_t row) {
  return data.samples()[static_cast<std::size_t>(row)].label;
}

// How far the best score is above that of the image's class.
float miss_of(const std::vector<float>& scores, int label) {
  return *std::ranges::max_element(scores) - scores.at(static_cast<std::size_t>(label));
}

std::string simulation_text(const Simulation& simulation) {
  if (simulation.engine.empty()) return "";
  std::string text = fmt::format("simulated: the arithmetic of {}", simulation.engine);
  if (simulation.calibration_images > 0)
    text += fmt::format(", after quantization on {} images", simulation.calibration_images);
  text += "\n";
  for (const ExportNote& note : simulation.notes)
    text += fmt::format("note: {}: {}\n", note.place, note.what);
  return text;
}

int eval(const Options& options) {
  const Model model = load_model(options.model);
  const Preprocess preprocess = resolve_preprocess(options.preprocess, model.graph);
  std::vector<std::string> labels = resolve_labels(options.preprocess, model.graph);
  const Dataset data = open_evaluation(options, labels);
  check(data.has_labels() || !data.pairs().empty(),
        "data '{}' has neither labels nor pairs, so there is no accuracy: give a folder per class, a CSV of "
        "file,class or of "
        "image_a,image_b,same, or an IDX file; to compare two models without labels use eke diff",
        options.data);
  const TunedModel tuned(options.tuning, model);
  const Threads threads(tuned.threads(options.common));
  const Simulation simulation =
      simulation_of(model, options.shapes, preprocess, labels, threads, options.simulation);
  if (labels.empty()) labels = data.classes();
  CompileOptions how = tuned.compile_options(simulation.graph, threads.count());
  how.floats = floats_of(options.precision);
  Session session(simulation.graph, threads, how);
  Scorer scorer(data, options.class_offset), other_scorer(data, options.class_offset);
  std::optional<Session> other;
  if (!options.against.empty())
    other.emplace(prepare(load_model(options.against).graph, options.shapes, &preprocess), threads);
  std::vector<Session*> sessions{&session};
  if (other) sessions.push_back(&*other);
  Metering metering(options.meters);
  std::optional<energy::Window> window = metering.begin("evaluation");
  std::vector<float> misses;
  for_each_row(sessions, DatasetRows(data, preprocess, threads), "evaluating", [&](const RowDone& done) {
    const std::vector<float> output = session.output_row(0, done.in_batch);
    scorer.add(done.row, output);
    if (data.has_labels()) misses.push_back(miss_of(output, class_of(data, done.row) + options.class_offset));
    if (other) other_scorer.add(done.row, other->output_row(0, done.in_batch));
  });
  const EnergyOf energy = finish(metering, window);
  const Scores scores = scorer.finish(), other_scores = other_scorer.finish();
  const std::optional<PairedComparison> paired = compare_scores(other_scores, scores);
  const auto images = static_cast<std::int64_t>(data.size());
  if (options.common.json) {
    Json json{{"model", options.model}, {"data", options.data}};
    if (!simulation.engine.empty()) {
      json["origin"] = "simulated";
      json["simulated"] = {{"engine", simulation.engine},
                           {"calibration_images", simulation.calibration_images},
                           {"notes", to_json(simulation.notes)}};
    }
    json.update(to_json(scores));
    json["images"] = data.size();
    if (paired) {
      json["against"] = {{"model", options.against}, {"scores", to_json(other_scores)}};
      json["difference"] = to_json(*paired);
    }
    json["energy"] = energy_json(energy, images, "image");
    json["classes"] = labels;
    if (scores.classification) {
      json["wrong"] = wrong_json(*scores.classification, data, options.class_offset);
      if (options.worst > 0)
        json["worst"] = worst_json(*scores.classification, misses, data, options.class_offset, options.worst);
    }
    print_json(with_provenance("eval", std::move(json)));
  } else {
    print(fmt::format("{} on {} images of {}\n", options.model, data.size(), options.data));
    print(simulation_text(simulation));
    print(scores_text(scores, labels));
    if (paired) {
      print(fmt::format("against {}: {}; {}\n", options.against, headline(other_scores),
                        difference_text(*paired)));
    }
    print(energy_line(energy, images, paired ? "image with both models" : "image"));
  }
  return kGood;
}

}  // namespace

void add_eval(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command = app.add_subcommand("eval", "Measure the accuracy of a model on labelled images or on pairs");
  command->add_option("model", options->model, "ONNX file")->required()->type_name("MODEL");
  command
      ->add_option("--data", options->data,
                   "a folder per class, a CSV (file,class or image_a,image_b,same), or an IDX file")
      ->required()
      ->type_name("DATA");
  command
      ->add_option("--against", options->against,
                   "another model: judged on the same images, with the difference and whether one was seen")
      ->type_name("MODEL");
  command
      ->add_option("--class-offset", options->class_offset,
                   "output index of class 0 (1 where output 0 is a background class)")
      ->check(between(0, 100000))
      ->capture_default_str();
  command
      ->add_option("--per-class", options->per_class.per_class,
                   "only classes with so many images, and the first so many of each by name")
      ->type_name("N");
  command
      ->add_option("--train-per-class", options->per_class.train_per_class,
                   "with --per-class: without the first so many, which eke train trains on")
      ->type_name("N");
  command
      ->add_option("--worst", options->worst,
                   "with --json: small pictures of so many images that it got most wrong")
      ->check(between(0, 1000))
      ->capture_default_str();
  command->add_option("--batch", options->shapes.batch, "where the model leaves it open")
      ->check(between(1, 65536))
      ->capture_default_str();
  declare_common(*command, options->common);
  declare_tuned(*command, options->tuning);
  declare_precision(*command, options->precision);
  declare_shapes(*command, options->shapes);
  declare_preprocess(*command, options->preprocess);
  declare_simulation(*command, options->simulation);
  declare_meters(*command, options->meters);
  command->footer(
      "Classes: top-1 and top-5 with 95 % Wilson intervals, and the confusion matrix. Pairs: cosine "
      "similarity of the\n"
      "first output; 10-fold accuracy, AUC, TAR at FAR 1e-2 and 1e-3.\n"
      "Examples:\n"
      "  eke eval model.int8.onnx --data validation/\n"
      "  eke eval model.onnx --data labels.csv --mean 127.5 --scale 127.5 --json\n"
      "  eke eval model.int8.onnx --data validation/ --against model.onnx\n"
      "  eke eval face.int8.onnx --data pairs.csv\n"
      "  eke eval model.int8.onnx --data validation/ --as dla-orin --against model.int8.onnx");
  command->callback([options, &action] { action = [options] { return eval(*options); }; });
}

}  // namespace eke::cli
