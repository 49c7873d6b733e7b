// A self-test that any meter must pass: twice the work takes twice the energy.
#pragma once

#include <functional>
#include <string>

#include "base/statistics.h"
#include "eke/energy.h"

namespace eke::energy {

struct Additivity {
  double ratio = 0;   // E(2N) / 2 E(N), geometric mean over the pairs
  Interval interval;  // 95 %, over the pairs, widened by the error bounds of the windows
  int pairs = 0;
  double seconds = 0;   // of a window of N, on average
  std::string why_not;  // not empty: nothing could be compared
  bool passed() const noexcept { return why_not.empty() && interval.low <= 1 && 1 <= interval.high; }
};

// Measures work(units) and work(2 * units) in turn, `pairs` times, by the total of the session; without a total by its
// first domain.
Additivity check_additivity(Session& session, const std::function<void(std::int64_t)>& work,
                            std::int64_t units, int pairs);

}  // namespace eke::energy
