#include "ptq/explain.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/statistics.h"
#include "ops/op_def.h"
#include "passes/passes.h"
#include "ptq/outputs.h"
#include "quant/keep.h"
#include "runtime/session.h"
#include "tensor/values.h"

namespace eke {

namespace {

const Node* find_node(const Graph& graph, std::string_view name) {
  const auto found =
      std::ranges::find_if(graph.nodes, [&](const Node& n) { return label(graph, n) == name; });
  return found == graph.nodes.end() ? nullptr : &*found;
}

// What a DequantizeLinear of a constant gives.
Tensor dequantized(const Graph& graph, const Node& node) {
  const Tensor &stored = *graph.constant(node.in[0]), &scale = *graph.constant(node.in[1]);
  Tensor result(DType::f32, stored.shape());
  const auto axis = static_cast<int>(std::get<op::DequantizeLinear>(node.op).axis);
  const std::int64_t channels = scale.count(),
                     inner = channels == 1 ? stored.count()
                                           : stored.shape().count(axis + 1, stored.shape().rank());
  const auto values = result.mutable_values<float>();
  for (std::int64_t i = 0; i < stored.count(); ++i) {
    const std::int64_t channel = channels == 1 ? 0 : i / inner % channels;
    values[static_cast<std::size_t>(i)] =
        static_cast<float>(element_as_double(stored.view(), i) * element_as_double(scale.view(), channel));
  }
  return result;
}

// The graphs between float and int8: of some layers only weights and biases are rounded.
class Variants {
 public:
  Variants(const Graph& graph, const Graph& quantized)
      : graph_(graph), quantized_(quantized), makers_(producers(quantized)) {}

  Graph weights_only(const std::vector<std::string>& layers) const {
    Graph result = graph_;
    for (const std::string& name : layers) {
      Node& node = node_of(result, name);
      const Node& rounded = *find_node(quantized_, name);
      node.op = rounded.op;  // a Gemm without its alpha
      for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
        if (i >= rounded.in.size() || rounded.in[i] == kNoValue) continue;
        node.in.resize(std::max(node.in.size(), i + 1), kNoValue);
        node.in[i] = result.add_constant("rounded", dequantized(quantized_, maker(rounded.in[i])));
      }
    }
    compact(result);
    return result;
  }

  Graph activations_only(const std::vector<std::string>& layers) const {
    Graph result = quantized_;
    for (const std::string& name : layers) {
      Node& node = node_of(result, name);
      const Node& original = *find_node(graph_, name);
      node.op = original.op;
      node.in.resize(original.in.size(), kNoValue);
      for (std::size_t i = 1; i < original.in.size(); ++i) {
        if (const Tensor* constant = graph_.constant(original.in[i]))
          node.in[i] = result.add_constant("float", *constant);
      }
    }
    compact(result);
    return result;
  }

 private:
  static Node& node_of(Graph& graph, const std::string& name) {
    return *std::ranges::find_if(graph.nodes, [&](const Node& n) { return label(graph, n) == name; });
  }
  const Node& maker(ValueId id) const {
    return quantized_.nodes[static_cast<std::size_t>(makers_[static_cast<std::size_t>(id)])];
  }

  const Graph& graph_;
  const Graph& quantized_;
  std::vector<int> makers_;
};

// The first output of a float model on some images, and what other models make of them.
class OutputNoise {
 public:
  // `runs`: of models over the images, this one included.
  OutputNoise(const Graph& graph, CalibrationImages& images, std::int64_t limit, std::int64_t runs,
              const Threads& threads)
      : images_(images), limit_(limit), runs_(runs), threads_(threads) {
    run(graph, [&](std::vector<float> values) { reference_.push_back(std::move(values)); });
  }

  Noise of(const Graph& graph) {
    Noise noise;
    std::size_t at = 0;
    run(graph, [&](const std::vector<float>& values) { noise.add(reference_[at++], values); });
    return noise;
  }
  std::int64_t images() const { return static_cast<std::int64_t>(reference_.size()); }

 private:
  void run(const Graph& graph, const std::function<void(std::vector<float> values)>& take) {
    images_.tell("explaining layers", done_++, runs_);
    each_output(graph, images_, limit_, threads_,
                [&](std::vector<float> output, const auto&) { take(std::move(output)); });
  }

