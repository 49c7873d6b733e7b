// The flags of how a model is quantized, as eke quantize, eke explain and eke search take them.
#pragma once

#include "cli/command_line.h"
#include "graph/graph.h"
#include "ptq/options.h"

namespace eke::cli {

void declare_quantization(App& app, QuantizationOptions& options);

void check_quantization(const QuantizationOptions& options);  // throws UsageError
// A pattern that matches nothing is wrong use, and is said before the long work begins.
void check_patterns(const Graph& graph, const QuantizationOptions& options);

}  // namespace eke::cli
