#include "report/overview.h"

#include <algorithm>

namespace eke::report {

namespace {

template <typename Map, typename Key>
const Figure* figure_in(const Map& figures, const Key& key, const std::string& model) {
  const auto of_key = figures.find(key);
  if (of_key == figures.end()) return nullptr;
  const auto found = of_key->second.find(model);
  return found == of_key->second.end() ? nullptr : &found->second;
}

Cell cell_of(const Figure* figure) { return figure ? Cell(*figure) : Cell(std::string("-")); }

// A series for each setting, since costs at different settings do not compare.
template <typename CostOf>
std::optional<Section> trade_off(const Known& known, const std::string& cost, const std::string& unit,
                                 const CostOf& cost_of) {
  Chart chart{ChartKind::scatter,
              fmt::format("accuracy against {}: up and to the left is better", cost),
              fmt::format("{}, {}", cost, unit),
              "accuracy, %",
              {},
              true};
  Section section{fmt::format("Accuracy against {}", cost)};
  std::size_t points = 0;
  for (const Known::Setting& setting : known.settings()) {
    Series series{known.name_of(setting), {}};
    for (const std::string& model : known.order()) {
      const Figure *accuracy = known.accuracy(setting.first, model), *figure = cost_of(setting, model);
      if (accuracy && figure && accuracy->origin() == Origin::measured)
        series.points.push_back({model, figure->value(), *accuracy, *figure});
    }
    points += series.points.size();
    if (series.points.empty()) continue;
    std::string front;
    for (const std::size_t i : front_of(series))
      front += (front.empty() ? "" : ", ") + series.points[i].label;
    section.paragraphs.push_back(fmt::format("With {} no other variant beats: {}.", series.name, front));
    chart.series.push_back(std::move(series));
  }
  if (points < 2) return std::nullopt;
  section.charts.push_back(std::move(chart));
  return section;
}

// Measured energies come before estimated ones.
const Figure* best_energy(const Known& known, const Known::Setting& setting, const std::string& model) {
  for (const Origin origin : known.energy_origins(setting))
    if (const Figure* figure = known.energy(setting, origin, model)) return figure;
  return nullptr;
}

struct Candidate {
  const std::string* name;
  const Figure *accuracy, *latency, *energy;
};

// Why a variant may not be shipped; empty where it may.
std::string objection(const Candidate& c, const Figure& reference, const study::Limits& limits) {
  const double drop = reference.value() - c.accuracy->value();
  if (drop > limits.max_drop) return fmt::format("{:.2f} points below float", drop);
  if (limits.max_latency_ms > 0 && c.latency->value() > limits.max_latency_ms)
    return fmt::format("{} ms", number_text(c.latency->value()));
  if (limits.max_energy_j > 0 && !c.energy) return "its energy is not known";
  if (limits.max_energy_j > 0 && c.energy->value() > limits.max_energy_j)
    return fmt::format("{} J", number_text(c.energy->value()));
  return "";
}

std::string terms_of(const study::Limits& limits) {
  std::string terms = fmt::format("at most {:g} points below float", limits.max_drop);
  if (limits.max_latency_ms > 0) terms += fmt::format(", at most {:g} ms", limits.max_latency_ms);
  if (limits.max_energy_j > 0) terms += fmt::format(", at most {:g} J an inference", limits.max_energy_j);
  return terms;
}

// The fastest, or where others may be as fast by the intervals of the mean, the most accurate of these; so that noise
// does not choose.
const Candidate& choose(const std::vector<Candidate>& fit, const Known& known,
                        const Known::Setting& setting) {
  const auto speed = [&](const Candidate& c) {
    const Figure* mean = known.mean_latency(setting, *c.name);
    return mean ? mean : c.latency;
  };
  const Candidate& fastest =
      *std::ranges::min_element(fit, {}, [&](const Candidate& c) { return speed(c)->value(); });
  const Candidate* best = nullptr;
  for (const Candidate& c : fit) {
    if (speed(c)->spread().low > speed(fastest)->spread().high) continue;
    if (!best || c.accuracy->value() > best->accuracy->value()) best = &c;
  }
  return best ? *best : fastest;
}

}  // namespace

void Known::add(const Outcome& outcome) {
  if (std::ranges::find(order_, outcome.model) == order_.end()) order_.push_back(outcome.model);
  const Setting setting{outcome.device, outcome.threads};
  if (outcome.accuracy) accuracies_[outcome.device].insert_or_assign(outcome.model, *outcome.accuracy);
  if (outcome.bytes) bytes_.insert_or_assign(outcome.model, *outcome.bytes);
  if (outcome.latency) latencies_[setting].insert_or_assign(outcome.model, *outcome.latency);
  if (outcome.mean_latency) mean_latencies_[setting].insert_or_assign(outcome.model, *outcome.mean_latency);
  for (const Figure& energy : outcome.energy)
    energies_[{setting, energy.origin()}].insert_or_assign(outcome.model, energy);
}

const Figure* Known::accuracy(const std::string& device, const std::string& model) const {
  if (const Figure* here = figure_in(accuracies_, device, model)) return here;
  for (const auto& [other, figures] : accuracies_)
    if (const auto found = figures.find(model); found != figures.end()) return &found->second;
  return nullptr;
}

std::set<std::string> Known::devices() const {
  std::set<std::string> devices;
  for (const auto& [device, figures] : accuracies_) devices.insert(device);
  return devices;
}

std::set<Origin> Known::accuracy_origins() const {
  std::set<Origin> origins;
  for (const auto& [device, figures] : accuracies_)
    for (const auto& [model, accuracy] : figures) origins.insert(accuracy.origin());
  return origins;
}

std::optional<double> Known::bytes(const std::string& model) const {
  const auto found = bytes_.find(model);
  return found == bytes_.end() ? std::nullopt : std::optional(found->second);
}

std::set<Known::Setting> Known::settings() const {
  std::set<Setting> settings;
  for (const auto& [setting, figures] : latencies_) settings.insert(setting);
  return settings;
}

std::string Known::name_of(const Setting& setting) const {
  const bool one_device =
      std::ranges::all_of(latencies_, [&](const auto& other) { return other.first.first == setting.first; });
  return fmt::format("{}{} thread{}", one_device ? std::string() : setting.first + ", ", setting.second,
                     setting.second == 1 ? "" : "s");
}

const Figure* Known::latency(const Setting& setting, const std::string& model) const {
  return figure_in(latencies_, setting, model);
}
const Figure* Known::mean_latency(const Setting& setting, const std::string& model) const {
  return figure_in(mean_latencies_, setting, model);
}
const Figure* Known::energy(const Setting& setting, Origin origin, const std::string& model) const {
  return figure_in(energies_, std::pair(setting, origin), model);
}

std::set<Origin> Known::energy_origins(const Setting& setting) const {
  std::set<Origin> origins;
  for (const auto& [key, figures] : energies_)
    if (key.first == setting) origins.insert(key.second);
  return origins;
}

std::optional<Section> overview(const Known& known) {
  if (known.order().size() < 2) return std::nullopt;
  Table table{"", {"model"}, {}};
  std::vector<std::vector<Cell>> rows;
  for (const std::string& model : known.order()) rows.push_back({model});
  const auto add_column = [&](const std::string& name, const auto& cell) {
    table.columns.push_back(name);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].push_back(cell(known.order()[i]));
  };
  if (std::ranges::any_of(known.order(), [&](const std::string& m) { return known.bytes(m).has_value(); }))
    add_column("size", [&](const std::string& model) -> Cell {
      const std::optional<double> bytes = known.bytes(model);
      return bytes ? fmt::format("{:.2f} MB", *bytes / 1e6) : std::string("-");
    });
  // What was simulated or estimated stands in a column of its own.
  const std::set<std::string> devices = known.devices();
  for (const std::string& device : devices)
    for (const Origin origin : known.accuracy_origins())
      add_column(fmt::format("accuracy{}{}", devices.size() == 1 ? "" : ", " + device,
                             origin == Origin::measured ? "" : ", " + to_string(origin)),
                 [&](const std::string& model) {
                   const Figure* figure = known.accuracy(device, model);
                   return cell_of(figure && figure->origin() == origin ? figure : nullptr);
                 });
  bool metered = false;
  for (const Known::Setting& setting : known.settings()) {
    add_column("latency, " + known.name_of(setting),
               [&](const std::string& model) { return cell_of(known.latency(setting, model)); });
    for (const Origin origin : known.energy_origins(setting)) {
      metered = true;
      add_column(fmt::format("energy of an inference, {}{}", known.name_of(setting),
                             origin == Origin::measured ? "" : ", " + to_string(origin)),
                 [&](const std::string& model) { return cell_of(known.energy(setting, origin, model)); });
    }
  }
  table.rows = std::move(rows);
  Section section{"All models"};
  if (!metered && !known.settings().empty())
    section.paragraphs.push_back(
        "Energy was not measured: there is no meter here, and no estimate was asked for.");
  section.tables.push_back(std::move(table));
  return section;
}

