// Meters of a command: the option --meter, windows over its work, and how joules are shown. A figure always comes with
// its bound, its boundary and whether it was measured, recorded or estimated; what was not measured says why.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "cli/table.h"
#include "eke/energy.h"

namespace eke::cli {

struct MeterOptions {
  std::vector<std::string> meters = {"auto"};
};
void declare_meters(App& app, MeterOptions& options);

// The meters of a command, sampled while it lives.
class Metering {
 public:
  // Throws when a meter that was asked for by name is not there.
  explicit Metering(const MeterOptions& options);
  bool active() const noexcept { return session_ != nullptr; }
  energy::Session& session() { return *session_; }
  // Why "auto" found nothing, a line a kind; or that "none" was asked for.
  const std::string& why_not() const noexcept { return why_not_; }

  // Nothing without a meter.
  std::optional<energy::Window> begin(const std::string& name);

 private:
  std::unique_ptr<energy::Session> session_;
  std::string why_not_;
};

// A window's result, or why there is none. Ends the window.
struct EnergyOf {
  std::optional<energy::WindowResult> window;
  std::string why_not;
};
EnergyOf finish(Metering& metering, std::optional<energy::Window>& window);

// Windows over pieces of work that follow one another, as epochs. Results wait until all are over: a slow meter would
// hold up the work.
class Laps {
 public:
  Laps(Metering& metering, std::string name) : metering_(metering), name_(std::move(name)) {}
  // Ends the piece that is open and begins the next one.
  void next();
  // Of all that have ended; what is open is dropped. Empty without a meter.
  std::vector<EnergyOf> finish();

 private:
  Metering& metering_;
  std::string name_;
  std::vector<energy::Window> windows_;
};

std::string joules_text(double joules);  // "12.3 mJ"
std::string watts_text(double watts);

// "1.234 J +- 0.01 J (package-0; measured by rapl at the package)".
std::string total_text(const energy::Total& total);
// One line for work on `count` items, ending in a line break: the total and its share of an item, or each domain when
// there is no total. Empty without a meter.
std::string energy_line(const EnergyOf& energy, std::int64_t count, const std::string& item);
// Their mean and spread by the total; empty where there is none.
std::string laps_line(const std::vector<EnergyOf>& laps, const std::string& item);
// All domains, gross, and net where `net` is given.
std::string domains_table(const energy::WindowResult& gross, const energy::WindowResult* net);

Json to_json(const energy::DomainEnergy& domain);
Json to_json(const energy::WindowResult& window);
Json to_json(const std::optional<energy::Total>& total);
// {"total": ..., "joules_per_ITEM": ..., "domains": ...}, or {"total": null, "why_not": ...}.
Json energy_json(const EnergyOf& energy, std::int64_t count, const std::string& item);

}  // namespace eke::cli
