// Reading results with errors that name the place.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <string>

#include "base/error.h"
#include "report/runs.h"

namespace eke::report {

using RunJson = nlohmann::ordered_json;

// The member of an object; null where there is none.
inline const RunJson* find(const RunJson& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto it = json.find(key);
  return it == json.end() || it->is_null() ? nullptr : &*it;
}
inline const RunJson& member(const RunJson& json, const char* key) {
  const RunJson* found = find(json, key);
  check(found != nullptr, "has no '{}': was it written by another version?", key);
  return *found;
}
inline double number(const RunJson& json, const char* key) {
  const RunJson& value = member(json, key);
  check(value.is_number(), "'{}' is no number", key);
  return value.get<double>();
}
inline std::int64_t count(const RunJson& json, const char* key) {
  const RunJson& value = member(json, key);
  check(value.is_number_integer(), "'{}' is no whole number", key);
  constexpr double kMost = 9007199254740992;  // 2^53: sums of a few stay whole numbers
  check(std::abs(value.get<double>()) <= kMost, "'{}' is too large", key);
  return value.get<std::int64_t>();
}
inline std::string text(const RunJson& json, const char* key) {
  const RunJson& value = member(json, key);
  check(value.is_string(), "'{}' is no text", key);
  return value.get<std::string>();
}
inline bool flag(const RunJson& json, const char* key) {
  const RunJson* value = find(json, key);
  return value && value->is_boolean() && value->get<bool>();
}
inline const RunJson& array(const RunJson& json, const char* key) {
  const RunJson& value = member(json, key);
  check(value.is_array(), "'{}' is no list", key);
  return value;
}

// {"median", "p10", "p90"} of `runs` runs, in milliseconds.
inline Figure latency(const RunJson& ms, std::int64_t runs) {
  return {number(ms, "median"),
          "ms",
          runs,
          {number(ms, "p10"), number(ms, "p90"), "p10 to p90"},
          Origin::measured};
}
// {"accuracy", "low", "high"} of `images` images, as a percentage.
inline Figure accuracy(const RunJson& top, std::int64_t images, Origin origin = Origin::measured) {
  return {100 * number(top, "accuracy"),
          "%",
          images,
          {100 * number(top, "low"), 100 * number(top, "high"), "95 % interval"},
          origin};
}

}  // namespace eke::report
