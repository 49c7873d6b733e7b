#include "cli/timing.h"

#include "cli/progress.h"

namespace eke::cli {

Timing timed_with_progress(std::span<Session* const> sessions, int warmup, int runs) {
  Progress progress("timing", warmup + runs);
  return time_in_turn(sessions, warmup, runs, [&](int done, int) { progress.update(done); });
}

Json to_json(const Spread& spread) {
  return {{"median", spread.median}, {"p10", spread.p10}, {"p90", spread.p90}, {"least", spread.least}};
}

}  // namespace eke::cli
