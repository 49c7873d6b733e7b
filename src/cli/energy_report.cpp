#include "cli/energy_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/statistics.h"

namespace eke::cli {

namespace {

std::string scaled(double value, const char* unit) {
  static constexpr const char* kPrefixes[] = {"n", "u", "m", "", "k", "M"};
  int prefix = 3;
  double size = std::abs(value);
  while (size >= 999.5 && prefix < 5) {
    size /= 1000;
    value /= 1000;
    ++prefix;
  }
  while (size > 0 && size < 0.9995 && prefix > 0) {
    size *= 1000;
    value *= 1000;
    --prefix;
  }
  const int digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}{}", value, digits, kPrefixes[prefix], unit);
}

}  // namespace

void declare_meters(App& app, MeterOptions& options) {
  app.add_option("--meter", options.meters,
                 "a meter of eke meters, more than once if you like; auto: the first one that is there; "
                 "none: no joules")
      ->type_name("METER")
      ->allow_extra_args(false)
      ->capture_default_str();
}

Metering::Metering(const MeterOptions& options) {
  if (options.meters == std::vector<std::string>{"none"}) {
    why_not_ = "--meter none";
    return;
  }
  std::vector<std::unique_ptr<energy::Meter>> meters = energy::open_meters(options.meters, &why_not_);
  if (!meters.empty()) session_ = std::make_unique<energy::Session>(std::move(meters));
}

std::optional<energy::Window> Metering::begin(const std::string& name) {
  if (!session_) return std::nullopt;
  return session_->begin(name);
}

EnergyOf finish(Metering& metering, std::optional<energy::Window>& window) {
  if (!window) return {std::nullopt, metering.why_not()};
  return {window->result(), ""};
}

void Laps::next() {
  if (!windows_.empty()) windows_.back().end();
  if (auto window = metering_.begin(fmt::format("{} {}", name_, windows_.size() + 1)))
    windows_.push_back(std::move(*window));
}

std::vector<EnergyOf> Laps::finish() {
  std::vector<EnergyOf> laps;
  if (!windows_.empty()) windows_.pop_back();
  for (energy::Window& window : windows_) laps.push_back({window.result(), ""});
  windows_.clear();
  return laps;
}

std::string joules_text(double joules) { return scaled(joules, "J"); }
std::string watts_text(double watts) { return scaled(watts, "W"); }

std::string total_text(const energy::Total& total) {
  return fmt::format("{} +- {} ({}; {} by {} at the {})", joules_text(total.joules),
                     joules_text(total.bound_j), total.formula, to_string(total.origin), total.meter,
                     to_string(total.boundary));
}

std::string energy_line(const EnergyOf& energy, std::int64_t count, const std::string& item) {
  if (!energy.window) return "";
  const double items = static_cast<double>(std::max<std::int64_t>(count, 1));
  if (const std::optional<energy::Total> total = total_of(*energy.window)) {
    return fmt::format("energy  {}, {} each {}\n", total_text(*total), joules_text(total->joules / items),
                       item);
  }
  std::string text;
  for (const energy::DomainEnergy& d : energy.window->domains) {
    text += d.joules ? fmt::format("energy  {}: {} +- {} ({} by {}), {} each {}\n", d.domain.name,
                                   joules_text(*d.joules), joules_text(d.bound_j), to_string(d.domain.origin),
                                   d.meter, joules_text(*d.joules / items), item)
                     : fmt::format("energy  {}: not measured: {}\n", d.domain.name, d.why_not);
  }
  return text;
}

std::string laps_line(const std::vector<EnergyOf>& laps, const std::string& item) {
  std::vector<double> joules;
  for (const EnergyOf& lap : laps) {
    if (const std::optional<energy::Total> total = total_of(*lap.window)) joules.push_back(total->joules);
  }
  if (joules.empty()) return "";
  const auto [least, greatest] = std::minmax_element(joules.begin(), joules.end());
  return fmt::format("        {} each {} on average of {}, from {} to {}\n", joules_text(mean(joules)), item,
                     joules.size(), joules_text(*least), joules_text(*greatest));
}

