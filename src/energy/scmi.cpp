// Energy counters of Arm firmware: the powercap protocol of SCMI (Arm DEN0056), as Linux shows it.
#include <fmt/format.h>

#include "energy/files.h"
#include "energy/meters.h"
#include "energy/powercap.h"

namespace eke::energy {

Probe probe_scmi(Host& host, const std::string&) {
  std::vector<Domain> domains;
  std::vector<FileSource> sources;
  Probe probe;
  const std::vector<PowercapZone> zones = powercap_zones(host, "arm-scmi");
  std::vector<int> place(zones.size(), -1);
  for (std::size_t i = 0; i < zones.size(); ++i) {
    const PowercapZone& zone = zones[i];
    const std::optional<std::int64_t> value = parse_integer(zone.energy.text);
    if (!zone.energy.good() || !value || *value < 0) {
      probe.note += fmt::format("{}{} left out: {}", probe.note.empty() ? "" : "; ", zone.id,
                                to_string(zone.energy.good() ? Fault::garbage : fault_of(zone.energy.error)));
      continue;
    }
    Domain domain;
    domain.name = zone.name;
    domain.boundary = zone.parent < 0 ? Boundary::package : Boundary::core;
    if (zone.parent >= 0) domain.parent = place[static_cast<std::size_t>(zone.parent)];
    domain.in_total = zone.parent < 0;
    domain.wrap_uj = zone.wrap_uj;
    // The firmware gives the interval of its averages; without it, a slow one is assumed.
    const std::int64_t us =
        host.integer(kPowercap + "/" + zone.id + "/constraint_0_time_window_us").value_or(100'000);
    domain.refresh = std::chrono::microseconds(us);
    domain.source = zone.energy_path();
    place[i] = static_cast<int>(domains.size());
    domains.push_back(std::move(domain));
    sources.push_back({zone.energy_path(), "", 1});
  }
  if (domains.empty()) {
    probe.why_not = probe.note.empty()
                        ? "no arm-scmi zone in " + kPowercap +
                              ": the firmware offers none, or the module arm_scmi_powercap is not loaded"
                        : probe.note;
    probe.note.clear();
    return probe;
  }
  probe.meter = std::make_unique<FileMeter>(host, "scmi", std::move(domains), std::move(sources));
  return probe;
}

}  // namespace eke::energy
