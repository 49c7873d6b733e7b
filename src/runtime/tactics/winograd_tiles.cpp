#include "runtime/tactics/winograd_tiles.h"

#include <algorithm>

namespace eke {
namespace {

using kernels::kWinogradPlaces;

constexpr std::int64_t kSide = 4;  // outputs of a tile along an axis

}  // namespace

bool is_winograd_window(const Geometry& geometry, std::int64_t in_channels, std::int64_t out_channels) {
  constexpr std::int64_t kLeastChannels = 24;
  for (const Window& axis : {geometry.h(), geometry.w()})
    if (axis.kernel != 3 || axis.stride != 1 || axis.dilation != 1) return false;
  return in_channels >= kLeastChannels && out_channels >= kLeastChannels;
}

Geometry winograd_tile_geometry(Geometry g) {
  for (int i = 0; i < 2; ++i) {
    Window& w = g.spatial(i);
    w.kernel = 6;
    w.stride = kSide;
    w.out = (w.out + kSide - 1) / kSide;
  }
  return g;
}

WinogradTiles::WinogradTiles(Isa isa, const Geometry& geometry, const Shape& x, std::int64_t channels)
    : gemm_(F32::select(isa)),
      transforms_(kernels::select_winograd(isa)),
      geometry_(geometry),
      rows_(winograd_tile_geometry(geometry), x, sizeof(float)),
      in_channels_(x[1]),
      most_channels_(channels),
      no_bias_(static_cast<std::size_t>(channels) + kernels::kChannelSlack),
      padding_(static_cast<std::size_t>(in_channels_) + kernels::kSlackBytes / sizeof(float)),
      block_(block_of_tiles()) {}

std::int64_t WinogradTiles::count(const Geometry& geometry, std::int64_t images) {
  const Geometry g = winograd_tile_geometry(geometry);
  return images * g.h().out * g.w().out;
}

// So many tiles that a pass over the weights is worth it, and that the buffers of few channels stay in the L2 cache.
std::int64_t WinogradTiles::block_of_tiles() const noexcept {
  constexpr std::int64_t kFloats = 160 * 1024, kLeast = 24, kMost = 72;
  const auto channels = static_cast<std::int64_t>(in_line() + out_line());
  const std::int64_t fitting = kFloats / (kWinogradPlaces * channels) / kLeast * kLeast;
  return std::min(std::clamp(fitting, kLeast, kMost), rows_.pixels());
}

std::size_t WinogradTiles::pointer_count() const noexcept {
  return (static_cast<std::size_t>(block_) * (kWinogradPlaces + 1) + 7) / 8 * 8;
}

std::size_t WinogradTiles::scratch_bytes() const noexcept {
  const std::size_t floats =
      static_cast<std::size_t>(kWinogradPlaces) * static_cast<std::size_t>(block_) * (in_line() + out_line());
  return pointer_count() * sizeof(void*) + (floats + 16) * sizeof(float);
}

WinogradTiles::Buffers WinogradTiles::buffers_at(std::byte* scratch) const noexcept {
  auto** pixels = reinterpret_cast<const std::byte**>(scratch);
  auto** rows = reinterpret_cast<const float**>(pixels + block_ * kWinogradPlaces);
  auto* floats = reinterpret_cast<float*>(scratch + pointer_count() * sizeof(void*));
  return {pixels, rows, floats, floats + kWinogradPlaces * plane(in_line())};
}

void WinogradTiles::run(const std::byte* x, const float* packed, std::ptrdiff_t place, std::int64_t channels,
                        const WinogradTarget& target, const Share& tiles, std::byte* scratch) const noexcept {
  const Buffers b = buffers_at(scratch);
  const auto in = static_cast<std::ptrdiff_t>(in_line()), out = static_cast<std::ptrdiff_t>(out_line());
  for (std::int64_t first = tiles.begin; first < tiles.end; first += block_) {
    const std::int64_t count = std::min(block_, tiles.end - first);
    rows_.fill(x, reinterpret_cast<const std::byte*>(padding_.data()), first, count, b.pixels);
    for (std::int64_t t = 0; t < count; ++t) {
      b.rows[t] = b.transformed + t * in;
      transforms_.input({reinterpret_cast<const float* const*>(b.pixels + t * kWinogradPlaces),
                         static_cast<int>(in_channels_), b.transformed + t * in, plane(in_line())});
    }
    multiply(packed, place, channels, count, b);
    for (std::int64_t t = 0; t < count; ++t) store(target, channels, b.products + t * out, first + t);
  }
}

void WinogradTiles::multiply(const float* packed, std::ptrdiff_t place, std::int64_t channels,
                             std::int64_t tiles, const Buffers& b) const noexcept {
  for (int p = 0; p < kWinogradPlaces; ++p) {
    kernels::GemmF32Args gemm;
    gemm.rows = b.rows;
    gemm.row_stride = 1;
    gemm.offset = p * plane(in_line());
    gemm.m = static_cast<int>(tiles), gemm.n = static_cast<int>(channels), gemm.taps = 1,
    gemm.k = static_cast<int>(in_channels_);
    gemm.weights = packed + p * place;
    gemm.bias = no_bias_.data();
    gemm.out = b.products + p * plane(out_line());
    gemm.out_stride = static_cast<std::ptrdiff_t>(out_line() * sizeof(float));
    gemm_.run(gemm);
  }
}

void WinogradTiles::store(const WinogradTarget& target, std::int64_t channels, const float* products,
                          std::int64_t tile) const noexcept {
  const std::int64_t wide = rows_.out_width(), high = (geometry_.h().out + kSide - 1) / kSide;
  const std::int64_t x = tile % wide * kSide, y = tile / wide % high * kSide;
  const std::int64_t pixel = (tile / (wide * high) * geometry_.h().out + y) * geometry_.w().out + x;
  kernels::WinogradOutputArgs a;
  a.in = products;
  a.plane = plane(out_line());
  a.channels = static_cast<int>(channels);
  a.rows = static_cast<int>(std::min(kSide, geometry_.h().out - y));
  a.cols = static_cast<int>(std::min(kSide, geometry_.w().out - x));
  a.bias = target.bias;
  a.slope = target.slope;
  a.out = target.out + pixel * target.pixel;
  a.out_pixel = target.pixel;
  a.out_row = geometry_.w().out * target.pixel;
  if (target.residual != nullptr) {
    a.residual = target.residual + pixel * target.residual_pixel;
    a.residual_pixel = target.residual_pixel;
    a.residual_row = geometry_.w().out * target.residual_pixel;
  }
  a.lo = target.lo;
  a.hi = target.hi;
  transforms_.output(a);
}

}  // namespace eke
