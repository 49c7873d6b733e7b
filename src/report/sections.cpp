#include "report/sections.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace eke::report {

namespace {

constexpr std::size_t kMostBars = 40;

std::string bytes_text(double bytes) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 3) {
    bytes /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 2, kUnits[unit]);
}

std::string count_text(const RunJson& json, const char* key) {
  const RunJson* value = find(json, key);
  return value && value->is_number() ? value->dump() : "";
}

std::string verdict_text(const Figure& figure) { return text_of(figure); }

// Classes by number where they have no names.
Matrix matrix_of(const RunJson& rows, const RunJson* names) {
  Matrix matrix{"confusion", {}, {}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool named = names && names->is_array() && i < names->size() && (*names)[i].is_string();
    matrix.names.push_back(named ? (*names)[i].get<std::string>() : std::to_string(i));
    std::vector<std::int64_t>& counts = matrix.counts.emplace_back();
    check(rows[i].is_array(), "'confusion' is no matrix");
    for (const RunJson& cell : rows[i]) {
      check(cell.is_number_integer() && cell.get<std::int64_t>() >= 0, "'confusion' holds what is no count");
      counts.push_back(cell.get<std::int64_t>());
    }
  }
  return matrix;
}

Table confusions_of(const RunJson& list) {
  Table table{"wrong predictions", {"class", "taken for", "images"}, {}};
  for (const RunJson& item : list)
    table.rows.push_back(
        {count_text(item, "class"), count_text(item, "predicted"), count_text(item, "images")});
  return table;
}

Origin origin_of(const std::string& word) {
  for (const Origin origin : {Origin::measured, Origin::recorded, Origin::estimated, Origin::simulated})
    if (word == to_string(origin)) return origin;
  fail("'{}' is no origin of a figure", word);
}

// What eke eval prints, and what eke quantize prints of each model.
std::optional<Figure> headline(const RunJson& scores, Origin origin = Origin::measured) {
  if (const RunJson* top1 = find(scores, "top1")) return accuracy(*top1, count(scores, "images"), origin);
  const RunJson* verification = find(scores, "verification");
  if (!verification) return std::nullopt;
  const RunJson& pairs = member(scores, "pairs");
  const double value = 100 * number(*verification, "accuracy"),
               deviation = 100 * number(*verification, "deviation_over_folds");
  return Figure(value, "%", count(pairs, "same") + count(pairs, "different"),
                {value - deviation, value + deviation, "deviation over folds"}, origin);
}

Table rates_of(const RunJson& verification) {
  Table table{"true acceptance at a rate of false acceptance", {"FAR", "TAR", "threshold", "resolved"}, {}};
  for (const RunJson& rate : array(verification, "rates")) {
    table.rows.push_back({fmt::format("{:g}", number(rate, "far")),
                          fmt::format("{:.2f} %", 100 * number(rate, "tar")),
                          fmt::format("{:.4f}", number(rate, "threshold")),
                          std::string(flag(rate, "resolved") ? "yes" : "too few different pairs")});
  }
  return table;
}

// "x is faster than y: ..." where the bounds lie on one side of 1.
Verdict ratio_verdict(const std::string& name, const std::string& reference, double ratio, double low,
                      double high, const std::string& spread) {
  const std::string numbers =
      fmt::format("{:.3f} of its time, {:.3f} to {:.3f} ({})", ratio, low, high, spread);
  if (high < 1) return {Tone::good, fmt::format("{} is faster than {}: {}", name, reference, numbers)};
  if (low > 1) return {Tone::bad, fmt::format("{} is slower than {}: {}", name, reference, numbers)};
  return {Tone::neutral,
          fmt::format("no difference in speed was seen between {} and {}: {}", name, reference, numbers)};
}

// Bounds that are not known are the value itself.
double bound(const RunJson& interval, const char* key) {
  return find(interval, key) ? number(interval, key) : number(interval, "mean");
}

// {"mean", "low", "high", "windows"}
Figure window_figure(const RunJson& interval, const std::string& unit, Origin origin) {
  return {number(interval, "mean"),
          unit,
          count(interval, "windows"),
          {bound(interval, "low"), bound(interval, "high"), "95 % interval over windows"},
          origin};
}

