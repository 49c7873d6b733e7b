#include "cli/quantization_options.h"

#include <fmt/format.h>

#include "base/error.h"
#include "quant/calibrator.h"
#include "quant/keep.h"

namespace eke::cli {

void declare_quantization(App& app, QuantizationOptions& options) {
  const std::string group = "How it is quantized";
  app.add_option(
         "--effort", options.effort,
         "fast: calibrate; balanced: and try to equalize channels and to clip weights; best: and learn from "
         "the images how each weight is rounded, and reconstruct blocks and leave layers in float where "
         "--max-drop needs it (seconds to minutes). A step stays where images held back gain by it")
      ->group(group)
      ->check(one_of({"fast", "balanced", "best"}))
      ->capture_default_str();
  app.add_option("--calibrator", options.calibrator, "min-max, moving-average, percentile, mse or entropy")
      ->group(group)
      ->capture_default_str();
  app.add_option("--percentile", options.percentile,
                 "with --calibrator percentile: share of the values that stay inside")
      ->group(group)
      ->check(between(50.0, 100.0))
      ->capture_default_str();
  app.add_flag("--per-tensor", options.per_tensor,
               "one scale for all weights of a layer (default: one a channel)")
      ->group(group);
  app.add_option(
         "--weight-range", options.weight_range,
         "max: the largest magnitude; mse: clipped for the least squared error; auto: what images held back "
         "gain by, mse for fewer than 8 bits")
      ->group(group)
      ->check(one_of({"auto", "max", "mse"}))
      ->capture_default_str();
  app.add_option(
         "--equalize", options.equalize,
         "scale channels between layers so that 8 bits lose less: on, off, or auto (where images held back "
         "gain, unless --effort fast)")
      ->group(group)
      ->check(one_of({"auto", "on", "off"}))
      ->capture_default_str();
  app.add_option("--weight-bits", options.weight_bits,
                 "2 to 8: weights of 4 bits and fewer are stored two a byte (ONNX opset 21); all run on the "
                 "int8 kernels")
      ->group(group)
      ->check(between(2, 8))
      ->capture_default_str();
  app.add_flag("--keep-biases", options.keep_biases,
               "do not take the mean error of rounded weights off the biases")
      ->group(group);
  app.add_option("--activations", options.activations, "uint8 or int8")
      ->group(group)
      ->check(one_of({"uint8", "int8"}))
      ->capture_default_str();
  app.add_option("--activation-bits", options.activation_bits,
                 "8, or 16 for all activations: layers then run in float between roundings to 16 bits (ONNX "
                 "opset 21), for other engines and to see what 8 bits cost")
      ->group(group)
      ->check(one_of({"8", "16"}))
      ->capture_default_str();
  app.add_option("--wide", options.wide,
                 "nodes whose results alone are rounded to 16 bits instead of 8; * and ? are wildcards")
      ->group(group)
      ->type_name("NODE...");
  app.add_option("--for", options.engine,
                 "the engine that will run it: cpu; tensorrt or dla-orin, which want --activations int8 "
                 "--symmetric; what the DLA adds or joins gets one scale")
      ->group(group)
      ->check(one_of({"cpu", "tensorrt", "dla-orin"}))
      ->capture_default_str();
  app.add_flag("--symmetric", options.symmetric, "activations with their zero point in the middle")
      ->group(group);
  app.add_flag("--round-outputs", options.round_outputs,
               "round the results of the last layers to 8 bits, too (near scores then become equal)")
      ->group(group);
  app.add_option("--keep", options.keep, "nodes to leave in float; * and ? are wildcards")
      ->group(group)
      ->type_name("NODE...");
}

void check_quantization(const QuantizationOptions& options) {
  if (!parse_calibrator(options.calibrator)) {
    throw UsageError(fmt::format(
        "--calibrator {}: the calibrators are min-max, moving-average, percentile, mse and entropy",
        options.calibrator));
  }
  if ((options.activation_bits == 16 || !options.wide.empty()) && options.engine != "cpu")
    throw UsageError(fmt::format("--for {} takes activations of 8 bits only", options.engine));
}

// A pattern that matches nothing is wrong use, and is said before the long work begins.
void check_patterns(const Graph& graph, const QuantizationOptions& options) {
  const auto check_those = [&](std::string_view option, const std::vector<std::string>& patterns) {
    try {
      match_nodes(graph, patterns);
    } catch (const Error& error) {
      throw UsageError(fmt::format("{}: {}", option, error.what()));
    }
  };
  check_those("--keep", options.keep);
  check_those("--wide", options.wide);
}

}  // namespace eke::cli
