#include "cli/explain_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/statistics.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "ops/op_def.h"
#include "passes/passes.h"
#include "quant/keep.h"
#include "tensor/values.h"

namespace eke::cli {

namespace {

constexpr double kNoteworthy = 0.05;  // share of the noise from which a layer is a culprit

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
  OutputNoise(const Graph& graph, CalibrationImages& images, std::int64_t limit, const Threads& threads)
      : images_(images), limit_(limit), threads_(threads) {
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
  template <class F>
  void run(const Graph& graph, F&& take) {
    Session session(graph, threads_);
    images_.each_batch(session.batch(), session.row_size(), limit_, "explaining",
                       [&](std::span<const float> values, std::span<const std::string> names) {
                         session.run_rows(values);
                         for (std::size_t i = 0; i < names.size(); ++i)
                           take(session.output_row(0, static_cast<std::int64_t>(i)));
                       });
  }

  CalibrationImages& images_;
  std::int64_t limit_;
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

Graph int8_graph(const CalibratedGraph& calibrated, const Quantized& whole, QuantizeOptions options,
                 const std::vector<std::string>& keep) {
  for (const std::string& name : as_patterns(keep)) options.keep.push_back(name);
  return optimize(quantize(calibrated.graph, calibrated.ranges, options, whole.weights).graph);
}

class ActivationWatch {
 public:
  ActivationWatch(const CalibratedGraph& calibrated, const QuantReport& report,
                  const QuantizeOptions& options)
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

// The activation that a layer reads, through what moves elements.
const ActivationEffect* input_of(const Graph& graph, const Explanation& e, const std::string& layer) {
  const Node* node = find_node(graph, layer);
  const auto found = std::ranges::find(e.activations, graph[node->in[0]].name, &ActivationEffect::name);
  return found == e.activations.end() ? nullptr : &*found;
}

Culprit judge(const Graph& graph, const Explanation& e, const LayerEffect& layer,
              const QuantizationOptions& options) {
  Culprit culprit{layer.node, "", "", layer.share};
  const bool weights = layer.only_weights.noise > 0.5 * layer.only.noise;
  const ActivationEffect* input = input_of(graph, e, layer.node);
  if (weights && options.per_tensor) {
    culprit.why = "its weights share one step and the ranges of its channels differ";
    culprit.remedy =
        options.equalize == "off" ? "--equalize on, or leave out --per-tensor" : "leave out --per-tensor";
  } else if (weights && options.effort != "best") {
    culprit.why = "rounding its weights costs more than rounding what it reads";
    culprit.remedy = "--effort best";
  } else if (weights) {
    culprit.why = "rounding its weights costs more than rounding what it reads";
    culprit.remedy = options.weight_range == "max" && options.effort == "fast"
                         ? fmt::format("--weight-range mse, or --keep '{}'", layer.node)
                         : fmt::format("--keep '{}'", layer.node);
  } else if (input && input->has_outlier_image()) {
    culprit.why =
        fmt::format("image '{}' stretches the range of '{}' to {:.1f} times that of the median image",
                    input->widest_image, input->name, input->widest_over_median);
    culprit.remedy = "leave that image out, or --calibrator percentile";
  } else if (input && input->clipping_share() > 0.5) {
    culprit.why = fmt::format("{:.0f} % of the error in '{}' is values cut off",
                              100 * input->clipping_share(), input->name);
    culprit.remedy = options.calibrator == "min-max" ? "more images (--count)" : "--calibrator min-max";
  } else if (input && input->exploding > 0) {
    culprit.why =
        fmt::format("{} of {} channels of '{}' are more than {:.0f} times as large as the median channel",
                    input->exploding, input->channels, input->name, kExploding);
    culprit.remedy = options.equalize == "on" ? fmt::format("--keep '{}'", layer.node) : "--equalize on";
  } else {
    culprit.why = "8 bits are few for what it reads or makes";
    culprit.remedy = fmt::format("--keep '{}'", layer.node);
  }
  return culprit;
}

void rank(const Graph& graph, Explanation& e, const QuantizationOptions& options) {
  double total = 0;
  for (const LayerEffect& layer : e.layers) total += layer.only.noise;
  for (LayerEffect& layer : e.layers) {
    layer.share = total > 0 ? layer.only.noise / total : 0;
    if (layer.share >= kNoteworthy) e.culprits.push_back(judge(graph, e, layer, options));
  }
  std::ranges::stable_sort(e.culprits, std::greater<>(), &Culprit::share);
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

std::string db_text(const Noise& noise) {
  return std::isfinite(noise.db()) ? fmt::format("{:.1f}", noise.db()) : "exact";
}
Json db_json(const Noise& noise) { return std::isfinite(noise.db()) ? Json(noise.db()) : Json(nullptr); }
Json noise_json(const Noise& noise) { return {{"sqnr_db", db_json(noise)}, {"cosine", noise.cosine()}}; }

}  // namespace

Explanation explain_model(const CalibratedGraph& calibrated, const Quantized& whole,
                          const QuantizationOptions& options, CalibrationImages& images, std::int64_t limit,
                          bool short_form, const Threads& threads) {
  const QuantizeOptions rewrite = rewrite_options(options, calibrated.graph);
  const std::vector<QuantizedLayer>& layers = whole.report.layers;
  const Variants variants(calibrated.graph, whole.graph);
  OutputNoise output(calibrated.graph, images, limit, threads);
  Explanation result;
  result.images = output.images();
  result.all = output.of(optimize(whole.graph));
  result.weights_only = output.of(variants.weights_only(other_layers(layers, "")));
  result.activations_only = output.of(optimize(variants.activations_only(other_layers(layers, ""))));
  Progress progress("explaining layers", static_cast<std::int64_t>(layers.size()));
  for (const QuantizedLayer& layer : layers) {
    LayerEffect effect{.node = layer.node,
                       .op = layer.op,
                       .macs = layer.cost.macs,
                       .channels = layer.channels,
                       .dead_weights = layer.dead_channels};
    effect.only = output.of(int8_graph(calibrated, whole, rewrite, other_layers(layers, layer.node)));
    effect.only_weights = output.of(variants.weights_only({layer.node}));
    if (!short_form) effect.all_but = output.of(int8_graph(calibrated, whole, rewrite, {layer.node}));
    result.layers.push_back(std::move(effect));
    progress.update(static_cast<std::int64_t>(result.layers.size()));
  }
  if (!short_form) {
    result.activations = ActivationWatch(calibrated, whole.report, rewrite).run(images, limit, threads);
    const std::vector<LayerNoise> noises =
        layer_noises(calibrated.graph, optimize(whole.graph), images, limit, threads);
    for (LayerEffect& layer : result.layers) add_layer_noise(calibrated.graph, noises, layer);
  }
  rank(calibrated.graph, result, options);
  return result;
}

Json to_json(const Explanation& e) {
  Json json{{"images", e.images},
            {"all", noise_json(e.all)},
            {"weights_only", noise_json(e.weights_only)},
            {"activations_only", noise_json(e.activations_only)},
            {"culprits", Json::array()},
            {"layers", Json::array()},
            {"activations", Json::array()}};
  for (const Culprit& c : e.culprits)
    json["culprits"].push_back({{"node", c.node}, {"share", c.share}, {"why", c.why}, {"remedy", c.remedy}});
  for (const LayerEffect& l : e.layers) {
    Json entry{{"node", l.node},
               {"operator", l.op},
               {"macs", l.macs},
               {"channels", l.channels},
               {"channels_with_zero_weights", l.dead_weights},
               {"share", l.share},
               {"only_this", noise_json(l.only)},
               {"only_its_weights", noise_json(l.only_weights)}};
    if (l.all_but.signal > 0) entry["all_but_this"] = noise_json(l.all_but);
    if (l.isolated) entry["isolated"] = noise_json(*l.isolated);
    if (l.accumulated) entry["accumulated"] = noise_json(*l.accumulated);
    json["layers"].push_back(std::move(entry));
  }
  for (const ActivationEffect& a : e.activations) {
    json["activations"].push_back({{"tensor", a.name},
                                   {"seen", {a.seen.lo, a.seen.hi}},
                                   {"range", {a.range.lo, a.range.hi}},
                                   {"values", a.values},
                                   {"below", a.below},
                                   {"above", a.above},
                                   {"clipping_share", a.clipping_share()},
                                   {"channels", a.channels},
                                   {"dead_channels", a.dead},
                                   {"exploding_channels", a.exploding},
                                   {"widest_image", a.widest_image},
                                   {"widest_over_median", a.widest_over_median}});
  }
  return json;
}

Json ranges_json(const Ranges& ranges) {
  Json list = Json::array();
  for (const auto& [name, range] : ranges) {
    if (range.range.lo == range.range.hi) continue;
    Json entry{{"tensor", name},
               {"seen", {range.seen.lo, range.seen.hi}},
               {"range", {range.range.lo, range.range.hi}},
               {"history", Json::array()}};
    for (const RangeAfter& after : range.history)
      entry["history"].push_back(
          {{"images", after.images}, {"low", after.range.lo}, {"high", after.range.hi}});
    list.push_back(std::move(entry));
  }
  return list;
}

std::string culprits_text(const Explanation& e, std::size_t most) {
  std::string text = fmt::format(
      "signal to noise of the output over {} images: {} dB; with weights alone in int8 {} dB, with "
      "activations alone "
      "{} dB\n",
      e.images, db_text(e.all), db_text(e.weights_only), db_text(e.activations_only));
  if (e.culprits.empty()) return text + "no layer stands out\n";
  for (std::size_t i = 0; i < std::min(most, e.culprits.size()); ++i) {
    const Culprit& c = e.culprits[i];
    text += fmt::format("{:3.0f} % of the noise of layers: '{}': {} ({})\n", 100 * c.share, c.node, c.why,
                        c.remedy);
  }
  return text;
}

std::string explanation_text(const Explanation& e) {
  Table layers({{"layer", Align::left, 40},
                {"operator", Align::left},
                {"share"},
                {"only this"},
                {"its weights"},
                {"all but this"},
                {"alone"},
                {"cosine"},
                {"accumulated"}});
  for (const LayerEffect& l : e.layers) {
    layers.add({l.node, l.op, fmt::format("{:.1f} %", 100 * l.share), db_text(l.only),
                db_text(l.only_weights), db_text(l.all_but), l.isolated ? db_text(*l.isolated) : "",
                l.isolated ? fmt::format("{:.5f}", l.isolated->cosine()) : "",
                l.accumulated ? db_text(*l.accumulated) : ""});
  }
  Table activations({{"activation", Align::left, 40},
                     {"range", Align::left},
                     {"saturated"},
                     {"clipping"},
                     {"dead"},
                     {"exploding"},
                     {"over median"},
                     {"widest image", Align::left, 40}});
  for (const ActivationEffect& a : e.activations) {
    activations.add({a.name, fmt::format("{:.4g} to {:.4g}", a.range.lo, a.range.hi),
                     std::to_string(a.below + a.above), fmt::format("{:.0f} %", 100 * a.clipping_share()),
                     std::to_string(a.dead), std::to_string(a.exploding),
                     fmt::format("{:.1f} times", a.widest_over_median), a.widest_image});
  }
  return culprits_text(e, e.culprits.size()) +
         "\nsignal to noise in dB: of the network's output with only this layer in int8, only its weights, "
         "all but this "
         "layer;\nof what the layer makes, alone (fed with float values) and accumulated (all of int8)\n\n" +
         layers.text() +
         "\nsaturated: values outside the range; clipping: share of the squared error that they make;\ndead "
         "and exploding: channels; widest image: that holds the largest value, and how far it is over the "
         "median image's\n\n" +
         activations.text();
}

}  // namespace eke::cli
