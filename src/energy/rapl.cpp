// Intel and AMD energy counters through powercap: intel-rapl (AMD too, since Linux 5.11) and intel-rapl-mmio, which
// shows the same package by another way. Domains nest: psys holds packages, a package its core and uncore; dram is
// listed below the package but stands beside it.
#include <fmt/format.h>

#include <algorithm>

#include "energy/files.h"
#include "energy/meters.h"
#include "energy/powercap.h"

namespace eke::energy {

namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kResolutionUj = 61;  // 2^-14 J; finer where the CPU counts in 2^-16 J
constexpr Nanoseconds kRefresh = 1ms;

Boundary boundary_of(const std::string& name) {
  if (name == "psys") return Boundary::machine;
  if (name == "dram") return Boundary::memory;
  return name.starts_with("package") ? Boundary::package : Boundary::core;
}

struct Found {
  std::vector<Domain> domains;
  std::vector<FileSource> sources;
  std::string denied, note;
};

void add_zones(Host& host, const std::string& control_type, const std::string& suffix, Found& found) {
  const std::vector<PowercapZone> zones = powercap_zones(host, control_type);
  std::vector<int> place(zones.size(), -1);
  for (std::size_t i = 0; i < zones.size(); ++i) {
    const PowercapZone& zone = zones[i];
    const auto leave_out = [&](const std::string& why) {
      found.note += fmt::format("{}{} left out: {}", found.note.empty() ? "" : "; ", zone.id, why);
    };
    if (!zone.energy.good() && fault_of(zone.energy.error) == Fault::denied) {
      found.denied = zone.energy_path();
      continue;
    }
    if (!zone.energy.good()) {
      leave_out(std::string(to_string(fault_of(zone.energy.error))));
      continue;
    }
    const std::optional<std::int64_t> value = parse_integer(zone.energy.text);
    if (!value || *value < 0) {
      leave_out(fmt::format("energy_uj reads '{}'", zone.energy.text.substr(0, 40)));
      continue;
    }
    const FileSource source{zone.energy_path(), "", 1};
    if (!counts(host, source)) {
      leave_out(fmt::format("'{}' counts nothing (it stays at 0)", zone.name));
      continue;
    }
    Domain domain;
    const bool nested = zone.parent >= 0;
    domain.name =
        (nested ? zones[static_cast<std::size_t>(zone.parent)].name + "/" : "") + zone.name + suffix;
    domain.boundary = boundary_of(zone.name);
    if (nested && domain.boundary != Boundary::memory)
      domain.parent = place[static_cast<std::size_t>(zone.parent)];
    domain.resolution = kResolutionUj;
    domain.refresh = kRefresh;
    domain.wrap_uj = zone.wrap_uj;
    domain.source = zone.energy_path();
    place[i] = static_cast<int>(found.domains.size());
    found.domains.push_back(std::move(domain));
    found.sources.push_back(source);
  }
}

// One level only: psys where there is one, else packages and the memory beside them.
void choose_total(std::vector<Domain>& domains, std::size_t first_mmio) {
  const auto psys = std::find_if(domains.begin(), domains.end(),
                                 [](const Domain& d) { return d.boundary == Boundary::machine; });
  if (psys != domains.end()) {
    psys->in_total = true;
    for (Domain& d : domains) {
      if (d.boundary == Boundary::package || d.boundary == Boundary::memory)
        d.parent = static_cast<int>(psys - domains.begin());
    }
    return;
  }
  for (std::size_t i = 0; i < domains.size(); ++i) {
    const bool level = domains[i].boundary == Boundary::package || domains[i].boundary == Boundary::memory;
    domains[i].in_total = level && (i < first_mmio || first_mmio == 0);
  }
}

std::string why_none(Host& host, const Found& found) {
  if (!found.denied.empty()) {
    return fmt::format(
        "{} may be read by root only: run as root, or allow it until the next start with "
        "sudo chmod a+r {}/intel-rapl*/energy_uj",
        found.denied, kPowercap);
  }
  if (!found.note.empty()) return found.note;
  if (host.list(kPowercap).empty()) {
    return kPowercap +
           " is empty or not there: load it with sudo modprobe intel_rapl_msr (Intel, or AMD Zen since Linux "
           "5.11); "
           "containers hide it and virtual machines have none: measure on the host";
  }
  return "no intel-rapl zone in " + kPowercap + ": load it with sudo modprobe intel_rapl_msr";
}

}  // namespace

Probe probe_rapl(Host& host, const std::string&) {
  Found found;
  add_zones(host, "intel-rapl", "", found);
  const std::size_t first_mmio = found.domains.size();
  add_zones(host, "intel-rapl-mmio", " (mmio)", found);
  Probe probe;
  if (found.domains.empty()) {
    probe.why_not = why_none(host, found);
    return probe;
  }
  choose_total(found.domains, first_mmio);
  probe.note = found.note;
  if (!found.denied.empty()) {
    probe.note += fmt::format("{}some zones may be read by root only", probe.note.empty() ? "" : "; ");
  }
  probe.meter = std::make_unique<FileMeter>(host, "rapl", std::move(found.domains), std::move(found.sources));
  return probe;
}

}  // namespace eke::energy
