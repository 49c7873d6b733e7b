// Float convolutions of 3x3 at stride 1 by Winograd's F(4x4, 3x3): 2.25 multiply-adds an output and channel in place of 9,
// against weights four times as large. The results differ from a direct sum as kernels/winograd/winograd.h says.
#pragma once

#include "runtime/tactic.h"

namespace eke {

bool is_winograd_conv(const Query& query);
Prepared prepare_winograd(const Query& query);
// With weights that change from run to run: a Conv or a ConvTranspose that train_conv.cpp can take.
bool is_train_winograd(const Query& query);
Prepared prepare_train_winograd(const Query& query);
// Fewer tiles do not pay for transforms of weights in each run.
inline constexpr std::int64_t kLeastTrainTiles = 32;

}  // namespace eke
