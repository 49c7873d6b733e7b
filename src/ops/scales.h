// Scales of quantization that stand in the graph as constants.
#pragma once

#include <cmath>
#include <string_view>

#include "base/error.h"
#include "ops/op_def.h"

namespace eke {

// A scale that the graph holds: finite and not negative, and above 0 where numbers are divided by it.
inline void check_scale_values(const Operand& scale, std::string_view name, bool is_divisor) {
  if (!scale || !scale.constant) return;
  const TensorView view = scale.constant->view();
  for (std::int64_t i = 0; i < view.count(); ++i) {
    const double value = element_as_double(view, i);
    if (!std::isfinite(value) || value < 0 || (value == 0 && is_divisor))
      fail("{} holds {}; a scale is a positive number", name, value);
  }
}

}  // namespace eke
