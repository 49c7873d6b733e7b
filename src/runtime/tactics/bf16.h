// Products of float32 tensors in bfloat16: the input is rounded into scratch memory, the weights when they are packed,
// sums and results are float32. Where CompileOptions ask for it.
#pragma once

#include "runtime/tactic.h"

namespace eke {

// Fewer channels leave most of a step's arithmetic unused; such layers, mostly the first ones, stay in float32.
inline constexpr std::int64_t kLeastBf16Channels = 8;

bool is_bf16_conv(const Query& query);
Prepared prepare_bf16_conv(const Query& query);
// Gemm and MatMul; that the product is one of rows by a constant matrix is for the caller to know.
bool is_bf16_matrix(const Query& query);
Prepared prepare_bf16_matrix(const Query& query, bool transposed, const op::Clamp& clamp);

}  // namespace eke
