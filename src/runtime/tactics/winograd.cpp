#include "runtime/tactics/winograd.h"

#include <algorithm>
#include <memory>

#include "kernels/winograd/registry.h"
#include "runtime/tactics/gemm_driver.h"

namespace eke {
namespace {

using kernels::kWinogradPlaces;

constexpr std::int64_t kSide = 4;  // outputs of a tile along an axis

const op::Conv& conv_of(const Query& query) { return std::get<op::Conv>(query.node.op); }

Geometry geometry_of(const Query& query) {
  return window_geometry(window_attributes(conv_of(query)), query.in(0).shape,
                         query.in(1).shape.dims().subspan(2));
}

// The windows of tiles: 6 x 6 inputs, 4 further on from one to the next.
Geometry tile_geometry(Geometry g) {
  for (int i = 0; i < 2; ++i) {
    Window& w = g.spatial(i);
    w.kernel = 6;
    w.stride = kSide;
    w.out = (w.out + kSide - 1) / kSide;
  }
  return g;
}

std::int64_t tiles_of(const Query& query) {
  const Geometry g = tile_geometry(geometry_of(query));
  return query.in(0).shape[0] * g.h().out * g.w().out;
}

std::size_t lines(std::size_t floats) { return (floats + 15) / 16 * 16; }

class WinogradStep : public Step {
 public:
  explicit WinogradStep(const Query& query)
      : gemm_(F32::select(query.isa)),
        transforms_(kernels::select_winograd(query.isa)),
        geometry_(geometry_of(query)),
        rows_(tile_geometry(geometry_), query.in(0).shape, sizeof(float)),
        in_channels_(query.in(0).shape[1]),
        out_channels_(query.out().shape[1]),
        pixel_(query.pixel_channels != 0 ? query.pixel_channels : out_channels_),
        epilogue_(query, out_channels_, conv_of(query).clamp),
        no_bias_(static_cast<std::size_t>(out_channels_) + kernels::kChannelSlack),
        padding_(static_cast<std::size_t>(in_channels_) + kernels::kSlackBytes / sizeof(float)),
        block_(block_of_tiles()) {
    pack(*query.constant(1));
  }

  std::size_t scratch_bytes(int threads) const noexcept override {
    return static_cast<std::size_t>(threads) * thread_bytes();
  }
  std::size_t weight_bytes() const noexcept override { return weights_.front().bytes() * weights_.size(); }

  void run(const StepArgs& args) const noexcept override {
    const auto count = static_cast<std::size_t>(args.threads->count());
    args.threads->for_ranges(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t thread = begin; thread < end; ++thread) {
        const Share tiles =
            share(rows_.pixels(), static_cast<std::int64_t>(thread), static_cast<std::int64_t>(count));
        const Buffers buffers = buffers_at(args.scratch + thread * thread_bytes());
        for (std::int64_t tile = tiles.begin; tile < tiles.end; tile += block_)
          block(args, buffers, tile, std::min(block_, tiles.end - tile));
      }
    });
  }

 private:
  // The memory of one thread: pointers to the pixels of a block of tiles, to the rows of a product, the transformed inputs
  // [36][tiles][channels] and the products, likewise.
  struct Buffers {
    const std::byte** pixels;
    const float** rows;
    float *transformed, *products;
  };

  std::size_t in_line() const noexcept { return lines(static_cast<std::size_t>(in_channels_)); }
  std::size_t out_line() const noexcept { return lines(static_cast<std::size_t>(out_channels_)); }
  std::ptrdiff_t plane(std::size_t line) const noexcept { return block_ * static_cast<std::ptrdiff_t>(line); }

  // So many tiles that a pass over the weights is worth it, and that the buffers of few channels stay in the L2 cache.
  std::int64_t block_of_tiles() const noexcept {
    constexpr std::int64_t kFloats = 160 * 1024, kLeast = 24, kMost = 72;
    const auto channels = static_cast<std::int64_t>(in_line() + out_line());
    const std::int64_t fitting = kFloats / (kWinogradPlaces * channels) / kLeast * kLeast;
    return std::min(std::clamp(fitting, kLeast, kMost), rows_.pixels());
  }

  std::size_t pointer_count() const noexcept {
    return (static_cast<std::size_t>(block_) * (kWinogradPlaces + 1) + 7) / 8 * 8;
  }
  std::size_t thread_bytes() const noexcept {
    const std::size_t floats = static_cast<std::size_t>(kWinogradPlaces) * static_cast<std::size_t>(block_) *
                               (in_line() + out_line());
    return pointer_count() * sizeof(void*) + (floats + 16) * sizeof(float);
  }
  Buffers buffers_at(std::byte* scratch) const noexcept {
    auto** pixels = reinterpret_cast<const std::byte**>(scratch);
    auto** rows = reinterpret_cast<const float**>(pixels + block_ * kWinogradPlaces);
    auto* floats = reinterpret_cast<float*>(scratch + pointer_count() * sizeof(void*));
    return {pixels, rows, floats, floats + kWinogradPlaces * plane(in_line())};
  }

