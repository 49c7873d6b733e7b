// How much an error in a channel weighs in the network's output, as plain numbers a channel.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "quant/rewrite.h"

namespace eke {

// Per value, per channel (axis 1): the power of the output that unit noise in the channel causes, taken backwards
// through the squared weights as if all errors were independent and all activations open; 0 for channels that are
// 0 in all of `seen`. Only ratios within a value mean anything. Empty for constants, and for values of a rank below
// 2 or an unknown shape. Linear in the number of weights.
std::vector<std::vector<double>> channel_importance(const Graph& graph, const Ranges& seen);

}  // namespace eke
