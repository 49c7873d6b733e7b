// Block-wise reconstruction (Li et al. 2021, "BRECQ"; Wei et al. 2022, "QDrop", in that activations are rounded while
// weights are learned): block by block, in the order of the network, the weights, steps and biases of the integer form are
// chosen so that the block, reading what the quantized network before it gives, makes what the float network makes there.
// An error in a channel weighs by what it does to the network's output. Needs images without labels.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/threads.h"
#include "quant/learn_rounding.h"
#include "quant/rewrite.h"

namespace eke {

struct ReconstructOptions {
  int steps = 200;  // of each block
  int images = 8;   // a step
  std::size_t memory_bytes =
      std::size_t{384} << 20;  // of what a block reads and makes, over all images: those beyond are left out
  // As LearnOptions: the network from before it was equalized, and what its channels are divided by in `graph`.
  const Graph* wanted = nullptr;
  ChannelScales divided_by = {};
  std::function<void(std::size_t done, std::size_t blocks)> progress = {};  // may throw to stop
};

// The squared error of what a block makes, as a share of its power, before and after.
struct ReconstructedBlock {
  std::vector<std::string> layers;
  double before = 0, after = 0;
};

struct Reconstructed {
  Quantized quantized;
  std::vector<ReconstructedBlock> blocks;
};

// `graph`, `ranges` and `options` as for quantize(), which made `start`: plainly, or by learn_rounding(). A block that
// gains nothing on the images stays as it is, and so do layers that learn_rounding() leaves alone. The result depends on the
// images alone, not on the threads.
Reconstructed reconstruct_blocks(const Graph& graph, const Ranges& ranges, const RewriteOptions& options,
                                 Quantized start, const ForEachBatch& for_each,
                                 const ReconstructOptions& reconstruct, const Threads& threads);

}  // namespace eke
