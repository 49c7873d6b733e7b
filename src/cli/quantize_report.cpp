#include "cli/quantize_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/statistics.h"
#include "cli/table.h"

namespace eke::cli {

namespace {

constexpr std::size_t kShownCulprits = 3;

double island_share(const QuantizeResult& result) {
  std::int64_t macs = 0;
  for (const FloatIsland& island : result.report.islands) macs += island.cost.macs;
  return result.macs > 0 ? static_cast<double>(macs) / static_cast<double>(result.macs) : 0;
}

std::string islands_text(const QuantizeResult& r) {
  if (r.report.islands.empty()) return "all layers compute in integers\n";
  Table table(
      {{"stays in float", Align::left, 40}, {"operator", Align::left}, {"MACs"}, {"reason", Align::left}});
  for (const FloatIsland& island : r.report.islands) {
    table.add({island.node, island.op, count_text(static_cast<double>(island.cost.macs)), island.reason});
  }
  return table.text() + fmt::format("{} of the MACs are in float\n", percent_text(island_share(r)));
}

std::string equalized_text(const QuantizeResult& r) {
  if (r.equalized.empty()) return "";
  int cut = 0;
  for (const EqualizedLayers& layers : r.equalized) cut += layers.cut_channels;
  std::string text = fmt::format("channels between layers equalized at {} places", r.equalized.size());
  if (cut > 0) text += fmt::format(", {} channels clipped at another value", cut);
  return text + "\n";
}

std::string learned_text(const QuantizeResult& r) {
  if (r.walk.learned.empty()) return "";
  return fmt::format(
      "rounding learned for {} layers: the squared error of their sums is {:.0f} % of before (median)\n",
      r.walk.learned.size(), 100 * error_left(r.walk.learned));
}

std::string blocks_text(const QuantizeResult& r) {
  if (r.walk.blocks.empty()) return "";
  return fmt::format(
      "{} blocks reconstructed: the squared error of what they make is {:.0f} % of before (median)\n",
      r.walk.blocks.size(), 100 * error_left(r.walk.blocks));
}

std::string calibration_text(const QuantizeResult& r) {
  const CalibrationCheck& c = r.calibration;
  const std::string warning = paint(Colour::bad, "warning");
  std::string text;
  if (c.duplicates > 0)
    text += fmt::format("{}: {} calibration images equal another one and tell nothing new\n", warning,
                        c.duplicates);
  if (is_unbalanced(c)) {
    text += fmt::format("{}: of {} classes {} have no calibration image, the others {} to {}\n", warning,
                        c.classes, c.empty_classes, c.fewest, c.most);
  }
  if (c.moving > 0) {
    text += fmt::format(
        "{}: {} of {} ranges moved by more than {:.0f} % of their width after the first {} images ('{}' by "
        "{:.0f} %): "
        "more images (--count) would still move them\n",
        warning, c.moving, c.ranges, 100 * kMoved, c.images_before, c.moved_most, 100 * c.movement);
  } else if (c.ranges > 0 && c.images_before > 0) {
    text +=
        fmt::format("ranges have settled: none of {} moved by more than {:.0f} % after the first {} images\n",
                    c.ranges, 100 * kMoved, c.images_before);
  }
  return text;
}

std::string spread_text(const Spread& ms) {
  return fmt::format("{} ({} to {})", ms_text(ms.median), ms_text(ms.p10), ms_text(ms.p90));
}

std::string comparison_table(const QuantizeResult& r) {
  Table table(
      {{"", Align::left}, {"float", Align::left}, {"int8", Align::left}, {"difference", Align::left}});
  if (r.comparison && r.comparison->paired) {
    table.add({"accuracy", headline(r.comparison->before), headline(r.comparison->after),
               difference_text(*r.comparison->paired)});
  }
  const double size =
      static_cast<double>(r.bytes_before) / static_cast<double>(std::max<std::int64_t>(r.bytes_after, 1));
  table.add({"size", bytes_text(static_cast<double>(r.bytes_before)),
             bytes_text(static_cast<double>(r.bytes_after)), fmt::format("{:.2f} times smaller", size)});
  const Spread& ratio = r.timing.ratio[1];
  table.add({"latency", spread_text(r.timing.ms[0]), spread_text(r.timing.ms[1]),
             fmt::format("{:.2f} times the time ({:.2f} to {:.2f})", ratio.median, ratio.p10, ratio.p90)});
  return table.text();
}

std::string likeness_text(const Likeness& likeness) {
  const Spread sqnr = spread_of(likeness.sqnr_db), cosine = spread_of(likeness.cosine);
  return fmt::format(
      "outputs, int8 against float over {} images: cosine {:.5f} (p10 {:.5f}), SQNR {:.1f} dB (p10 {:.1f})\n",
      likeness.cosine.size(), cosine.median, cosine.p10, sqnr.median, sqnr.p10);
}

std::string verdict_text(const QuantizeResult& r) {
  if (r.collapsed) {
    return paint(Colour::bad, "collapsed") +
           fmt::format(
               ": more than half of the predictions fall on one class and the float model's do not. This is "
               "no success; kept as '{}'.\n"
               "Try --calibrator min-max, more images (--count), or what eke explain proposes.\n",
               r.written);
  }
  if (!r.above_max_drop.empty()) {
    return paint(Colour::bad, "above --max-drop") +
           fmt::format(": the best that was found loses {}, and {} were allowed; kept as '{}'.\n{}\n",
                       r.above_max_drop, *r.options.max_drop, r.written,
                       r.options.quantization.effort == "best"
                           ? "Give more images (--count), or let eke search mix precisions."
                           : "Try --effort best.");
  }
  if (r.slower) {
    return paint(Colour::bad, "slower than float") +
           fmt::format(" on this machine: no success. Written to '{}'; --allow-slower accepts it.\n",
                       r.written);
  }
  return paint(Colour::good, "written") + fmt::format(" to '{}'\n", r.written);
}

}  // namespace

bool is_unbalanced(const CalibrationCheck& check) {
  if (check.classes < 2) return false;
  if (check.empty_classes + 1 == check.classes) return true;
  return check.images >= 2 * check.classes && (check.empty_classes > 0 || check.most > 4 * check.fewest);
}

CalibrationCheck check_calibration(const Dataset& data, std::size_t duplicates, const Ranges& ranges) {
  CalibrationCheck check{.duplicates = duplicates, .images = data.size()};
  if (data.has_labels()) {
    std::map<int, std::int64_t> counts;
    for (const Sample& sample : data.samples()) ++counts[sample.label];
    check.classes = std::max(data.classes().size(), counts.size());
    check.empty_classes = check.classes - counts.size();
    const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
    const auto [fewest, most] = std::minmax_element(counts.begin(), counts.end(), by_count);
    check.fewest = fewest->second;
    check.most = most->second;
  }
  for (const auto& [name, range] : ranges) {
    if (range.history.empty() || range.range.lo == range.range.hi) continue;
    const std::int64_t half = static_cast<std::int64_t>(data.size()) / 2;
    const auto before = std::find_if(range.history.rbegin(), range.history.rend(),
                                     [&](const RangeAfter& r) { return r.images <= half; });
    if (before == range.history.rend()) continue;
    ++check.ranges;
    check.images_before = before->images;
    const float width = range.range.hi - range.range.lo;
    const double moved =
        std::max(std::fabs(range.range.lo - before->range.lo), std::fabs(range.range.hi - before->range.hi)) /
        width;
    if (moved > kMoved) ++check.moving;
    if (moved > check.movement) {
      check.movement = moved;
      check.moved_most = name;
    }
  }
  return check;
}

Json report_json(const QuantizeResult& r) {
  Json json{{"model", r.options.model},
            {"output", r.written},
            {"success", !r.collapsed && !r.slower && r.above_max_drop.empty()},
            {"above_max_drop", r.above_max_drop},
            {"held_back_images", r.images.held_back ? r.images.held_back->size() : 0},
            {"collapsed", r.collapsed},
            {"slower", r.slower},
            {"calibrator", r.options.quantization.calibrator},
            {"calibration_images", r.images.calibration->size()},
            {"evaluation_images", r.images.evaluation ? r.images.evaluation->size() : 0},
            {"images_in_both", r.images.shared},
            {"labels_unused", r.labels_unused},
            {"float_bytes", r.bytes_before},
            {"int8_bytes", r.bytes_after}};
  const CalibrationCheck& c = r.calibration;
  json["calibration"] = {{"duplicates", c.duplicates},       {"classes", c.classes},
                         {"empty_classes", c.empty_classes}, {"fewest_of_a_class", c.fewest},
                         {"most_of_a_class", c.most},        {"ranges", c.ranges},
                         {"moving_ranges", c.moving},        {"compared_after_images", c.images_before},
                         {"moved_most", c.moved_most},       {"movement", c.movement}};
  json["float"] = r.comparison ? to_json(r.comparison->before) : Json::object();
  json["int8"] = r.comparison ? to_json(r.comparison->after) : Json::object();
  json["float"]["ms"] = to_json(r.timing.ms[0]);
  json["int8"]["ms"] = to_json(r.timing.ms[1]);
  json["int8_time_over_float"] = to_json(r.timing.ratio[1]);
  json["timing"] = {
      {"runs", r.timing.runs}, {"warmup", r.timing.warmup}, {"threads", thread_count(r.options.common)}};
  if (r.comparison) json["likeness"] = to_json(r.comparison->likeness);
  if (r.comparison && r.comparison->embeddings) json["embeddings"] = to_json(*r.comparison->embeddings);
  if (r.comparison && r.comparison->paired) json["difference"] = to_json(*r.comparison->paired);
  json["energy"]["calibration"] =
      energy_json(r.calibration_energy, static_cast<std::int64_t>(r.images.calibration->size()), "image");
  if (r.comparison)
    json["energy"]["evaluation_of_both"] =
        energy_json(r.evaluation_energy, static_cast<std::int64_t>(r.images.evaluation->size()), "image");
  json["layers"] = Json::array();
  for (const QuantizedLayer& layer : r.report.layers) {
    json["layers"].push_back(
        {{"node", layer.node},
         {"operator", layer.op},
         {"macs", layer.cost.macs},
         {"channels", layer.channels},
         {"weight_bits", layer.weight_bits},
         {"dead_channels", layer.dead_channels},
         {"widened_channels", layer.widened_channels},
         {"weight_sqnr_db",
          std::isfinite(layer.weight_sqnr_db) ? Json(layer.weight_sqnr_db) : Json(nullptr)}});
  }
  if (r.explanation) json["explanation"] = to_json(*r.explanation, r.culprits);
  json["ranges"] = r.ranges;
  json["equalized"] = Json::array();
  for (const EqualizedLayers& layers : r.equalized) {
    json["equalized"].push_back({{"nodes", layers.nodes},
                                 {"channels", layers.channels},
                                 {"cut_channels", layers.cut_channels},
                                 {"min_scale", layers.min_scale},
                                 {"max_scale", layers.max_scale},
                                 {"estimated_noise_ratio", layers.noise_ratio}});
  }
  json["walk"] = to_json(r.walk);
  json["learned"] = Json::array();
  for (const LearnedLayer& layer : r.walk.learned)
    json["learned"].push_back(
        {{"node", layer.node}, {"error_before", layer.before}, {"error_after", layer.after}});
  json["reconstructed"] = Json::array();
  for (const ReconstructedBlock& block : r.walk.blocks)
    json["reconstructed"].push_back(
        {{"layers", block.layers}, {"error_before", block.before}, {"error_after", block.after}});
  json["float_islands"] = Json::array();
  for (const FloatIsland& island : r.report.islands) {
    json["float_islands"].push_back({{"node", island.node},
                                     {"operator", island.op},
                                     {"reason", island.reason},
                                     {"macs", island.cost.macs}});
  }
  return json;
}

void report_text(const QuantizeResult& r) {
  print(fmt::format("{}  calibrated on {} images ({})", r.options.model, r.images.calibration->size(),
                    r.options.quantization.calibrator));
  print(r.images.evaluation ? fmt::format(", evaluated on {} others\n", r.images.evaluation->size()) : "\n");
  if (r.images.shared > 0) {
    print(paint(Colour::bad, "warning") +
          fmt::format(": {} of the evaluation images are calibration images too: the int8 figures flatter\n",
                      r.images.shared));
  }
  if (r.labels_unused)
    print(
        "the data has more classes than the model has outputs, as with an embedding: outputs are compared, "
        "not "
        "classes; give --eval pairs.csv for verification\n");
  if (!r.images.evaluation) print("no image is left to evaluate: give --eval DATA, or a smaller --count\n");
  print(calibration_text(r));
  print("\n" + islands_text(r) + equalized_text(r) + learned_text(r) + blocks_text(r) + "\n" +
        walk_text(r.walk) + "\n" + comparison_table(r));
  if (r.comparison) print(likeness_text(r.comparison->likeness));
  if (r.comparison && r.comparison->embeddings) print(embeddings_text(*r.comparison->embeddings));
  if (r.explanation) print(culprits_text(*r.explanation, r.culprits, kShownCulprits));
  print(energy_line(r.calibration_energy, static_cast<std::int64_t>(r.images.calibration->size()),
                    "calibration image"));
  if (r.comparison)
    print(energy_line(r.evaluation_energy, static_cast<std::int64_t>(r.images.evaluation->size()),
                      "image evaluated with both models"));
  print(fmt::format("latency: median (p10 to p90) of {} runs each, interleaved, {} thread{}\n\n",
                    r.timing.runs, thread_count(r.options.common),
                    thread_count(r.options.common) == 1 ? "" : "s"));
  print(verdict_text(r));
}

}  // namespace eke::cli
