// eke explain: why an int8 model loses what it loses, layer by layer, with the option that helps.
#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/explanation_report.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/provenance.h"
#include "cli/quantization_options.h"
#include "ptq/walk.h"

namespace eke::cli {

namespace {

struct Options {
  std::string model, data;
  CommonOptions common;
  ShapeOptions shapes;
  PreprocessOptions preprocess;
  QuantizationOptions quantization;
  std::int64_t count = 100, images = 16;
};

int explain(const Options& options) {
  check_quantization(options.quantization);  // wrong flags first
  const Model model = load_model(options.model);
  const Preprocess preprocess = resolve_preprocess(options.preprocess, model.graph);
  const Dataset all = open_dataset(options.data);
  const auto wanted = static_cast<std::size_t>(options.count);
  const Dataset data = all.size() > wanted ? all.split(wanted).chosen : all;
  const Threads threads(thread_count(options.common));
  const Graph graph = prepare(model.graph, options.shapes, &preprocess);
  check_patterns(graph, options.quantization);
  const CalibrationParts parts = hold_back(data, options.quantization.effort != "fast");
  const OnProgress shown = shown_progress();
  CalibrationImages images(parts.calibration, preprocess, threads, shown);
  std::optional<HeldBack> held;
  if (parts.held_back) held.emplace(held_back_images(*parts.held_back, preprocess, threads, false, 0, shown));
  const Walk made =
      walk(graph, images, held ? &*held : nullptr, {options.quantization, std::nullopt, true}, threads);
  const Explanation explanation =
      explain_model(*made.calibrated, made.quantized, made.settings, images, options.images, false, threads);
  const std::vector<Culprit> culprits = culprits_of(explanation, made.settings);
  if (options.common.json) {
    Json json{{"model", options.model}, {"calibration_images", parts.calibration.size()}};
    json.update(to_json(explanation, culprits));
    json["ranges"] = ranges_json(made.calibrated->ranges);
    print_json(with_provenance("explain", std::move(json)));
  } else {
    print(fmt::format("{}  calibrated on {} images ({})\n\n", options.model, parts.calibration.size(),
                      options.quantization.calibrator));
    print(explanation_text(explanation, culprits));
  }
  return kGood;
}

}  // namespace

void add_explain(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command =
      app.add_subcommand("explain", "Say which layers an int8 model loses by, why, and what helps");
  command->add_option("model", options->model, "the float ONNX file")->required()->type_name("MODEL");
  command->add_option("--data", options->data, "images to calibrate on; no labels are needed")
      ->required()
      ->type_name("DATA");
  command->add_option("--count", options->count, "calibration images, spread evenly over the data")
      ->check(between(1, 1000000))
      ->capture_default_str();
  command->add_option("--images", options->images, "of them: images to measure on")
      ->check(between(1, 100000))
      ->capture_default_str();
  declare_quantization(*command, options->quantization);
  declare_common(*command, options->common);
  declare_shapes(*command, options->shapes);
  declare_preprocess(*command, options->preprocess);
  command->footer(
      "Takes the options of eke quantize, so that it explains the model that eke quantize would make with "
      "them.\n"
      "Examples:\n"
      "  eke explain model.onnx --data photos/ --mean 127.5 --scale 127.5\n"
      "  eke explain model.onnx --data photos/ --normalization imagenet --per-tensor --json");
  command->callback([options, &action] { action = [options] { return explain(*options); }; });
}

}  // namespace eke::cli
