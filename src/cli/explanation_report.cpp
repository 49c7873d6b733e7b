#include "cli/explanation_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace eke::cli {

namespace {

constexpr double kNoteworthy = 0.05;  // share of the noise from which a layer is a culprit

Culprit culprit_of(const Explanation& e, const LayerEffect& layer, const QuantizationOptions& options) {
  Culprit culprit{layer.node, "", "", layer.share};
  const bool weights = layer.only_weights.noise > 0.5 * layer.only.noise;
  const auto found = std::ranges::find(e.activations, layer.reads, &ActivationEffect::name);
  const ActivationEffect* input = found == e.activations.end() ? nullptr : &*found;
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

std::string db_text(const Noise& noise) {
  return std::isfinite(noise.db()) ? fmt::format("{:.1f}", noise.db()) : "exact";
}
Json db_json(const Noise& noise) { return std::isfinite(noise.db()) ? Json(noise.db()) : Json(nullptr); }
Json noise_json(const Noise& noise) { return {{"sqnr_db", db_json(noise)}, {"cosine", noise.cosine()}}; }

}  // namespace

std::vector<Culprit> culprits_of(const Explanation& e, const QuantizationOptions& options) {
  std::vector<Culprit> culprits;
  for (const LayerEffect& layer : e.layers)
    if (layer.share >= kNoteworthy) culprits.push_back(culprit_of(e, layer, options));
  std::ranges::stable_sort(culprits, std::greater<>(), &Culprit::share);
  return culprits;
}

Json to_json(const Explanation& e, const std::vector<Culprit>& culprits) {
  Json json{{"images", e.images},
            {"all", noise_json(e.all)},
            {"weights_only", noise_json(e.weights_only)},
            {"activations_only", noise_json(e.activations_only)},
            {"culprits", Json::array()},
            {"layers", Json::array()},
            {"activations", Json::array()}};
  for (const Culprit& c : culprits)
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

std::string culprits_text(const Explanation& e, const std::vector<Culprit>& culprits, std::size_t most) {
  std::string text = fmt::format(
      "signal to noise of the output over {} images: {} dB; with weights alone in int8 {} dB, with "
      "activations alone "
      "{} dB\n",
      e.images, db_text(e.all), db_text(e.weights_only), db_text(e.activations_only));
  if (culprits.empty()) return text + "no layer stands out\n";
  for (std::size_t i = 0; i < std::min(most, culprits.size()); ++i) {
    const Culprit& c = culprits[i];
    text += fmt::format("{:3.0f} % of the noise of layers: '{}': {} ({})\n", 100 * c.share, c.node, c.why,
                        c.remedy);
  }
  return text;
}

std::string explanation_text(const Explanation& e, const std::vector<Culprit>& culprits) {
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
  return culprits_text(e, culprits, culprits.size()) +
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
