// Sections of what eke new and eke train say.
#include <algorithm>

#include "report/figures.h"
#include "report/sections.h"

namespace eke::report {

namespace {

// A value over all images of an epoch: their number is what it stands on.
Point epoch_point(double epoch, double value, const std::string& unit, std::int64_t images) {
  return {"", epoch,
          Figure(value, unit, std::max<std::int64_t>(images, 1), {value, value, "all images of the epoch"},
                 Origin::measured)};
}

void add_curves(Section& section, const RunJson& epochs, std::int64_t train_images, std::int64_t held_out) {
  Chart loss{ChartKind::lines, "loss", "epoch", "", {{"training", {}}}};
  Chart accuracy{ChartKind::lines, "accuracy", "epoch", "%", {{"training", {}}, {"validation", {}}}};
  for (const RunJson& epoch : epochs) {
    const double at = number(epoch, "epoch");
    loss.series[0].points.push_back(epoch_point(at, number(epoch, "loss"), "nats", train_images));
    accuracy.series[0].points.push_back(epoch_point(at, 100 * number(epoch, "accuracy"), "%", train_images));
    if (find(epoch, "validated") && held_out > 0)
      accuracy.series[1].points.push_back(
          epoch_point(at, 100 * number(epoch, "validated") / static_cast<double>(held_out), "%", held_out));
  }
  if (accuracy.series[1].points.empty()) accuracy.series.pop_back();
  section.charts.push_back(std::move(loss));
  section.charts.push_back(std::move(accuracy));
}

// The epochs that a meter watched, each with its number.
std::vector<std::pair<double, Figure>> epoch_energies(const RunJson& json) {
  std::vector<std::pair<double, Figure>> list;
  const RunJson* tuning = find(json, "fine_tuning");
  if (!tuning) return list;
  for (const RunJson& epoch : array(*tuning, "epochs")) {
    const RunJson* energy = find(epoch, "energy");
    const std::optional<Figure> joules = energy ? total_energy(*energy) : std::nullopt;
    if (joules) list.emplace_back(number(epoch, "epoch"), *joules);
  }
  return list;
}

std::optional<Figure> energy_per_epoch(const std::vector<std::pair<double, Figure>>& epochs) {
  if (epochs.empty()) return std::nullopt;
  double sum = 0;
  Spread spread{epochs[0].second.value(), epochs[0].second.value(), "least to most"};
  for (const auto& [epoch, joules] : epochs) {
    sum += joules.value();
    spread.low = std::min(spread.low, joules.value());
    spread.high = std::max(spread.high, joules.value());
  }
  return Figure(sum / static_cast<double>(epochs.size()), "J", static_cast<std::int64_t>(epochs.size()),
                spread, epochs[0].second.origin());
}

// What a point of accuracy on the images held out costs, above what guessing among the classes reaches.
std::optional<Figure> energy_per_point(const RunJson& json, const Figure& joules) {
  const RunJson* validation = find(json, "validation");
  if (!validation || find(json, "quantization")) return std::nullopt;
  const double points = 100 * (number(*validation, "accuracy") -
                               1 / static_cast<double>(std::max<std::int64_t>(count(json, "classes"), 1)));
  if (!(points > 0)) return std::nullopt;
  return Figure(joules.value() / points, "J", 1,
                {joules.spread().low / points, joules.spread().high / points, joules.spread().kind},
                joules.origin());
}

// What this training took of the machine.
struct Cost {
  double seconds;
  std::optional<double> cpu_seconds, peak_bytes;  // as the system counted them for the whole command
  std::optional<Figure> joules, per_epoch, per_point;
  std::string source;  // of the joules, or why there are none
};
Cost cost_of(const RunJson& json) {
  Cost cost{number(json, "seconds"), {}, {}, {}, {}, {}, "not recorded"};
  if (const RunJson* process = find(json, "process")) {
    cost.seconds = number(*process, "seconds");
    cost.cpu_seconds = number(*process, "cpu_seconds");
    cost.peak_bytes = number(*process, "peak_bytes");
  }
  if (const RunJson* energy = find(json, "energy")) {
    cost.joules = total_energy(*energy);
    cost.source = energy_source(*energy);
  }
  cost.per_epoch = energy_per_epoch(epoch_energies(json));
  if (cost.joules) cost.per_point = energy_per_point(json, *cost.joules);
  return cost;
}

Table cost_table(const Cost& cost) {
  Table table{"what the training cost", {"time", "processor time", "peak memory"}, {}};
  std::vector<Cell> row{fmt::format("{:.1f} s", cost.seconds),
                        cost.cpu_seconds ? fmt::format("{:.1f} s", *cost.cpu_seconds) : "not recorded",
                        cost.peak_bytes ? bytes_text(*cost.peak_bytes) : "not recorded"};
  const auto add = [&](const char* name, const std::optional<Figure>& figure) {
    if (!figure) return;
    table.columns.push_back(column_name(name, figure->origin()));
    row.emplace_back(*figure);
  };
  add("energy", cost.joules);
  add("energy of an epoch", cost.per_epoch);
  add("energy of a point above guessing", cost.per_point);
  table.columns.emplace_back("where the energy comes from");
  row.emplace_back(cost.source);
  table.rows.push_back(std::move(row));
  return table;
}

void add_energy_chart(Section& section, const RunJson& json) {
  const auto epochs = epoch_energies(json);
  if (epochs.size() < 2) return;
  Series series{to_string(epochs[0].second.origin()), {}};
  for (const auto& [epoch, joules] : epochs) series.points.push_back({"", epoch, joules});
  section.charts.push_back({ChartKind::lines,
                            fmt::format("energy of each epoch, {}", series.name),
                            "epoch",
                            "J",
                            {std::move(series)}});
}

std::string cost_text(const Cost& cost) {
  std::string words = fmt::format("in {:.1f} s", cost.seconds);
  if (cost.cpu_seconds) words += fmt::format(" ({:.1f} s of processor time)", *cost.cpu_seconds);
  if (cost.peak_bytes) words += fmt::format(", {} of memory at the peak", bytes_text(*cost.peak_bytes));
  if (!cost.joules) return words + "; energy was not measured";
  words += "; energy " + text_of(*cost.joules);
  if (cost.per_epoch) words += "; an epoch " + text_of(*cost.per_epoch);
  if (cost.per_point) words += "; a point of accuracy above guessing " + text_of(*cost.per_point);
  return words;
}

// Of quantization-aware training, by the images held out of training.
std::string quantization_words(const std::string& output, const RunJson& quantization) {
  const auto score = [&](const char* key) {
    const RunJson& value = member(quantization, key);
    return text_of(accuracy(value, count(value, "images")));
  };
  const RunJson* simulated = find(quantization, "simulated");
  return fmt::format(
      "{}: {} validation float {}, after training quantized {}, quantization-aware {}{}", output,
      flag(quantization, "helped") ? "quantization-aware training helped:"
                                   : "quantization-aware training did not help, the start is kept:",
      score("float"), score("post_training"), score("trained"),
      simulated ? fmt::format(" (both simulated, as on {})", text(*simulated, "engine")) : "");
}

}  // namespace

RunParts parts_of_train(const RunJson& json) {
  RunParts parts;
  const std::string output = text(json, "output");
  const std::int64_t images = count(json, "train_images"), held_out = count(json, "validation_images");
  parts.section.title = "Training of " + output;
  parts.section.paragraphs.push_back(
      fmt::format("From {}: {} classes, {} images to train, {} held out to validate.", text(json, "model"),
                  count(json, "classes"), images, held_out));
  const RunJson* tuning = find(json, "fine_tuning");
  if (tuning && !array(*tuning, "epochs").empty())
    add_curves(parts.section, array(*tuning, "epochs"), images, held_out);
  if (find(json, "bytes")) parts.outcomes.push_back({.model = output, .bytes = number(json, "bytes")});
  const Cost cost = cost_of(json);
  add_energy_chart(parts.section, json);
  parts.section.tables.push_back(cost_table(cost));
  std::string words = fmt::format("this device trained {} on {} images {}", output, images, cost_text(cost));
  if (const RunJson* validation = find(json, "validation"))
    words += fmt::format("; validation {}{}", text_of(accuracy(*validation, count(*validation, "images"))),
                         find(*validation, "origin") ? " (simulated)" : "");
  parts.verdicts.push_back({Tone::neutral, words});
  if (const RunJson* quantization = find(json, "quantization"))
    parts.verdicts.push_back({Tone::neutral, quantization_words(output, *quantization)});
  return parts;
}

RunParts parts_of_new(const RunJson& json) {
  RunParts parts;
  parts.section.title = text(json, "file");
  parts.section.paragraphs.push_back(fmt::format("{} with random weights: input {}, {} classes, {} bytes.",
                                                 text(json, "architecture"), count(json, "input"),
                                                 count(json, "classes"), count(json, "file_bytes")));
  return parts;
}

}  // namespace eke::report
