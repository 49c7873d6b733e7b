#include "learn/run_images.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "ops/infer.h"
#include "passes/passes.h"
#include "runtime/plan.h"
#include "tensor/values.h"

namespace eke {
namespace {

constexpr std::int64_t kBatch = 16;

Shape input_shape(const Preprocess& how, std::int64_t batch) {
  return how.layout == ImageLayout::nchw ? Shape{batch, how.channels(), how.height, how.width}
                                         : Shape{batch, how.height, how.width, how.channels()};
}

Graph specialized(const Graph& graph, const Preprocess& how, std::int64_t batch) {
  Bindings bindings;
  bindings.shapes[graph[graph.inputs[0]].name] = input_shape(how, batch);
  return specialize(graph, bindings);
}

// Nothing where the shapes of the graph are written for one image.
std::optional<Graph> batched(const Graph& graph, const Preprocess& how, std::int64_t batch) {
  try {
    Graph bound = specialized(graph, how, batch);
    const bool all = std::ranges::all_of(bound.outputs, [&](ValueId id) {
      const Shape& shape = bound[id].type.shape;
      return shape.rank() > 0 && shape[0] == batch;
    });
    if (all) return bound;
  } catch (const Error&) {
  }
  return std::nullopt;
}

}  // namespace

Graph typed_for(const Graph& graph, const Preprocess& how) {
  check(graph.inputs.size() == 1, "the model has {} inputs: only models with one, the image, can learn",
        graph.inputs.size());
  return specialized(graph, how, 1);
}

Graph opened_for(Graph graph, const Preprocess& how) {
  const bool takes_more = batched(graph, how, 2).has_value();
  Value& input = graph[graph.inputs.at(0)];
  input.type.shape = input_shape(how, takes_more ? kDynamic : 1);
  input.dim_names.assign(4, "");
  if (takes_more) input.dim_names[0] = "batch";
  return graph;
}

Graph bound_to(const Graph& graph, const Preprocess& how, std::int64_t batch) {
  // Simplified first: reshapes whose targets were written for one image then serve others.
  Graph one = optimize(typed_for(graph, how));
  if (batch > 1)
    if (std::optional<Graph> bound = batched(one, how, batch)) return optimize(std::move(*bound));
  return one;
}

void run_images(const Graph& graph, const FittedImages& images, const Threads& threads,
                const std::function<void(std::size_t image, std::span<const float> output)>& take,
                const OnImages& progress) {
  const Preprocess& how = images.preprocess();
  const Plan plan = compile(bound_to(graph, how, kBatch));
  Scratch scratch(plan, threads);
  Tensor input(plan.input_types().at(0));
  std::vector<Tensor> outputs;
  std::vector<MutTensorView> views;
  for (const Type& type : plan.output_types()) outputs.emplace_back(type);
  for (Tensor& tensor : outputs) views.push_back(tensor.mutable_view());
  const auto batch = static_cast<std::size_t>(input.shape()[0]);
  std::vector<float> rows(batch * how.count());
  for (std::size_t begin = 0; begin < images.size(); begin += batch) {
    const std::size_t count = std::min(batch, images.size() - begin);
    std::fill(rows.begin(), rows.end(), 0.f);
    std::vector<std::string> errors(count);
    threads.for_ranges(count, [&](std::size_t from, std::size_t to) {
      for (std::size_t i = from; i < to; ++i) {
        try {
          normalize(images.load(begin + i), how, &rows[i * how.count()]);
        } catch (const std::exception& error) {
          errors[i] = error.what();
        }
      }
    });
    for (const std::string& error : errors) check(error.empty(), "{}", error);
    assign(input, rows);
    const TensorView in = input.view();
    plan.run({&in, 1}, views, scratch);
    const std::vector<float> values = real_values(outputs[0].view());
    const std::size_t size = values.size() / batch;
    for (std::size_t i = 0; i < count; ++i) take(begin + i, std::span(values).subspan(i * size, size));
    if (progress) progress(begin + count, images.size());
  }
}

std::size_t count_correct(const Graph& graph, const FittedImages& images, const Threads& threads,
                          const OnImages& progress) {
  std::size_t correct = 0;
  run_images(
      graph, images, threads,
      [&](std::size_t image, std::span<const float> output) {
        const auto best = std::ranges::max_element(output) - output.begin();
        correct += best == images.dataset().samples()[image].label;
      },
      progress);
  return correct;
}

}  // namespace eke
