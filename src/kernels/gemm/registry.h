// The matrix-product kernels of this build and the packing of their weights.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "kernels/gemm/gemm.h"
#include "kernels/registry.h"

namespace eke::kernels {

// How packed int8 weights lie.
enum class GemmLayout : std::uint8_t {
  panels,  // as gemm.h says
  headed_panels,  // before the weights of a panel [nr] int32 128 * sum(w) of a channel, then 4 int32, of which the first
                  // is 1 where some weight of the panel is -128
};

struct GemmU8S8Kernel {
  std::string_view name;
  Isa isa;
  GemmU8S8Fn run;
  int mr, nr, kr;
  GemmLayout layout = GemmLayout::panels;
};
struct GemmF32Kernel {
  std::string_view name;
  Isa isa;
  GemmF32Fn run;
  int mr, nr;
};
struct GemmBf16Kernel {
  std::string_view name;
  Isa isa;
  GemmBf16Fn run;
  RoundBf16Fn round;
  PairRowsFn pair_rows;
  int mr, nr;
};

// Best first; the last is scalar.
std::span<const GemmU8S8Kernel> gemm_u8s8_kernels() noexcept;
std::span<const GemmF32Kernel> gemm_f32_kernels() noexcept;
std::span<const GemmBf16Kernel> gemm_bf16_kernels() noexcept;
inline const GemmU8S8Kernel& select_gemm_u8s8(Isa isa) noexcept { return select(gemm_u8s8_kernels(), isa); }
inline const GemmF32Kernel& select_gemm_f32(Isa isa) noexcept { return select(gemm_f32_kernels(), isa); }
inline const GemmBf16Kernel& select_gemm_bf16(Isa isa) noexcept { return select(gemm_bf16_kernels(), isa); }

// Bytes of the packed weights of n output channels; a panel (nr channels) is packed_bytes(kernel, nr, taps,
// k).
std::size_t packed_bytes(const GemmU8S8Kernel& kernel, std::size_t n, std::size_t taps,
                         std::size_t k) noexcept;
std::size_t packed_bytes(const GemmF32Kernel& kernel, std::size_t n, std::size_t taps,
                         std::size_t k) noexcept;
std::size_t packed_bytes(const GemmBf16Kernel& kernel, std::size_t n, std::size_t taps,
                         std::size_t k) noexcept;

// Packs weights [n][taps][k] into `packed`, which has packed_bytes(...) bytes.
void pack(const GemmU8S8Kernel& kernel, std::size_t n, std::size_t taps, std::size_t k,
          const std::int8_t* weights, std::int8_t* packed) noexcept;
void pack(const GemmF32Kernel& kernel, std::size_t n, std::size_t taps, std::size_t k, const float* weights,
          float* packed) noexcept;
void pack(const GemmBf16Kernel& kernel, std::size_t n, std::size_t taps, std::size_t k,
          const std::uint16_t* weights, std::uint16_t* packed) noexcept;

}  // namespace eke::kernels
