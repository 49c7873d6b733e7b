// The files that trtexec exports. It does not escape names, so that a quotation mark in one makes a file that is no
// JSON: such a file is refused with the place.
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "target/trtexec.h"

namespace eke {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostShown = 80;
constexpr int kMostDepth = 16;

Json parsed(std::string_view text, const char* what) {
  try {
    return Json::parse(text, [&](int depth, Json::parse_event_t, Json&) {
      check(depth <= kMostDepth, "trtexec's {} is nested more than {} deep", what, kMostDepth);
      return true;
    });
  } catch (const Json::exception& error) {
    if (text.empty()) fail("trtexec's {} is empty", what);
    fail(
        "trtexec's {} is no JSON ({}): it is cut off, written under another locale than C, or a name in it "
        "has a "
        "quotation mark",
        what, error.what());
  }
}

std::string shown(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() > kMostShown ? text.substr(0, kMostShown) + "..." : text;
}

double number(const Json& entry, const char* key, const char* what) {
  const auto found = entry.find(key);
  check(found != entry.end() && found->is_number(), "trtexec's {} has no number '{}' in '{}'", what, key,
        shown(entry));
  return found->get<double>();
}

std::string text(const Json& entry, const char* key) {
  const auto found = entry.find(key);
  return found != entry.end() && found->is_string() ? found->get<std::string>() : "";
}

const Json& list(const Json& json, const char* what) {
  check(json.is_array() && !json.empty(), "trtexec's {} is no list with entries, but '{}'", what,
        shown(json));
  return json;
}

// Of a layer that an engine keeps as its name alone, or with all that is known of it.
TrtexecLayer layer_of(const Json& entry) {
  if (entry.is_string()) return {entry.get<std::string>(), "", ""};
  check(entry.is_object() && !text(entry, "Name").empty(),
        "trtexec's layer information has a layer without a name: '{}'", shown(entry));
  return {text(entry, "Name"), text(entry, "LayerType"), text(entry, "TacticName")};
}

std::vector<std::int64_t> dimensions_of(std::string_view dimensions) {
  std::vector<std::int64_t> result;
  while (!dimensions.empty()) {
    std::int64_t extent = 0;
    const auto [end, error] =
        std::from_chars(dimensions.data(), dimensions.data() + dimensions.size(), extent);
    check(error == std::errc() && extent >= 0,
          "trtexec's output has dimensions '{}', which are not understood", dimensions);
    result.push_back(extent);
    dimensions.remove_prefix(static_cast<std::size_t>(end - dimensions.data()));
    if (dimensions.starts_with('x'))
      dimensions.remove_prefix(1);
    else if (!dimensions.empty())
      fail("trtexec's output has dimensions that go on with '{}'", dimensions);
  }
  return result;
}

}  // namespace

TrtexecTimes parse_trtexec_times(std::string_view json) {
  constexpr const char* kWhat = "times";
  const Json all = parsed(json, kWhat);
  TrtexecTimes times;
  for (const Json& entry : list(all, kWhat)) {
    check(entry.is_object(), "trtexec's times have an entry '{}'", shown(entry));
    times.latency_ms.push_back(number(entry, "latencyMs", kWhat));
    times.compute_ms.push_back(number(entry, "computeMs", kWhat));
  }
  return times;
}

TrtexecProfile parse_trtexec_profile(std::string_view json) {
  constexpr const char* kWhat = "profile";
  const Json all = parsed(json, kWhat);
  TrtexecProfile profile;
  for (const Json& entry : list(all, kWhat)) {
    check(entry.is_object(), "trtexec's profile has an entry '{}'", shown(entry));
    if (entry.contains("count")) {
      check(entry["count"].is_number_integer(), "trtexec's profile has no whole number 'count' in '{}'",
            shown(entry));
      profile.runs = entry["count"].get<std::int64_t>();
      continue;
    }
    check(!text(entry, "name").empty(), "trtexec's profile has a layer without a name: '{}'", shown(entry));
    TrtexecLayerTime layer{text(entry, "name"), number(entry, "averageMs", kWhat), {}};
    if (entry.contains("medianMs")) layer.median_ms = number(entry, "medianMs", kWhat);
    profile.layers.push_back(std::move(layer));
  }
  check(profile.runs > 0, "trtexec's profile does not begin with the count of runs");
  return profile;
}

TrtexecEngine parse_trtexec_layers(std::string_view json) {
  constexpr const char* kWhat = "layer information";
  const Json all = parsed(json, kWhat);
  check(all.is_object() && all.contains("Layers"), "trtexec's layer information has no 'Layers'");
  TrtexecEngine engine;
  for (const Json& entry : list(all["Layers"], kWhat)) engine.layers.push_back(layer_of(entry));
  // "I/O Tensors" from version 11 on: names, or objects with one.
  for (const char* key : {"Bindings", "I/O Tensors"}) {
    if (!all.contains(key) || !all[key].is_array()) continue;
    for (const Json& tensor : all[key]) {
      const std::string name = tensor.is_string()   ? tensor.get<std::string>()
                               : tensor.is_object() ? text(tensor, "Name")
                                                    : "";
      if (!name.empty()) engine.tensors.push_back(name);
    }
  }
  return engine;
}

std::vector<TrtexecOutput> parse_trtexec_output(std::string_view json) {
  constexpr const char* kWhat = "output";
  const Json all = parsed(json, kWhat);
  std::vector<TrtexecOutput> outputs;
  for (const Json& entry : list(all, kWhat)) {
    check(entry.is_object() && entry.contains("values") && entry["values"].is_array(),
          "trtexec's output has an entry without values: '{}'", shown(entry));
    TrtexecOutput output{text(entry, "name"), dimensions_of(text(entry, "dimensions")), {}};
    for (const Json& value : entry["values"]) {
      check(value.is_number(), "trtexec's output '{}' holds '{}', which is no number", output.name,
            shown(value));
      const double real = value.get<double>();
      check(std::abs(real) <= std::numeric_limits<float>::max(),
            "trtexec's output '{}' holds {}, which is no float32", output.name, real);
      output.values.push_back(static_cast<float>(real));
    }
    std::int64_t count = 1;
    for (const std::int64_t extent : output.dimensions) {
      check(extent <= static_cast<std::int64_t>(output.values.size()),
            "trtexec's output '{}' is {} and has {} values", output.name, text(entry, "dimensions"),
            output.values.size());
      count *= std::max<std::int64_t>(extent, 1);
      check(count <= static_cast<std::int64_t>(output.values.size()),
            "trtexec's output '{}' is {} and has {} values", output.name, text(entry, "dimensions"),
            output.values.size());
    }
    check(count == static_cast<std::int64_t>(output.values.size()),
          "trtexec's output '{}' is {} and has {} values", output.name, text(entry, "dimensions"),
          output.values.size());
    outputs.push_back(std::move(output));
  }
  return outputs;
}

}  // namespace eke
