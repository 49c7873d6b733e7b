// A recording of power or energy as CSV: a header "seconds,NAME_w,NAME_j,..." (watts, or joules since the start), then
// a line an instant. Times rise.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eke/energy.h"

namespace eke::energy {

struct Trace {
  std::vector<std::string> names;
  std::vector<Quantity> quantities;
  std::vector<Nanoseconds> times;
  std::vector<std::vector<std::int64_t>> values;  // one a column, uW or uJ
};

// Throws an Error that names the line.
Trace parse_trace(std::string_view text);

}  // namespace eke::energy
