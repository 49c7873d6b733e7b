// The ends of a network: what moves no element is the host's to know, and with `cut` so is a final softmax.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "target/fit_rules.h"

namespace eke {
namespace {

bool is_reshape(const Op& op) { return holds_any<op::Flatten, op::Reshape, op::Squeeze, op::Unsqueeze>(op); }

bool is_normalization(const Op& op) {
  return holds_any<op::Softmax, op::LogSoftmax, op::LpNormalization, op::ArgMax, op::TopK>(op);
}

// The output `id` ends before the node that makes it; the value that becomes the output takes over its name.
void end_before(Graph& graph, std::size_t output, int maker) {
  const ValueId old = graph.outputs[output], now = graph.nodes[static_cast<std::size_t>(maker)].in[0];
  graph.outputs[output] = now;
  std::swap(graph[old].name, graph[now].name);
}

}  // namespace

void fit_outputs(Graph& graph, const FitOptions& options, Fitted& fitted) {
  const DlaJudge judge(graph, options.target);
  const std::vector<int> makers = producers(graph);
  for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
    while (true) {
      const ValueId out = graph.outputs[i];
      const int maker = makers[static_cast<std::size_t>(out)];
      if (maker < 0) break;
      const Node& node = graph.nodes[static_cast<std::size_t>(maker)];
      const ValueId before = node.in[0];
      const int earlier = makers[static_cast<std::size_t>(before)];
      const bool free =
          earlier >= 0 && !is_graph_output(graph, before) && !graph.constant(before) && node.out.size() == 1;
      if (!free || judge.judge(node).runs_on_dla()) break;
      const std::string name = graph[out].name;
      if (is_reshape(node.op)) {
        fitted.changes.push_back(
            {node.name.empty() ? name : node.name, "nothing",
             fmt::format("output '{}' is {} instead of {}: the same bytes", name,
                         to_string(graph[before].type.shape), to_string(graph[out].type.shape)),
             true});
      } else if (options.cut && is_normalization(node.op)) {
        fitted.for_host.push_back(
            fmt::format("{} of output '{}' ({})", op_name(node.op), name, to_string(graph[out].type.shape)));
      } else {
        break;
      }
      end_before(graph, i, maker);
    }
  }
  remove_dead_nodes(graph);
  compact(graph);
}

}  // namespace eke
