// What the firmware of a Raspberry Pi 5 says of its power chip: lines such as "VDD_CORE_A current(7)=1.20000000A".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace eke::energy {

struct PmicRail {
  std::string name;  // "VDD_CORE"
  double volts = 0, amperes = 0;
};

// The rails that have both a current and a voltage, in the order of their currents; at most 64.
std::vector<PmicRail> parse_pmic(std::string_view text);

}  // namespace eke::energy
