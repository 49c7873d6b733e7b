#include "energy/meters.h"

#include <fmt/format.h>

#include "base/error.h"

namespace eke::energy {

namespace {

constexpr MeterEntry kMeters[] = {
    {"rapl", "counters of Intel and AMD CPUs (powercap)", nullptr, probe_rapl},
    {"perf", "the same counters through perf_event", nullptr, probe_perf},
    {"ina3221", "rails of NVIDIA Jetson modules", nullptr, probe_ina3221},
    {"pmic", "rails of the Raspberry Pi 5", nullptr, probe_pmic},
    {"scmi", "counters of Arm firmware (powercap)", nullptr, probe_scmi},
    {"hwmon", "power and energy sensors of the kernel", nullptr, probe_hwmon},
    {"battery", "a battery while it discharges", nullptr, probe_battery},
    {"nvml", "NVIDIA graphics cards", nullptr, probe_nvml},
    {"shelly", "a Shelly plug, Gen1 to Gen3, over HTTP", "HOST[:PORT]", probe_shelly},
    {"tasmota", "a plug with Tasmota over HTTP", "HOST[:PORT]", probe_tasmota},
    {"line", "an instrument that sends lines 'NAME VALUE UNIT'", "/dev/TTY[@BAUD] or tcp:HOST:PORT",
     probe_line},
    {"trace", "a recording, played from the start", "FILE.csv", probe_trace},
    {"estimate", "an estimate from the load of the CPU; measures nothing", "PROFILE.json", probe_estimate},
};

RealHost& this_host() {
  static RealHost host;
  return host;
}

const MeterEntry& find(std::string_view name) {
  std::string known;
  for (const MeterEntry& entry : kMeters) {
    if (entry.name == name) return entry;
    known += fmt::format("{}{}{}{}", known.empty() ? "" : ", ", entry.name, entry.argument ? ":" : "",
                         entry.argument ? entry.argument : "");
  }
  throw UsageError(fmt::format("there is no meter '{}'; the meters are: {}", name, known));
}

}  // namespace

std::span<const MeterEntry> meter_list() { return kMeters; }

Probe open_meter(Host& host, const std::string& specification) {
  const std::size_t colon = specification.find(':');
  const MeterEntry& entry = find(std::string_view(specification).substr(0, colon));
  const std::string argument = colon == std::string::npos ? "" : specification.substr(colon + 1);
  if (entry.argument && argument.empty()) {
    throw UsageError(fmt::format("meter '{0}' wants an argument: {0}:{1}", entry.name, entry.argument));
  }
  if (!entry.argument && !argument.empty()) {
    throw UsageError(fmt::format("meter '{}' takes no argument", entry.name));
  }
  return entry.probe(host, argument);
}

std::vector<std::unique_ptr<Meter>> open_meters(Host& host, const std::vector<std::string>& specifications,
                                                std::string* why_not) {
  std::vector<std::unique_ptr<Meter>> meters;
  for (const std::string& specification : specifications) {
    if (specification != "auto") {
      Probe probe = open_meter(host, specification);
      check(probe.meter != nullptr, "meter '{}': {}", specification, probe.why_not);
      meters.push_back(std::move(probe.meter));
      continue;
    }
    std::string reasons;
    std::unique_ptr<Meter> found;
    for (const MeterEntry& entry : kMeters) {
      if (entry.argument || found) continue;
      Probe probe = entry.probe(host, "");
      reasons += fmt::format("{}: {}\n", entry.name, probe.why_not);
      found = std::move(probe.meter);
    }
    if (found) {
      meters.push_back(std::move(found));
    } else if (why_not) {
      *why_not += reasons;
    }
  }
  return meters;
}

std::vector<MeterKind> meter_kinds() {
  std::vector<MeterKind> kinds;
  for (const MeterEntry& entry : kMeters)
    kinds.push_back({entry.name, entry.summary, entry.argument ? entry.argument : ""});
  return kinds;
}

Probe open_meter(const std::string& specification) { return open_meter(this_host(), specification); }

std::vector<std::unique_ptr<Meter>> open_meters(const std::vector<std::string>& specifications,
                                                std::string* why_not) {
  return open_meters(this_host(), specifications, why_not);
}

}  // namespace eke::energy
