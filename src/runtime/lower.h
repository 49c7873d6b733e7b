// Graph to Graph, after the portable passes and before tactics: fusions, and the absorption of Q/DQ nodes
// into quantized types. The result follows docs/integer-semantics.md, is never saved, and evaluates by the
// reference.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace eke {

struct LowerNote {
  std::string node;
  std::string reason;  // why it stays in float, or was not fused
};

Graph lower(Graph graph, std::vector<LowerNote>* notes = nullptr);

}  // namespace eke
