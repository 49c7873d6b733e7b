// Sections of what other commands say.
#include "report/figures.h"
#include "report/sections.h"

namespace eke::report {

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

RunParts parts_of_conclusions(const RunJson& json) {
  RunParts parts;
  for (const RunJson& verdict : array(json, "verdicts")) {
    const std::string tone = text(verdict, "tone");
    parts.verdicts.push_back({tone == "good"  ? Tone::good
                              : tone == "bad" ? Tone::bad
                                              : Tone::neutral,
                              text(verdict, "text"),
                              find(verdict, "network") ? text(verdict, "network") : ""});
  }
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
