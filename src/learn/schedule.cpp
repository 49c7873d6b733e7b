#include "learn/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "base/error.h"

namespace eke {
namespace {

struct DecayName {
  Decay decay;
  std::string_view name;
};
constexpr DecayName kDecays[] = {
    {Decay::constant, "constant"}, {Decay::cosine, "cosine"}, {Decay::step, "step"}};

}  // namespace

std::string_view to_string(Decay decay) noexcept {
  for (const DecayName& row : kDecays) {
    if (row.decay == decay) return row.name;
  }
  return "?";
}

Decay parse_decay(std::string_view name) {
  std::string allowed;
  for (const DecayName& row : kDecays) {
    if (row.name == name) return row.decay;
    allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", row.name);
  }
  throw UsageError(fmt::format("schedule '{}' is unknown: use one of {}", name, allowed));
}

double learning_rate(const Schedule& s, std::int64_t step) noexcept {
  if (step < s.warm_up) return s.rate * static_cast<double>(step + 1) / static_cast<double>(s.warm_up);
  const double done = std::clamp(static_cast<double>(step - s.warm_up) /
                                     static_cast<double>(std::max<std::int64_t>(s.steps - s.warm_up, 1)),
                                 0.0, 1.0);
  switch (s.decay) {
    case Decay::cosine:
      return s.rate * 0.5 * (1 + std::cos(std::numbers::pi * done));
    case Decay::step:
      return s.rate * (done < 0.5 ? 1 : done < 0.75 ? 0.1 : 0.01);
    case Decay::constant:
      break;
  }
  return s.rate;
}

}  // namespace eke
