#include "tune/tuning.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace eke {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr double kLeastGain = 0.02;

// Intervals of a single pair have no end; JSON has no infinity.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json to_json(const PairedRatio& ratio) {
  return {{"ratio", ratio.ratio},
          {"low", number(ratio.interval.low)},
          {"high", number(ratio.interval.high)},
          {"pairs", ratio.pairs}};
}

Json to_json(const Choice& choice) { return {{"tactic", choice.tactic}, {"isa", to_string(choice.isa)}}; }

Json to_json(const TunedLayer& layer) {
  Json json{{"output", layer.output},
            {"name", layer.name},
            {"operator", layer.op},
            {"share", layer.share},
            {"by_rule", to_json(layer.by_rule)}};
  json["others"] = Json::array();
  for (const MeasuredWay& way : layer.others) {
    Json other = to_json(way.choice);
    other.update(to_json(way.cost));
    json["others"].push_back(std::move(other));
  }
  return json;
}

Json to_json(const TunedPlan& plan) {
  Json json{{"inputs", plan.inputs}, {"threads", plan.threads}, {"finished", plan.finished}};
  if (plan.finished) {
    json["cost_by_rule"] = plan.cost_by_rule;
    json["cost"] = plan.cost;
    json["tuned_over_rule"] = to_json(plan.ratio);
    json["kept"] = plan.kept;
  }
  json["layers"] = Json::array();
  for (const TunedLayer& layer : plan.layers) json["layers"].push_back(to_json(layer));
  return json;
}

// A member of an object, read with words for what is wrong.
class Reader {
 public:
  Reader(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    check(json_.is_object(), "{} is no object", where_.empty() ? "the whole" : where_);
  }

  const Json& at(const char* name) const {
    const auto found = json_.find(name);
    check(found != json_.end(), "'{}' is missing", path(name));
    return *found;
  }
  std::string text(const char* name) const {
    check(at(name).is_string(), "'{}' is no text", path(name));
    return at(name).get<std::string>();
  }
  double real(const char* name, double least) const {
    const Json& value = at(name);
    const double number = value.is_number() ? value.get<double>() : std::nan("");
    check(number >= least && std::isfinite(number), "'{}' is no number from {} on", path(name), least);
    return number;
  }
  std::int64_t whole(const char* name, std::int64_t least, std::int64_t most) const {
    const Json& value = at(name);
    check(value.is_number_integer(), "'{}' is no whole number", path(name));
    const auto number = value.get<std::int64_t>();
    check(number >= least && number <= most, "'{}' is not from {} to {}", path(name), least, most);
    return number;
  }
  bool flag(const char* name) const {
    check(at(name).is_boolean(), "'{}' is neither true nor false", path(name));
    return at(name).get<bool>();
  }
  bool has(const char* name) const { return json_.contains(name) && !json_.at(name).is_null(); }
  // An end of an interval; null: none.
  double end(const char* name, double none) const { return at(name).is_null() ? none : real(name, -1e300); }
  Isa tier(const char* name) const {
    const std::optional<Isa> isa = parse_isa(text(name));
    check(isa.has_value(), "'{}' names no tier: '{}'", path(name), text(name));
    return *isa;
  }
  template <class F>
  void each(const char* name, F&& f) const {
    check(at(name).is_array(), "'{}' is no list", path(name));
    std::size_t i = 0;
    for (const Json& item : at(name)) f(Reader(item, fmt::format("{}[{}]", path(name), i++)));
  }
  std::string path(const char* name) const { return where_.empty() ? name : where_ + "." + name; }

 private:
  const Json& json_;
  std::string where_;
};

Choice read_choice(const Reader& json) { return {json.text("tactic"), json.tier("isa")}; }

PairedRatio read_ratio(const Reader& json) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  return {json.real("ratio", 0),
          {json.end("low", 0), json.end("high", kNone)},
          static_cast<int>(json.whole("pairs", 1, 1'000'000))};
}

TunedLayer read_layer(const Reader& json) {
  TunedLayer layer{json.text("output"),
                   json.text("name"),
                   json.text("operator"),
                   json.real("share", 0),
                   read_choice(Reader(json.at("by_rule"), json.path("by_rule"))),
                   {}};
  json.each("others", [&](const Reader& other) {
    layer.others.push_back({read_choice(other), read_ratio(other)});
  });
  return layer;
}

