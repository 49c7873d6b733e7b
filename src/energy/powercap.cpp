#include "energy/powercap.h"

#include <algorithm>

namespace eke::energy {

std::vector<PowercapZone> powercap_zones(Host& host, const std::string& control_type) {
  std::vector<PowercapZone> zones;
  for (const std::string& id : host.list(kPowercap)) {
    if (!id.starts_with(control_type + ":")) continue;
    const std::string folder = kPowercap + "/" + id;
    PowercapZone zone{id, host.read(folder + "/name").text};
    zone.wrap_uj = std::max<std::int64_t>(host.integer(folder + "/max_energy_range_uj").value_or(0), 0);
    zone.energy = host.read(folder + "/energy_uj");
    const std::string above = id.substr(0, id.rfind(':'));
    for (std::size_t i = 0; i < zones.size(); ++i) {
      if (zones[i].id == above) zone.parent = static_cast<int>(i);
    }
    if (zone.name.empty()) zone.name = id;
    zones.push_back(std::move(zone));
  }
  return zones;
}

}  // namespace eke::energy
