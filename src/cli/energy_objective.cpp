#include "cli/energy_objective.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace eke::cli {

namespace {

constexpr double kMeteredWindowS = 1;
constexpr int kRefreshesAWindow = 100;
constexpr std::int64_t kLeastInferences = 5;

// The total of a window, or the domain that the user named.
double joules_of(const energy::WindowResult& window, const std::string& domain) {
  if (domain.empty()) {
    if (const std::optional<energy::Total> total = total_of(window)) return total->joules;
  }
  std::string names;
  for (const energy::DomainEnergy& d : window.domains) {
    if (d.domain.name == domain) {
      check(d.joules.has_value(), "domain '{}' was not measured: {}", domain, d.why_not);
      return *d.joules;
    }
    names += (names.empty() ? "" : ", ") + d.domain.name;
    if (domain.empty() && !d.why_not.empty()) fail("{} was not measured: {}", d.domain.name, d.why_not);
  }
  throw UsageError(
      domain.empty()
          ? fmt::format("the meter has no total that is known to be the whole: name a --domain of {}", names)
          : fmt::format("--domain {}: the meter has {}", domain, names));
}

}  // namespace

Objective energy_objective(Metering& metering, const std::string& domain, double window_s) {
  const double refresh_s = std::chrono::duration<double>(metering.session().refresh()).count();
  if (window_s <= 0) window_s = std::max(kMeteredWindowS, kRefreshesAWindow * refresh_s);
  return [&metering, domain, window_s](const std::function<void()>& infer) {
    energy::Window window = metering.session().begin("tune");
    const auto begin = std::chrono::steady_clock::now();
    std::int64_t count = 0;
    for (; count < kLeastInferences ||
           std::chrono::steady_clock::now() - begin < std::chrono::duration<double>(window_s);
         ++count)
      infer();
    window.end();
    return joules_of(window.result(), domain) / static_cast<double>(count);
  };
}

}  // namespace eke::cli
