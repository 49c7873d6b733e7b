#include "report/figures.h"

#include <algorithm>

namespace eke::report {

namespace {

// Bounds that are not known are the value itself.
double bound(const RunJson& interval, const char* key) {
  return find(interval, key) ? number(interval, key) : number(interval, "mean");
}

}  // namespace

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

Origin origin_of(const std::string& word) {
  for (const Origin origin : {Origin::measured, Origin::recorded, Origin::estimated, Origin::simulated})
    if (word == to_string(origin)) return origin;
  fail("'{}' is no origin of a figure", word);
}

std::string column_name(const std::string& name, Origin origin) {
  return origin == Origin::measured ? name : name + ", " + to_string(origin);
}

std::optional<Figure> headline(const RunJson& scores, Origin origin) {
  if (const RunJson* top1 = find(scores, "top1")) return accuracy(*top1, count(scores, "images"), origin);
  const RunJson* verification = find(scores, "verification");
  if (!verification) return std::nullopt;
  const RunJson& pairs = member(scores, "pairs");
  const double value = 100 * number(*verification, "accuracy"),
               deviation = 100 * number(*verification, "deviation_over_folds");
  return Figure(value, "%", count(pairs, "same") + count(pairs, "different"),
                {value - deviation, value + deviation, "deviation over folds"}, origin);
}

Figure window_figure(const RunJson& interval, const std::string& unit, Origin origin) {
  return {number(interval, "mean"),
          unit,
          count(interval, "windows"),
          {bound(interval, "low"), bound(interval, "high"), "95 % interval over windows"},
          origin};
}

std::optional<Figure> total_energy(const RunJson& energy) {
  const RunJson* total = find(energy, "total");
  if (!total) return std::nullopt;
  const double joules = number(*total, "joules"), bound_j = number(*total, "bound_j");
  return Figure(joules, "J", 1, {joules - bound_j, joules + bound_j, "bound of the meter"},
                origin_of(text(*total, "origin")));
}

std::string energy_source(const RunJson& energy) {
  if (const RunJson* total = find(energy, "total"))
    return fmt::format("{} by {} at the {} ({})", text(*total, "origin"), text(*total, "meter"),
                       text(*total, "boundary"), text(*total, "formula"));
  if (find(energy, "why_not")) return "not measured: " + no_meter_text(text(energy, "why_not"));
  return "not measured: no meter sees all of it";
}

std::string no_meter_text(const std::string& reasons) {
  if (reasons.find('\n') == std::string::npos) return reasons;
  std::string kinds;
  std::size_t at = 0;
  while (at < reasons.size()) {
    const std::size_t end = std::min(reasons.find('\n', at), reasons.size());
    const std::string line = reasons.substr(at, end - at);
    at = end + 1;
    if (line.find(':') == std::string::npos) continue;
    kinds += (kinds.empty() ? "" : ", ") + line.substr(0, line.find(':'));
  }
  return fmt::format("no meter is there (looked for {}; eke meters says why each is missing)", kinds);
}

Verdict ratio_verdict(const std::string& name, const std::string& reference, const RatioWords& words,
                      double ratio, double low, double high, const std::string& spread) {
  const std::string numbers =
      fmt::format("{:.3f} of its {}, {:.3f} to {:.3f} ({})", ratio, words.of, low, high, spread);
  if (high < 1)
    return {Tone::good, fmt::format("{} is {} than {}: {}", name, words.less, reference, numbers)};
  if (low > 1) return {Tone::bad, fmt::format("{} is {} than {}: {}", name, words.more, reference, numbers)};
  return {Tone::neutral, fmt::format("no difference in {} was seen between {} and {}: {}", words.what, name,
                                     reference, numbers)};
}

Verdict accuracy_verdict(const std::string& name, const std::string& reference, double difference, double low,
                         double high, std::int64_t images) {
  const std::string numbers = fmt::format("{:+.2f} points, 95 % interval {:+.2f} to {:+.2f}, {} images",
                                          100 * difference, 100 * low, 100 * high, images);
  if (high < 0) return {Tone::bad, fmt::format("{} is less accurate than {}: {}", name, reference, numbers)};
  if (low > 0) return {Tone::good, fmt::format("{} is more accurate than {}: {}", name, reference, numbers)};
  return {Tone::neutral,
          fmt::format("no difference in accuracy was seen between {} and {}: {}", name, reference, numbers)};
}

}  // namespace eke::report