// One series a meter's domain and origin: joules of different reach do not compare.
Chart energy_chart(const RunJson& models, const std::vector<std::string>& names) {
  Chart chart{ChartKind::bars, "energy of an inference", "", "J", {}};
  for (std::size_t i = 0; i < models.size(); ++i) {
    const RunJson* figures = find(models[i], "energy");
    if (!figures || !figures->is_array()) continue;
    for (const RunJson& figure : *figures) {
      const RunJson* joules = find(figure, "joules_per_inference");
      if (!joules) continue;
      const std::string name =
          fmt::format("{} ({}, {})", text(figure, "name"), text(figure, "boundary"), text(figure, "origin"));
      auto series = std::find_if(chart.series.begin(), chart.series.end(),
                                 [&](const Series& s) { return s.name == name; });
      if (series == chart.series.end()) series = chart.series.insert(series, {name, {}});
      series->points.push_back({names[i], 0, window_figure(*joules, "J", origin_of(text(figure, "origin")))});
    }
  }
  return chart;
}

// " on dla" where another engine than eke's own ran it.
std::string backend_suffix(const RunJson& model) {
  const RunJson* backend = find(model, "backend");
  return backend && *backend != "cpu" ? " on " + text(model, "backend") : "";
}

// A model's path, with its settings where they differ between the variants.
std::vector<std::string> variant_names(const RunJson& models) {
  const auto differ = [&](const char* key) {
    return std::any_of(models.begin(), models.end(), [&](const RunJson& model) {
      return model.value(key, RunJson()) != models[0].value(key, RunJson());
    });
  };
  std::vector<std::string> names;
  for (const RunJson& model : models) names.push_back(text(model, "model"));
  for (std::size_t i = 0; i < models.size(); ++i) names[i] += backend_suffix(models[i]);
  for (const char* key : {"threads", "batch", "isa", "frequency_khz", "power_mode"}) {
    if (key == std::string_view("isa") && differ("backend")) continue;
    if (!differ(key)) continue;
    for (std::size_t i = 0; i < models.size(); ++i)
      names[i] += fmt::format(" {}={}", key, models[i].value(key, RunJson()).dump());
  }
  return names;
}

Chart layer_chart(const std::string& model, const RunJson& layers, std::int64_t runs) {
  std::vector<Point> slowest;
  // trtexec knows averages, and before 8.5 no medians.
  const bool own = !layers.empty() && find(layers[0], "least_ms");
  for (const RunJson& layer : layers) {
    const double ms = number(layer, own || find(layer, "median_ms") ? "median_ms" : "average_ms"),
                 other = number(layer, own ? "least_ms" : "average_ms");
    const Spread spread{std::min(ms, other), std::max(ms, other),
                        own ? "least to median" : "median and average"};
    slowest.push_back({text(layer, "name"), 0, Figure(ms, "ms", runs, spread, Origin::measured)});
  }
  std::stable_sort(slowest.begin(), slowest.end(),
                   [](const Point& a, const Point& b) { return a.y.value() > b.y.value(); });
  if (slowest.size() > kMostBars) slowest.erase(slowest.begin() + kMostBars, slowest.end());
  return {ChartKind::bars,
          fmt::format("the slowest layers of {}", model),
          "",
          "ms",
          {{"median", std::move(slowest)}}};
}

// Where TensorRT put the layers, and where that is not as predicted.
Table engine_table(const std::string& model, const RunJson& engine) {
  Table table{
      fmt::format("the engine of {} by TensorRT {}", model, text(engine, "tensorrt")), {"what", "value"}, {}};
  const auto row = [&](const char* what, const std::string& value) {
    table.rows.push_back({std::string(what), value});
  };
  if (const RunJson* predicted = find(engine, "predicted"))
    row("predicted",
        fmt::format("{} layers on the DLA in {} blocks, {} on the GPU", count(*predicted, "dla_layers"),
                    count(*predicted, "dla_blocks"), count(*predicted, "gpu_layers")));
  row("actual", fmt::format("{} loadables on the DLA, {} layers on the GPU",
                            array(engine, "layers_on_dla").size(), array(engine, "layers_on_gpu").size()));
  for (const RunJson& node : array(engine, "misplaced"))
    row("misplaced", fmt::format("{}: predicted on the {}, runs on the {}", text(node, "node"),
                                 text(node, "predicted"), text(node, "actual")));
  for (const RunJson& fallback : array(engine, "fallbacks")) row("fallback", text(fallback, "line"));
  if (find(engine, "dla_rail")) row("rail of the DLA", text(engine, "dla_rail"));
  return table;
}

}  // namespace

