// The list of all kinds of meters. A kind is one file with one probe function, which gives a meter or says why there
// is none and what to do about it; it never invents a domain that it cannot see.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "eke/energy.h"
#include "energy/host.h"

namespace eke::energy {

struct MeterEntry {
  const char* name;
  const char* summary;
  const char* argument;  // the form of what follows "NAME:", or nullptr where nothing does
  // `host` outlives the meter.
  Probe (*probe)(Host& host, const std::string& argument);
};
// In the order in which "auto" tries those without an argument.
std::span<const MeterEntry> meter_list();

// As in eke/energy.h, on a host of one's own.
Probe open_meter(Host& host, const std::string& specification);
std::vector<std::unique_ptr<Meter>> open_meters(Host& host, const std::vector<std::string>& specifications,
                                                std::string* why_not = nullptr);

Probe probe_rapl(Host& host, const std::string& argument);
Probe probe_perf(Host& host, const std::string& argument);
Probe probe_ina3221(Host& host, const std::string& argument);
Probe probe_pmic(Host& host, const std::string& argument);
Probe probe_scmi(Host& host, const std::string& argument);
Probe probe_hwmon(Host& host, const std::string& argument);
Probe probe_battery(Host& host, const std::string& argument);
Probe probe_nvml(Host& host, const std::string& argument);
Probe probe_shelly(Host& host, const std::string& argument);
Probe probe_tasmota(Host& host, const std::string& argument);
Probe probe_line(Host& host, const std::string& argument);
Probe probe_trace(Host& host, const std::string& argument);
Probe probe_estimate(Host& host, const std::string& argument);

}  // namespace eke::energy
