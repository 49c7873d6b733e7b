#include "ptq/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "base/error.h"
#include "target/arithmetic.h"

namespace eke {

namespace {

void check_word(std::string_view field, std::string_view value,
                std::initializer_list<std::string_view> words) {
  check(std::ranges::find(words, value) != words.end(), "{} is '{}': use one of {}", field, value,
        fmt::join(words, ", "));
}

}  // namespace

void verify(const QuantizationOptions& o) {
  check_word("effort", o.effort, {"fast", "balanced", "best"});
  check_word("engine", o.engine, {"cpu", "tensorrt", "dla-orin"});
  check_word("calibrator", o.calibrator, {"min-max", "moving-average", "percentile", "mse", "entropy"});
  check_word("activations", o.activations, {"uint8", "int8"});
  check_word("weight_range", o.weight_range, {"auto", "max", "mse"});
  check_word("equalize", o.equalize, {"auto", "on", "off"});
  check(o.percentile >= 50 && o.percentile <= 100, "percentile is {}: use 50 to 100", o.percentile);
  check(o.weight_bits >= 2 && o.weight_bits <= 8, "weight_bits is {}: use 2 to 8", o.weight_bits);
  check(o.activation_bits == 8 || o.activation_bits == 16, "activation_bits is {}: use 8 or 16",
        o.activation_bits);
  check(o.engine == "cpu" || (o.activation_bits == 8 && o.wide.empty()),
        "engine {} takes activations of 8 bits only: leave activation_bits at 8 and wide empty", o.engine);
}

RewriteOptions rewrite_options(const QuantizationOptions& options, const Graph& graph) {
  RewriteOptions result;
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
