// Parts of a network, and running them: what learns from what a layer reads and makes.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/threads.h"
#include "graph/graph.h"
#include "runtime/plan.h"

namespace eke {

// The node with this label (quant/keep.h); null: there is none.
const Node* find_layer(const Graph& graph, std::string_view name);

// What makes `outputs`, and nothing else.
Graph part_for(Graph graph, std::vector<ValueId> outputs);

// A graph of float32 inputs with the tensors that it reads and writes; `threads` outlives it.
class GraphRunner {
 public:
  GraphRunner(const Graph& graph, const Threads& threads);
  void set(std::size_t input, std::span<const float> values);
  // The outputs; they hold until the next run.
  const std::vector<Tensor>& run();
  // Of a graph with one input, or with none, where nothing depends on the images.
  const std::vector<Tensor>& run(std::span<const float> values);

 private:
  Plan plan_;
  Scratch scratch_;
  std::vector<Tensor> inputs_, outputs_;
};

}  // namespace eke
