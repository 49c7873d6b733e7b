// NVIDIA's trtexec: the command lines that it takes, what it prints and the files that it exports, of TensorRT 8.5 to
// 11.4. Pure: nothing is run. What is read here is refused, with the line that was not understood, where it has another
// form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "target/dla_plan.h"
#include "target/version.h"

namespace eke {

// --- command lines -----------------------------------------------------------------------------------------

// "layer:fp16,layer:fp16" for --layerPrecisions.
std::string layer_precisions(const std::vector<std::string>& fp16_layers);

struct TrtexecBuild {
  std::string onnx, engine, cache;       // cache: "" where there is none
  std::vector<std::string> fp16_layers;  // for --layerPrecisions
  bool int8 = false;                     // by the cache, or by Q/DQ nodes; else fp16 alone
  std::optional<int> dla_core;           // none: the GPU
  // Of a DLA to the GPU. Without it inputs and outputs have to be in the DLA's own formats, since it is the GPU that
  // converts them (NVIDIA/TensorRT issue 3438): as many of each as are counted here.
  bool fallback = true;
  std::size_t inputs = 1, outputs = 1;
};
std::vector<std::string> trtexec_build(const TrtexecBuild& build, const TensorRtVersion& version);

struct TrtexecRun {
  std::string engine, times, profile, layers, output;  // files; "" where one is not wanted
  std::optional<int> dla_core;
  double duration_s = 3;
  int iterations = 10, warmup_ms = 0;
  std::vector<std::pair<std::string, std::string>> inputs;  // of a tensor: the file with its bytes
};
// The same work with all versions: neither CUDA graphs nor busy waiting, and copies of inputs and outputs count, which
// from version 11 on has to be asked for.
std::vector<std::string> trtexec_run(const TrtexecRun& run, const TensorRtVersion& version);

// --- what it prints ----------------------------------------------------------------------------------------

struct TrtexecFallback {
  std::string layer, line;  // layer: "" where the line names none
};

struct TrtexecPerformance {
  double throughput_qps = 0, walltime_s = 0;
  double min_ms = 0, max_ms = 0, mean_ms = 0, median_ms = 0;  // of a query: copies and computing
};

struct TrtexecLog {
  std::optional<TensorRtVersion> version;  // of the line that says what runs
  bool passed = false;
  std::optional<double> build_s;
  std::vector<std::string> on_dla, on_gpu;  // layers, as TensorRT names them; of a build
  std::vector<TrtexecFallback> fallbacks;
  std::vector<std::string> errors, warnings;
  std::optional<TrtexecPerformance> performance;
};
// Throws where the output is cut off, has no line of trtexec's own, or figures that are not understood (decimal commas).
// An engine that was not built is no reason to throw: then `passed` is false.
TrtexecLog parse_trtexec_log(std::string_view text);

// What is wrong and what to do about it, from the errors of a run that failed.
std::string failure_of(const TrtexecLog& log);

// Whether a line says that inference begins, and that it has ended.
bool begins_inference(std::string_view line) noexcept;
bool ends_inference(std::string_view line) noexcept;

// The nodes of a network that one of TensorRT's layers stands for: "Conv_0 + Relu_1" is two, and
// "{ForeignNode[Conv_0...Add_9]}" names the first and the last of its nodes.
std::vector<std::string> nodes_of_layer(std::string_view layer);

// A node that does not run where the plan had it.
struct Misplaced {
  std::string node;
  Engine predicted, actual;
};
// `plan` is of the ONNX file that was built, whose nodes have names. Empty where the log lists no layers.
std::vector<Misplaced> misplaced(const DlaPlan& plan, const TrtexecLog& log);

// --- what it exports ---------------------------------------------------------------------------------------

// --exportTimes: a query each.
struct TrtexecTimes {
  std::vector<double> latency_ms, compute_ms;
};
TrtexecTimes parse_trtexec_times(std::string_view json);

// --exportProfile.
struct TrtexecLayerTime {
  std::string name;
  double average_ms = 0;
  std::optional<double> median_ms;  // from version 8.5 on
};
struct TrtexecProfile {
  std::int64_t runs = 0;
  std::vector<TrtexecLayerTime> layers;
};
TrtexecProfile parse_trtexec_profile(std::string_view json);

// --exportLayerInfo. Types and tactics are empty where an engine keeps names alone.
struct TrtexecLayer {
  std::string name, type, tactic;
};
struct TrtexecEngine {
  std::vector<TrtexecLayer> layers;
  std::vector<std::string> tensors;  // inputs and outputs of the engine
};
TrtexecEngine parse_trtexec_layers(std::string_view json);

// --exportOutput.
struct TrtexecOutput {
  std::string name;
  std::vector<std::int64_t> dimensions;
  std::vector<float> values;
};
std::vector<TrtexecOutput> parse_trtexec_output(std::string_view json);

}  // namespace eke
