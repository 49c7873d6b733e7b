// The arithmetic of TensorRT's engines, simulated: what is exported becomes a model with Q/DQ nodes again, which the
// integer engine computes as the device would. For the GPU that is the exported Q/DQ model, since both round ties to
// even. For the DLA scales are those of the calibration cache, equal where it ties them; weights are quantized as its
// builder does, by the largest magnitude of each channel; layers without scales, and those that the DLA raises, read
// and write fp16; and ties are rounded away from zero.
//
// What NVIDIA does not document is not simulated: in which precision sums within a layer are kept (here: exactly), and
// which results of a fused chain are rounded (here: each tensor that has a scale, but for those between a layer and its
// activation).
#pragma once

#include <string>
#include <vector>

#include "target/export.h"

namespace eke {

struct Simulated {
  Graph graph;  // with Q/DQ nodes, all types known
  std::vector<ExportNote> notes;
};

// `graph` has Q/DQ nodes and all types known; throws as export_qdq and export_dla do.
Simulated simulate_gpu(const Graph& graph);
Simulated simulate_dla(const Graph& graph, const DlaTarget& target);

// Of a graph with Q/DQ nodes: results of the nodes called `names` are rounded with ties away from zero. Their scales
// become smaller by kTieNudge a rounding on the way from the inputs, so that a tie, but nothing else that int8 arithmetic
// can tell, lies beyond the middle.
inline constexpr double kTieNudge = 0x1p-20;
Graph round_ties_away(Graph graph, const std::vector<std::string>& names);

}  // namespace eke