TunedPlan read_plan(const Reader& json) {
  TunedPlan plan;
  plan.inputs = json.text("inputs");
  plan.threads = static_cast<int>(json.whole("threads", 1, 1024));
  plan.finished = json.flag("finished");
  if (plan.finished) {
    plan.cost_by_rule = json.real("cost_by_rule", 0);
    plan.cost = json.real("cost", 0);
    plan.ratio = read_ratio(Reader(json.at("tuned_over_rule"), json.path("tuned_over_rule")));
    plan.kept = json.flag("kept");
  }
  json.each("layers", [&](const Reader& layer) { plan.layers.push_back(read_layer(layer)); });
  return plan;
}

TunedSetting read_setting(const Reader& json) {
  TunedSetting setting;
  setting.threads = static_cast<int>(json.whole("threads", 1, 1024));
  if (json.has("frequency_khz")) setting.frequency_khz = json.whole("frequency_khz", 1, 1'000'000'000);
  setting.cost = json.real("cost", 0);
  setting.interval = {json.end("low", -std::numeric_limits<double>::infinity()),
                      json.end("high", std::numeric_limits<double>::infinity())};
  return setting;
}

}  // namespace

const MeasuredWay* TunedLayer::best() const noexcept {
  const MeasuredWay* best = nullptr;
  for (const MeasuredWay& way : others) {
    if (way.cost.interval.high >= 1 || way.cost.ratio > 1 - kLeastGain) continue;
    if (best == nullptr || way.cost.ratio < best->cost.ratio) best = &way;
  }
  return best;
}

Choices TunedPlan::best() const {
  Choices choices;
  for (const TunedLayer& layer : layers)
    if (const MeasuredWay* way = layer.best()) choices[layer.output] = way->choice;
  return choices;
}

Choices TunedPlan::choices() const { return finished && kept ? best() : Choices(); }

const TunedPlan* Tuning::find(std::string_view inputs, int threads) const noexcept {
  const auto found = std::ranges::find_if(
      plans, [&](const TunedPlan& plan) { return plan.inputs == inputs && plan.threads == threads; });
  return found == plans.end() ? nullptr : &*found;
}

TunedPlan& Tuning::plan(const std::string& inputs, int threads) {
  const TunedPlan* found = find(inputs, threads);
  if (found == nullptr) return plans.emplace_back(TunedPlan{inputs, threads, {}});
  return plans[static_cast<std::size_t>(found - plans.data())];
}

std::string tuning_to_json(const Tuning& tuning) {
  Json json{{"eke_tuning", kFormat},
            {"eke", tuning.eke},
            {"processor", tuning.processor},
            {"isa", tuning.isa},
            {"model_hash", fmt::format("{:016x}", tuning.model)},
            {"objective", tuning.objective},
            {"unit", tuning.unit}};
  json["best"] = tuning.best ? Json(*tuning.best) : Json(nullptr);
  json["settings"] = Json::array();
  for (const TunedSetting& s : tuning.settings) {
    json["settings"].push_back({{"threads", s.threads},
                                {"frequency_khz", s.frequency_khz ? Json(*s.frequency_khz) : Json(nullptr)},
                                {"cost", s.cost},
                                {"low", number(s.interval.low)},
                                {"high", number(s.interval.high)}});
  }
  json["plans"] = Json::array();
  for (const TunedPlan& plan : tuning.plans) json["plans"].push_back(to_json(plan));
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Tuning tuning_from_json(std::string_view text) {
  const Json whole = Json::parse(text, nullptr, false);
  check(!whole.is_discarded(), "it is no JSON");
  const Reader json(whole, "");
  check(json.whole("eke_tuning", 0, 1 << 30) == kFormat, "'eke_tuning' is {}, this eke reads {}",
        json.whole("eke_tuning", 0, 1 << 30), kFormat);
  Tuning tuning;
  tuning.eke = json.text("eke");
  tuning.processor = json.text("processor");
  tuning.isa = json.text("isa");
  tuning.objective = json.text("objective");
  tuning.unit = json.text("unit");
  const std::string hash = json.text("model_hash");
  const auto [end, error] = std::from_chars(hash.data(), hash.data() + hash.size(), tuning.model, 16);
  check(error == std::errc() && end == hash.data() + hash.size(), "'model_hash' is no hexadecimal number");
  json.each("settings", [&](const Reader& setting) { tuning.settings.push_back(read_setting(setting)); });
  json.each("plans", [&](const Reader& plan) { tuning.plans.push_back(read_plan(plan)); });
  if (json.has("best")) {
    check(!tuning.settings.empty(), "'best' points to no setting");
    tuning.best = static_cast<std::size_t>(
        json.whole("best", 0, static_cast<std::int64_t>(tuning.settings.size()) - 1));
  }
  return tuning;
}

}  // namespace eke
