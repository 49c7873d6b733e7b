// Tensors of any numeric dtype as the real numbers that they stand for: for the edges of a network.
#pragma once

#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace eke {

// Element i, dequantized where the type has per-tensor quantization parameters.
float real_value(const TensorView& tensor, std::int64_t i) noexcept;
std::vector<float> real_values(const TensorView& tensor);

// Writes `values` and zeros after them. Integers are rounded half to even and saturated, NaN becomes 0;
// quantization parameters play no part. Throws on more values than elements and on dtypes that are no f32,
// i8, u8, i32, i64.
void assign(Tensor& tensor, std::span<const float> values);

}  // namespace eke
