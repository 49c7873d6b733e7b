#include "learn/image_input.h"

#include <algorithm>

#include "base/error.h"

namespace eke {

const Value& image_input(const Graph& graph) {
  check(graph.inputs.size() == 1, "the model has {} inputs; feeding images wants one", graph.inputs.size());
  return graph[graph.inputs[0]];
}

int height_axis(const Shape& shape) {
  const bool channels_last = (shape[3] == 1 || shape[3] == 3) && shape[1] != 1 && shape[1] != 3;
  return channels_last ? 1 : 2;
}

Preprocess preprocess_of_input(const Graph& graph) {
  const Value& input = image_input(graph);
  const Shape& shape = input.type.shape;
  check(shape.rank() == 4, "input '{}' has shape {}; images want rank 4", input.name, to_string(shape));
  const auto pixels = [&](int axis) {
    return shape[axis] > 0 ? static_cast<int>(std::min<std::int64_t>(shape[axis], 16384)) : 0;
  };
  const int height = height_axis(shape);
  Preprocess how;
  how.layout = height == 1 ? ImageLayout::nhwc : ImageLayout::nchw;
  if (shape[height == 1 ? 3 : 1] == 1) how.order = ChannelOrder::grey;
  how.height = pixels(height);
  how.width = pixels(height + 1);
  return how;
}

}  // namespace eke
