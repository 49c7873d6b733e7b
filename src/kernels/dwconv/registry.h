// The depthwise kernels of this build and the packing of their weights.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "kernels/dwconv/dwconv.h"
#include "kernels/registry.h"

namespace eke::kernels {

// How packed int8 weights lie; padded with zeros.
enum class DwconvLayout : std::uint8_t {
  plain,  // [taps][channels]
  pairs,  // [channels/16][taps/2][16][2], the 16 channels in the order of 16-bit unpacking: 0-3, 8-11, 4-7,
          // 12-15
  quads,  // blocks of 64 channels, the last one of 64, 32 or 16 (and padded to that), each [columns][column/4][4][lanes][4 channels][4 taps]: lane l
          // of part p holds the channels 16 l + 4 p ...
  blocks,  // [channels/16]: a head of [16] int32 128 * sum(w) of a channel and 4 int32, of which the first is 1
           // where some weight of the block is -128; then [taps][16]
  block_quads,  // [channels/16]: the same head; then [columns][column/4][4][4 channels][4 taps]
};

struct DwconvU8S8Kernel {
  std::string_view name;
  Isa isa;
  DwconvU8S8Fn run;
  DwconvLayout layout;
};
struct DwconvF32Kernel {
  std::string_view name;
  Isa isa;
  DwconvF32Fn run;
};

// Channels that it computes at a time.
int lanes_of(const DwconvU8S8Kernel& kernel) noexcept;

// Best first; the last is scalar.
std::span<const DwconvU8S8Kernel> dwconv_u8s8_kernels() noexcept;
std::span<const DwconvF32Kernel> dwconv_f32_kernels() noexcept;
inline const DwconvU8S8Kernel& select_dwconv_u8s8(Isa isa) noexcept {
  return select(dwconv_u8s8_kernels(), isa);
}
inline const DwconvF32Kernel& select_dwconv_f32(Isa isa) noexcept {
  return select(dwconv_f32_kernels(), isa);
}

// Bytes of the packed weights of that many channels; `column` as in DwconvU8S8Args.
std::size_t packed_bytes(const DwconvU8S8Kernel& kernel, std::size_t channels, std::size_t taps,
                         std::size_t column) noexcept;
std::size_t packed_bytes(const DwconvF32Kernel& kernel, std::size_t channels, std::size_t taps) noexcept;

// Packs weights [channels][taps] into `packed`, which has packed_bytes(...) bytes.
void pack(const DwconvU8S8Kernel& kernel, std::size_t channels, std::size_t taps, std::size_t column,
          const std::int8_t* weights, std::int8_t* packed) noexcept;
void pack(const DwconvF32Kernel& kernel, std::size_t channels, std::size_t taps, const float* weights,
          float* packed) noexcept;

}  // namespace eke::kernels
