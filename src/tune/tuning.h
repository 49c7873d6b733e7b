// What tuning found out, as plain data and as a file: for each layer that can be carried out in several ways what each
// costs against the one that the rules would take, all measured on one machine for one model. A plan belongs to one
// shape of inputs and one count of threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/statistics.h"
#include "runtime/plan.h"

namespace eke {

struct MeasuredWay {
  Choice choice;
  PairedRatio cost;  // over that of the way by rule, measured in turn
};

struct TunedLayer {
  std::string output, name, op;
  double share = 0;  // of the cost of the network by rule
  Choice by_rule;
  std::vector<MeasuredWay> others;  // in the order of ways(); not all of them while tuning goes on

  // The cheapest of the others that is surely cheaper, and by two percent at least; null: the one by rule.
  const MeasuredWay* best() const noexcept;
};

struct TunedPlan {
  std::string inputs;  // their types
  int threads = 1;
  std::vector<TunedLayer> layers;  // those with more than one way
  bool finished = false;
  // Of the finished plan: the whole network with the best ways against that by rule, and whether it was kept.
  double cost_by_rule = 0, cost = 0;
  PairedRatio ratio;
  bool kept = false;

  Choices best() const;     // of the layers, one by one
  Choices choices() const;  // what a plan is compiled with: best(), or nothing where the rules are as good
};

// What the whole machine was set to, and what an inference costs then.
struct TunedSetting {
  int threads = 1;
  std::optional<std::int64_t> frequency_khz;
  double cost = 0;
  Interval interval;
};

struct Tuning {
  std::string eke, processor, isa;  // that measured
  std::uint64_t model = 0;          // hash of the model's file
  std::string objective, unit;      // "latency", "ms"
  std::vector<TunedPlan> plans;
  std::vector<TunedSetting> settings;
  std::optional<std::size_t> best;  // of the settings

  const TunedPlan* find(std::string_view inputs, int threads) const noexcept;
  TunedPlan& plan(const std::string& inputs, int threads);  // an empty one is added where there is none
};

std::string tuning_to_json(const Tuning& tuning);
// Throws an Error that names the member that is missing or impossible.
Tuning tuning_from_json(std::string_view json);

}  // namespace eke
