// What this machine's matrix kernels reach when nothing but arithmetic limits them: the yardstick of a layer's rate.
#pragma once

#include "base/isa.h"

namespace eke::cli {

struct Peak {
  double u8_macs_per_ns = 0, f32_macs_per_ns = 0,
         bf16_macs_per_ns = 0;  // of one thread: the best of many short runs from the L1 cache
};
Peak measure_peak(Isa isa);

}  // namespace eke::cli
