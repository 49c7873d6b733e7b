// Small graphs for the tests of this layer.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "graph/graph.h"
#include "ops/infer.h"

namespace eke::test {

// A graph under construction, a value after the other.
class Net {
 public:
  explicit Net(const Shape& input, std::uint64_t seed = 1) : random_(seed) {
    last_ = graph_.add_value("x", {DType::f32, input});
    graph_.inputs = {last_};
  }

  ValueId last() const { return last_; }
  const Shape& shape() const { return graph_[last_].type.shape; }
  ValueId constant(const Shape& shape, double scale = 1) {
    Tensor tensor(DType::f32, shape);
    for (float& value : tensor.mutable_values<float>()) value = static_cast<float>(scale * random_.normal());
    return graph_.add_constant("c", std::move(tensor));
  }
  ValueId ints(const std::vector<std::int64_t>& values) {
    const Shape shape{static_cast<std::int64_t>(values.size())};
    return graph_.add_constant("i", Tensor::from<std::int64_t>(shape, values));
  }
  ValueId scalar(float value) { return graph_.add_constant("s", Tensor::scalar(value)); }

  // A node that reads the last value, and further ones.
  ValueId add(Op op, std::vector<ValueId> more = {}, const std::string& name = "") {
    more.insert(more.begin(), last_);
    return node(std::move(op), std::move(more), name);
  }
  ValueId node(Op op, std::vector<ValueId> in, const std::string& name = "") {
    const std::string own = name.empty() ? "n" + std::to_string(graph_.nodes.size()) : name;
    last_ = graph_.add_node(std::move(op), std::move(in), own, {own + ".out"});
    infer_node(graph_, graph_.nodes.back());
    return last_;
  }
  ValueId conv(std::int64_t out, std::int64_t kernel, std::int64_t stride = 1, const std::string& name = "") {
    op::Conv a;
    a.kernel_shape = {kernel, kernel};
    a.strides = {stride, stride};
    a.pads = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
    a.dilations = {1, 1};
    const std::int64_t in = shape()[1];
    return add(std::move(a),
               {constant({out, in, kernel, kernel}, 1.0 / static_cast<double>(kernel * kernel * in)),
                constant({out}, 0.1)},
               name);
  }
  ValueId relu(const std::string& name = "") { return add(op::Unary{op::UnaryFn::Relu}, {}, name); }
  ValueId gemm(std::int64_t out, const std::string& name = "") {
    op::Gemm a;
    a.transB = 1;
    return add(std::move(a), {constant({out, shape()[1]}, 0.1), constant({out}, 0.1)}, name);
  }

  Graph finish() {
    graph_.outputs = {last_};
    return infer_types(graph_);
  }
  Graph& graph() { return graph_; }

 private:
  Graph graph_;
  Random random_;
  ValueId last_;
};

}  // namespace eke::test
