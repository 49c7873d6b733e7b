#include "onnx/opset6.h"

#include <algorithm>
#include <optional>

#include "ops/operands.h"

namespace eke::onnx {
namespace {

// The rank of a value that does not need inference.
std::optional<int> known_rank(const Graph& graph, ValueId id) {
  const bool known = graph.constant(id) != nullptr ||
                     std::find(graph.inputs.begin(), graph.inputs.end(), id) != graph.inputs.end();
  return known ? std::optional(graph[id].type.shape.rank()) : std::nullopt;
}

// With `axis` the second operand lies at that axis of the first; numpy's rule puts it at the last ones.
void check_axis(const OnnxNode& node, const Graph& graph, std::int64_t axis) {
  check(node.in.size() == 2 && node.in[0] != kNoValue && node.in[1] != kNoValue, "takes two inputs");
  const auto a = known_rank(graph, node.in[0]), b = known_rank(graph, node.in[1]);
  check(a && b && (axis == *a - *b || axis == -*b),
        "broadcasting along axis {} (opset 6) is not supported; convert the model to opset 7 or newer with "
        "onnx.version_converter",
        axis);
}

}  // namespace

void upgrade_opset6(OnnxNode& node, const Graph& graph) {
  take_attribute<op::Ints>(node, "consumed_inputs");
  if (node.type == "Dropout") take_attribute<std::int64_t>(node, "is_test");
  const auto broadcast = take_attribute<std::int64_t>(node, "broadcast");
  if (!broadcast) return;
  const auto axis = take_attribute<std::int64_t>(node, "axis");
  if (*broadcast != 0 && axis) check_axis(node, graph, *axis);
}

}  // namespace eke::onnx
