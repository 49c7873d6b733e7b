// Tiles of a product over row pointers, split over threads: shared by convolutions and matrix products.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/gemm/registry.h"
#include "runtime/tactic.h"
#include "runtime/tactics/aligned.h"
#include "runtime/tactics/product.h"
#include "runtime/tactics/rows.h"

namespace eke {

struct U8S8 {
  using Kernel = kernels::GemmU8S8Kernel;
  using Args = kernels::GemmU8S8Args;
  using In = std::uint8_t;
  using Weight = std::int8_t;
  static const Kernel& select(Isa isa) noexcept { return kernels::select_gemm_u8s8(isa); }
};
struct F32 {
  using Kernel = kernels::GemmF32Kernel;
  using Args = kernels::GemmF32Args;
  using In = float;
  using Weight = float;
  static const Kernel& select(Isa isa) noexcept { return kernels::select_gemm_f32(isa); }
};

// Weights of one group, packed for a kernel.
template <class Kind>
class PackedWeights {
 public:
  PackedWeights() = default;
  PackedWeights(const typename Kind::Kernel& kernel, std::int64_t channels, std::int64_t taps,
                std::int64_t depth, const typename Kind::Weight* weights)
      : panel_(kernels::packed_bytes(kernel, static_cast<std::size_t>(kernel.nr),
                                     static_cast<std::size_t>(taps), static_cast<std::size_t>(depth)) /
               sizeof(typename Kind::Weight)) {
    const auto n = static_cast<std::size_t>(channels), t = static_cast<std::size_t>(taps),
               k = static_cast<std::size_t>(depth);
    // The slack after the last panel, which kernels may read.
    packed_.resize(kernels::packed_bytes(kernel, n, t, k) / sizeof(typename Kind::Weight) +
                   kernels::kSlackBytes);
    kernels::pack(kernel, n, t, k, weights, packed_.data());
  }

  const typename Kind::Weight* panel(std::int64_t i) const noexcept {
    return packed_.data() + static_cast<std::size_t>(i) * panel_;
  }
  std::size_t panel_bytes() const noexcept { return panel_ * sizeof(typename Kind::Weight); }
  std::size_t bytes() const noexcept { return packed_.size() * sizeof(typename Kind::Weight); }

 private:
  std::size_t panel_ = 0;
  LineVector<typename Kind::Weight> packed_;
};

// The work of one thread on one group: output pixels [pixels.begin, pixels.end) and panels of channels.
struct Part {
  Share pixels, panels;
};

// Splits by tiles of pixels where there are enough for all threads, by panels of channels otherwise.
inline Part part_of(std::int64_t pixels, int mr, std::int64_t panels, std::int64_t index,
                    std::int64_t count) noexcept {
  const std::int64_t tiles = (pixels + mr - 1) / mr;
  if (tiles < 2 * count && panels >= count) return {{0, pixels}, share(panels, index, count)};
  const Share tile = share(tiles, index, count);
  return {{tile.begin * mr, std::min(tile.end * mr, pixels)}, {0, panels}};
}

// How many pixels to hand to a kernel at once, in multiples of mr: so many that their `pointers` (one pixel's) stay
// in the L1 cache and a call's overhead does not matter.
inline std::int64_t block_of_pixels(int mr, std::int64_t pointers) noexcept {
  constexpr std::int64_t kPointers = 1024, kMost = 96;
  return std::clamp<std::int64_t>(std::min(kPointers / pointers, kMost) / mr, 1, kMost) * mr;
}

// Calls f(first pixel, pixels, first panel, panels) block by block: panels in blocks that stay in the L2 cache
// while the pixels stream past, `most` pixels at a time.
template <class F>
void for_tiles(const Part& part, std::int64_t most, std::size_t panel_bytes, F&& f) noexcept {
  constexpr std::size_t kBlockBytes = 384 * 1024;
  const auto block = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(kBlockBytes / std::max<std::size_t>(panel_bytes, 1)));
  for (std::int64_t panel = part.panels.begin; panel < part.panels.end; panel += block)
    for (std::int64_t pixel = part.pixels.begin; pixel < part.pixels.end; pixel += most)
      f(pixel, std::min<std::int64_t>(most, part.pixels.end - pixel), panel,
        std::min(block, part.panels.end - panel));
}

}  // namespace eke