RunParts parts_of_bench(const RunJson& json) {
  RunParts parts;
  parts.section.title = "Latency";
  const RunJson& models = array(json, "models");
  const std::vector<std::string> names = variant_names(models);
  if (flag(json, "interleaved")) parts.section.paragraphs.push_back("The variants were run in turn.");
  if (find(json, "no_meter")) parts.section.paragraphs.push_back("Energy: " + text(json, "no_meter"));
  Chart chart{ChartKind::bars, "time of a run", "", "ms", {{"median", {}}}};
  Table table{
      "variants", {"variant", "batch", "threads", "instructions", "warm-up runs", "first run, ms"}, {}};
  for (std::size_t i = 0; i < models.size(); ++i) {
    const RunJson& model = models[i];
    const std::int64_t runs = count(model, "runs");
    const Figure ms = latency(member(model, "ms"), runs);
    chart.series[0].points.push_back({names[i], 0, ms});
    table.rows.push_back({names[i], count_text(model, "batch"), count_text(model, "threads"),
                          text(model, "isa"), count_text(model, "warmup_runs"),
                          number_text(number(model, "first_run_ms"))});
    const RunJson* scores = find(model, "accuracy");
    const std::optional<Figure> score = scores ? headline(*scores) : std::nullopt;
    if (score)
      parts.verdicts.push_back(
          {Tone::neutral, fmt::format("{}: accuracy {}", names[i], verdict_text(*score))});
    if (count(model, "batch") == 1)
      parts.outcomes.push_back(
          {text(model, "model") + backend_suffix(model), score, ms, count(model, "threads"), ""});
    if (const RunJson* engine = find(model, "engine"))
      parts.section.tables.push_back(engine_table(names[i], *engine));
    if (const RunJson* against = find(model, "against_first")) {
      const RunJson& time = member(*against, "time");
      const double ratio = number(time, "ratio");
      parts.verdicts.push_back(
          ratio_verdict(names[i], names[0], ratio, find(time, "low") ? number(time, "low") : 0,
                        find(time, "high") ? number(time, "high") : std::numeric_limits<double>::infinity(),
                        fmt::format("95 % interval of {} pairs of windows", count(time, "pairs"))));
    }
  }
  parts.section.charts.push_back(std::move(chart));
  Chart energy = energy_chart(models, names);
  if (!energy.series.empty()) parts.section.charts.push_back(std::move(energy));
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (const RunJson* layers = find(models[i], "layers"))
      parts.section.charts.push_back(layer_chart(names[i], *layers, count(models[i], "layer_runs")));
  }
  parts.section.tables.push_back(std::move(table));
  return parts;
}

RunParts parts_of_eval(const RunJson& json) {
  RunParts parts;
  const RunJson* simulated = find(json, "simulated");
  const std::string model =
      text(json, "model") + (simulated ? " as on " + text(*simulated, "engine") : std::string());
  const Origin origin = find(json, "origin") ? origin_of(text(json, "origin")) : Origin::measured;
  parts.section.title = "Accuracy of " + model;
  const std::optional<Figure> score = headline(json, origin);
  check(score.has_value(), "has neither 'top1' nor 'verification'");
  parts.outcomes.push_back({model, score, std::nullopt, 0, ""});
  Table table{"accuracy", {"measure", "value"}, {}};
  if (const RunJson* top1 = find(json, "top1")) {
    const std::int64_t images = count(json, "images");
    parts.verdicts.push_back({Tone::neutral, fmt::format("{}: top-1 {}", model, verdict_text(*score))});
    table.rows.push_back({std::string("top-1"), accuracy(*top1, images, origin)});
    if (const RunJson* top5 = find(json, "top5"))
      table.rows.push_back({std::string("top-5"), accuracy(*top5, images, origin)});
  } else {
    const RunJson& verification = member(json, "verification");
    parts.verdicts.push_back(
        {Tone::neutral, fmt::format("{}: verification {}", model, verdict_text(*score))});
    table.rows.push_back({std::string("verification"), *score});
    table.rows.push_back(
        {std::string("area under the curve"), fmt::format("{:.5f}", number(verification, "auc"))});
    parts.section.tables.push_back(rates_of(verification));
  }
  parts.section.tables.insert(parts.section.tables.begin(), std::move(table));
  if (const RunJson* confusion = find(json, "confusion");
      confusion && confusion->is_array() && !confusion->empty()) {
    if (confusion->front().is_array()) {
      parts.section.matrices.push_back(matrix_of(*confusion, find(json, "classes")));
    } else {
      parts.section.tables.push_back(confusions_of(*confusion));
    }
  }
  return parts;
}

