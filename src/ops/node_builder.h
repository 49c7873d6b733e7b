// Appends nodes to a graph whose types are known, and infers the types of what they make at once.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace eke {

class NodeBuilder {
 public:
  // Nodes are named after `base`, with a number.
  NodeBuilder(Graph& graph, std::string base) : graph_(graph), base_(std::move(base)) {}

  Type type(ValueId id) const { return graph_[id].type; }
  Shape shape(ValueId id) const { return graph_[id].type.shape; }
  const Tensor* constant(ValueId id) const { return graph_.constant(id); }

  ValueId add(Op op, std::vector<ValueId> in) { return add(std::move(op), std::move(in), 1)[0]; }
  std::vector<ValueId> add(Op op, std::vector<ValueId> in, std::size_t outputs);

  ValueId constant(Tensor tensor);
  ValueId scalar(double value, DType dtype = DType::f32);
  ValueId ints(const std::vector<std::int64_t>& values);

  ValueId unary(op::UnaryFn fn, ValueId x) { return add(op::Unary{fn}, {x}); }
  ValueId binary(op::BinaryFn fn, ValueId a, ValueId b) { return add(op::Binary{fn}, {a, b}); }
  ValueId mul(ValueId a, ValueId b) { return binary(op::BinaryFn::Mul, a, b); }
  ValueId plus(ValueId a, ValueId b) { return binary(op::BinaryFn::Add, a, b); }
  ValueId minus(ValueId a, ValueId b) { return binary(op::BinaryFn::Sub, a, b); }
  ValueId over(ValueId a, ValueId b) { return binary(op::BinaryFn::Div, a, b); }
  ValueId scaled(ValueId x, double factor) { return mul(x, scalar(factor, type(x).dtype)); }
  ValueId negative(ValueId x) { return unary(op::UnaryFn::Neg, x); }
  ValueId reshape(ValueId x, const Shape& shape);
  ValueId expand(ValueId x, const Shape& shape);
  ValueId sum(ValueId x, const std::vector<std::int64_t>& axes, bool keepdims);
  // x summed over the axes along which a value of shape `target` was repeated to make it.
  ValueId unbroadcast(ValueId x, const Shape& target);

 private:
  Graph& graph_;
  std::string base_;
  int next_ = 0;
};

}  // namespace eke
