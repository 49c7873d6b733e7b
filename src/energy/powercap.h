// Zones below /sys/class/powercap (Linux, Documentation/power/powercap/powercap.rst).
#pragma once

#include <string>
#include <vector>

#include "energy/host.h"

namespace eke::energy {

inline const std::string kPowercap = "/sys/class/powercap";

struct PowercapZone {
  std::string id;    // "intel-rapl:0:1"
  std::string name;  // "core"
  int parent = -1;   // place in the list
  std::int64_t wrap_uj = 0;
  FileText energy;  // of energy_uj
  std::string energy_path() const { return kPowercap + "/" + id + "/energy_uj"; }
};

// All zones of a control type ("intel-rapl"), parents before children.
std::vector<PowercapZone> powercap_zones(Host& host, const std::string& control_type);

}  // namespace eke::energy