  void pack(const Tensor& weights) {
    const auto w = weights.values<float>();
    const auto in = static_cast<std::size_t>(in_channels_), out = static_cast<std::size_t>(out_channels_);
    std::vector<std::vector<float>> places(kWinogradPlaces, std::vector<float>(out * in));
    for (std::size_t i = 0; i < out * in; ++i) {
      float u[kWinogradPlaces];
      kernels::winograd_weights(w.data() + 9 * i, u);
      for (std::size_t p = 0; p < kWinogradPlaces; ++p) places[p][i] = u[p];
    }
    for (std::vector<float>& place : places) {
      weights_.emplace_back(gemm_, out_channels_, 1, in_channels_, place.data());
      place = {};
    }
  }

  void block(const StepArgs& args, const Buffers& b, std::int64_t first, std::int64_t count) const noexcept {
    const auto in = static_cast<std::ptrdiff_t>(in_line()), out = static_cast<std::ptrdiff_t>(out_line());
    rows_.fill(args.in[0], reinterpret_cast<const std::byte*>(padding_.data()), first, count, b.pixels);
    for (std::int64_t t = 0; t < count; ++t) {
      b.rows[t] = b.transformed + t * in;
      transforms_.input({reinterpret_cast<const float* const*>(b.pixels + t * kWinogradPlaces),
                         static_cast<int>(in_channels_), b.transformed + t * in, plane(in_line())});
    }
    for (int p = 0; p < kWinogradPlaces; ++p) {
      kernels::GemmF32Args gemm;
      gemm.rows = b.rows;
      gemm.row_stride = 1;
      gemm.offset = p * plane(in_line());
      gemm.m = static_cast<int>(count), gemm.n = static_cast<int>(out_channels_), gemm.taps = 1,
      gemm.k = static_cast<int>(in_channels_);
      gemm.weights = weights_[static_cast<std::size_t>(p)].panel(0);
      gemm.bias = no_bias_.data();
      gemm.out = b.products + p * plane(out_line());
      gemm.out_stride = out * static_cast<std::ptrdiff_t>(sizeof(float));
      gemm_.run(gemm);
    }
    for (std::int64_t t = 0; t < count; ++t) store(args, b.products + t * out, first + t);
  }

  void store(const StepArgs& args, const float* products, std::int64_t tile) const noexcept {
    const std::int64_t wide = rows_.out_width(), high = (geometry_.h().out + kSide - 1) / kSide;
    const std::int64_t x = tile % wide * kSide, y = tile / wide % high * kSide;
    const std::int64_t pixel = (tile / (wide * high) * geometry_.h().out + y) * geometry_.w().out + x;
    kernels::WinogradOutputArgs a;
    a.in = products;
    a.plane = plane(out_line());
    a.channels = static_cast<int>(out_channels_);
    a.rows = static_cast<int>(std::min(kSide, geometry_.h().out - y));
    a.cols = static_cast<int>(std::min(kSide, geometry_.w().out - x));
    a.bias = epilogue_.bias.data();
    a.slope = epilogue_.slope.empty() ? nullptr : epilogue_.slope.data();
    a.out = reinterpret_cast<float*>(args.out[0]) + pixel * pixel_;
    a.out_pixel = pixel_;
    a.out_row = geometry_.w().out * pixel_;
    if (args.in_count > 4 && args.in[4] != nullptr) {
      a.residual = reinterpret_cast<const float*>(args.in[4]) + pixel * out_channels_;
      a.residual_pixel = out_channels_;
      a.residual_row = geometry_.w().out * out_channels_;
    }
    a.lo = epilogue_.lo;
    a.hi = epilogue_.hi;
    transforms_.output(a);
  }

  const F32::Kernel& gemm_;
  const kernels::WinogradKernel& transforms_;
  Geometry geometry_;
  WindowRows rows_;
  std::int64_t in_channels_, out_channels_, pixel_;
  FloatEpilogue epilogue_;
  std::vector<float> no_bias_, padding_;
  std::int64_t block_;
  std::vector<PackedWeights<F32>> weights_;  // one a place
};

}  // namespace

// Few tiles do not pay for the larger weights, few channels not for the transforms.
bool is_winograd_conv(const Query& query) {
  constexpr std::int64_t kLeastTiles = 12, kLeastChannels = 24;
  const Shape &x = query.in(0).shape, &w = query.in(1).shape;
  if (x.rank() != 4 || !is_float_product(query) || query.out().shape.count() == 0) return false;
  if (conv_of(query).group != 1 || w[2] != 3 || w[3] != 3) return false;
  if (x[1] < kLeastChannels || w[0] < kLeastChannels || x.count() >= (std::int64_t{1} << 30)) return false;
  const Geometry g = geometry_of(query);
  for (const Window& axis : {g.h(), g.w()})
    if (axis.stride != 1 || axis.dilation != 1) return false;
  return tiles_of(query) >= kLeastTiles;
}

Prepared prepare_winograd(const Query& query) {
  return {std::make_unique<WinogradStep>(query), std::string(kernels::select_winograd(query.isa).name)};
}

}  // namespace eke
