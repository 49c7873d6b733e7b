#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "ops/infer.h"
#include "passes/rewriter.h"
#include "target/export.h"
#include "target/export_scales.h"

namespace eke {
namespace {

bool is_quantization(const Op& op) { return holds_any<op::QuantizeLinear, op::DequantizeLinear>(op); }

// Without Q/DQ nodes; constants become floats. `scales` follows where a value takes over the name of an output.
Graph without_qdq(const Graph& graph, std::map<std::string, float>& scales) {
  const std::vector<int> makers = producers(graph);
  Rewriter r(graph);
  r.for_each_node([&] {
    if (!is_quantization(r.node().op)) return;
    if (r.constant(r.in(0))) {
      std::vector<Tensor> value = evaluate_constant(r.graph(), r.node());
      r.bypass(r.add_constant(r.graph()[r.out()].name + "_float", std::move(value.at(0))));
      return;
    }
    const std::string from = r.graph()[r.in(0)].name, to = r.graph()[r.out()].name;
    const bool output = r.is_output(r.out());
    check(r.bypass(r.in(0)), "output '{}' is the quantized form of another output or of an input", to);
    if (const auto found = scales.find(from); output && found != scales.end()) scales[to] = found->second;
  });
  return std::move(r).finish();
}

// A result that goes into an activation alone is rounded behind it: both have one scale. What only moves elements
// has the scale of what it moves.
bool shares_scale(const Op& op) {
  if (const auto* unary = std::get_if<op::Unary>(&op)) return unary->fn == op::UnaryFn::Relu;
  return holds_any<op::Clip, op::LeakyRelu, op::MaxPool, op::Flatten, op::Reshape, op::Squeeze, op::Unsqueeze,
                   op::Transpose, op::Slice, op::Pad, op::Identity>(op) ||
         (std::holds_alternative<op::Binary>(op) && std::get<op::Binary>(op).fn == op::BinaryFn::PRelu);
}

void spread(const Graph& graph, std::map<std::string, float>& scales) {
  for (bool changed = true; changed;) {
    changed = false;
    for (const Node& node : graph.nodes) {
      if (!shares_scale(node.op) || graph.constant(node.in[0])) continue;
      const std::string &in = graph[node.in[0]].name, &out = graph[node.out[0]].name;
      const auto have_in = scales.find(in), have_out = scales.find(out);
      if ((have_in == scales.end()) == (have_out == scales.end())) continue;
      if (have_in == scales.end())
        scales[in] = have_out->second;
      else
        scales[out] = have_in->second;
      changed = true;
    }
  }
}

CalibrationCache cache_of(const Graph& graph, const std::map<std::string, float>& scales,
                          const TensorRtVersion& version) {
  CalibrationCache cache{cache_header(version), {}};
  const auto add = [&](ValueId id) {
    if (const auto found = scales.find(graph[id].name); found != scales.end())
      cache.entries.push_back({found->first, found->second});
  };
  for (const ValueId id : graph.inputs) add(id);
  for (const Node& node : graph.nodes)
    for (const ValueId id : node.out)
      if (id != kNoValue) add(id);
  return cache;
}

// Commas and stars mean something in the list of precisions, colons end a name.
void rename_nodes(Graph& graph, std::vector<ExportNote>& notes) {
  std::set<std::string> names;
  for (Node& node : graph.nodes) {
    std::string name = node.name.empty() ? graph[node.out[0]].name : node.name;
    for (char& c : name)
      if (c == ',' || c == '*' || c == ':') c = '_';
    std::string unique = name;
    for (int i = 2; !names.insert(unique).second; ++i) unique = fmt::format("{}_{}", name, i);
    if (!node.name.empty() && unique != node.name)
      notes.push_back({node.name, "the layer is called " + unique});
    node.name = unique;
  }
}

bool has_scale(const Graph& graph, const std::map<std::string, float>& scales, ValueId id) {
  return id == kNoValue || graph.constant(id) || scales.contains(graph[id].name);
}

std::vector<std::string> layers_without_scales(const Graph& graph, const DlaPlan& plan,
                                               const std::map<std::string, float>& scales) {
  std::vector<std::string> layers;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (plan.nodes[n].engine == Engine::folded) continue;
    const Node& node = graph.nodes[n];
    const auto known = [&](ValueId id) { return has_scale(graph, scales, id); };
    if (!std::ranges::all_of(node.in, known) || !std::ranges::all_of(node.out, known))
      layers.push_back(node.name);
  }
  return layers;
}

}  // namespace

DlaExport export_dla(const Graph& graph, const DlaTarget& target) {
  check(!is_strongly_typed(target.version),
        "TensorRT {} has no calibration caches: networks are strongly typed, by their Q/DQ nodes",
        to_string(target.version));
  DlaExport result;
  std::map<std::string, float> scales = symmetric_scales(graph, result.notes);
  result.graph = without_qdq(graph, scales);
  rename_nodes(result.graph, result.notes);
  spread(result.graph, scales);
  make_equal(result.graph, target, scales, result.notes);
  result.cache = cache_of(result.graph, scales, target.version);
  result.plan = plan_dla(result.graph, target);
  result.fp16_layers = layers_without_scales(result.graph, result.plan, scales);
  return result;
}

void check_cache(const CalibrationCache& cache, const Graph& graph, const TensorRtVersion& version) {
  check(cache.header == cache_header(version), "the cache begins with '{}'; TensorRT {} takes '{}' alone",
        cache.header, to_string(version), cache_header(version));
  std::string strangers;
  int count = 0;
  constexpr int kMostShown = 10;
  for (const CacheEntry& entry : cache.entries) {
    if (find_value(graph, entry.tensor) != kNoValue) continue;
    if (++count <= kMostShown) strangers += (strangers.empty() ? "'" : ", '") + entry.tensor + "'";
  }
  check(count == 0, "the cache is of another network, which has the tensors {}{}", strangers,
        count > kMostShown ? fmt::format(" and {} more that this one lacks", count - kMostShown) : "");
}

std::string trtexec_script(const ScriptFiles& files, const TensorRtVersion& version, bool dla) {
  std::string script = fmt::format(
      "#!/bin/sh\n# Builds an engine of TensorRT {} from {}{} and times it.\n# TRTEXEC names another "
      "trtexec{}.\n"
      "set -e\ncd \"$(dirname \"$0\")\"\nexec \"${{TRTEXEC:-/usr/src/tensorrt/bin/trtexec}}\" \\\n  "
      "--onnx={} --saveEngine={}",
      to_string(version), files.onnx, dla ? " for the DLA" : "", dla ? ", DLA_CORE another core" : "",
      files.onnx, files.engine);
  if (!is_strongly_typed(version)) script += " --int8 --fp16";
  if (!files.cache.empty()) script += fmt::format(" \\\n  --calib={}", files.cache);
  if (!files.layers.empty())
    script += fmt::format(" --precisionConstraints=prefer --layerPrecisions=\"$(cat {})\"", files.layers);
  if (dla) script += " \\\n  --useDLACore=\"${DLA_CORE:-0}\" --allowGPUFallback";
  return script + " \"$@\"\n";
}

}  // namespace eke