  CalibrationImages& images_;
  std::int64_t limit_, runs_, done_ = 0;
  const Threads& threads_;
  std::vector<std::vector<float>> reference_;
};

std::vector<std::string> other_layers(const std::vector<QuantizedLayer>& layers, const std::string& but) {
  std::vector<std::string> names;
  for (const QuantizedLayer& layer : layers) {
    if (layer.node != but) names.push_back(layer.node);
  }
  return names;
}

Graph int8_graph(const CalibratedGraph& calibrated, const Quantized& whole, RewriteOptions options,
                 const std::vector<std::string>& keep) {
  for (const std::string& name : as_patterns(keep)) options.keep.push_back(name);
  return optimize(quantize(calibrated.graph, calibrated.ranges, options, whole.weights).graph);
}

class ActivationWatch {
 public:
  ActivationWatch(const CalibratedGraph& calibrated, const QuantReport& report, const RewriteOptions& options)
      : calibrated_(calibrated) {
    for (const QuantizedTensor& tensor : report.tensors) {
      effects_.push_back({.name = tensor.name, .seen = tensor.seen, .range = tensor.range});
      schemes_.push_back(tensor.bits == 16 ? in_16_bits(options.activations) : options.activations);
    }
  }

  std::vector<ActivationEffect> run(CalibrationImages& images, std::int64_t limit, const Threads& threads) {
    CompileOptions observe;
    std::map<std::string, std::size_t> place;
    for (std::size_t i = 0; i < effects_.size(); ++i) place[effects_[i].name] = i;
    const std::string& input = calibrated_.graph[calibrated_.graph.inputs[0]].name;
    std::vector<std::size_t> observed;
    for (std::size_t i = 0; i < effects_.size(); ++i) {
      if (effects_[i].name == input) continue;
      observe.observe.push_back(effects_[i].name);
      observed.push_back(i);
    }
    peaks_.resize(effects_.size());
    Session session(calibrated_.graph, threads, observe);
    images.each_batch(session.batch(), session.row_size(), limit, "watching activations",
                      [&](std::span<const float> values, std::span<const std::string> names) {
                        const auto count = static_cast<std::int64_t>(names.size());
                        if (place.contains(input)) take(place[input], values, names, count);
                        session.run_rows_observed(values,
                                                  [&](std::size_t index, const std::vector<float>& seen) {
                                                    take(observed[index], seen, names, session.batch());
                                                  });
                      });
    for (std::size_t i = 0; i < effects_.size(); ++i) finish(i);
    return std::move(effects_);
  }

 private:
  void take(std::size_t index, std::span<const float> values, std::span<const std::string> names,
            std::int64_t batch) {
    ActivationEffect& effect = effects_[index];
    const ScaleZero qparams = qparams_for(effect.range, schemes_[index]);
    const Levels levels = levels_of(schemes_[index]);
    const double lo = (levels.lo - qparams.zero_point - 0.5) * double{qparams.scale},
                 hi = (levels.hi - qparams.zero_point + 0.5) * double{qparams.scale};
    const std::size_t each = values.size() / static_cast<std::size_t>(batch);
    for (std::size_t image = 0; image < names.size(); ++image) {
      float peak = 0;
      for (const float x : values.subspan(image * each, each)) {
        const double q =
            std::clamp(std::nearbyint(double{x} / double{qparams.scale}),
                       double(levels.lo - qparams.zero_point), double(levels.hi - qparams.zero_point));
        const double error = double{x} - q * double{qparams.scale};
        const bool below = double{x}<lo, above = double{x}> hi;
        effect.below += below;
        effect.above += above;
        (below || above ? effect.clipping : effect.rounding) += error * error;
        peak = std::max(peak, std::fabs(x));
      }
      effect.values += static_cast<std::int64_t>(each);
      peaks_[index].emplace_back(peak, names[image]);
    }
  }

