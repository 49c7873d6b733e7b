// The line protocol of bench instruments: "NAME VALUE UNIT", one figure a line, for example "usb 4.813 W" or
// "usb 120.55 J". Units: W, mW, uW, J, mJ, uJ, Wh. Lines that begin with '#' and empty ones are skipped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "eke/energy.h"

namespace eke::energy {

struct InstrumentLine {
  std::string name;  // at most 64 characters
  Quantity quantity = Quantity::power;
  std::int64_t value = 0;  // uW or uJ
};

std::optional<InstrumentLine> parse_line(std::string_view line);

}  // namespace eke::energy
