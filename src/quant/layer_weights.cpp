#include "quant/layer_weights.h"

#include <algorithm>
#include <cmath>

namespace eke {

std::optional<WeightShape> weight_shape(const Graph& graph, const Node& node) {
  const Tensor* weights = node.in.size() > 1 ? graph.constant(node.in[1]) : nullptr;
  if (!weights || weights->dtype() != DType::f32 || weights->shape().rank() < 2) return std::nullopt;
  const Shape& shape = weights->shape();
  if (const auto* conv = std::get_if<op::Conv>(&node.op))
    return WeightShape{shape[0], shape[1], shape.count(2, shape.rank()), conv->group, false};
  const auto* gemm = std::get_if<op::Gemm>(&node.op);
  if ((!gemm && !std::holds_alternative<op::MatMul>(node.op)) || shape.rank() != 2) return std::nullopt;
  const bool inputs_first = !gemm || gemm->transB == 0;
  return WeightShape{shape[inputs_first ? 1 : 0], shape[inputs_first ? 0 : 1], 1, 1, inputs_first};
}

WeightSummary summarize_weights(const Graph& graph, const Node& node) {
  WeightSummary result{*weight_shape(graph, node), {}, {}};
  const WeightShape& shape = result.shape;
  result.peak.assign(static_cast<std::size_t>(shape.outputs * shape.inputs), 0);
  result.power = result.peak;
  const auto values = graph.constant(node.in[1])->values<float>();
  for (std::int64_t o = 0; o < shape.outputs; ++o) {
    for (std::int64_t i = 0; i < shape.inputs; ++i) {
      const std::size_t at = result.at(o, i);
      for (std::int64_t k = 0; k < shape.kernel; ++k) {
        const double w = double{values[static_cast<std::size_t>(shape.index(o, i, k))]};
        result.peak[at] = std::max(result.peak[at], std::fabs(w));
        result.power[at] += w * w;
      }
    }
  }
  return result;
}

}  // namespace eke