  void finish(std::size_t index) {
    ActivationEffect& effect = effects_[index];
    std::vector<double> peaks;
    for (const auto& [peak, name] : peaks_[index]) peaks.push_back(double{peak});
    const auto widest = std::ranges::max_element(peaks_[index], {}, [](const auto& p) { return p.first; });
    effect.widest_image = widest->second;
    const double middle = median(peaks);
    if (middle > 0) effect.widest_over_median = double{widest->first} / middle;
    const auto found = calibrated_.ranges.find(effect.name);
    if (found == calibrated_.ranges.end()) return;
    const std::vector<float>& channels = found->second.channel_peaks;
    if (channels.empty()) return;
    effect.channels = static_cast<int>(channels.size());
    const double typical = median({channels.begin(), channels.end()});
    for (const float peak : channels) {
      effect.dead += peak == 0;
      effect.exploding += typical > 0 && double{peak} > kExploding * typical;
    }
  }

  const CalibratedGraph& calibrated_;
  std::vector<ActivationScheme> schemes_;
  std::vector<ActivationEffect> effects_;
  std::vector<std::vector<std::pair<float, std::string>>> peaks_;  // of the images
};

void rank(std::vector<LayerEffect>& layers) {
  double total = 0;
  for (const LayerEffect& layer : layers) total += layer.only.noise;
  for (LayerEffect& layer : layers) layer.share = total > 0 ? layer.only.noise / total : 0;
}

// The value of LayerDiff that a layer makes: its result, or that of the activation behind it.
void add_layer_noise(const Graph& graph, const std::vector<LayerNoise>& noises, LayerEffect& layer) {
  const auto readers = consumers(graph);
  ValueId value = find_node(graph, layer.node)->out[0];
  for (int steps = 0; steps < 2; ++steps) {
    const auto found = std::ranges::find(noises, graph[value].name, &LayerNoise::value);
    if (found != noises.end()) {
      layer.isolated = found->isolated;
      layer.accumulated = found->accumulated;
      return;
    }
    const auto& next = readers[static_cast<std::size_t>(value)];
    if (next.size() != 1) return;
    value = graph.nodes[static_cast<std::size_t>(next[0])].out[0];
  }
}

std::vector<LayerNoise> layer_noises(const Graph& graph, const Graph& quantized, CalibrationImages& images,
                                     std::int64_t limit, const Threads& threads) {
  LayerDiff diff(graph, quantized, threads);
  images.each_batch(diff.batch(), diff.row_size(), limit, "comparing layers",
                    [&](std::span<const float> values, std::span<const std::string> names) {
                      if (static_cast<std::int64_t>(names.size()) == diff.batch()) diff.add(values);
                    });
  return diff.layers();
}

}  // namespace

Explanation explain_model(const CalibratedGraph& calibrated, const Quantized& whole,
                          const QuantizationOptions& options, CalibrationImages& images, std::int64_t limit,
                          bool short_form, const Threads& threads) {
  const RewriteOptions rewrite = rewrite_options(options, calibrated.graph);
  const std::vector<QuantizedLayer>& layers = whole.report.layers;
  const Variants variants(calibrated.graph, whole.graph);
  const auto runs = static_cast<std::int64_t>(4 + layers.size() * (short_form ? 2 : 3));
  OutputNoise output(calibrated.graph, images, limit, runs, threads);
  Explanation result;
  result.images = output.images();
  result.all = output.of(optimize(whole.graph));
  result.weights_only = output.of(variants.weights_only(other_layers(layers, "")));
  result.activations_only = output.of(optimize(variants.activations_only(other_layers(layers, ""))));
  for (const QuantizedLayer& layer : layers) {
    LayerEffect effect{.node = layer.node,
                       .op = layer.op,
                       .reads = calibrated.graph[find_node(calibrated.graph, layer.node)->in[0]].name,
                       .macs = layer.cost.macs,
                       .channels = layer.channels,
                       .dead_weights = layer.dead_channels};
    effect.only = output.of(int8_graph(calibrated, whole, rewrite, other_layers(layers, layer.node)));
    effect.only_weights = output.of(variants.weights_only({layer.node}));
    if (!short_form) effect.all_but = output.of(int8_graph(calibrated, whole, rewrite, {layer.node}));
    result.layers.push_back(std::move(effect));
  }
  if (!short_form) {
    result.activations = ActivationWatch(calibrated, whole.report, rewrite).run(images, limit, threads);
    const std::vector<LayerNoise> noises =
        layer_noises(calibrated.graph, optimize(whole.graph), images, limit, threads);
    for (LayerEffect& layer : result.layers) add_layer_noise(calibrated.graph, noises, layer);
  }
  rank(result.layers);
  return result;
}

}  // namespace eke
