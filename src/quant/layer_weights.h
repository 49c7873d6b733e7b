// The weights of a convolution or matrix product as a matrix of output by input channels, whatever their order in
// memory: what equalization and the analysis of layers need to know of them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/graph.h"

namespace eke {

struct WeightShape {
  std::int64_t outputs = 0, inputs = 0, kernel = 1, groups = 1;  // inputs: of one group
  bool inputs_first = false;                                     // a matrix product: [inputs][outputs]

  std::int64_t index(std::int64_t o, std::int64_t i, std::int64_t k) const {
    return inputs_first ? i * outputs + o : (o * inputs + i) * kernel + k;
  }
  std::int64_t channels() const { return inputs * groups; }
  // The channel of the layer's input that input i of output o is.
  std::int64_t channel(std::int64_t o, std::int64_t i) const { return o / (outputs / groups) * inputs + i; }
};

// None where the node is no convolution or matrix product, or its weights are no f32 constant.
std::optional<WeightShape> weight_shape(const Graph& graph, const Node& node);

// Over the kernel of each pair of channels, entry o * inputs + i: the largest magnitude and the sum of squares.
struct WeightSummary {
  WeightShape shape;
  std::vector<double> peak, power;

  std::size_t at(std::int64_t o, std::int64_t i) const {
    return static_cast<std::size_t>(o * shape.inputs + i);
  }
};
WeightSummary summarize_weights(const Graph& graph, const Node& node);  // of a node that has a weight_shape

}  // namespace eke