std::vector<Section> trade_offs(const Known& known) {
  std::vector<Section> sections;
  const auto add = [&](std::optional<Section> section) {
    if (section) sections.push_back(std::move(*section));
  };
  add(trade_off(known, "latency", "ms", [&](const Known::Setting& setting, const std::string& model) {
    return known.latency(setting, model);
  }));
  std::set<Origin> origins;
  for (const Known::Setting& setting : known.settings()) origins.merge(known.energy_origins(setting));
  for (const Origin origin : origins)
    add(trade_off(known, origin == Origin::measured ? "energy" : to_string(origin) + " energy", "J",
                  [&](const Known::Setting& setting, const std::string& model) {
                    return known.energy(setting, origin, model);
                  }));
  return sections;
}

Verdict choice_of(const Known& known, const std::vector<std::string>& variants, const study::Limits& limits) {
  check(!variants.empty(), "there is no variant to choose from");
  const std::string& reference = variants.front();
  const std::set<Known::Setting> settings = known.settings();
  if (known.devices().empty() || settings.empty())
    return {Tone::neutral, reference + ": nothing to choose by, since accuracy or latency is not known"};
  const Known::Setting least = *std::ranges::min_element(settings, {}, &Known::Setting::second);
  const Figure* expected = known.accuracy(least.first, reference);
  if (!expected)
    return {Tone::neutral, reference + ": nothing to choose by, since its accuracy is not known"};
  std::vector<Candidate> fit;
  std::string left_out;
  for (const std::string& variant : variants) {
    const Candidate c{&variant, known.accuracy(least.first, variant), known.latency(least, variant),
                      best_energy(known, least, variant)};
    if (!c.accuracy || !c.latency) continue;
    const std::string why = objection(c, *expected, limits);
    if (why.empty())
      fit.push_back(c);
    else
      left_out += fmt::format("{}{}: {}", left_out.empty() ? "; left out: " : ", ", variant, why);
  }
  const std::string terms = terms_of(limits) + left_out;
  if (fit.empty())
    return {Tone::bad, fmt::format("no variant of {} is within the limits ({})", reference, terms)};
  const Candidate& best = choose(fit, known, least);
  return {Tone::good, fmt::format("ship {}: {} at {} with {}{} ({})", *best.name, text_of(*best.accuracy),
                                  text_of(*best.latency), known.name_of(least),
                                  best.energy ? " and " + text_of(*best.energy) : "", terms)};
}

}  // namespace eke::report
