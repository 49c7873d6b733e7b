// The section of what eke bench says: time, throughput and energy of each variant, and of each layer.
#include <algorithm>
#include <limits>

#include "report/figures.h"
#include "report/sections.h"

namespace eke::report {

namespace {

constexpr std::size_t kMostBars = 15;

// " on dla" where another engine than eke's own ran it.
std::string backend_suffix(const RunJson& model) {
  const RunJson* backend = find(model, "backend");
  return backend && *backend != "cpu" ? " on " + text(model, "backend") : "";
}

bool differ(const RunJson& models, const char* key) {
  return std::any_of(models.begin(), models.end(), [&](const RunJson& model) {
    return model.value(key, RunJson()) != models[0].value(key, RunJson());
  });
}

// A model's path, with its settings where they differ between the variants.
std::vector<std::string> variant_names(const RunJson& models) {
  std::vector<std::string> names;
  for (const RunJson& model : models) names.push_back(text(model, "model"));
  for (std::size_t i = 0; i < models.size(); ++i) names[i] += backend_suffix(models[i]);
  for (const char* key : {"threads", "batch", "isa", "frequency_khz", "power_mode"}) {
    if (key == std::string_view("isa") && differ(models, "backend")) continue;
    if (!differ(models, key)) continue;
    for (std::size_t i = 0; i < models.size(); ++i)
      names[i] += fmt::format(" {}={}", key, models[i].value(key, RunJson()).dump());
  }
  return names;
}

// "Latency and energy with 2 threads, batch 8" where that is the same for all.
std::string title_of(const RunJson& models) {
  std::string title = "Latency and energy";
  if (models.empty()) return title;
  if (!differ(models, "threads"))
    title += fmt::format(" with {} thread{}", count(models[0], "threads"),
                         count(models[0], "threads") == 1 ? "" : "s");
  if (!differ(models, "batch")) title += fmt::format(", batch {}", count(models[0], "batch"));
  return title + backend_suffix(models[0]);
}

// The mean time of a run, where windows tell its interval.
std::optional<Figure> mean_latency(const RunJson& model) {
  const RunJson* ms = find(model, "latency_ms");
  if (!ms || !find(*ms, "low") || !find(*ms, "high")) return std::nullopt;
  return window_figure(*ms, "ms", Origin::measured);
}

// What the mean time comes to.
std::optional<Figure> throughput(const RunJson& model) {
  const std::optional<Figure> ms = mean_latency(model);
  if (!ms || !(ms->spread().low > 0)) return std::nullopt;
  const double images_ms = 1000 * static_cast<double>(count(model, "batch"));
  return Figure(images_ms / ms->value(), "images/s", ms->count(),
                {images_ms / ms->spread().high, images_ms / ms->spread().low, ms->spread().kind},
                Origin::measured);
}

// Of an inference, for each domain or total that was metered.
struct Metered {
  std::string name, boundary;
  Figure joules;
  std::optional<double> mean_w;
  std::optional<Figure> net;
};
std::vector<Metered> metered(const RunJson& model) {
  std::vector<Metered> list;
  const RunJson* figures = find(model, "energy");
  if (!figures || !figures->is_array()) return list;
  for (const RunJson& figure : *figures) {
    const RunJson *joules = find(figure, "joules_per_inference"),
                  *net = find(figure, "net_joules_per_inference");
    if (!joules) continue;
    const Origin origin = origin_of(text(figure, "origin"));
    list.push_back({text(figure, "name"), text(figure, "boundary"), window_figure(*joules, "J", origin),
                    find(figure, "mean_w") ? std::optional(number(figure, "mean_w")) : std::nullopt,
                    net ? std::optional(window_figure(*net, "J", origin)) : std::nullopt});
  }
  return list;
}

// One series a meter's domain and origin: joules of different reach do not compare.
Chart energy_chart(const RunJson& models, const std::vector<std::string>& names) {
  Chart chart{ChartKind::bars, "energy of an inference", "", "J", {}};
  for (std::size_t i = 0; i < models.size(); ++i) {
    for (const Metered& m : metered(models[i])) {
      const std::string name = fmt::format("{} ({}, {})", m.name, m.boundary, to_string(m.joules.origin()));
      auto series = std::find_if(chart.series.begin(), chart.series.end(),
                                 [&](const Series& s) { return s.name == name; });
      if (series == chart.series.end()) series = chart.series.insert(series, {name, {}});
      series->points.push_back({names[i], 0, m.joules});
    }
  }
  return chart;
}

// A table an origin: what was estimated never stands under what was measured.
std::vector<Table> energy_tables(const RunJson& models, const std::vector<std::string>& names) {
  std::vector<Table> tables;
  for (const Origin origin : {Origin::measured, Origin::recorded, Origin::estimated, Origin::simulated}) {
    Table table{column_name("energy and power", origin),
                {"variant", "what", "boundary", "energy of an inference", "without idle", "inferences a J",
                 "mean power"},
                {}};
    for (std::size_t i = 0; i < models.size(); ++i)
      for (const Metered& m : metered(models[i]))
        if (m.joules.origin() == origin)
          table.rows.push_back({names[i], m.name, m.boundary, m.joules,
                                m.net ? Cell(*m.net) : Cell(std::string("-")),
                                m.joules.value() > 0 ? number_text(1 / m.joules.value()) : "-",
                                m.mean_w ? number_text(*m.mean_w) + " W" : "-"});
    if (!table.rows.empty()) tables.push_back(std::move(table));
  }
  return tables;
}

// What carries out each layer of a model, how exactly, and how long it takes.
struct Layers {
  Chart chart;
  Table table;
};
Layers layers_of(const std::string& model, const RunJson& layers, std::int64_t runs) {
  // trtexec knows averages, and before 8.5 no medians.
  const bool own = !layers.empty() && find(layers[0], "least_ms");
  double total = 0;
  std::vector<Point> points;
  Table table{fmt::format("the layers of {}", model),
              {"layer", "operator", "precision", "time", "share", "MACs", "tactic"},
              {}};
  const auto word = [](const RunJson& layer, const char* key) {
    return find(layer, key) ? text(layer, key) : std::string();
  };
  for (const RunJson& layer : layers) {
    const double ms = number(layer, own || find(layer, "median_ms") ? "median_ms" : "average_ms"),
                 other = number(layer, own ? "least_ms" : "average_ms");
    const Spread spread{std::min(ms, other), std::max(ms, other),
                        own ? "least to median" : "median and average"};
    total += ms;
    points.push_back({text(layer, "name"), 0, Figure(ms, "ms", runs, spread, Origin::measured)});
  }
  for (std::size_t i = 0; i < layers.size(); ++i)
    table.rows.push_back({points[i].label, word(layers[i], "operator"), word(layers[i], "precision"),
                          points[i].y,
                          fmt::format("{:.1f} %", 100 * points[i].y.value() / std::max(total, 1e-12)),
                          count_text(layers[i], "macs"), word(layers[i], "tactic")});
  std::stable_sort(points.begin(), points.end(),
                   [](const Point& a, const Point& b) { return a.y.value() > b.y.value(); });
  if (points.size() > kMostBars) points.erase(points.begin() + kMostBars, points.end());
  return {{ChartKind::bars,
           fmt::format("the slowest layers of {}", model),
           "",
           "ms",
           {{"median", std::move(points)}}},
          std::move(table)};
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

Outcome outcome_of(const RunJson& model, const std::optional<Figure>& score, const Figure& ms) {
  Outcome outcome{.model = text(model, "model") + backend_suffix(model),
                  .accuracy = score,
                  .latency = ms,
                  .mean_latency = mean_latency(model),
                  .threads = count(model, "threads")};
  // The widest view of each origin comes first.
  for (const Metered& m : metered(model)) {
    const bool known =
        std::ranges::any_of(outcome.energy, [&](const Figure& f) { return f.origin() == m.joules.origin(); });
    if (!known) outcome.energy.push_back(m.joules);
  }
  return outcome;
}

void add_comparison(std::vector<Verdict>& verdicts, const RunJson& ratio, const std::string& name,
                    const std::string& reference, const RatioWords& words) {
  verdicts.push_back(ratio_verdict(
      name, reference, words, number(ratio, "ratio"), find(ratio, "low") ? number(ratio, "low") : 0,
      find(ratio, "high") ? number(ratio, "high") : std::numeric_limits<double>::infinity(),
      fmt::format("95 % interval of {} pairs of windows", count(ratio, "pairs"))));
}

}  // namespace

RunParts parts_of_bench(const RunJson& json) {
  RunParts parts;
  const RunJson& models = array(json, "models");
  const std::vector<std::string> names = variant_names(models);  // throws where a model is no object
  parts.section.title = title_of(models);
  const bool one_setting = !differ(models, "threads") && !differ(models, "batch");
  if (flag(json, "interleaved")) parts.section.paragraphs.push_back("The variants were run in turn.");
  if (find(json, "no_meter"))
    parts.section.paragraphs.push_back("Energy: not measured: " + no_meter_text(text(json, "no_meter")) +
                                       ".");
  Chart chart{ChartKind::bars, "time of a run", "", "ms", {{"median", {}}}};
  Table table{"variants",
              {"variant", "batch", "threads", "instructions", "warm-up runs", "first run, ms", "throughput"},
              {}};
  for (std::size_t i = 0; i < models.size(); ++i) {
    const RunJson& model = models[i];
    const Figure ms = latency(member(model, "ms"), count(model, "runs"));
    chart.series[0].points.push_back({names[i], 0, ms});
    const std::optional<Figure> rate = throughput(model);
    table.rows.push_back({names[i], count_text(model, "batch"), count_text(model, "threads"),
                          text(model, "isa"), count_text(model, "warmup_runs"),
                          number_text(number(model, "first_run_ms")),
                          rate ? Cell(*rate) : Cell(std::string("-"))});
    const RunJson* scores = find(model, "accuracy");
    const std::optional<Figure> score = scores ? headline(*scores) : std::nullopt;
    if (score)
      parts.verdicts.push_back(
          {Tone::neutral, fmt::format("{}: accuracy {}", names[i], text_of(*score)), "", true});
    if (count(model, "batch") == 1) parts.outcomes.push_back(outcome_of(model, score, ms));
    if (const RunJson* engine = find(model, "engine"))
      parts.section.tables.push_back(engine_table(names[i], *engine));
    const RunJson* against = find(model, "against_first");
    if (!against) continue;
    const std::string where =
        one_setting ? fmt::format(" ({} thread{}, batch {})", count(model, "threads"),
                                  count(model, "threads") == 1 ? "" : "s", count(model, "batch"))
                    : "";
    add_comparison(parts.verdicts, member(*against, "time"), names[i] + where, names[0], kTimeWords);
    if (const RunJson* energy = find(*against, "energy"))
      add_comparison(parts.verdicts, *energy, names[i] + where, names[0], kEnergyWords);
  }
  parts.section.charts.push_back(std::move(chart));
  Chart energy = energy_chart(models, names);
  if (!energy.series.empty()) parts.section.charts.push_back(std::move(energy));
  parts.section.tables.push_back(std::move(table));
  for (Table& energies : energy_tables(models, names)) parts.section.tables.push_back(std::move(energies));
  for (std::size_t i = 0; i < models.size(); ++i) {
    const RunJson* list = find(models[i], "layers");
    if (!list || !list->is_array()) continue;
    Layers layers = layers_of(names[i], *list, count(models[i], "layer_runs"));
    parts.section.charts.push_back(std::move(layers.chart));
    parts.section.tables.push_back(std::move(layers.table));
  }
  return parts;
}

}  // namespace eke::report
