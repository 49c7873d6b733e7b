// eke run: images (or an .npy batch) through a model: classes, embeddings or raw outputs.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/file.h"
#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/tuned.h"
#include "data/metrics.h"
#include "data/npy.h"
#include "ops/infer.h"
#include "passes/passes.h"
#include "runtime/session.h"

namespace eke::cli {

namespace {

struct Options {
  std::string model, raw, tuning;
  std::vector<std::string> inputs;
  CommonOptions common;
  ShapeOptions shapes;
  PreprocessOptions preprocess;
  int top = 5;
  bool embedding = false, with_input = false;
  std::string precision = "f32";
};

bool is_npy_name(const std::string& path) { return path.ends_with(".npy"); }

// A file name for an output: what is not plain becomes '_'.
std::string file_name_of(std::string name) {
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '.' || c == '-';
    if (!plain) c = '_';
  }
  return name + ".npy";
}

// Outputs of all rows, joined along the batch.
class RawOutputs {
 public:
  RawOutputs(const Session& session, std::int64_t rows) : rows_(rows) {
    for (const Tensor& tensor : session.outputs()) {
      Shape shape = tensor.shape();
      if (shape.rank() > 0 && shape[0] == session.batch()) shape[0] = rows;
      tensors_.emplace_back(DType::f32, shape);
    }
  }

  void take(const Session& session, std::int64_t row, std::int64_t in_batch) {
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const std::vector<float> values = session.output_row(i, in_batch);
      const std::int64_t at =
          tensors_[i].count() == rows_ * static_cast<std::int64_t>(values.size()) ? row : 0;
      std::copy(values.begin(), values.end(),
                tensors_[i].mutable_values<float>().begin() + at * static_cast<std::int64_t>(values.size()));
    }
  }

  const std::vector<Tensor>& tensors() const { return tensors_; }

 private:
  std::int64_t rows_;
  std::vector<Tensor> tensors_;
};

Json class_json(const std::vector<float>& scores, int top, const std::vector<std::string>& labels) {
  Json json = Json::array();
  for (int index : top_k(scores, top)) {
    Json entry{{"class", index}, {"score", scores[static_cast<std::size_t>(index)]}};
    if (static_cast<std::size_t>(index) < labels.size())
      entry["label"] = labels[static_cast<std::size_t>(index)];
    json.push_back(std::move(entry));
  }
  return json;
}

// How many outputs look like probabilities of one choice.
bool are_probabilities(const std::vector<float>& scores) {
  double sum = 0;
  for (float score : scores) {
    if (!(score >= 0)) return false;
    sum += static_cast<double>(score);
  }
  return std::abs(sum - 1) < 0.02;
}

void print_classes(const std::string& name, const std::vector<float>& scores, int top,
                   const std::vector<std::string>& labels) {
  const bool probabilities = are_probabilities(scores);
  print(paint(Colour::bold, printable(name)) + "\n");
  for (int index : top_k(scores, top)) {
    const float score = scores[static_cast<std::size_t>(index)];
    const std::string label =
        static_cast<std::size_t>(index) < labels.size() ? " " + labels[static_cast<std::size_t>(index)] : "";
    print(fmt::format("  {:>9}  class {:<5}{}\n",
                      probabilities ? percent_text(static_cast<double>(score)) : fmt::format("{:.4f}", score),
                      index, label));
  }
}

// Dynamic extents as the array has them, its first extent being the number of rows.
Graph bind_to_array(const Graph& graph, const ShapeOptions& options, const Shape& array) {
  check(graph.inputs.size() == 1, "the model has {} inputs and one array is given", graph.inputs.size());
  const Shape& wanted = graph[graph.inputs[0]].type.shape;
  check(wanted.rank() == array.rank(), "the array has shape {} and input '{}' wants {}", to_string(array),
        graph[graph.inputs[0]].name, to_string(wanted));
  if (!options.shapes.empty() || !wanted.is_dynamic()) return prepare(graph, options);
  Bindings bindings;
  Shape shape = array;
  shape[0] = wanted[0] == kDynamic ? options.batch : wanted[0];
  bindings.shapes[""] = shape;
  return optimize(specialize(graph, bindings));
}

// What one command line feeds: one array, or any number of images and folders.
struct Inputs {
  std::vector<Dataset> data;
  std::vector<std::unique_ptr<RowSource>> sources;
  Graph bound;
};

Inputs open_inputs(const Options& options, const Graph& graph, const Threads& threads) {
  Inputs inputs;
  if (is_npy_name(options.inputs[0])) {
    if (options.inputs.size() != 1) throw UsageError("one .npy batch at a time");
    auto array = std::make_unique<ArrayRows>(options.inputs[0]);
    inputs.bound = bind_to_array(graph, options.shapes, array->shape());
    inputs.sources.push_back(std::move(array));
    return inputs;
  }
  const Preprocess preprocess = resolve_preprocess(options.preprocess, graph);
  inputs.bound = prepare(graph, options.shapes, &preprocess);
  for (const std::string& path : options.inputs) inputs.data.push_back(open_dataset(path));
  for (const Dataset& data : inputs.data)
    inputs.sources.push_back(std::make_unique<DatasetRows>(data, preprocess, threads));
  return inputs;
}

