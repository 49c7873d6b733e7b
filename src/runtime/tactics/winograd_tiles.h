// The tiles of a 3x3 convolution at stride 1 by Winograd's F(4x4, 3x3) (kernels/winograd/winograd.h), from transformed
// weights to results: what constant weights and those that change from run to run share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/winograd/registry.h"
#include "runtime/tactics/gemm_driver.h"

namespace eke {

// True for 3x3 windows at stride 1 over so many channels that the transforms pay.
bool is_winograd_window(const Geometry& geometry, std::int64_t in_channels, std::int64_t out_channels);

// The windows of tiles: 6 x 6 inputs, 4 further on from one to the next.
Geometry winograd_tile_geometry(Geometry geometry);

// Where results go, and what is done to them on the way, from the first channel of a run on.
struct WinogradTarget {
  const float *bias = nullptr, *slope = nullptr, *residual = nullptr;  // bias is required
  float* out = nullptr;
  std::ptrdiff_t pixel = 0, residual_pixel = 0;  // floats from one pixel to the next
  float lo = 0, hi = 0;
};

class WinogradTiles {
 public:
  // `geometry` is that of the convolution over x [N, C, H, W]; a run makes at most `channels` of its output.
  WinogradTiles(Isa isa, const Geometry& geometry, const Shape& x, std::int64_t channels);

  static std::int64_t count(const Geometry& geometry, std::int64_t images);
  std::int64_t count() const noexcept { return rows_.pixels(); }
  std::size_t scratch_bytes() const noexcept;  // of a thread

  // `packed` are the weights of each place as the float32 products want them, `place` floats apart.
  void run(const std::byte* x, const float* packed, std::ptrdiff_t place, std::int64_t channels,
           const WinogradTarget& target, const Share& tiles, std::byte* scratch) const noexcept;

 private:
  // The memory of one thread: pointers to the pixels of a block of tiles, to the rows of a product, the transformed inputs
  // [36][tiles][channels] and the products, likewise.
  struct Buffers {
    const std::byte** pixels;
    const float** rows;
    float *transformed, *products;
  };

  static std::size_t lines(std::int64_t floats) noexcept {
    return static_cast<std::size_t>((floats + 15) / 16 * 16);
  }
  std::size_t in_line() const noexcept { return lines(in_channels_); }
  std::size_t out_line() const noexcept { return lines(most_channels_); }
  std::ptrdiff_t plane(std::size_t line) const noexcept { return block_ * static_cast<std::ptrdiff_t>(line); }
  std::int64_t block_of_tiles() const noexcept;
  std::size_t pointer_count() const noexcept;
  Buffers buffers_at(std::byte* scratch) const noexcept;
  void multiply(const float* packed, std::ptrdiff_t place, std::int64_t channels, std::int64_t tiles,
                const Buffers& b) const noexcept;
  void store(const WinogradTarget& target, std::int64_t channels, const float* products,
             std::int64_t tile) const noexcept;

  const F32::Kernel& gemm_;
  const kernels::WinogradKernel& transforms_;
  Geometry geometry_;
  WindowRows rows_;
  std::int64_t in_channels_, most_channels_;
  std::vector<float> no_bias_, padding_;
  std::int64_t block_;
};

}  // namespace eke
