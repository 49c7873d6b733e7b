// The state of the machine that decides what a figure means: temperature, clocks, governor, throttling, power mode. What
// cannot be read is missing, not zero.
#pragma once

#include <optional>
#include <string>

#include "energy/host.h"

namespace eke::energy {

struct MachineState {
  std::optional<double>
      temperature_c;  // the hottest sensor of the processor; of all sensors when none says so
  std::optional<double> frequency_mhz;  // mean over the CPUs that say
  std::string governor;                 // "performance", "schedutil"; of the first CPU
  std::string power_mode;               // of a Jetson: the number of its nvpmodel mode
  std::optional<std::int64_t>
      throttled;  // a count or a bit mask that grows when the machine had to slow down
};

MachineState read_machine(Host& host);

}  // namespace eke::energy
