// Numbers of results as figures and words, the same in every section.
#pragma once

#include <optional>
#include <string>

#include "report/document.h"
#include "report/run_json.h"

namespace eke::report {

std::string bytes_text(double bytes);
std::string count_text(const RunJson& json, const char* key);  // "" where it is no number
Origin origin_of(const std::string& word);
// "energy", or "energy, estimated": the name of a column of figures of one origin.
std::string column_name(const std::string& name, Origin origin);

// The accuracy of what eke eval prints, and what eke quantize prints of each model.
std::optional<Figure> headline(const RunJson& scores, Origin origin = Origin::measured);

// {"mean", "low", "high", "windows"}
Figure window_figure(const RunJson& interval, const std::string& unit, Origin origin);

// What a command's work cost: {"total": {"joules", "bound_j", "origin", ...}}; none without a meter.
std::optional<Figure> total_energy(const RunJson& energy);
// "measured by rapl at the package", or why there is no figure.
std::string energy_source(const RunJson& energy);
// Reasons are a line for each kind of meter: the first words of them all.
std::string no_meter_text(const std::string& reasons);

// "x is faster than y: ..." where the bounds lie on one side of 1. `less` and `more` are what a ratio below and above 1
// makes of x; `what`: "speed", "time".
struct RatioWords {
  const char *less, *more, *what, *of;
};
inline constexpr RatioWords kTimeWords{"faster", "slower", "speed", "time"};
inline constexpr RatioWords kEnergyWords{"cheaper in energy", "dearer in energy", "energy", "joules"};
Verdict ratio_verdict(const std::string& name, const std::string& reference, const RatioWords& words,
                      double ratio, double low, double high, const std::string& spread);

// Of two models on the same images: `difference`, `low` and `high` are shares.
Verdict accuracy_verdict(const std::string& name, const std::string& reference, double difference, double low,
                         double high, std::int64_t images);

}  // namespace eke::report
