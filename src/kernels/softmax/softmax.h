// Softmax of float rows: out = exp(x - max) / sum(exp(x - max)). The sum runs in 16 interleaved lanes on
// every tier, so all tiers give the same bits; |error| <= 1e-6 * exact beyond the rounding of x - max. `out`
// may be `in`.
#pragma once

#include <cstddef>
#include <cstdint>

namespace eke::kernels {

struct SoftmaxArgs {
  const float* in = nullptr;
  float* out = nullptr;
  std::size_t rows = 0, cols = 0;
  std::ptrdiff_t in_stride = 0, out_stride = 0;  // bytes from one row to the next
};
using SoftmaxFn = void (*)(const SoftmaxArgs&) noexcept;

}  // namespace eke::kernels