RunParts parts_of_quantize(const RunJson& json) {
  RunParts parts;
  const std::string before = text(json, "model"), after = text(json, "output");
  const RunJson &f32 = member(json, "float"), &int8 = member(json, "int8"), &timing = member(json, "timing");
  const std::int64_t runs = count(timing, "runs");
  parts.section.title = "Quantization of " + before;
  parts.section.paragraphs.push_back(fmt::format(
      "Calibrated on {} images ({}), evaluated on {} images, of which {} are in both. Latency with {} "
      "thread(s).",
      count(json, "calibration_images"), text(json, "calibrator"), count(json, "evaluation_images"),
      count(json, "images_in_both"), count(timing, "threads")));
  const Figure ms[] = {latency(member(f32, "ms"), runs), latency(member(int8, "ms"), runs)};
  const std::optional<Figure> scores[] = {headline(f32), headline(int8)};
  const double bytes[] = {number(json, "float_bytes"), number(json, "int8_bytes")};
  Table table{"float and int8", {"model", "accuracy", "latency", "size"}, {}};
  const std::string names[] = {before, after};
  for (int i = 0; i < 2; ++i) {
    table.rows.push_back({names[i], scores[i] ? Cell(*scores[i]) : Cell(std::string("no labels")), ms[i],
                          bytes_text(bytes[i])});
    parts.outcomes.push_back({names[i], scores[i], ms[i], count(timing, "threads"), ""});
  }
  parts.section.tables.push_back(std::move(table));
  if (flag(json, "collapsed"))
    parts.verdicts.push_back({Tone::bad, after + " collapsed: most predictions fall on one class"});
  if (const RunJson* difference = find(json, "difference")) {
    const double value = 100 * number(*difference, "accuracy"), low = 100 * number(*difference, "low"),
                 high = 100 * number(*difference, "high");
    const std::string spread = fmt::format("{:+.2f} points, 95 % interval {:+.2f} to {:+.2f}, {} images",
                                           value, low, high, count(json, "evaluation_images"));
    if (high < 0) {
      parts.verdicts.push_back(
          {Tone::bad, fmt::format("{} is less accurate than {}: {}", after, before, spread)});
    } else if (low > 0) {
      parts.verdicts.push_back(
          {Tone::good, fmt::format("{} is more accurate than {}: {}", after, before, spread)});
    } else {
      parts.verdicts.push_back(
          {Tone::neutral,
           fmt::format("no difference in accuracy was seen between {} and {}: {}", after, before, spread)});
    }
  }
  const RunJson& ratio = member(json, "int8_time_over_float");
  parts.verdicts.push_back(ratio_verdict(after, before, number(ratio, "median"), number(ratio, "p10"),
                                         number(ratio, "p90"), fmt::format("p10 to p90 of {} rounds", runs)));
  parts.verdicts.push_back({Tone::neutral, fmt::format("{} is {:.2f} times the size of {}: {} instead of {}",
                                                       after, bytes[1] / std::max(bytes[0], 1.0), before,
                                                       bytes_text(bytes[1]), bytes_text(bytes[0]))});
  Table layers{"weights of each layer",
               {"node", "operator", "MACs", "SQNR of the weights, dB", "widened channels"},
               {}};
  for (const RunJson& layer : array(json, "layers")) {
    const RunJson* sqnr = find(layer, "weight_sqnr_db");
    layers.rows.push_back(
        {text(layer, "node"), text(layer, "operator"), count_text(layer, "macs"),
         sqnr ? fmt::format("{:.1f}", number(layer, "weight_sqnr_db")) : std::string("exact"),
         count_text(layer, "widened_channels")});
  }
  parts.section.tables.push_back(std::move(layers));
  Table islands{"layers left in float", {"node", "operator", "reason", "MACs"}, {}};
  for (const RunJson& island : array(json, "float_islands"))
    islands.rows.push_back(
        {text(island, "node"), text(island, "operator"), text(island, "reason"), count_text(island, "macs")});
  if (!islands.rows.empty()) parts.section.tables.push_back(std::move(islands));
  return parts;
}

