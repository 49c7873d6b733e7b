// Latency, measured so that two models can be compared on a machine that has other things to do: their runs
// alternate, and figures are medians with the tenth and ninetieth percentile.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/session.h"

namespace eke {

struct Spread {
  double median = 0, p10 = 0, p90 = 0, least = 0;
};
Spread spread_of(std::vector<double> values);  // at least one value

struct Timing {
  std::vector<Spread> ms;            // one a session: milliseconds of a run
  std::vector<Spread> ratio;         // one a session: its time over that of the first one in the same round
  std::vector<double> first_run_ms;  // cold
  int runs = 0, warmup = 0;
};
// Runs each session once with random input, `warmup` rounds more, then `runs` rounds. `round_done` is called after each of
// them and may throw to stop.
Timing time_in_turn(std::span<Session* const> sessions, int warmup, int runs,
                    const std::function<void(int done, int of)>& round_done = {});

}  // namespace eke
