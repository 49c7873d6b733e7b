#include "ops/node_builder.h"

#include <span>
#include <utility>

#include "base/error.h"
#include "ops/infer.h"

namespace eke {

std::vector<ValueId> NodeBuilder::add(Op op, std::vector<ValueId> in, std::size_t outputs) {
  const std::string name = fmt::format("{}{}", base_, next_++);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < outputs; ++i)
    names.push_back(outputs == 1 ? name : fmt::format("{}_{}", name, i));
  graph_.add_node(std::move(op), std::move(in), name, std::move(names));
  const Node added = graph_.nodes.back();
  with_context([&] { return describe(graph_, added); }, [&] { infer_node(graph_, added); });
  return added.out;
}

ValueId NodeBuilder::constant(Tensor tensor) {
  return graph_.add_constant(base_ + "_constant", std::move(tensor));
}

ValueId NodeBuilder::scalar(double value, DType dtype) {
  return constant(converted(Tensor::scalar(value), dtype));
}

ValueId NodeBuilder::ints(const std::vector<std::int64_t>& values) {
  return constant(Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())},
                                             std::span<const std::int64_t>(values)));
}

ValueId NodeBuilder::reshape(ValueId x, const Shape& target) {
  if (shape(x) == target) return x;
  return add(op::Reshape{.allowzero = 1}, {x, ints({target.begin(), target.end()})});
}

ValueId NodeBuilder::expand(ValueId x, const Shape& target) {
  if (shape(x) == target) return x;
  return add(op::Expand{}, {x, ints({target.begin(), target.end()})});
}

ValueId NodeBuilder::sum(ValueId x, const std::vector<std::int64_t>& axes, bool keepdims) {
  return add(op::Reduce{.fn = op::ReduceFn::ReduceSum, .keepdims = keepdims ? 1 : 0}, {x, ints(axes)});
}

ValueId NodeBuilder::unbroadcast(ValueId x, const Shape& target) {
  const Shape from = shape(x);
  if (from == target) return x;
  std::vector<std::int64_t> axes;
  const int added = from.rank() - target.rank();
  for (int i = 0; i < from.rank(); ++i)
    if (i < added || (target[i - added] == 1 && from[i] != 1)) axes.push_back(i);
  return reshape(axes.empty() ? x : sum(x, axes, true), target);
}

}  // namespace eke
