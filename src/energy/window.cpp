// What is computed from the figures of windows, without any meter.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eke/energy.h"

namespace eke::energy {

std::string_view to_string(Boundary boundary) noexcept {
  constexpr std::string_view kNames[] = {"core",   "rail",   "memory",  "package",
                                         "device", "module", "machine", "supply"};
  return kNames[static_cast<std::size_t>(boundary)];
}

std::string_view to_string(Origin origin) noexcept {
  constexpr std::string_view kNames[] = {"measured", "recorded", "estimated"};
  return kNames[static_cast<std::size_t>(origin)];
}

std::string_view to_string(Fault fault) noexcept {
  constexpr std::string_view kNames[] = {
      "none",
      "the meter was busy (EAGAIN)",
      "an input/output error (EIO)",
      "the meter is gone (unplugged, or its driver was unloaded)",
      "permission denied",
      "what it gives is not a number that can be right",
      "no answer in time",
      "the recording is over",
      "the battery is not discharging",
  };
  return kNames[static_cast<std::size_t>(fault)];
}

std::optional<Total> total_of(const WindowResult& window) {
  const auto first = std::find_if(window.domains.begin(), window.domains.end(),
                                  [](const DomainEnergy& d) { return d.domain.in_total; });
  if (first == window.domains.end()) return std::nullopt;
  Total total;
  int count = 0;
  total.meter = first->meter;
  total.boundary = first->domain.boundary;
  for (const DomainEnergy& d : window.domains) {
    if (d.meter != total.meter || !d.domain.in_total) continue;
    if (!d.joules) return std::nullopt;
    total.joules += *d.joules;
    total.bound_j += d.bound_j;
    total.mean_w += d.mean_w;
    ++count;
    total.formula += (total.formula.empty() ? "" : " + ") + d.domain.name;
    total.origin = std::max(total.origin, d.domain.origin);
  }
  if (count > 4) total.formula = fmt::format("the sum of {} domains", count);
  return total;
}

namespace {

const DomainEnergy* same_domain(const WindowResult& window, const DomainEnergy& wanted) {
  const auto at = std::find_if(window.domains.begin(), window.domains.end(), [&](const DomainEnergy& d) {
    return d.meter == wanted.meter && d.domain.name == wanted.domain.name;
  });
  return at == window.domains.end() ? nullptr : &*at;
}

}  // namespace

WindowResult subtract_idle(const WindowResult& window, const WindowResult& before,
                           const WindowResult& after) {
  WindowResult net = window;
  for (DomainEnergy& d : net.domains) {
    if (!d.joules) continue;
    const DomainEnergy* a = same_domain(before, d);
    const DomainEnergy* b = same_domain(after, d);
    if (!a || !b || !a->joules || !b->joules) {
      d.joules.reset();
      d.why_not = "idle was not measured: " + (a && !a->joules   ? a->why_not
                                               : b && !b->joules ? b->why_not
                                                                 : "there is no idle window");
      continue;
    }
    const double idle_w = 0.5 * (a->mean_w + b->mean_w);
    const double idle_bound_w = 0.5 * (a->bound_j / before.seconds + b->bound_j / after.seconds) +
                                0.5 * std::abs(a->mean_w - b->mean_w);
    d.joules = *d.joules - idle_w * window.seconds;
    d.bound_j += idle_bound_w * window.seconds;
    d.mean_w -= idle_w;
    d.peak_w -= idle_w;
  }
  return net;
}

}  // namespace eke::energy
