#include "energy/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "energy/meters.h"

namespace eke::energy {

namespace {

constexpr std::size_t kEnoughChanges = 5;

std::string time_text(Nanoseconds time) {
  const auto ns = static_cast<double>(time.count());
  if (ns >= 1e9) return fmt::format("{:.3g} s", ns * 1e-9);
  if (ns >= 1e6) return fmt::format("{:.3g} ms", ns * 1e-6);
  return fmt::format("{:.3g} us", ns * 1e-3);
}

std::string step_text(const Domain& domain) {
  const auto step = static_cast<double>(domain.resolution);
  const char* unit = domain.quantity == Quantity::energy ? "J" : "W";
  if (step >= 1e6) return fmt::format("{:.4g} {}", step * 1e-6, unit);
  if (step >= 1e3) return fmt::format("{:.4g} m{}", step * 1e-3, unit);
  return fmt::format("{:.4g} u{}", step, unit);
}

MeterReport report_of(Probe probe, Nanoseconds measure) {
  MeterReport report;
  report.why_not = std::move(probe.why_not);
  report.note = std::move(probe.note);
  if (!probe.meter) return report;
  report.domains = probe.meter->domains();
  if (measure.count() > 0) report.timing = time_meter(*probe.meter, measure);
  return report;
}

std::string total_text(const MeterReport& report) {
  std::string formula;
  for (const Domain& d : report.domains) {
    if (d.in_total) formula += (formula.empty() ? "" : " + ") + d.name;
  }
  return formula.empty() ? "none" : formula;
}

std::string domain_line(const MeterReport& report, std::size_t i) {
  const Domain& d = report.domains[i];
  std::string line = fmt::format("  {:<28} {:<7} {:<8} step {:<9} refresh {:<7}", d.name,
                                 d.quantity == Quantity::energy ? "counter" : "power", to_string(d.boundary),
                                 step_text(d), d.refresh.count() > 0 ? time_text(d.refresh) : "each read");
  if (report.timing) {
    const auto& measured = report.timing->refresh[i];
    line += fmt::format(" measured {:<7}", measured ? time_text(*measured) : "-");
  }
  if (d.origin != Origin::measured) line += fmt::format(" {}", to_string(d.origin));
  if (d.parent >= 0)
    line += fmt::format(" inside {}", report.domains[static_cast<std::size_t>(d.parent)].name);
  line.erase(line.find_last_not_of(' ') + 1);
  return line + fmt::format("\n    {}\n", d.source);
}

}  // namespace

MeterTiming time_meter(Meter& meter, Nanoseconds duration) {
  MeterTiming timing;
  const std::size_t count = meter.domains().size();
  std::vector<Reading> now(count), last(count);
  std::vector<Nanoseconds> changed(count, Nanoseconds(0));
  std::vector<std::vector<Nanoseconds>> gaps(count);
  const Nanoseconds begin = raw_time();
  while (raw_time() - begin < duration || timing.reads < 2) {
    meter.read(now);
    ++timing.reads;
    for (std::size_t i = 0; i < count; ++i) {
      if (now[i].fault != Fault::none) continue;
      if (timing.reads > 1 && last[i].fault == Fault::none && now[i].value != last[i].value) {
        if (changed[i].count() > 0) gaps[i].push_back(now[i].end - changed[i]);
        changed[i] = now[i].end;
      }
      last[i] = now[i];
    }
  }
  timing.read_seconds =
      std::chrono::duration<double>(raw_time() - begin).count() / static_cast<double>(timing.reads);
  for (auto& g : gaps) {
    std::optional<Nanoseconds> refresh;
    if (g.size() >= kEnoughChanges) {
      std::nth_element(g.begin(), g.begin() + static_cast<std::ptrdiff_t>(g.size() / 2), g.end());
      refresh = g[g.size() / 2];
    }
    timing.refresh.push_back(refresh);
  }
  return timing;
}

std::vector<MeterReport> report_meters(Host& host, const std::vector<std::string>& extra,
                                       Nanoseconds measure) {
  std::vector<MeterReport> reports;
  for (const MeterEntry& entry : meter_list()) {
    MeterReport report;
    if (entry.argument) {
      report.argument = entry.argument;
      report.why_not = fmt::format("give --meter {}:{}", entry.name, entry.argument);
    } else {
      report = report_of(entry.probe(host, ""), measure);
    }
    report.specification = entry.name;
    report.summary = entry.summary;
    reports.push_back(std::move(report));
  }
  for (const std::string& specification : extra) {
    MeterReport report = report_of(open_meter(host, specification), measure);
    report.specification = specification;
    reports.push_back(std::move(report));
  }
  return reports;
}

std::string to_text(const std::vector<MeterReport>& reports) {
  std::string text;
  for (const MeterReport& report : reports) {
    if (report.domains.empty()) continue;
    text += report.specification + (report.summary.empty() ? "" : ": " + report.summary) + "\n";
    for (std::size_t i = 0; i < report.domains.size(); ++i) text += domain_line(report, i);
    text += fmt::format("  total: {}\n", total_text(report));
    if (report.timing) {
      text +=
          fmt::format("  a read takes {} (mean of {})\n",
                      time_text(Nanoseconds(static_cast<std::int64_t>(report.timing->read_seconds * 1e9))),
                      report.timing->reads);
    }
    if (!report.note.empty()) text += fmt::format("  note: {}\n", report.note);
  }
  if (text.empty()) text = "no meter is there\n";
  text += "\nnot there:\n";
  for (const MeterReport& report : reports) {
    if (report.domains.empty()) text += fmt::format("  {:<9} {}\n", report.specification, report.why_not);
  }
  return text;
}

}  // namespace eke::energy
