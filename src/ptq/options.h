// How a model is quantized after training: what a caller asks for, and what that means for the rewrite.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "quant/rewrite.h"

namespace eke {

struct QuantizationOptions {
  std::string engine = "cpu";
  std::string calibrator = "mse", activations = "uint8", weight_range = "auto", equalize = "auto",
              effort = "balanced";
  double percentile = 99.99;
  int weight_bits = 8, activation_bits = 8;
  bool per_tensor = false, symmetric = false, round_outputs = false, keep_biases = false;
  std::vector<std::string> keep, wide;
  // The walk (walk.h) decides these, as it does on what is "auto".
  std::map<std::string, int> layer_bits;  // of weights, by label: instead of weight_bits
  bool learn = false, absorb_biases = false, split_channels = false;
  bool every_range = false;  // calibrates also what a rewrite needs that leaves layers in float
};

// Throws where a value is none of those that the command's --help lists, or two of them do not go together; names the
// field and what it may be.
void verify(const QuantizationOptions& options);

// With what the engine requires of `graph`, which is the float one, all types known.
RewriteOptions rewrite_options(const QuantizationOptions& options, const Graph& graph);

// Patterns that match these names and no others, as far as names can say.
std::vector<std::string> as_patterns(std::vector<std::string> names);

}  // namespace eke
