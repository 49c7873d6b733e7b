#include "cli/bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/timing.h"

namespace eke::cli {

namespace {

// What executes: an instruction set, or another engine.
std::string isa_text(const Variant& variant) {
  if (variant.backend != "cpu") return variant.backend;
  return std::string(to_string(variant.isa ? *variant.isa : selected_isa()));
}

std::string precision_text(const Variant& variant) { return variant.floats == Floats::bf16 ? "bf16" : "f32"; }

template <class Get>
bool varies(const BenchResult& result, Get get) {
  return std::any_of(result.variants.begin(), result.variants.end(), [&](const VariantResult& v) {
    return get(v.variant) != get(result.variants[0].variant);
  });
}

std::string percent_half(const Interval& interval, double middle) {
  if (!std::isfinite(interval.high) || middle == 0) return "-";
  return fmt::format("{:.2f} %", 50 * (interval.high - interval.low) / std::abs(middle));
}

std::string joules_cell(const std::vector<double>& values) {
  if (values.empty()) return "-";
  const Interval interval = drifting_mean_interval(values);
  const double middle = mean(values), half = (interval.high - interval.low) / 2;
  // A percentage of next to nothing, as of what is left without idle, says nothing.
  return joules_text(middle) + " +- " +
         (half > std::fabs(middle) ? joules_text(half) : percent_half(interval, middle));
}

std::string ratio_text(const PairedRatio& ratio, const char* less, const char* more) {
  const std::string figures =
      std::isfinite(ratio.interval.high)
          ? fmt::format("{:.3f} ({:.3f} to {:.3f})", ratio.ratio, ratio.interval.low, ratio.interval.high)
          : fmt::format("{:.3f}", ratio.ratio);
  return figures + (ratio.differs() ? (ratio.ratio < 1 ? std::string(", ") + less : std::string(", ") + more)
                                    : ", no difference seen");
}

// A column for each setting that is not the same everywhere.
std::vector<std::string> settings(const BenchResult& result, const Variant& v) {
  std::vector<std::string> cells;
  if (varies(result, [](const Variant& x) { return x.threads; })) cells.push_back(std::to_string(v.threads));
  if (varies(result, [](const Variant& x) { return x.batch; })) cells.push_back(std::to_string(v.batch));
  if (varies(result, isa_text)) cells.push_back(isa_text(v));
  if (varies(result, [](const Variant& x) { return x.frequency_khz; }))
    cells.push_back(v.frequency_khz ? fmt::format("{} MHz", *v.frequency_khz / 1000) : "-");
  if (varies(result, [](const Variant& x) { return x.power_mode; }))
    cells.push_back(v.power_mode ? std::to_string(*v.power_mode) : "-");
  if (varies(result, [](const Variant& x) { return x.tuned; }))
    cells.push_back(v.tuned ? "tuned" : "by rule");
  if (varies(result, precision_text)) cells.push_back(precision_text(v));
  return cells;
}

std::vector<Column> setting_columns(const BenchResult& result) {
  std::vector<Column> columns = {{"model", Align::left, 48}};
  if (varies(result, [](const Variant& x) { return x.threads; })) columns.push_back({"threads"});
  if (varies(result, [](const Variant& x) { return x.batch; })) columns.push_back({"batch"});
  if (varies(result, isa_text)) columns.push_back({"on", Align::left});
  if (varies(result, [](const Variant& x) { return x.frequency_khz; })) columns.push_back({"clock"});
  if (varies(result, [](const Variant& x) { return x.power_mode; })) columns.push_back({"mode"});
  if (varies(result, [](const Variant& x) { return x.tuned; })) columns.push_back({"tactics", Align::left});
  if (varies(result, precision_text)) columns.push_back({"floats", Align::left});
  return columns;
}

std::vector<std::string> row_of(const BenchResult& result, const Variant& variant) {
  std::vector<std::string> row = {variant.model};
  const std::vector<std::string> cells = settings(result, variant);
  row.insert(row.end(), cells.begin(), cells.end());
  return row;
}

std::string latency_table(const BenchResult& result, const std::vector<Summary>& summaries) {
  std::vector<Column> columns = setting_columns(result);
  columns.insert(
      columns.end(),
      {{"latency"}, {"95 % +-"}, {"p50"}, {"p90"}, {"p99"}, {"first run"}, {"images/s"}, {"runs"}});
  if (result.variants.size() > 1) columns.push_back({"time / first", Align::left});
  Table table(columns);
  for (std::size_t i = 0; i < summaries.size(); ++i) {
    const Summary& s = summaries[i];
    std::vector<std::string> row = row_of(result, result.variants[i].variant);
    for (const std::string& cell : {ms_text(s.ms), percent_half(s.interval, s.ms), ms_text(s.p50),
                                    ms_text(s.p90), ms_text(s.p99), ms_text(result.variants[i].first_run_ms),
                                    fmt::format("{:.1f}", s.images_per_s), std::to_string(s.runs)})
      row.push_back(cell);
    if (result.variants.size() > 1)
      row.push_back(
          i == 0 ? "" : ratio_text(compare(result.variants[0], result.variants[i]).time, "faster", "slower"));
    table.add(row);
  }
  return table.text();
}

std::string energy_table(const BenchResult& result, const std::vector<Summary>& summaries) {
  if (summaries[0].energy.empty()) return "";
  std::vector<Column> columns = setting_columns(result);
  columns.insert(columns.end(), {{"what", Align::left, 40},
                                 {"origin", Align::left},
                                 {"energy an inference"},
                                 {"without idle"},
                                 {"inferences/J"},
                                 {"mean"},
                                 {"peak"},
                                 {"EDP"}});
  if (result.variants.size() > 1) columns.push_back({"energy / first", Align::left});
  Table table(columns);
  std::string reasons;
  for (std::size_t i = 0; i < summaries.size(); ++i) {
    const Summary& s = summaries[i];
    for (const EnergyFigure& figure : s.energy) {
      // Of several variants the JSON has the domains; a lone domain is the total.
      if (s.total() && &figure != s.total() && (result.variants.size() > 1 || s.energy.size() == 2)) continue;
      std::vector<std::string> row = row_of(result, result.variants[i].variant);
      const bool good = !figure.gross_j.empty();
      const double joules = good ? mean(figure.gross_j) : 0;
      const double seconds = s.ms / 1e3 / static_cast<double>(result.variants[i].variant.batch);
      for (const std::string& cell :
           {(figure.formula.empty() ? figure.name : figure.formula) +
                fmt::format(" ({})", to_string(figure.boundary)),
            std::string(to_string(figure.origin)), joules_cell(figure.gross_j), joules_cell(figure.net_j),
            good && joules > 0 ? fmt::format("{:.4g}", 1 / joules) : "-",
            good ? watts_text(figure.mean_w) : "-", good ? watts_text(figure.peak_w) : "-",
            good ? fmt::format("{:.3g} Js", joules * seconds) : "-"})
        row.push_back(cell);
      if (result.variants.size() > 1) {
        const Comparison c = compare(result.variants[0], result.variants[i]);
        row.push_back(i > 0 && c.energy && &figure == s.total() ? ratio_text(*c.energy, "cheaper", "dearer")
                                                                : "");
      }
      table.add(row);
      if (!figure.why_not.empty())
        reasons += fmt::format("{}: not measured: {}\n", figure.name, figure.why_not);
    }
  }
  return "\n" + table.text() + reasons;
}

std::optional<double> highest_temperature(const VariantResult& v) {
  std::optional<double> highest;
  for (const BenchWindow& w : v.windows) {
    if (w.machine.temperature_c) highest = std::max(highest.value_or(-1e9), *w.machine.temperature_c);
  }
  return highest;
}

std::optional<double> mean_frequency(const VariantResult& v) {
  double sum = 0;
  int count = 0;
  for (const BenchWindow& w : v.windows) {
    if (!w.machine.frequency_mhz) continue;
    sum += *w.machine.frequency_mhz;
    ++count;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

// More at the end than after the first window.
bool throttled(const BenchResult& result) {
  const auto& first = result.variants.front().windows.front().machine.throttled;
  return std::any_of(result.variants.begin(), result.variants.end(), [&](const VariantResult& v) {
    const auto& last = v.windows.back().machine.throttled;
    return first && last && *last != *first;
  });
}

std::string machine_line(const BenchResult& result) {
  const energy::MachineState& last = result.variants.back().windows.back().machine;
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (const auto t = highest_temperature(result.variants[0])) add(fmt::format("at most {:.1f} C", *t));
  if (const auto f = mean_frequency(result.variants[0])) add(fmt::format("{:.0f} MHz on average", *f));
  if (!last.governor.empty()) add("governor " + last.governor);
  if (!last.power_mode.empty()) add("power mode " + last.power_mode);
  if (throttled(result)) add(paint(Colour::bad, "the machine throttled: these figures say little"));
  return text.empty() ? "" : text + "\n";
}

std::string header(const BenchResult& result) {
  const Variant& first = result.variants[0].variant;
  std::string text = fmt::format("{} windows of {:.3g} s each", result.variants[0].windows.size(), mean([&] {
                                   std::vector<double> seconds;
                                   for (const BenchWindow& w : result.variants[0].windows)
                                     seconds.push_back(w.seconds);
                                   return seconds;
                                 }()));
  if (result.variants.size() > 1) text += ", interleaved A B B A";
  text += fmt::format(", after {} warm-up runs{}, {} thread{}, {}\n", result.variants[0].warmup_runs,
                      result.variants[0].plateau ? "" : " (no plateau was reached)", first.threads,
                      first.threads == 1 ? "" : "s", isa_text(first));
  if (first.floats == Floats::bf16) text.insert(text.size() - 1, ", bf16");
  return text + machine_line(result);
}

std::string footer(const BenchResult& result) {
  std::string text;
  if (!result.precise) {
    text += fmt::format("the interval is wider than +- {:.3g} %: {}\n", 100 * result.plan.precision,
                        result.sampled         ? "single runs differ by more than that on this machine"
                        : result.plan.runs > 0 ? "more --runs would narrow it"
                                               : "the time was over; --limit gives it more");
  }
  std::size_t disturbed = 0, runs = 0;
  for (const VariantResult& v : result.variants) {
    const Summary s = summarize(v);
    disturbed += s.disturbed;
    runs += s.runs;
  }
  if (10 * disturbed > runs) {
    text += fmt::format(
        "other programs interrupted {} of {} runs; latency is that of the others, p50 to p99 are of all\n",
        disturbed, runs);
  }
  for (const energy::SamplerCost& cost : result.samplers)
    text += fmt::format("the sampler of {} took {:.3f} % of a core\n", cost.meter, 100 * cost.cpu_share);
  return text;
}

Json number(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json interval_json(const std::vector<double>& values) {
  if (values.empty()) return nullptr;
  const Interval interval = drifting_mean_interval(values);
  const bool finite = std::isfinite(interval.high);
  return {{"mean", mean(values)},
          {"low", finite ? Json(interval.low) : Json(nullptr)},
          {"high", finite ? Json(interval.high) : Json(nullptr)},
          {"windows", values.size()}};
}

Json latency_json(const Summary& s) {
  const bool finite = std::isfinite(s.interval.high);
  return {{"mean", s.ms},
          {"low", finite ? Json(s.interval.low) : Json(nullptr)},
          {"high", finite ? Json(s.interval.high) : Json(nullptr)},
          {"unsteady", s.unsteady_ms},
          {"windows", s.window_ms.size()}};
}

Json ratio_json(const PairedRatio& ratio, const char* less, const char* more) {
  const bool finite = std::isfinite(ratio.interval.high);
  return {{"ratio", ratio.ratio},
          {"low", finite ? Json(ratio.interval.low) : Json(nullptr)},
          {"high", finite ? Json(ratio.interval.high) : Json(nullptr)},
          {"pairs", ratio.pairs},
          {"verdict", ratio.differs() ? (ratio.ratio < 1 ? less : more) : "no difference seen"}};
}

Json machine_json(const energy::MachineState& m) {
  return {{"temperature_c", number(m.temperature_c)},
          {"frequency_mhz", number(m.frequency_mhz)},
          {"governor", m.governor.empty() ? Json(nullptr) : Json(m.governor)},
          {"power_mode", m.power_mode.empty() ? Json(nullptr) : Json(m.power_mode)},
          {"throttled", m.throttled ? Json(*m.throttled) : Json(nullptr)}};
}

Json figure_json(const EnergyFigure& f) {
  Json json{{"name", f.name},
            {"meter", f.meter},
            {"boundary", to_string(f.boundary)},
            {"origin", to_string(f.origin)}};
  if (!f.formula.empty()) json["formula"] = f.formula;
  json["joules_per_inference"] = interval_json(f.gross_j);
  json["net_joules_per_inference"] = interval_json(f.net_j);
  if (!f.why_not.empty()) json["why_not"] = f.why_not;
  if (f.gross_j.empty()) return json;
  json["meter_bound_j"] = f.bound_j;
  json["mean_w"] = f.mean_w;
  json["peak_w"] = f.peak_w;
  return json;
}

Json windows_json(const VariantResult& v) {
  Json json = Json::array();
  for (const BenchWindow& w : v.windows) {
    Json window{{"round", w.round},
                {"seconds", w.seconds},
                {"ms", w.ms},
                {"disturbed", w.disturbed},
                {"machine", machine_json(w.machine)}};
    if (w.gross) window["gross"] = to_json(*w.gross);
    if (w.net) window["net"] = to_json(*w.net);
    json.push_back(std::move(window));
  }
  return json;
}

// Time over that of the first variant in the same round.
std::vector<double> round_ratios(const Summary& first, const Summary& other) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < other.window_ms.size(); ++i)
    ratios.push_back(other.window_ms[i] / first.window_ms[i]);
  return ratios;
}

Json variant_json(const BenchResult& result, std::size_t i, const std::vector<Summary>& summaries) {
  const VariantResult& v = result.variants[i];
  const Summary& s = summaries[i];
  std::vector<double> all;
  for (const BenchWindow& w : v.windows) all.insert(all.end(), w.ms.begin(), w.ms.end());
  Json json{{"model", v.variant.model},
            {"backend", v.variant.backend},
            {"threads", v.variant.threads},
            {"batch", v.variant.batch},
            {"isa", isa_text(v.variant)},
            {"frequency_khz", v.variant.frequency_khz ? Json(*v.variant.frequency_khz) : Json(nullptr)},
            {"power_mode", v.variant.power_mode ? Json(*v.variant.power_mode) : Json(nullptr)},
            {"tuned", v.variant.tuned},
            {"precision", precision_text(v.variant)},
            {"runs", s.runs},
            {"disturbed_runs", s.disturbed},
            {"warmup_runs", v.warmup_runs},
            {"plateau", v.plateau},
            {"ms", to_json(spread_of(all))}};
  json["ms"]["p50"] = s.p50;
  json["ms"]["p99"] = s.p99;
  json["latency_ms"] = latency_json(s);
  json["first_run_ms"] = v.first_run_ms;
  json["images_per_s"] = s.images_per_s;
  json["energy"] = Json::array();
  for (const EnergyFigure& figure : s.energy) json["energy"].push_back(figure_json(figure));
  if (const EnergyFigure* total = s.total(); total && !total->gross_j.empty())
    json["edp_js"] = mean(total->gross_j) * s.ms / 1e3 / static_cast<double>(v.variant.batch);
  if (i > 0) {
    json["time_over_first"] = to_json(spread_of(round_ratios(summaries[0], s)));
    const Comparison c = compare(result.variants[0], v);
    json["against_first"] = {
        {"time", ratio_json(c.time, "faster", "slower")},
        {"energy", c.energy ? ratio_json(*c.energy, "cheaper", "dearer") : Json(nullptr)}};
  }
  json["windows"] = windows_json(v);
  return json;
}

std::vector<Summary> summaries_of(const BenchResult& result) {
  std::vector<Summary> summaries;
  for (const VariantResult& v : result.variants) summaries.push_back(summarize(v));
  return summaries;
}

std::string csv_number(const std::optional<double>& value) {
  return value ? fmt::format("{:.9g}", *value) : "";
}

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string bench_text(const BenchResult& result) {
  const std::vector<Summary> summaries = summaries_of(result);
  return header(result) + latency_table(result, summaries) + energy_table(result, summaries) + footer(result);
}

Json bench_json(const BenchResult& result) {
  const std::vector<Summary> summaries = summaries_of(result);
  const Variant& first = result.variants[0].variant;
  Json json{{"isa", isa_text(first)},
            {"threads", first.threads},
            {"runs", summaries[0].runs},
            {"warmup", result.variants[0].warmup_runs},
            {"interleaved", result.variants.size() > 1},
            {"window_s", result.plan.window_s},
            {"limit_s", result.plan.limit_s},
            {"precision", result.plan.precision},
            {"precise", result.precise}};
  if (result.samplers.empty()) json["no_meter"] = result.no_meter;
  for (const energy::SamplerCost& cost : result.samplers)
    json["samplers"].push_back({{"meter", cost.meter}, {"cpu_share", cost.cpu_share}, {"reads", cost.reads}});
  json["idle_before"] = result.idle_before ? to_json(*result.idle_before) : Json(nullptr);
  json["idle_after"] = result.idle_after ? to_json(*result.idle_after) : Json(nullptr);
  json["models"] = Json::array();
  for (std::size_t i = 0; i < result.variants.size(); ++i)
    json["models"].push_back(variant_json(result, i, summaries));
  return json;
}

std::string bench_csv(const BenchResult& result) {
  std::string text =
      "model,threads,batch,isa,frequency_khz,power_mode,tuned,precision,runs,windows,ms,ms_low,ms_high,p50_"
      "ms,p90_ms,"
      "p99_ms,"
      "images_per_s,"
      "joules_per_inference,joules_low,joules_high,net_joules_per_inference,mean_w,peak_w,edp_js,energy_of,"
      "boundary,origin,"
      "temperature_c,frequency_mhz,governor\n";
  for (const VariantResult& v : result.variants) {
    const Summary s = summarize(v);
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},",
                        csv_text(v.variant.model), v.variant.threads, v.variant.batch, isa_text(v.variant),
                        v.variant.frequency_khz ? std::to_string(*v.variant.frequency_khz) : "",
                        v.variant.power_mode ? std::to_string(*v.variant.power_mode) : "",
                        v.variant.tuned ? "yes" : "no", precision_text(v.variant), s.runs, v.windows.size(),
                        s.ms, s.interval.low, s.interval.high, s.p50, s.p90, s.p99, s.images_per_s);
    const EnergyFigure* f = s.total();
    if (f && !f->gross_j.empty()) {
      const Interval interval = drifting_mean_interval(f->gross_j);
      const double joules = mean(f->gross_j);
      text += fmt::format("{:.9g},{:.9g},{:.9g},{},{:.9g},{:.9g},{:.9g},{},{},{},", joules, interval.low,
                          interval.high, f->net_j.empty() ? "" : fmt::format("{:.9g}", mean(f->net_j)),
                          f->mean_w, f->peak_w, joules * s.ms / 1e3 / static_cast<double>(v.variant.batch),
                          csv_text(f->formula), to_string(f->boundary), to_string(f->origin));
    } else {
      text += ",,,,,,,,,,";
    }
    text += fmt::format("{},{},{}\n", csv_number(highest_temperature(v)), csv_number(mean_frequency(v)),
                        v.windows.back().machine.governor);
  }
  return text;
}

}  // namespace eke::cli