std::string domains_table(const energy::WindowResult& gross, const energy::WindowResult* net) {
  std::vector<Column> columns = {{"domain", Align::left, 40},
                                 {"boundary", Align::left},
                                 {"origin", Align::left},
                                 {"energy"},
                                 {"+-"},
                                 {"mean"},
                                 {"peak"}};
  if (net) columns.insert(columns.end(), {{"without idle"}, {"+-"}});
  columns.insert(columns.end(), {{"samples"}, {"missed"}, {"largest gap"}});
  Table table(columns);
  std::string reasons;
  for (std::size_t i = 0; i < gross.domains.size(); ++i) {
    const energy::DomainEnergy& d = gross.domains[i];
    const auto figure = [](const energy::DomainEnergy& e, double value, auto text) {
      return e.joules ? text(value) : std::string("-");
    };
    std::vector<std::string> row = {
        d.meter + " " + d.domain.name,           std::string(to_string(d.domain.boundary)),
        std::string(to_string(d.domain.origin)), figure(d, d.joules.value_or(0), joules_text),
        figure(d, d.bound_j, joules_text),       figure(d, d.mean_w, watts_text),
        figure(d, d.peak_w, watts_text)};
    if (net) {
      const energy::DomainEnergy& n = net->domains[i];
      row.push_back(figure(n, n.joules.value_or(0), joules_text));
      row.push_back(figure(n, n.bound_j, joules_text));
    }
    row.push_back(std::to_string(d.samples));
    row.push_back(std::to_string(d.missed));
    row.push_back(ms_text(std::chrono::duration<double, std::milli>(d.largest_gap).count()));
    table.add(row);
    if (!d.why_not.empty()) reasons += fmt::format("{}: not measured: {}\n", d.domain.name, d.why_not);
    if (!d.note.empty()) reasons += fmt::format("{}: {}\n", d.domain.name, d.note);
  }
  return table.text() + reasons;
}

Json to_json(const energy::DomainEnergy& d) {
  Json json{{"meter", d.meter},
            {"domain", d.domain.name},
            {"boundary", to_string(d.domain.boundary)},
            {"origin", to_string(d.domain.origin)},
            {"source", d.domain.source},
            {"joules", d.joules ? Json(*d.joules) : Json(nullptr)}};
  if (d.joules) {
    json["bound_j"] = d.bound_j;
    json["mean_w"] = d.mean_w;
    json["peak_w"] = d.peak_w;
  }
  json["in_total"] = d.domain.in_total;
  json["samples"] = d.samples;
  json["missed"] = d.missed;
  json["largest_gap_s"] = std::chrono::duration<double>(d.largest_gap).count();
  if (!d.why_not.empty()) json["why_not"] = d.why_not;
  if (!d.note.empty()) json["note"] = d.note;
  return json;
}

Json to_json(const std::optional<energy::Total>& total) {
  if (!total) return nullptr;
  return {{"joules", total->joules},
          {"bound_j", total->bound_j},
          {"mean_w", total->mean_w},
          {"formula", total->formula},
          {"meter", total->meter},
          {"boundary", to_string(total->boundary)},
          {"origin", to_string(total->origin)}};
}

Json to_json(const energy::WindowResult& window) {
  Json json{{"name", window.name}, {"seconds", window.seconds}, {"total", to_json(total_of(window))}};
  json["domains"] = Json::array();
  for (const energy::DomainEnergy& d : window.domains) json["domains"].push_back(to_json(d));
  return json;
}

Json energy_json(const EnergyOf& energy, std::int64_t count, const std::string& item) {
  if (!energy.window) return {{"total", nullptr}, {"why_not", energy.why_not}};
  Json json = to_json(*energy.window);
  const std::optional<energy::Total> total = total_of(*energy.window);
  json["joules_per_" + item] =
      total && count > 0 ? Json(total->joules / static_cast<double>(count)) : Json(nullptr);
  return json;
}

}  // namespace eke::cli
