// The absorption of QuantizeLinear and DequantizeLinear nodes into quantized types: a step of lower().
#pragma once

#include <vector>

#include "graph/graph.h"
#include "runtime/lower.h"

namespace eke {

// Operators between DequantizeLinear and QuantizeLinear nodes come to work on the quantized tensors
// themselves, by the rules of docs/integer-semantics.md; operators that only move elements carry quantized
// tensors through. QuantizeLinear and DequantizeLinear nodes that remain between float and quantized tensors
// have one input, their parameters being in the type; those that cannot be absorbed (per channel on
// activations, 16 bits, ...) stay. Weighted operators that stay in float although their input is quantized
// are noted with the reason.
Graph absorb_quantization(Graph graph, std::vector<LowerNote>* notes);

}  // namespace eke
