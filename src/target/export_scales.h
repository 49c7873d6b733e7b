// The scales of an exported network: symmetric int8, by the name of the tensor without its Q/DQ nodes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "target/export.h"

namespace eke {

// From the Q/DQ nodes. Throws where there are none; notes say which ranges were not symmetric.
std::map<std::string, float> symmetric_scales(const Graph& graph, std::vector<ExportNote>& notes);

// Gives tensors that the DLA ties the largest of their scales.
void make_equal(const Graph& graph, const DlaTarget& target, std::map<std::string, float>& scales,
                std::vector<ExportNote>& notes);

}  // namespace eke