Json show(const Options& options, const std::string& name, const std::vector<float>& values,
          const std::vector<std::string>& labels) {
  check_finite(values, name);
  if (options.common.json) {
    if (options.embedding) return {{"input", name}, {"embedding", values}};
    return {{"input", name}, {"top", class_json(values, options.top, labels)}};
  }
  if (options.embedding) {
    print(fmt::format("{}: {}\n", printable(name), fmt::join(values, " ")));
  } else {
    print_classes(name, values, options.top, labels);
  }
  return {};
}

// What the model was fed, as one batch.
Json write_input(const Options& options, const Session& session, const Inputs& inputs, std::int64_t rows) {
  Shape shape = session.plan().input_types().at(0).shape;
  shape[0] = rows;
  Tensor batch(DType::f32, shape);
  std::span<float> left = batch.mutable_values<float>();
  for (const auto& source : inputs.sources) {
    const auto size = static_cast<std::size_t>(source->count() * session.row_size());
    source->read(0, source->count(), left.first(size));
    left = left.subspan(size);
  }
  const std::string path = (std::filesystem::path(options.raw) / "input.npy").string();
  write_npy(path, batch.view());
  if (!options.common.json) print(fmt::format("input  {}  {}\n", to_string(shape), path));
  return {{"input", "input"}, {"file", path}, {"shape", shape.dims()}};
}

std::vector<std::string> output_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const ValueId id : graph.outputs) names.push_back(graph[id].name);
  return names;
}

Json write_raw(const Options& options, const std::vector<std::string>& names,
               const std::vector<Tensor>& tensors) {
  Json json = Json::array();
  std::filesystem::create_directories(options.raw);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::string& name = names[i];
    const std::string path = (std::filesystem::path(options.raw) / file_name_of(name)).string();
    write_npy(path, tensors[i].view());
    json.push_back({{"output", name}, {"file", path}, {"shape", tensors[i].shape().dims()}});
    if (!options.common.json) print(fmt::format("{}  {}  {}\n", name, to_string(tensors[i].shape()), path));
  }
  return json;
}

int run(const Options& options) {
  Model model = load_model(options.model);
  const std::vector<std::string> labels = resolve_labels(options.preprocess, model.graph);
  const TunedModel tuned(options.tuning, model);
  const Threads threads(tuned.threads(options.common));
  Inputs inputs = open_inputs(options, model.graph, threads);
  model.graph = {};  // a device may have no room for weights beside their packed form
  CompileOptions how = tuned.compile_options(inputs.bound, threads.count());
  how.floats = floats_of(options.precision);
  const std::vector<std::string> outputs = output_names(inputs.bound);
  Session session(std::move(inputs.bound), threads, how);
  Session* const sessions[] = {&session};
  std::int64_t rows = 0;
  for (const auto& source : inputs.sources) rows += source->count();
  RawOutputs raw(session, options.raw.empty() ? 0 : rows);
  Json json = Json::array();
  std::int64_t first = 0;
  for (const auto& source : inputs.sources) {
    for_each_row(sessions, *source, "running", [&](const RowDone& done) {
      if (!options.raw.empty()) return raw.take(session, first + done.row, done.in_batch);
      Json shown = show(options, source->name(done.row), session.output_row(0, done.in_batch), labels);
      if (options.common.json) json.push_back(std::move(shown));
    });
    first += source->count();
  }
  if (!options.raw.empty()) json = write_raw(options, outputs, raw.tensors());
  if (options.with_input) json.push_back(write_input(options, session, inputs, rows));
  if (options.common.json) print_json(json);
  return kGood;
}

}  // namespace

void add_run(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command = app.add_subcommand("run", "Run images through a model: classes, embeddings or raw outputs");
  command->add_option("model", options->model, "ONNX file")->required()->type_name("MODEL");
  command
      ->add_option("inputs", options->inputs,
                   "images, folders of images, or one .npy batch as the network takes it")
      ->required()
      ->type_name("INPUT...");
  command->add_option("--top", options->top, "classes to show")
      ->check(between(1, 1000))
      ->capture_default_str();
  Option* embedding =
      command->add_flag("--embedding", options->embedding, "print the whole first output of each image");
  Option* raw =
      command->add_option("--raw", options->raw, "write every output as an .npy file into this folder")
          ->type_name("FOLDER")
          ->excludes(embedding);
  command
      ->add_flag("--with-input", options->with_input,
                 "with --raw: also write the prepared images as input.npy, for other engines")
      ->needs(raw);
  command->add_option("--batch", options->shapes.batch, "where the model leaves it open")
      ->check(between(1, 65536))
      ->capture_default_str();
  declare_common(*command, options->common);
  declare_tuned(*command, options->tuning);
  declare_precision(*command, options->precision);
  declare_shapes(*command, options->shapes);
  declare_preprocess(*command, options->preprocess);
  command->footer(
      "Examples:\n"
      "  eke run model.int8.onnx cat.jpg dog.png --top 3\n"
      "  eke run model.onnx cat.jpg --normalization tf --labels labels.txt\n"
      "  eke run face.onnx a.jpg b.jpg --embedding --json\n"
      "  eke run model.onnx batch.npy --raw outputs/");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace eke::cli
