#include "report/runs.h"

#include <algorithm>
#include <map>
#include <set>

#include "report/sections.h"

namespace eke::report {

namespace {

using Parts = RunParts (*)(const RunJson&);
struct Command {
  const char* name;
  Parts parts;
};
constexpr Command kCommands[] = {{"bench", parts_of_bench},       {"eval", parts_of_eval},
                                 {"quantize", parts_of_quantize}, {"diff", parts_of_diff},
                                 {"failed", parts_of_failed},     {"info", parts_of_info},
                                 {"new", parts_of_new},           {"train", parts_of_train}};

std::string device_of(const RunJson& json) {
  const RunJson* machine = find(json, "machine");
  const RunJson* processor = machine ? find(*machine, "processor") : nullptr;
  return processor && processor->is_string() ? processor->get<std::string>() : "";
}

RunParts parts_of_command(const RunJson& json) {
  const std::string command = text(json, "command");
  for (const Command& known : kCommands)
    if (command == known.name) return known.parts(json);
  return parts_of_other(json);
}

RunParts parts_of(const Run& run) {
  return with_context([&] { return "'" + run.path + "'"; },
                      [&] {
                        RunParts parts = parts_of_command(run.json);
                        for (Outcome& outcome : parts.outcomes) outcome.device = device_of(run.json);
                        return parts;
                      });
}

// What is known of each model: accuracies, and latencies by device and threads. Of results of one kind, the last counts.
struct Known {
  std::map<std::string, Figure> accuracies;
  std::map<std::pair<std::string, std::int64_t>, std::map<std::string, Figure>> latencies;

