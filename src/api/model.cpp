#include "eke/model.h"

#include <cmath>
#include <optional>

#include "base/threads.h"
#include "data/preprocess.h"
#include "onnx/onnx.h"
#include "ops/infer.h"
#include "passes/passes.h"
#include "runtime/compile.h"
#include "tensor/values.h"

namespace eke {

namespace {

Graph bound(Graph graph, std::int64_t batch, const std::optional<Preprocess>& preprocess) {
  check(graph.inputs.size() == 1, "the model has {} inputs; eke::Model feeds one", graph.inputs.size());
  Shape shape = graph[graph.inputs[0]].type.shape;
  if (shape.rank() > 0 && shape[0] == kDynamic) shape[0] = batch;
  if (shape.rank() == 4 && preprocess) {
    const bool nchw = preprocess->layout == ImageLayout::nchw;
    const std::int64_t wanted[] = {shape[0], nchw ? preprocess->channels() : preprocess->height,
                                   nchw ? preprocess->height : preprocess->width,
                                   nchw ? preprocess->width : preprocess->channels()};
    for (int axis = 1; axis < 4; ++axis) {
      if (shape[axis] == kDynamic) shape[axis] = wanted[axis];
    }
  }
  Bindings bindings;
  bindings.shapes[""] = shape;
  return optimize(specialize(std::move(graph), bindings));
}

std::vector<TensorInfo> infos(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<TensorInfo> result;
  for (ValueId id : ids) {
    const Value& value = graph[id];
    result.push_back({value.name,
                      std::string(to_string(value.type.dtype)),
                      {value.type.shape.begin(), value.type.shape.end()}});
  }
  return result;
}

template <class T>
std::optional<T> from_metadata(const Graph& graph, std::string_view key, T (*parse)(std::string_view)) {
  const auto entry = graph.metadata.find(std::string(key));
  if (entry == graph.metadata.end()) return std::nullopt;
  return with_context([&] { return "metadata '" + entry->first + "'"; },
                      [&] { return parse(entry->second); });
}

}  // namespace

struct Model::State {
  std::optional<Preprocess> preprocess;
  std::vector<std::string> labels;
  std::vector<TensorInfo> inputs, outputs;
  Threads threads;
  Plan plan;
  Scratch scratch;
  Tensor input;

  State(Graph graph, std::optional<Preprocess> how, const ModelOptions& options)
      : preprocess(std::move(how)),
        labels(from_metadata<std::vector<std::string>>(graph, kLabelsKey, labels_from_json)
                   .value_or(std::vector<std::string>())),
        inputs(infos(graph, graph.inputs)),
        outputs(infos(graph, graph.outputs)),
        threads(options.threads),
        plan(compile_and_free(std::move(graph))),
        scratch(plan, threads),
        input(plan.input_types()[0]) {}
};

Model::Model(const std::string& path, const ModelOptions& options) {
  if (options.threads < 1 || options.batch < 1)
    throw UsageError("eke::ModelOptions: threads and batch are 1 or more");
  with_context([&] { return "file '" + path + "'"; },
               [&] {
                 Graph graph = load_onnx(path);
                 auto how = from_metadata<Preprocess>(graph, kPreprocessKey, preprocess_from_json);
                 graph = bound(std::move(graph), options.batch, how);
                 state_ = std::make_unique<State>(std::move(graph), std::move(how), options);
               });
}

Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

const std::vector<TensorInfo>& Model::inputs() const noexcept { return state_->inputs; }
const std::vector<TensorInfo>& Model::outputs() const noexcept { return state_->outputs; }
const std::vector<std::string>& Model::labels() const noexcept { return state_->labels; }
std::size_t Model::memory_bytes() const noexcept {
  return state_->plan.arena_bytes() + state_->plan.weight_bytes();
}

std::vector<std::vector<float>> Model::run(std::span<const float> input) {
  assign(state_->input, input);
  std::vector<std::vector<float>> results;
  for (const Tensor& output : state_->plan.run({state_->input}, state_->scratch))
    results.push_back(real_values(output.view()));
  return results;
}

std::vector<std::vector<float>> Model::run_pixels(std::span<const std::uint8_t> pixels, int width, int height,
                                                  int channels) {
  check(state_->preprocess.has_value(),
        "the model does not say how an image becomes its input: eke quantize stores it");
  const Preprocess& how = *state_->preprocess;
  check(state_->input.count() == static_cast<std::int64_t>(how.count()),
        "the model takes {} numbers and an image becomes {}: an image wants a batch of 1",
        state_->input.count(), how.count());
  check(width > 0 && height > 0 && width <= kMaxImagePixels / height && (channels == 1 || channels == 3),
        "an image of {} x {} pixels and {} channels: up to {} pixels, and 1 or 3 channels", width, height,
        channels, kMaxImagePixels);
  const std::size_t count = std::size_t{1} * width * height * channels;
  check(pixels.size() == count, "{} bytes given, an image of {} x {} pixels and {} channels has {}",
        pixels.size(), width, height, channels, count);
  std::vector<float> values(how.count());
  preprocess({width, height, channels, {pixels.begin(), pixels.end()}}, how, values.data());
  return run(values);
}

}  // namespace eke
