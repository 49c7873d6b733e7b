// The sections of what eke quantize and eke explain say: what int8 costs, in which layers, and the ranges behind it.
#include <algorithm>
#include <cmath>

#include "report/figures.h"
#include "report/sections.h"

namespace eke::report {

namespace {

constexpr std::size_t kMostBars = 15, kLeastBars = 5, kMostRanges = 6;
constexpr double kSmallShare = 0.5;  // in %: not worth a bar

std::string db_text(const RunJson& layer, const char* key) {
  const RunJson* noise = find(layer, key);
  if (!noise) return "-";
  return find(*noise, "sqnr_db") ? fmt::format("{:.1f}", number(*noise, "sqnr_db")) : "exact";
}

Chart share_chart(const RunJson& layers, std::int64_t images) {
  std::vector<Point> points;
  for (const RunJson& layer : layers) {
    const double share = 100 * number(layer, "share");
    points.push_back(
        {text(layer, "node"), 0, Figure(share, "%", images, {share, share, "all images"}, Origin::measured)});
  }
  std::ranges::stable_sort(points, std::ranges::greater(), [](const Point& p) { return p.y.value(); });
  while (points.size() > kMostBars || (points.size() > kLeastBars && points.back().y.value() < kSmallShare))
    points.pop_back();
  return {ChartKind::bars,
          "sensitivity: the share of the noise of all layers, each in int8 alone",
          "",
          "%",
          {{"share", std::move(points)}}};
}

Table culprits_table(const RunJson& culprits) {
  Table table{"where it loses most, and what helps", {"layer", "share", "why", "what helps"}, {}};
  for (const RunJson& culprit : culprits)
    table.rows.push_back({text(culprit, "node"), fmt::format("{:.0f} %", 100 * number(culprit, "share")),
                          text(culprit, "why"), text(culprit, "remedy")});
  return table;
}

Table sensitivity_table(const RunJson& layers) {
  Table table{"signal to noise by layers, dB",
              {"layer", "operator", "MACs", "share", "only this", "only its weights", "all but this", "alone",
               "accumulated"},
              {}};
  for (const RunJson& layer : layers)
    table.rows.push_back({text(layer, "node"), text(layer, "operator"), count_text(layer, "macs"),
                          fmt::format("{:.1f} %", 100 * number(layer, "share")), db_text(layer, "only_this"),
                          db_text(layer, "only_its_weights"), db_text(layer, "all_but_this"),
                          db_text(layer, "isolated"), db_text(layer, "accumulated")});
  return table;
}

std::string span_text(const RunJson& span) {
  check(span.is_array() && span.size() == 2 && span[0].is_number() && span[1].is_number(),
        "a range is no pair of numbers");
  return fmt::format("{:.4g} to {:.4g}", span[0].get<double>(), span[1].get<double>());
}

Table activations_table(const RunJson& activations) {
  Table table{"activations",
              {"tensor", "seen", "range", "saturated", "error by clipping", "dead channels",
               "exploding channels", "widest image", "over the median image"},
              {}};
  for (const RunJson& a : activations)
    table.rows.push_back(
        {text(a, "tensor"), span_text(member(a, "seen")), span_text(member(a, "range")),
         fmt::format("{} below, {} above, of {}", count(a, "below"), count(a, "above"), count(a, "values")),
         fmt::format("{:.0f} %", 100 * number(a, "clipping_share")), count_text(a, "dead_channels"),
         count_text(a, "exploding_channels"), text(a, "widest_image"),
         fmt::format("{:.1f} times", number(a, "widest_over_median"))});
  return table;
}

void add_explanation(Section& section, const RunJson& json) {
  const std::int64_t images = count(json, "images");
  section.paragraphs.push_back(fmt::format(
      "Signal to noise of the output over {} images: {} dB; with weights alone in int8 {} dB, with "
      "activations "
      "alone {} dB.",
      images, db_text(json, "all"), db_text(json, "weights_only"), db_text(json, "activations_only")));
  const RunJson& layers = array(json, "layers");
  if (!array(json, "culprits").empty()) section.tables.push_back(culprits_table(json["culprits"]));
  if (!layers.empty()) {
    section.charts.push_back(share_chart(layers, images));
    section.tables.push_back(sensitivity_table(layers));
  }
  if (!array(json, "activations").empty()) section.tables.push_back(activations_table(json["activations"]));
}

// A range that calibration chose, and what it was after fewer images.
struct Settling {
  std::string tensor, range;
  std::vector<std::pair<std::int64_t, double>> widths;  // images, width in % of the last
  double moved = 0;                                     // by the last doubling, in %
};
Settling settling_of(const RunJson& range) {
  Settling s{text(range, "tensor"), span_text(member(range, "range")), {}};
  const RunJson& history = array(range, "history");
  const auto width = [](const RunJson& after) { return number(after, "high") - number(after, "low"); };
  if (history.empty() || !(width(history.back()) > 0)) return s;
  const double last = width(history.back());
  for (const RunJson& after : history)
    s.widths.emplace_back(count(after, "images"), 100 * width(after) / last);
  if (history.size() > 1) s.moved = std::abs(100 - s.widths[history.size() - 2].second);
  return s;
}

void add_ranges(Section& section, const RunJson& ranges) {
  std::vector<Settling> list;
  for (const RunJson& range : ranges) list.push_back(settling_of(range));
  Table table{"ranges of calibration", {"tensor", "range", "moved by the last doubling of images"}, {}};
  for (const Settling& s : list)
    table.rows.push_back({s.tensor, s.range, s.widths.size() > 1 ? fmt::format("{:.1f} %", s.moved) : "-"});
  std::ranges::stable_sort(list, std::ranges::greater(), &Settling::moved);
  Chart chart{ChartKind::lines,
              "how calibration settles: the width of the ranges that moved last",
              "images",
              "% of the final width",
              {}};
  for (const Settling& s : list) {
    if (chart.series.size() == kMostRanges || s.widths.size() < 2) break;
    Series series{s.tensor, {}};
    for (const auto& [images, width] : s.widths)
      series.points.push_back({"", static_cast<double>(images),
                               Figure(width, "%", std::max<std::int64_t>(images, 1),
                                      {width, width, "all images so far"}, Origin::measured)});
    chart.series.push_back(std::move(series));
  }
  if (!chart.series.empty()) section.charts.push_back(std::move(chart));
  if (!table.rows.empty()) section.tables.push_back(std::move(table));
}

void add_float_and_int8(RunParts& parts, const RunJson& json) {
  const std::string names[] = {text(json, "model"), text(json, "output")};
  const RunJson &f32 = member(json, "float"), &int8 = member(json, "int8"), &timing = member(json, "timing");
  const std::int64_t runs = count(timing, "runs");
  const Figure ms[] = {latency(member(f32, "ms"), runs), latency(member(int8, "ms"), runs)};
  const std::optional<Figure> scores[] = {headline(f32), headline(int8)};
  const double bytes[] = {number(json, "float_bytes"), number(json, "int8_bytes")};
  Table table{"float and int8", {"model", "accuracy", "latency", "size"}, {}};
  for (int i = 0; i < 2; ++i) {
    table.rows.push_back({names[i], scores[i] ? Cell(*scores[i]) : Cell(std::string("no labels")), ms[i],
                          bytes_text(bytes[i])});
    parts.outcomes.push_back({.model = names[i],
                              .accuracy = scores[i],
                              .bytes = bytes[i],
                              .latency = ms[i],
                              .threads = count(timing, "threads")});
  }
  parts.section.tables.push_back(std::move(table));
  if (const RunJson* difference = find(json, "difference"))
    parts.verdicts.push_back(accuracy_verdict(names[1], names[0], number(*difference, "accuracy"),
                                              number(*difference, "low"), number(*difference, "high"),
                                              count(json, "evaluation_images")));
  const RunJson& ratio = member(json, "int8_time_over_float");
  parts.verdicts.push_back(ratio_verdict(names[1], names[0], kTimeWords, number(ratio, "median"),
                                         number(ratio, "p10"), number(ratio, "p90"),
                                         fmt::format("p10 to p90 of {} rounds", runs)));
  parts.verdicts.back().in_table = true;
  parts.verdicts.push_back(
      {Tone::neutral,
       fmt::format("{} is {:.2f} times the size of {}: {} instead of {}", names[1],
                   bytes[1] / std::max(bytes[0], 1.0), names[0], bytes_text(bytes[1]), bytes_text(bytes[0])),
       "", true});
}

void add_weights(Section& section, const RunJson& json) {
  Table layers{"weights of each layer",
               {"node", "operator", "MACs", "SQNR of the weights, dB", "widened channels"},
               {}};
  for (const RunJson& layer : array(json, "layers"))
    layers.rows.push_back({text(layer, "node"), text(layer, "operator"), count_text(layer, "macs"),
                           find(layer, "weight_sqnr_db")
                               ? fmt::format("{:.1f}", number(layer, "weight_sqnr_db"))
                               : std::string("exact"),
                           count_text(layer, "widened_channels")});
  section.tables.push_back(std::move(layers));
  Table islands{"layers left in float", {"node", "operator", "reason", "MACs"}, {}};
  for (const RunJson& island : array(json, "float_islands"))
    islands.rows.push_back(
        {text(island, "node"), text(island, "operator"), text(island, "reason"), count_text(island, "macs")});
  if (!islands.rows.empty()) section.tables.push_back(std::move(islands));
}

}  // namespace

RunParts parts_of_quantize(const RunJson& json) {
  RunParts parts;
  const std::string after = text(json, "output");
  parts.section.title = "Quantization of " + text(json, "model");
  parts.section.paragraphs.push_back(fmt::format(
      "Calibrated on {} images ({}), evaluated on {} images, of which {} are in both. Latency with {} "
      "thread(s).",
      count(json, "calibration_images"), text(json, "calibrator"), count(json, "evaluation_images"),
      count(json, "images_in_both"), count(member(json, "timing"), "threads")));
  if (const RunJson* energy = find(json, "energy"))
    if (const RunJson* calibration = find(*energy, "calibration")) {
      const std::optional<Figure> joules = total_energy(*calibration);
      parts.section.paragraphs.push_back(fmt::format("Energy of calibration: {}{}.",
                                                     joules ? text_of(*joules) + ", " : "",
                                                     energy_source(*calibration)));
    }
  add_float_and_int8(parts, json);
  if (flag(json, "collapsed"))
    parts.verdicts.push_back({Tone::bad, after + " collapsed: most predictions fall on one class"});
  if (const RunJson* explanation = find(json, "explanation")) add_explanation(parts.section, *explanation);
  if (const RunJson* ranges = find(json, "ranges"); ranges && ranges->is_array())
    add_ranges(parts.section, *ranges);
  add_weights(parts.section, json);
  return parts;
}

RunParts parts_of_explain(const RunJson& json) {
  RunParts parts;
  const std::string model = text(json, "model");
  parts.section.title = "Why int8 loses: " + model;
  parts.section.paragraphs.push_back(
      fmt::format("Calibrated on {} images.", count(json, "calibration_images")));
  add_explanation(parts.section, json);
  if (const RunJson* ranges = find(json, "ranges"); ranges && ranges->is_array())
    add_ranges(parts.section, *ranges);
  for (const RunJson& culprit : array(json, "culprits")) {
    parts.verdicts.push_back(
        {Tone::neutral, fmt::format("{} loses most by {} ({:.0f} % of the noise of its layers, over {} "
                                    "images): {}; what helps: {}",
                                    model, text(culprit, "node"), 100 * number(culprit, "share"),
                                    count(json, "images"), text(culprit, "why"), text(culprit, "remedy"))});
    break;
  }
  return parts;
}

}  // namespace eke::report
