#include "quant/graph_part.h"

#include <algorithm>
#include <utility>

#include "passes/pass_list.h"
#include "quant/keep.h"

namespace eke {

const Node* find_layer(const Graph& graph, std::string_view name) {
  const auto found =
      std::ranges::find_if(graph.nodes, [&](const Node& n) { return label(graph, n) == name; });
  return found == graph.nodes.end() ? nullptr : &*found;
}

Graph part_for(Graph graph, std::vector<ValueId> outputs) {
  graph.outputs = std::move(outputs);
  return eliminate_dead(std::move(graph));
}

GraphRunner::GraphRunner(const Graph& graph, const Threads& threads)
    : plan_(compile(graph)), scratch_(plan_, threads) {
  for (const Type& type : plan_.input_types()) inputs_.emplace_back(type);
  for (const Type& type : plan_.output_types()) outputs_.emplace_back(type);
}

void GraphRunner::set(std::size_t input, std::span<const float> values) {
  std::ranges::copy(values, inputs_[input].mutable_values<float>().begin());
}

const std::vector<Tensor>& GraphRunner::run() {
  std::vector<TensorView> in;
  std::vector<MutTensorView> out;
  for (const Tensor& input : inputs_) in.push_back(input.view());
  for (Tensor& output : outputs_) out.push_back(output.mutable_view());
  plan_.run(in, out, scratch_);
  return outputs_;
}

const std::vector<Tensor>& GraphRunner::run(std::span<const float> values) {
  if (!inputs_.empty()) set(0, values);
  return run();
}

}  // namespace eke
