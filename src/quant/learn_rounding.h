// Learned rounding: layer by layer, in the order of the network, the weights and biases of the integer form are chosen
// anew so that each layer, reading what the quantized network before it gives, makes what the float layer made of the
// float network's values (round_weights.h). Needs images without labels and no training.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/threads.h"
#include "quant/equalize.h"
#include "quant/rewrite.h"

namespace eke {

// Calls its argument with whole batches of the network's (only) input and the number of images in each that count.
using TakeBatch = std::function<void(std::span<const float> values, std::int64_t images)>;
using ForEachBatch = std::function<void(const TakeBatch& take)>;

struct LearnOptions {
  std::int64_t samples =
      16384;  // of each layer's output positions, over all images; fewer where 448 MiB hold no more
  std::int64_t images = 100;  // how many for_each gives, at most
  // What the layers should make: by default `graph` itself. Another one (that from before it was equalized) has the same
  // layers; `divided_by` says what their channels are divided by in `graph`.
  const Graph* wanted = nullptr;
  ChannelScales divided_by = {};
  std::function<void(std::size_t done, std::size_t layers)> progress = {};  // may throw to stop
};

// The mean squared error of a layer's sums, before and after.
struct LearnedLayer {
  std::string node;
  double before = 0, after = 0;
};

struct Learned {
  Quantized quantized;
  std::vector<LearnedLayer> layers;
};

// `graph`, `ranges` and `options` as for quantize(). Layers that are no plain 2-D convolutions or matrix products keep
// their rounding. Where a Relu or Clip alone reads a layer's sums, those that it cuts count less (refine_row.h). Memory: the
// samples of all layers' outputs, and of what one layer reads, and a square of a layer's inputs in float64. The result
// depends on the images alone, not on the threads.
Learned learn_rounding(const Graph& graph, const Ranges& ranges, const RewriteOptions& options,
                       const ForEachBatch& for_each, const LearnOptions& learn, const Threads& threads);

}  // namespace eke