RunParts parts_of_diff(const RunJson& json) {
  RunParts parts;
  const std::string test = text(json, "test"), reference = text(json, "reference");
  const std::int64_t images = count(json, "images");
  parts.section.title = fmt::format("{} against {}, layer by layer", test, reference);
  parts.section.paragraphs.push_back(
      fmt::format("Signal to noise over {} images: of each layer alone, and of all layers up to it. Layers "
                  "without noise are left "
                  "out of the chart.",
                  images));
  Chart chart{
      ChartKind::lines, "signal to quantization noise", "layer", "dB", {{"alone", {}}, {"accumulated", {}}}};
  std::string worst;
  double worst_db = 0;
  int index = 0;
  for (const RunJson& layer : array(json, "layers")) {
    const std::string name = text(layer, "value");
    const auto add = [&](std::size_t series, const char* key) {
      if (!find(layer, key)) return;
      const double db = number(layer, key);
      chart.series[series].points.push_back(
          {name, static_cast<double>(index),
           Figure(db, "dB", images, {db, db, "all values together"}, Origin::measured)});
      if (series == 0 && (worst.empty() || db < worst_db)) {
        worst = name;
        worst_db = db;
      }
    };
    add(0, "isolated_sqnr_db");
    add(1, "accumulated_sqnr_db");
    ++index;
  }
  if (flag(json, "identical")) {
    parts.verdicts.push_back({Tone::good, fmt::format("{} and {} give the same bits", test, reference)});
  } else if (!worst.empty()) {
    parts.verdicts.push_back(
        {Tone::neutral, fmt::format("the noisiest layer of {} is {}: {:.1f} dB over {} images", test, worst,
                                    worst_db, images)});
  }
  parts.section.charts.push_back(std::move(chart));
  return parts;
}

RunParts parts_of_info(const RunJson& json) {
  RunParts parts;
  const std::string model = text(json, "model");
  parts.section.title = "What " + model + " is made of";
  Table facts{"", {"what", "value"}, {}};
  for (const char* key : {"parameters", "macs", "integer_macs", "reference_steps", "isa"})
    if (const RunJson* value = find(json, key))
      facts.rows.push_back(
          {std::string(key), value->is_string() ? value->get<std::string>() : value->dump()});
  for (const char* key : {"file_bytes", "activation_peak_bytes", "packed_weight_bytes"})
    if (find(json, key)) facts.rows.push_back({std::string(key), bytes_text(number(json, key))});
  parts.section.tables.push_back(std::move(facts));
  Table layers{"layers", {"layer", "operator", "output", "MACs", "tactic"}, {}};
  for (const RunJson& layer : array(json, "layers"))
    layers.rows.push_back({text(layer, "name"), text(layer, "operator"), text(layer, "output"),
                           count_text(layer, "macs"), text(layer, "tactic")});
  parts.section.tables.push_back(std::move(layers));
  return parts;
}

RunParts parts_of_failed(const RunJson& json) {
  RunParts parts;
  const std::string cell = text(json, "cell");
  parts.section.title = "Failed: " + cell;
  parts.section.paragraphs.push_back(text(json, "error"));
  parts.verdicts.push_back({Tone::bad, fmt::format("{} failed: {}", cell, text(json, "error"))});
  return parts;
}

RunParts parts_of_other(const RunJson& json) {
  RunParts parts;
  parts.section.title = "eke " + text(json, "command");
  Table table{"", {"what", "value"}, {}};
  const RunJson flat = json.flatten();
  for (const auto& [key, value] : flat.items()) {
    if (key.starts_with("/machine") || key.starts_with("/arguments") || value.is_null()) continue;
    table.rows.push_back({key.substr(1), value.is_string() ? value.get<std::string>() : value.dump()});
  }
  parts.section.tables.push_back(std::move(table));
  return parts;
}

}  // namespace eke::report
