// Repairs of a float network before it is rounded, which do not change what it computes (on images like those seen): its
// activations then lie in ranges that 8 bits serve better. Both go by channel statistics of what layers read, as Calibration
// measures them, and work between one layer and those that alone read what it makes. Pure.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "quant/rewrite.h"

namespace eke {

struct RepairedLayer {
  std::string node;  // that makes the channels
  int channels = 0;
};

struct Repaired {
  Graph graph;
  std::vector<RepairedLayer> layers;  // empty: nothing to repair
};

// Outlier channel splitting (Zhao et al. 2019, "Improving Neural Network Quantization without Retraining using Outlier
// Channel Splitting"): a channel that reaches further than half of the range, where few do, becomes two of half its size,
// whose readers have its weights twice; at most `most` of a layer's channels. Between the layers may stand what commutes
// with a positive scale a channel: Relu, LeakyRelu, PRelu, pooling.
Repaired split_channels(const Graph& graph, const Ranges& seen, const RewriteOptions& options,
                        double most = 0.05);

// High-bias absorption (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section
// 4.1.3, with measured moments): what a channel after a Relu exceeds in all but a few of its values (its mean less three
// standard deviations) goes from its bias into the biases of the layers that read it. Only where none of them pads.
Repaired absorb_biases(const Graph& graph, const Ranges& seen, const RewriteOptions& options);

}  // namespace eke
