#include "target/trtexec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/error.h"

namespace eke {
namespace {

constexpr std::size_t kMostShown = 200;  // of a line, in a message

std::string shown(std::string_view line) {
  return std::string(line.substr(0, kMostShown)) + (line.size() > kMostShown ? "..." : "");
}

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// A line without its date and its marks: "[05/10/2024-12:24:57] [W] [TRT] text".
struct Line {
  std::string_view whole, text;
  char severity = 0;  // I, W, E, F, V; 0: none

  explicit Line(std::string_view line) : whole(trimmed(line)), text(whole) {
    while (text.starts_with('[')) {
      const std::size_t end = text.find(']');
      if (end == std::string_view::npos) return;
      const std::string_view mark = text.substr(1, end - 1);
      const bool date = mark.size() > 8 && mark[2] == '/' && mark[5] == '/';
      if (!date && mark != "TRT" && mark != "TensorRT" && mark.size() != 1) return;
      if (mark.size() == 1) severity = mark[0];
      text = trimmed(text.substr(end + 1));
    }
    for (const auto& [word, letter] : {std::pair{"WARNING: ", 'W'}, {"ERROR: ", 'E'}}) {
      if (!text.starts_with(word)) continue;
      severity = letter;
      text.remove_prefix(std::string_view(word).size());
    }
  }
};

// The number at the front of the text, which goes.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

[[noreturn]] void not_understood(std::string_view line) {
  fail(
      "trtexec printed '{}', which is not understood: it has to run with LC_ALL=C, and to be of TensorRT 8.5 "
      "to 11.4",
      shown(line));
}

// "Throughput: 130.298 qps"
double figure(const Line& line, std::string_view name, std::string_view unit) {
  std::string_view rest = line.text.substr(name.size());
  const std::optional<double> value = take_number(rest);
  if (!value || *value < 0 || rest != unit) not_understood(line.whole);
  return *value;
}

// "Latency: min = 5.38672 ms, max = 13.3664 ms, mean = 7.60628 ms, median = 7.16092 ms, percentile(99%) = ..."
void read_latency(const Line& line, TrtexecPerformance& result) {
  std::string_view rest = line.text.substr(std::string_view("Latency: ").size());
  const std::pair<std::string_view, double*> parts[] = {{"min = ", &result.min_ms},
                                                        {"max = ", &result.max_ms},
                                                        {"mean = ", &result.mean_ms},
                                                        {"median = ", &result.median_ms}};
  for (const auto& [name, value] : parts) {
    if (!take(rest, name)) not_understood(line.whole);
    const std::optional<double> number = take_number(rest);
    if (!number || *number < 0 || !take(rest, " ms")) not_understood(line.whole);
    *value = *number;
    if (!take(rest, ", ") && name != "median = ") not_understood(line.whole);
  }
}

// "&&&& RUNNING TensorRT.trtexec [TensorRT v8502] # trtexec --onnx=..."; from version 10 on two digits more:
// "v100300". Newer ones add "[b20]" and the like.
std::optional<TensorRtVersion> version_of(std::string_view banner) {
  const std::size_t at = banner.find("[TensorRT v");
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view digits = banner.substr(at + std::string_view("[TensorRT v").size());
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const auto count = end - digits.data();
  if (error != std::errc() || end == digits.data() + digits.size() || *end != ']' || count < 4 || count > 6)
    return std::nullopt;
  if (count == 4) return TensorRtVersion{number / 1000, number / 100 % 10, number % 100};
  return TensorRtVersion{number / 10000, number / 100 % 100, number % 100};
}

// The layer that a line about leaving the DLA names, or "".
std::string layer_in(std::string_view text) {
  const auto between = [&](std::string_view before, std::string_view after) -> std::optional<std::string> {
    const std::size_t begin = text.find(before);
    if (begin == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(begin + before.size());
    const std::size_t end = after.empty() ? rest.size() : rest.rfind(after);
    if (end == std::string_view::npos) return std::nullopt;
    return std::string(trimmed(rest.substr(0, end)));
  };
  if (auto name = between("Layer '", "' (")) return *name;
  if (auto name = between("Validation failed for DLA layer: ", ". Switching to GPU fallback")) return *name;
  if (auto name = between("Splitting DLA subgraph at: ", " because DLA validation failed")) return *name;
  if (auto name = between("DLA is enabled but layer ", " is not supported on DLA")) return *name;
  const std::size_t rule = text.find(": DLA ");
  return rule == std::string_view::npos ? "" : std::string(text.substr(0, rule));
}

// The phrases of real warnings, of TensorRT 7 to 10.
bool is_fallback(std::string_view text) {
  constexpr std::string_view kPhrases[] = {"Unsupported on DLA",
                                           "DLA only supports",
                                           "DLA cores do not support",
                                           "of DLA does not support",
                                           "Validation failed for DLA layer",
                                           "Splitting DLA subgraph at",
                                           "All dla layers are falling back to GPU",
                                           "falling back to GPU",
                                           "will not run on DLA"};
  return std::ranges::any_of(kPhrases,
                             [&](std::string_view p) { return text.find(p) != std::string_view::npos; });
}

class LogReader {
 public:
  TrtexecLog read(std::string_view text) {
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      const Line line(text.substr(0, end));
      if (!line.whole.empty()) {
        last_ = line.whole;
        visit(line);
      }
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    check(running_, "what trtexec printed has no line '&&&& RUNNING TensorRT.trtexec': {}",
          last_.empty() ? "it is empty" : "its last line is '" + shown(last_) + "'");
    check(ended_,
          "what trtexec printed is cut off behind '{}': it has no line '&&&& PASSED' or '&&&& FAILED'",
          shown(last_));
    if (summary_) {
      check(has_throughput_ && has_latency_ && has_walltime_, "trtexec's performance summary lacks its {}",
            !has_throughput_ ? "throughput"
            : !has_latency_  ? "latency"
                             : "walltime");
      log_.performance = performance_;
    }
    return std::move(log_);
  }

 private:
  void visit(const Line& line) {
    if (line.text.starts_with("&&&& ")) return visit_banner(line);
    if (line.severity == 'E' || line.severity == 'F') log_.errors.emplace_back(line.text);
    if (is_fallback(line.text)) log_.fallbacks.push_back({layer_in(line.text), std::string(line.text)});
    if (line.severity == 'W') log_.warnings.emplace_back(line.text);
    std::string_view rest = line.text;
    if (take(rest, "[DlaLayer] ")) return void(log_.on_dla.emplace_back(rest));
    if (take(rest, "[GpuLayer] ")) return void(log_.on_gpu.emplace_back(rest));
    if (line.text.starts_with("Engine built in ")) log_.build_s = figure(line, "Engine built in ", " sec.");
    if (line.text == "=== Performance summary ===") summary_ = true;
    if (summary_) visit_summary(line);
  }

  void visit_banner(const Line& line) {
    if (line.text.starts_with("&&&& RUNNING TensorRT.trtexec")) {
      running_ = true;
      log_.version = version_of(line.text);
    }
    if (line.text.starts_with("&&&& PASSED") || line.text.starts_with("&&&& FAILED")) {
      ended_ = true;
      log_.passed = line.text.starts_with("&&&& PASSED");
    }
  }

  void visit_summary(const Line& line) {
    if (line.text.starts_with("Throughput: ")) {
      performance_.throughput_qps = figure(line, "Throughput: ", " qps");
      has_throughput_ = true;
    } else if (line.text.starts_with("Latency: ")) {
      read_latency(line, performance_);
      has_latency_ = true;
    } else if (line.text.starts_with("Total Host Walltime: ")) {
      performance_.walltime_s = figure(line, "Total Host Walltime: ", " s");
      has_walltime_ = true;
    }
  }

  TrtexecLog log_;
  TrtexecPerformance performance_;
  std::string_view last_;
  bool running_ = false, ended_ = false, summary_ = false, has_throughput_ = false, has_latency_ = false,
       has_walltime_ = false;
};

void add_file(std::vector<std::string>& arguments, const char* flag, const std::string& file) {
  if (!file.empty()) arguments.push_back(fmt::format("--{}={}", flag, file));
}

}  // namespace

std::string layer_precisions(const std::vector<std::string>& fp16_layers) {
  std::string text;
  for (const std::string& layer : fp16_layers) text += (text.empty() ? "" : ",") + layer + ":fp16";
  return text;
}

std::vector<std::string> trtexec_build(const TrtexecBuild& build, const TensorRtVersion& version) {
  std::vector<std::string> arguments{"--onnx=" + build.onnx, "--saveEngine=" + build.engine,
                                     "--profilingVerbosity=detailed", "--skipInference"};
  if (version < TensorRtVersion{8, 6}) arguments.back() = "--buildOnly";
  if (!is_strongly_typed(version)) {
    arguments.emplace_back("--fp16");
    if (build.int8) arguments.emplace_back("--int8");
    add_file(arguments, "calib", build.cache);
    if (!build.fp16_layers.empty()) {
      arguments.emplace_back("--precisionConstraints=prefer");
      arguments.push_back("--layerPrecisions=" + layer_precisions(build.fp16_layers));
    }
  }
  if (build.dla_core) arguments.push_back(fmt::format("--useDLACore={}", *build.dla_core));
  if (!build.dla_core) return arguments;
  if (build.fallback) {
    arguments.emplace_back("--allowGPUFallback");
  } else {
    const std::string_view format = build.int8 ? "int8:chw32" : "fp16:chw16";
    arguments.push_back(
        fmt::format("--inputIOFormats={}", fmt::join(std::vector(build.inputs, format), ",")));
    arguments.push_back(
        fmt::format("--outputIOFormats={}", fmt::join(std::vector(build.outputs, format), ",")));
  }
  return arguments;
}

std::vector<std::string> trtexec_run(const TrtexecRun& run, const TensorRtVersion& version) {
  std::vector<std::string> arguments{
      "--loadEngine=" + run.engine, fmt::format("--duration={:.9g}", run.duration_s),
      fmt::format("--iterations={}", run.iterations), fmt::format("--warmUp={}", run.warmup_ms)};
  if (run.dla_core) arguments.push_back(fmt::format("--useDLACore={}", *run.dla_core));
  if (version.major >= 11)
    arguments.insert(arguments.end(), {"--noCudaGraph", "--noSpinWait", "--includeDataTransfers"});
  add_file(arguments, "exportTimes", run.times);
  add_file(arguments, "exportOutput", run.output);
  add_file(arguments, "exportLayerInfo", run.layers);
  add_file(arguments, "exportProfile", run.profile);
  if (!run.profile.empty() || !run.layers.empty()) arguments.emplace_back("--profilingVerbosity=detailed");
  // From 11 on the profile has a run of its own in any case.
  if (!run.profile.empty() && version.major < 11) arguments.emplace_back("--separateProfileRun");
  std::string inputs;
  for (const auto& [name, file] : run.inputs)
    inputs += fmt::format("{}'{}':{}", inputs.empty() ? "" : ",", name, file);
  if (!inputs.empty()) arguments.push_back("--loadInputs=" + inputs);
  return arguments;
}

TrtexecLog parse_trtexec_log(std::string_view text) { return LogReader().read(text); }

std::string failure_of(const TrtexecLog& log) {
  if (log.errors.empty()) return "trtexec failed and named no error";
  const auto with = [&](std::string_view phrase) {
    return std::ranges::find_if(log.errors,
                                [&](const std::string& e) { return e.find(phrase) != std::string::npos; });
  };
  if (const auto found = with("incompatible device"); found != log.errors.end())
    return fmt::format(
        "the engine was built on another device ({}): build it on this one, from the ONNX file",
        shown(*found));
  if (const auto found = with("Version tag does not match"); found != log.errors.end())
    return fmt::format(
        "the engine was built with another TensorRT ({}): build it with this one, from the ONNX file",
        shown(*found));
  std::string text = "trtexec failed: " + shown(log.errors.front());
  const bool dla = std::ranges::any_of(
      log.errors, [](const std::string& e) { return e.find("DLA") != std::string::npos; });
  if (dla) text += "; 'eke plan' says which layers leave the DLA, and --fallback lets the GPU take them";
  return text;
}

bool begins_inference(std::string_view line) noexcept { return Line(line).text == "Starting inference"; }

bool ends_inference(std::string_view line) noexcept {
  const std::string_view text = Line(line).text;
  return text.starts_with("Warmup completed ") || text.starts_with("Timing trace has ") ||
         text.starts_with("=== Trace details") || text.starts_with("=== Performance summary") ||
         text.starts_with("&&&& ");
}

std::vector<std::string> nodes_of_layer(std::string_view layer) {
  std::vector<std::string> names;
  const auto split = [&](std::string_view text, std::string_view separator) {
    while (true) {
      const std::size_t at = text.find(separator);
      const std::string_view part = trimmed(text.substr(0, at));
      if (!part.empty()) names.emplace_back(part);
      if (at == std::string_view::npos) return;
      text.remove_prefix(at + separator.size());
    }
  };
  constexpr std::string_view kForeign = "{ForeignNode[";
  if (layer.starts_with(kForeign) && layer.ends_with("]}")) {
    split(layer.substr(kForeign.size(), layer.size() - kForeign.size() - 2), "...");
    return names;
  }
  // "PLUGIN_V2: InstanceNormalization_5": the kind of the layer, in capitals.
  const std::size_t colon = layer.find(": ");
  if (colon != std::string_view::npos && std::ranges::all_of(layer.substr(0, colon), [](char c) {
        return (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
      }))
    layer.remove_prefix(colon + 2);
  split(layer, " + ");
  return names;
}

std::vector<Misplaced> misplaced(const DlaPlan& plan, const TrtexecLog& log) {
  if (log.on_dla.empty() && log.on_gpu.empty()) return {};
  std::set<std::string> on_gpu;
  for (const std::string& layer : log.on_gpu)
    for (std::string& node : nodes_of_layer(layer)) on_gpu.insert(std::move(node));
  std::vector<Misplaced> result;
  for (const PlacedNode& node : plan.nodes) {
    if (node.engine == Engine::folded) continue;
    const Engine actual = on_gpu.contains(node.name) ? Engine::gpu : Engine::dla;
    if (actual != node.engine) result.push_back({node.name, node.engine, actual});
  }
  return result;
}

}  // namespace eke
