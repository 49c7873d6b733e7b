// eke diff: where a quantized model drifts from the float one, layer by layer.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/provenance.h"
#include "cli/table.h"
#include "ptq/layer_diff.h"

namespace eke::cli {

namespace {

struct Options {
  std::string reference, test, data;
  CommonOptions common;
  ShapeOptions shapes;
  PreprocessOptions preprocess;
  std::int64_t count = 16;
};

std::string db_text(const Noise& noise) {
  return std::isfinite(noise.db()) ? fmt::format("{:.1f} dB", noise.db()) : "exact";
}
Json db_json(const Noise& noise) { return std::isfinite(noise.db()) ? Json(noise.db()) : Json(nullptr); }

bool identical(const std::vector<LayerNoise>& layers) {
  return std::all_of(layers.begin(), layers.end(),
                     [](const LayerNoise& l) { return l.accumulated.noise == 0; });
}

void report_json(const Options& options, const std::vector<LayerNoise>& layers, std::size_t images) {
  Json json{{"reference", options.reference},
            {"test", options.test},
            {"images", images},
            {"identical", identical(layers)},
            {"layers", Json::array()}};
  for (const LayerNoise& layer : layers) {
    json["layers"].push_back({{"value", layer.value},
                              {"operator", layer.op},
                              {"isolated_sqnr_db", db_json(layer.isolated)},
                              {"accumulated_sqnr_db", db_json(layer.accumulated)}});
  }
  print_json(with_provenance("diff", std::move(json)));
}

void report_text(const Options& options, const std::vector<LayerNoise>& layers, std::size_t images) {
  print(fmt::format(
      "{} against {} over {} images: signal to noise of each layer alone, and of all up to it\n\n",
      options.test, options.reference, images));
  double worst = std::numeric_limits<double>::infinity();
  for (const LayerNoise& layer : layers) worst = std::min(worst, layer.isolated.db());
  Table table(
      {{"value", Align::left, 50}, {"operator", Align::left}, {"alone"}, {"accumulated"}, {"", Align::left}});
  for (const LayerNoise& layer : layers) {
    const bool is_worst = std::isfinite(worst) && layer.isolated.db() == worst;
    table.add({layer.value, layer.op, db_text(layer.isolated), db_text(layer.accumulated),
               is_worst ? "the noisiest layer" : ""});
  }
  print(table.text());
  if (identical(layers)) print("\nthe models give the same bits\n");
}

int diff(const Options& options) {
  const Model reference = load_model(options.reference), test = load_model(options.test);
  const bool test_knows = test.graph.metadata.contains(std::string(kPreprocessKey));
  const Preprocess preprocess = resolve_preprocess(options.preprocess, (test_knows ? test : reference).graph);
  const Dataset all = open_dataset(options.data);
  const auto wanted = static_cast<std::size_t>(options.count);
  const Dataset data = all.size() > wanted ? all.split(wanted).chosen : all;
  const Threads threads(thread_count(options.common));
  LayerDiff layers(prepare(reference.graph, options.shapes, &preprocess),
                   prepare(test.graph, options.shapes, &preprocess), threads);
  const DatasetRows rows(data, preprocess, threads);
  std::vector<float> values(static_cast<std::size_t>(layers.row_size() * layers.batch()));
  Progress progress("comparing", rows.count());
  // Whole batches only, so that no zero row counts as an image.
  check(rows.count() >= layers.batch(), "{} images do not fill a batch of {}", rows.count(), layers.batch());
  for (std::int64_t begin = 0; begin + layers.batch() <= rows.count(); begin += layers.batch()) {
    rows.read(begin, begin + layers.batch(), values);
    layers.add(values);
    progress.update(begin + layers.batch());
  }
  if (options.common.json) {
    report_json(options, layers.layers(), data.size());
  } else {
    report_text(options, layers.layers(), data.size());
  }
  return kGood;
}

}  // namespace

void add_diff(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command =
      app.add_subcommand("diff", "Show layer by layer where a quantized model drifts from the float one");
  command->add_option("reference", options->reference, "the float model")->required()->type_name("A.onnx");
  command->add_option("test", options->test, "the model made from it")->required()->type_name("B.onnx");
  command->add_option("--data", options->data, "images")->required()->type_name("DATA");
  command->add_option("--count", options->count, "images to use, spread evenly over the data")
      ->check(between(1, 100000))
      ->capture_default_str();
  declare_common(*command, options->common);
  declare_shapes(*command, options->shapes);
  declare_preprocess(*command, options->preprocess);
  command->footer(
      "Layers are matched by the names of their values. 'alone' feeds a layer of B with A's values; "
      "'accumulated' runs all of B.\n"
      "Examples:\n"
      "  eke diff model.onnx model.int8.onnx --data photos/\n"
      "  eke diff model.onnx model.int8.onnx --data photos/ --count 64 --json");
  command->callback([options, &action] { action = [options] { return diff(*options); }; });
}

}  // namespace eke::cli
