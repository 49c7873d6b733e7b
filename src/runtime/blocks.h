// Blocks of convolutions that one step can carry out strip by strip: a depthwise one with the convolution that makes its
// input, the one that reads its output, or both. A few rows of the tensors in between exist at a time, so that these
// neither leave the cache nor take memory of the plan.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/tactic.h"

namespace eke {

// The tactic, in a Choice of the last node of a block, that carries out all of it.
inline constexpr std::string_view kFused = "fused";

struct Block {
  std::vector<std::size_t> nodes;  // of the graph, in order; only the next one reads what one makes
};

// Those of a lowered graph. No two share a node.
std::vector<Block> find_blocks(const Graph& graph);

// Bytes of the tensors between the nodes.
std::int64_t inner_bytes(const Graph& graph, const Block& block);

// True where the tier has kernels that work strip by strip for each of the nodes.
bool can_fuse(const Graph& graph, const Block& block, Isa isa, Floats floats);
// True where it can be and is expected to be faster than node by node.
bool fuses_by_rule(const Graph& graph, const Block& block, Isa isa, Floats floats);

// The step of the whole block. Its inputs are the first node's and, where there is one, the last node's residual.
// The queries are of the block's nodes, which can_fuse().
Prepared prepare_fused(const std::vector<Query>& queries);

}  // namespace eke
