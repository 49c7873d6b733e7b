// Opset 6 to opset 7, for all operators: explicit broadcasting became numpy's rule.
#pragma once

#include "ops/op_def.h"

namespace eke::onnx {

void upgrade_opset6(OnnxNode& node, Graph& graph);

}  // namespace eke::onnx
