// What results of several commands show together: each model in a row, accuracy against its costs, and which to ship.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "report/sections.h"
#include "study/study.h"

namespace eke::report {

// What is known of each model. Of results of one kind, the last counts.
class Known {
 public:
  using Setting = std::pair<std::string, std::int64_t>;  // device, threads
  using ByModel = std::map<std::string, Figure>;

  void add(const Outcome& outcome);

  const std::vector<std::string>& order() const noexcept { return order_; }  // in which models appeared
  // On that device, or where it was not evaluated there, on any.
  const Figure* accuracy(const std::string& device, const std::string& model) const;
  std::set<std::string> devices() const;  // on which models were evaluated
  std::set<Origin> accuracy_origins() const;
  std::optional<double> bytes(const std::string& model) const;

  std::set<Setting> settings() const;
  std::string name_of(const Setting& setting) const;  // without the device where there is only one
  const Figure* latency(const Setting& setting, const std::string& model) const;
  const Figure* mean_latency(const Setting& setting, const std::string& model) const;
  std::set<Origin> energy_origins(const Setting& setting) const;
  const Figure* energy(const Setting& setting, Origin origin, const std::string& model) const;

 private:
  std::vector<std::string> order_;
  std::map<std::string, ByModel> accuracies_;
  std::map<std::string, double> bytes_;
  std::map<Setting, ByModel> latencies_, mean_latencies_;
  std::map<std::pair<Setting, Origin>, ByModel> energies_;
};

// Nothing where there are fewer than two models.
std::optional<Section> overview(const Known& known);
// Accuracy against latency, and against energy where that is known.
std::vector<Section> trade_offs(const Known& known);

Verdict choice_of(const Known& known, const std::vector<std::string>& variants, const study::Limits& limits);

}  // namespace eke::report
