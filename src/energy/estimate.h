// An estimate from a device profile, for machines without any meter: idle watts, watts a busy core adds, joules a byte
// of memory traffic costs. It measures nothing and says so wherever it appears.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace eke::energy {

struct DeviceProfile {
  std::string name;
  double idle_w = 0, busy_w_per_core = 0, joules_per_byte = 0;
};

// {"name": "my board", "idle_w": 1.9, "busy_w_per_core": 0.8, "joules_per_byte": 5e-11}; the last may be missing.
// Throws an Error that names the member.
DeviceProfile parse_profile(std::string_view json);

// Seconds that all CPUs were busy since the start of the machine, from the text of /proc/stat.
std::optional<double> busy_seconds(std::string_view proc_stat, double ticks_per_second);

}  // namespace eke::energy
