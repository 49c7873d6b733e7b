// Which tensors of a network must share one scale when the DLA computes in int8: the inputs of an elementwise
// layer, the inputs and the output of a concatenation, input and output of a pooling, and of what only moves
// elements. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "quant/rewrite.h"

namespace eke {

struct ScaleGroup {
  std::vector<std::string> tensors;  // as the graph names them, without Q/DQ nodes between; at least two
  std::vector<std::string> because;  // the nodes that tie them
};

// `on_dla`: per node, whether it counts.
std::vector<ScaleGroup> scale_groups(const Graph& graph, const std::vector<bool>& on_dla);

// Where a value comes from, behind Q/DQ and Identity nodes. `producers` of graph.h.
ValueId origin(const Graph& graph, const std::vector<int>& producers, ValueId id);

// The scales that the QuantizeLinear nodes of a graph give its values (per tensor ones), by the name of the
// origin. Of several the first counts.
struct TensorScale {
  float scale = 0;
  std::int32_t zero_point = 0;
  DType dtype = DType::i8;
};
std::map<std::string, TensorScale> tensor_scales(const Graph& graph);

// The scale of the symmetric int8 grid, -127 to 127, that covers what the quantization covers.
float symmetric_scale(const TensorScale& scale);

}  // namespace eke
