// Graph to Graph. A pass is a pure function: it takes a graph whose types are known (specialize) and gives
// one that means the same, valid and typed; a second run changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace eke {

struct Pass {
  std::string_view name;
  Graph (*run)(Graph);
};

// Portable: the result is made of ONNX's operators and can be saved. In the order in which they run.
std::span<const Pass> simplify_passes() noexcept;
// Fusions into forms that only exist between here and a Plan: what they give is never saved.
std::span<const Pass> lowering_passes() noexcept;

struct PassReport {
  std::string_view pass;
  std::size_t nodes_before = 0, nodes_after = 0;
  bool changed = false;  // the graph, whether or not the number of nodes changed
  std::int64_t time_ns = 0;
};
using PassObserver = std::function<void(const PassReport&)>;

// Runs the passes in order and verifies after each. Errors name the pass.
Graph run_passes(Graph graph, std::span<const Pass> passes, const PassObserver& observe = {});

// Runs simplify_passes() until nothing changes. `reports` gets every pass of the first round, and those of
// later rounds that changed the graph.
Graph optimize(Graph graph, std::vector<PassReport>* reports = nullptr);

}  // namespace eke
