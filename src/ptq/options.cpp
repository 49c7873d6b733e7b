#include "ptq/options.h"

#include <algorithm>

#include "target/arithmetic.h"

namespace eke {

QuantizeOptions rewrite_options(const QuantizationOptions& options, const Graph& graph) {
  QuantizeOptions result;
  result.activations = {options.activations == "int8" ? DType::i8 : DType::u8, options.symmetric};
  result.weights.per_channel = !options.per_tensor;
  result.weights.range = options.weight_range == "mse" ? WeightRange::mse : WeightRange::max;
  result.weights.bits = options.weight_bits;
  result.weight_bits = options.layer_bits;
  result.correct_biases = !options.keep_biases;
  result.float_outputs = !options.round_outputs;
  result.keep = options.keep;
  result.wide = options.activation_bits == 16;
  result.wide_nodes = options.wide;
  return quantize_options({.device = *parse_device(options.engine)}, graph, std::move(result));
}

std::vector<std::string> as_patterns(std::vector<std::string> names) {
  for (std::string& name : names)
    std::ranges::replace_if(
        name, [](char c) { return c == '*'; }, '?');
  return names;
}

}  // namespace eke
