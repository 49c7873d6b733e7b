// Float convolutions of 3x3 at stride 1 by Winograd's F(4x4, 3x3): 2.25 multiply-adds an output and channel in place of 9,
// against weights four times as large. The results differ from a direct sum as kernels/winograd/winograd.h says.
#pragma once

#include "runtime/tactic.h"

namespace eke {

bool is_winograd_conv(const Query& query);
Prepared prepare_winograd(const Query& query);

}  // namespace eke
