// Decides which nodes compute in integers and which values are quantized: the rules that rewrite.h states, as
// data.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "ops/op_def.h"
#include "quant/rewrite.h"

namespace eke {

struct Placement {
  std::vector<std::string> why_float;  // per node; empty: the node is integer
  std::vector<ValueId> scale_of;       // per value: whose range it uses; kNoValue: it is not quantized
  // Values whose ranges are united where RewriteOptions::shared_scales tie them, by the one whose range they use.
  std::map<ValueId, std::vector<ValueId>> united;

  bool is_integer(std::size_t node) const { return why_float[node].empty(); }
  bool is_quantized(ValueId value) const {
    return value != kNoValue && scale_of[static_cast<std::size_t>(value)] != kNoValue;
  }
  // The values whose ranges decide the scale of those that use the range of `value`.
  std::vector<ValueId> ranged(ValueId value) const {
    const auto found = united.find(value);
    return found == united.end() ? std::vector<ValueId>{value} : found->second;
  }
};

Placement place(const Graph& graph, const RewriteOptions& options);

// How this node, with its attributes and constants, is quantized: QuantRule, made precise.
QuantRule::Kind rule_of(const Graph& graph, const Node& node);
// The inputs that carry data, as against weights, bounds, shapes, slopes and single numbers.
std::vector<std::size_t> data_inputs(const Graph& graph, const Node& node);

}  // namespace eke
