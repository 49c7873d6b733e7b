#include "energy/check.h"

#include <algorithm>

namespace eke::energy {

namespace {

struct Figure {
  double joules = 0, bound = 0, seconds = 0;
};

// False, with the reason, when the window has no energy.
bool measure(Session& session, const std::function<void(std::int64_t)>& work, std::int64_t units,
             Figure& figure, std::string& why_not) {
  Window window = session.begin("check");
  work(units);
  window.end();
  const WindowResult result = window.result();
  figure.seconds = result.seconds;
  if (const std::optional<Total> total = total_of(result)) {
    figure.joules = total->joules;
    figure.bound = total->bound_j;
  } else if (!result.domains.empty() && result.domains[0].joules) {
    figure.joules = *result.domains[0].joules;
    figure.bound = result.domains[0].bound_j;
  } else {
    why_not = result.domains.empty() ? "there is no meter" : result.domains[0].why_not;
    return false;
  }
  if (figure.joules <= 0) why_not = "the meter shows no energy";
  return why_not.empty();
}

}  // namespace

Additivity check_additivity(Session& session, const std::function<void(std::int64_t)>& work,
                            std::int64_t units, int pairs) {
  Additivity result;
  std::vector<double> twice_one, two;
  double relative_bound = 0;
  for (int i = 0; i < pairs; ++i) {
    Figure one, both;
    const bool one_first = i % 2 == 0;
    const bool good =
        measure(session, work, one_first ? units : 2 * units, one_first ? one : both, result.why_not) &&
        measure(session, work, one_first ? 2 * units : units, one_first ? both : one, result.why_not);
    if (!good) return result;
    twice_one.push_back(2 * one.joules);
    two.push_back(both.joules);
    relative_bound += (one.bound / one.joules + both.bound / both.joules) / pairs;
    result.seconds += one.seconds / pairs;
  }
  const PairedRatio ratio = paired_ratio(twice_one, two);
  result.ratio = ratio.ratio;
  result.pairs = pairs;
  result.interval = {ratio.interval.low - relative_bound, ratio.interval.high + relative_bound};
  return result;
}

}  // namespace eke::energy
