#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/dwconv/registry.h"

namespace eke::kernels {

#define EKE_DWCONV_U8S8(name, isa, layout) void name(const DwconvU8S8Args&) noexcept;
#define EKE_DWCONV_F32(name, isa) void name(const DwconvF32Args&) noexcept;
#include "kernels/dwconv/kernels.inc"
#undef EKE_DWCONV_U8S8
#undef EKE_DWCONV_F32

namespace {

constexpr DwconvU8S8Kernel kU8S8[] = {
#define EKE_DWCONV_U8S8(name, isa, layout) {#name, Isa::isa, name, DwconvLayout::layout},
#define EKE_DWCONV_F32(...)
#include "kernels/dwconv/kernels.inc"
#undef EKE_DWCONV_U8S8
#undef EKE_DWCONV_F32
};

constexpr DwconvF32Kernel kF32[] = {
#define EKE_DWCONV_U8S8(...)
#define EKE_DWCONV_F32(name, isa) {#name, Isa::isa, name},
#include "kernels/dwconv/kernels.inc"
#undef EKE_DWCONV_U8S8
#undef EKE_DWCONV_F32
};

std::size_t round_up(std::size_t x, std::size_t multiple) noexcept {
  return (x + multiple - 1) / multiple * multiple;
}

// The last block of a layout of quads is as wide as 64, 32 or 16 channels.
std::size_t quad_channels(std::size_t channels) noexcept {
  const std::size_t rest = channels % 64;
  return channels - rest + (rest == 0 ? 0 : rest > 32 ? 64 : rest > 16 ? 32 : 16);
}

constexpr std::size_t kHeadBytes = (16 + 4) * sizeof(std::int32_t);

bool has_heads(DwconvLayout layout) noexcept {
  return layout == DwconvLayout::blocks || layout == DwconvLayout::block_quads;
}

// Bytes of a block of sixteen channels with a head.
std::size_t block_bytes(DwconvLayout layout, std::size_t taps, std::size_t column) noexcept {
  const std::size_t slots = layout == DwconvLayout::blocks ? taps : taps / column * round_up(column, 4);
  return kHeadBytes + slots * 16;
}

// Adds to the head of its block what the weights of a channel say.
void pack_head(const std::int8_t* weights, std::size_t taps, std::size_t channel,
               std::int8_t* block) noexcept {
  std::int32_t sum = 0, flag = 1;
  for (std::size_t t = 0; t < taps; ++t) {
    sum += weights[t];
    if (weights[t] == -128) std::memcpy(block + 16 * sizeof flag, &flag, sizeof flag);
  }
  const std::uint32_t head = static_cast<std::uint32_t>(sum) * 128;
  std::memcpy(block + channel % 16 * sizeof head, &head, sizeof head);
}

// Where the weight of channel c and tap t lies.
std::size_t place(DwconvLayout layout, std::size_t channels, std::size_t taps, std::size_t column,
                  std::size_t c, std::size_t t) noexcept {
  switch (layout) {
    case DwconvLayout::pairs: {
      const std::size_t in_block = c % 16, quad = in_block / 4;
      const std::size_t slot = (quad % 2 * 2 + quad / 2) * 4 + in_block % 4;
      return (c / 16 * round_up(taps, 2) + t / 2 * 2) * 16 + slot * 2 + t % 2;
    }
    case DwconvLayout::quads: {
      const std::size_t first = c / 64 * 64,
                        width = std::min<std::size_t>(64, quad_channels(channels) - first);
      const std::size_t in_block = c - first, lanes = width / 16;
      const std::size_t part = in_block % 16 / 4, lane = in_block / 16;
      const std::size_t height = round_up(column, 4), slot = t / column * height + t % column;
      return first * (taps / column) * height + slot / 4 * 4 * width +
             ((part * lanes + lane) * 4 + in_block % 4) * 4 + slot % 4;
    }
    case DwconvLayout::blocks:
      return c / 16 * block_bytes(layout, taps, column) + kHeadBytes + t * 16 + c % 16;
    case DwconvLayout::block_quads: {
      const std::size_t slot = t / column * round_up(column, 4) + t % column;
      return c / 16 * block_bytes(layout, taps, column) + kHeadBytes + slot / 4 * 64 + c % 16 * 4 + slot % 4;
    }
    default:
      return t * channels + c;
  }
}

}  // namespace

int lanes_of(const DwconvU8S8Kernel& kernel) noexcept {
  return kernel.layout == DwconvLayout::plain ? 1 : kernel.layout == DwconvLayout::quads ? 64 : 16;
}

std::span<const DwconvU8S8Kernel> dwconv_u8s8_kernels() noexcept { return kU8S8; }
std::span<const DwconvF32Kernel> dwconv_f32_kernels() noexcept { return kF32; }

std::size_t packed_bytes(const DwconvU8S8Kernel& kernel, std::size_t channels, std::size_t taps,
                         std::size_t column) noexcept {
  switch (kernel.layout) {
    case DwconvLayout::pairs:
      return round_up(channels, 16) * round_up(taps, 2);
    case DwconvLayout::quads:
      return quad_channels(channels) * (taps / column) * round_up(column, 4);
    case DwconvLayout::blocks:
    case DwconvLayout::block_quads:
      return round_up(channels, 16) / 16 * block_bytes(kernel.layout, taps, column);
    default:
      return channels * taps;
  }
}

std::size_t packed_bytes(const DwconvF32Kernel&, std::size_t channels, std::size_t taps) noexcept {
  return round_up(channels, 16) * taps * sizeof(float);
}

void pack(const DwconvU8S8Kernel& kernel, std::size_t channels, std::size_t taps, std::size_t column,
          const std::int8_t* weights, std::int8_t* packed) noexcept {
  std::fill_n(packed, packed_bytes(kernel, channels, taps, column), std::int8_t{0});
  for (std::size_t c = 0; c < channels; ++c) {
    if (has_heads(kernel.layout))
      pack_head(weights, taps, c, packed + c / 16 * block_bytes(kernel.layout, taps, column));
    for (std::size_t t = 0; t < taps; ++t)
      packed[place(kernel.layout, channels, taps, column, c, t)] = *weights++;
  }
}

void pack(const DwconvF32Kernel&, std::size_t channels, std::size_t taps, const float* weights,
          float* packed) noexcept {
  const std::size_t padded = round_up(channels, 16);
  std::fill_n(packed, padded * taps, 0.0f);
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t t = 0; t < taps; ++t) packed[t * padded + c] = *weights++;
}

}  // namespace eke::kernels
