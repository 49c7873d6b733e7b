#include "onnx/opset6.h"

#include "ops/operands.h"

namespace eke::onnx {
namespace {

// With `axis` the second operand lies at that axis of the first, which trailing extents of 1 make numpy's
// rule.
void align_at(OnnxNode& node, Graph& graph, std::int64_t axis) {
  check(node.in.size() == 2, "takes two inputs");
  const Type* a = type_before_inference(graph, node.in[0]);
  const Type* b = type_before_inference(graph, node.in[1]);
  check(a && b, "broadcasts along axis {} of a computed value; convert the model to opset 7 or newer", axis);
  const int trailing = a->shape.rank() - normalize_axis(axis, a->shape.rank()) - b->shape.rank();
  if (trailing == 0) return;
  const Tensor* constant = graph.constant(node.in[1]);
  check(trailing > 0 && constant, "broadcasts {} along axis {} of {}; convert the model to opset 7 or newer",
        to_string(b->shape), axis, to_string(a->shape));
  Shape shape = b->shape;
  for (int i = 0; i < trailing; ++i) shape.push_back(1);
  node.in[1] = graph.add_constant(graph[node.in[1]].name, constant->reshaped(shape));
}

}  // namespace

void upgrade_opset6(OnnxNode& node, Graph& graph) {
  if (node.type == "Dropout") node.attributes.erase("is_test");
  const auto broadcast = take_attribute<std::int64_t>(node, "broadcast");
  if (!broadcast) return;
  const auto axis = take_attribute<std::int64_t>(node, "axis");
  if (*broadcast != 0 && axis) align_at(node, graph, *axis);
}

}  // namespace eke::onnx
