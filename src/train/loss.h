// Losses as nodes appended to a network.
#pragma once

#include "graph/graph.h"
#include "train/step.h"

namespace eke {

struct LossInputs {
  ValueId output = kNoValue, labels = kNoValue, teacher = kNoValue, centres = kNoValue;
};
struct LossValues {
  ValueId loss = kNoValue, output = kNoValue;  // output: logits, or the cosines of arcface
};

// Throws an Error when the options or the output's type do not fit the loss.
LossValues add_loss(Graph& graph, const LossOptions& options, const LossInputs& in);

}  // namespace eke
