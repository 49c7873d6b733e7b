#include "ptq/saved_form.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/error.h"
#include "ops/infer.h"

namespace eke {

namespace {

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

}  // namespace

void check_output(const std::string& model, const std::string& output, std::string_view option) {
  if (output.empty()) throw UsageError(fmt::format("{}: give the name of a file", option));
  const std::filesystem::path folder = std::filesystem::path(output).parent_path();
  check(folder.empty() || std::filesystem::is_directory(folder), "cannot write '{}': there is no folder '{}'",
        output, folder.string());
  check(!std::filesystem::is_directory(output), "cannot write '{}': it is a folder", output);
  std::error_code none;
  check(!std::filesystem::exists(output, none) || std::filesystem::is_regular_file(output, none),
        "cannot write '{}': it is not a regular file", output);
  if (std::filesystem::equivalent(model, output, none))
    throw UsageError(fmt::format("{} '{}' would replace the float model: give another name", option, output));
}

std::string marked_name(const std::string& path, const std::string& mark) {
  const std::filesystem::path p(path);
  return (p.parent_path() / (p.stem().string() + "." + mark + p.extension().string())).string();
}

void store_preprocess(Graph& graph, const Preprocess& preprocess, const std::vector<std::string>& labels) {
  graph.metadata[std::string(kPreprocessKey)] = preprocess_to_json(preprocess);
  if (!labels.empty()) graph.metadata[std::string(kLabelsKey)] = labels_to_json(labels);
}

Graph saved_form(Graph graph, const Graph& original, const Preprocess& preprocess,
                 const std::vector<std::string>& labels) {
  Graph saved = with_open_batch(std::move(graph), original);
  saved.metadata.insert(original.metadata.begin(), original.metadata.end());
  store_preprocess(saved, preprocess, labels);
  return saved;
}

bool has_output_for_each(const Graph& graph, const Dataset& data, int class_offset) {
  const Shape& shape = graph[graph.outputs.at(0)].type.shape;
  const std::int64_t outputs = shape.rank() > 1 && shape[0] > 0 ? shape.count() / shape[0] : shape.count();
  return static_cast<std::int64_t>(data.classes().size()) + class_offset <= outputs;
}

}  // namespace eke
