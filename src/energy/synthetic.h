// For tests: power whose integral is known, and the meters that would see it.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "eke/energy.h"

namespace eke::energy::test {

// Watts as a function of seconds, with its integral from 0 in joules.
struct Load {
  std::string name;
  std::function<double(double)> watts, joules;
  double shortest = 1e9;  // seconds of its shortest feature: a quarter of a period, a step
};

inline Load constant(double w) {
  return {"constant", [=](double) { return w; }, [=](double t) { return w * t; }};
}

inline Load ramp(double from, double slope) {
  return {"ramp", [=](double t) { return from + slope * t; },
          [=](double t) { return from * t + 0.5 * slope * t * t; }};
}

inline Load sine(double mean, double amplitude, double hz) {
  const double omega = 2 * std::numbers::pi * hz;
  return {"sine of " + std::to_string(hz) + " Hz",
          [=](double t) { return mean + amplitude * std::sin(omega * t); },
          [=](double t) { return mean * t + amplitude * (1 - std::cos(omega * t)) / omega; }, 0.25 / hz};
}

// Seconds and the watts from then on; the first begins at 0.
inline Load steps(std::vector<std::pair<double, double>> edges) {
  double shortest = 1e9;
  for (std::size_t i = 2; i < edges.size(); ++i)
    shortest = std::min(shortest, edges[i].first - edges[i - 1].first);
  return {"steps",
          [=](double t) {
            double w = edges.front().second;
            for (const auto& [at, level] : edges) {
              if (at <= t) w = level;
            }
            return w;
          },
          [=](double t) {
            double j = 0;
            for (std::size_t i = 0; i < edges.size(); ++i) {
              const double end = i + 1 < edges.size() ? std::min(t, edges[i + 1].first) : t;
              if (end > edges[i].first) j += edges[i].second * (end - edges[i].first);
            }
            return j;
          },
          shortest};
}

// A uniform number in [0, 1), the same on every machine.
class Uniform {
 public:
  explicit Uniform(std::uint64_t seed) : state_(seed * 2862933555777941757ull + 3037000493ull) {}
  double operator()() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<double>(state_ >> 11) * 0x1p-53;
  }

 private:
  std::uint64_t state_;
};

// What a meter of the domain shows of the load at time t: the value of its last refresh, rounded down to its step.
// `phase` in [0, 1) is where in its refresh it stands at 0.
inline std::int64_t shown(const Load& load, const Domain& domain, double t, double phase) {
  const double refresh = std::chrono::duration<double>(domain.refresh).count();
  double at = t;
  if (refresh > 0) at = std::max(0.0, (std::floor(t / refresh + phase) - phase) * refresh);
  const double exact = 1e6 * (domain.quantity == Quantity::energy ? load.joules(at) : load.watts(at));
  const auto step = static_cast<double>(domain.resolution);
  return static_cast<std::int64_t>(std::floor(exact / step) * step);
}

inline Nanoseconds ns_of(double seconds) { return Nanoseconds(std::llround(seconds * 1e9)); }

}  // namespace eke::energy::test