  void add(const Outcome& outcome) {
    if (outcome.accuracy) accuracies.insert_or_assign(outcome.model, *outcome.accuracy);
    if (outcome.latency)
      latencies[{outcome.device, outcome.threads}].insert_or_assign(outcome.model, *outcome.latency);
  }
};

std::string setting_name(const Known& known, const std::pair<std::string, std::int64_t>& setting) {
  const auto& [device, threads] = setting;
  const bool one_device = std::all_of(known.latencies.begin(), known.latencies.end(),
                                      [&](const auto& other) { return other.first.first == device; });
  return fmt::format("{}{} thread{}", one_device ? std::string() : fmt::format("{}, ", device), threads,
                     threads == 1 ? "" : "s");
}

// Each model in a row. What was simulated stands in a column of its own.
std::optional<Section> overview(const Known& known) {
  std::set<std::string> models;
  std::set<Origin> origins;
  for (const auto& [model, accuracy] : known.accuracies) {
    models.insert(model);
    origins.insert(accuracy.origin());
  }
  for (const auto& [setting, latencies] : known.latencies)
    for (const auto& [model, latency] : latencies) models.insert(model);
  if (models.size() < 2) return std::nullopt;
  const auto cell = [](const std::map<std::string, Figure>& figures, const std::string& model,
                       Origin origin) {
    const auto found = figures.find(model);
    return found == figures.end() || found->second.origin() != origin ? Cell(std::string("-"))
                                                                      : Cell(found->second);
  };
  Table table{"", {"model"}, {}};
  for (const Origin origin : origins)
    table.columns.push_back(origin == Origin::measured ? "accuracy" : "accuracy, " + to_string(origin));
  for (const auto& [setting, latencies] : known.latencies)
    table.columns.push_back("latency, " + setting_name(known, setting));
  for (const std::string& model : models) {
    std::vector<Cell> row{model};
    for (const Origin origin : origins) row.push_back(cell(known.accuracies, model, origin));
    for (const auto& [setting, latencies] : known.latencies)
      row.push_back(cell(latencies, model, Origin::measured));
    table.rows.push_back(std::move(row));
  }
  return Section{"All models", {}, {}, {std::move(table)}, {}};
}

// A series for each setting, since latencies of different settings do not compare.
std::optional<Section> trade_off(const Known& known) {
  Chart chart{ChartKind::scatter,
              "accuracy against latency: up and to the left is better",
              "latency, ms",
              "accuracy, %",
              {}};
  std::size_t points = 0;
  for (const auto& [setting, models] : known.latencies) {
    Series series{setting_name(known, setting), {}};
    for (const auto& [model, latency] : models) {
      const auto accuracy = known.accuracies.find(model);
      if (accuracy != known.accuracies.end())
        series.points.push_back({model, latency.value(), accuracy->second, latency});
    }
    points += series.points.size();
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  if (points < 2) return std::nullopt;
  return Section{"Accuracy against latency", {}, {std::move(chart)}, {}, {}};
}

Section provenance(const std::vector<Run>& runs) {
  Section section{"How this was measured", {}, {}, {}, {}};
  Table commands{"commands", {"result", "command", "eke", "time"}, {}};
  Table machines{"machines", {"result", "what", "value"}, {}};
  const auto word = [](const RunJson& json, const char* key) {
    const RunJson* value = find(json, key);
    return !value               ? std::string("not recorded")
           : value->is_string() ? value->get<std::string>()
                                : value->dump();
  };
  for (const Run& run : runs) {
    std::string line = "eke";
    if (const RunJson* arguments = find(run.json, "arguments"); arguments && arguments->is_array()) {
      for (const RunJson& argument : *arguments)
        line += fmt::format(" {}", argument.is_string() ? argument.get<std::string>() : argument.dump());
    } else {
      line += fmt::format(" {}", text(run.json, "command"));
    }
    commands.rows.push_back({run.path, line, word(run.json, "eke"), word(run.json, "time")});
    const RunJson* machine = find(run.json, "machine");
    if (!machine || !machine->is_object()) continue;
    for (const auto& [key, value] : machine->items())
      machines.rows.push_back({run.path, key, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  section.tables.push_back(std::move(commands));
  if (!machines.rows.empty()) section.tables.push_back(std::move(machines));
  return section;
}

}  // namespace

Run parse_run(const std::string& path, const std::string& bytes) {
  Run run{path, RunJson::parse(bytes, nullptr, false)};
  check(!run.json.is_discarded(), "'{}' is no JSON: give what a command printed with --json", path);
  check(run.json.is_object() && find(run.json, "command") && run.json["command"].is_string(),
        "'{}' names no command: give what bench, eval, quantize, diff or info printed with --json", path);
  return run;
}

std::vector<Run> runs_of(const std::string& path, const std::string& bytes) {
  Run run = parse_run(path, bytes);
  if (run.json["command"] != "study") return {std::move(run)};
  std::vector<Run> runs;
  with_context([&] { return "'" + path + "'"; },
               [&] {
                 for (const RunJson& cell : array(run.json, "cells")) {
                   static_cast<void>(text(cell, "command"));
                   runs.push_back({path + ": " + text(cell, "cell"), cell});
                 }
               });
  return runs;
}

Verdict choice_of(const std::vector<Run>& runs, const std::vector<std::string>& variants,
                  const Limits& limits) {
  check(!variants.empty(), "there is no variant to choose from");
  Known known;
  for (const Run& run : runs)
    for (const Outcome& outcome : parts_of(run).outcomes) known.add(outcome);
  const std::string& reference = variants.front();
  const auto accuracy = [&](const std::string& variant) {
    const auto found = known.accuracies.find(variant);
    return found == known.accuracies.end() ? nullptr : &found->second;
  };
  if (!accuracy(reference) || known.latencies.empty())
    return {Tone::neutral, reference + ": nothing to choose by, since accuracy or latency is not known"};
  const auto least =
      std::min_element(known.latencies.begin(), known.latencies.end(),
                       [](const auto& a, const auto& b) { return a.first.second < b.first.second; });
  const std::int64_t threads = least->first.second;
  const std::string* best = nullptr;
  const auto latency = [&](const std::string& variant) {
    const auto found = least->second.find(variant);
    return found == least->second.end() ? nullptr : &found->second;
  };
  for (const std::string& variant : variants) {
    if (!accuracy(variant) || !latency(variant)) continue;
    if (accuracy(variant)->value() < accuracy(reference)->value() - limits.max_drop) continue;
    if (limits.max_latency_ms > 0 && latency(variant)->value() > limits.max_latency_ms) continue;
    if (!best || latency(variant)->value() < latency(*best)->value()) best = &variant;
  }
  const std::string terms =
      fmt::format("at most {:g} points below float{}", limits.max_drop,
                  limits.max_latency_ms > 0 ? fmt::format(", at most {:g} ms", limits.max_latency_ms) : "");
  if (!best) return {Tone::bad, fmt::format("no variant of {} is within the limits ({})", reference, terms)};
  return {Tone::good, fmt::format("ship {}: {} at {} with {} thread{} ({})", *best, text_of(*accuracy(*best)),
                                  text_of(*latency(*best)), threads, threads == 1 ? "" : "s", terms)};
}

Document document_of(const std::string& title, const std::vector<Run>& runs) {
  Document document{title, {}, {}};
  Known known;
  for (const Run& run : runs) {
    RunParts parts = parts_of(run);
    document.sections.push_back(std::move(parts.section));
    document.verdicts.insert(document.verdicts.end(), parts.verdicts.begin(), parts.verdicts.end());
    for (const Outcome& outcome : parts.outcomes) known.add(outcome);
  }
  if (std::optional<Section> together = trade_off(known))
    document.sections.insert(document.sections.begin(), std::move(*together));
  if (std::optional<Section> all = overview(known))
    document.sections.insert(document.sections.begin(), std::move(*all));
  document.sections.push_back(provenance(runs));
  check_document(document);
  return document;
}

}  // namespace eke::report
