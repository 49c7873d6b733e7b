// Numbers as bfloat16 products see them.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/gemm/registry.h"
#include "tensor/tensor.h"

namespace eke::testing {

// By the scalar kernel, which is the oracle.
inline Tensor rounded_to_bf16(Tensor tensor) {
  for (float& v : tensor.mutable_values<float>()) {
    std::uint16_t half = 0;
    kernels::gemm_bf16_kernels().back().round(&v, 1, &half);
    v = std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
  }
  return tensor;
}

}  // namespace eke::testing
