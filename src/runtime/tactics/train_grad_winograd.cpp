// The gradient of the weights of a 3x3 convolution at stride 1 by the adjoint of Winograd's F(4x4, 3x3): products of
// transformed gradients by transformed inputs over tiles, place by place, transformed back. Places are split over threads, so
// that no sum depends on their number; output channels are taken so many at a time that the sums stay small.
#include <algorithm>
#include <memory>

#include "kernels/transpose/registry.h"
#include "kernels/winograd/registry.h"
#include "ops/geometry.h"
#include "runtime/tactics/rows.h"
#include "runtime/tactics/train.h"
#include "runtime/tactics/train_grad.h"
#include "runtime/tactics/winograd.h"
#include "runtime/tactics/winograd_tiles.h"

namespace eke {
namespace {

using kernels::kWinogradPlaces;

constexpr std::int64_t kOutputs = 16;  // of a tile

const op::ConvGradWeight& op_of(const Query& query) { return std::get<op::ConvGradWeight>(query.node.op); }

Geometry geometry_of(const Query& query) {
  return window_geometry(window_attributes(op_of(query)), query.in(0).shape, op_of(query).kernel_shape);
}

// The outputs of tiles as windows over the gradient, 4 x 4 and side by side.
Geometry output_geometry(Geometry g) {
  for (int i = 0; i < 2; ++i) {
    Window& w = g.spatial(i);
    const std::int64_t tiles = (w.out + 3) / 4;
    w = {.in = w.out, .kernel = 4, .stride = 4, .out = tiles};
  }
  return g;
}

class WinogradGradStep : public Step {
 public:
  explicit WinogradGradStep(const Query& query)
      : transforms_(kernels::select_winograd(query.isa)),
        gemm_(F32::select(query.isa)),
        transpose_(kernels::select_transpose_x32(query.isa)),
        inputs_(winograd_tile_geometry(geometry_of(query)), query.in(0).shape, sizeof(float)),
        outputs_(output_geometry(geometry_of(query)), query.in(1).shape, sizeof(float)),
        depth_(query.in(0).shape[1]),
        channels_(query.in(1).shape[1]),
        padding_(static_cast<std::size_t>(std::max(depth_, channels_)) +
                 kernels::kSlackBytes / sizeof(float)),
        no_bias_(static_cast<std::size_t>(depth_) + kernels::kChannelSlack),
        rows_(rows_of(depth_, channels_)),
        block_(std::min(kTiles, inputs_.pixels())) {}

  std::size_t scratch_bytes(int threads) const noexcept override {
    return sums_bytes() + float_bytes(kWinogradPlaces * (x_plane() + dy_plane()) + 16) +
           static_cast<std::size_t>(threads) * (pointer_bytes() + row_bytes());
  }

  void run(const StepArgs& args) const noexcept override {
    for (std::int64_t first = 0; first < channels_; first += rows_) {
      const std::int64_t count = std::min(rows_, channels_ - first);
      for (std::int64_t tile = 0; tile < inputs_.pixels(); tile += block_) {
        const std::int64_t tiles = std::min(block_, inputs_.pixels() - tile);
        transform(args, first, count, tile, tiles);
        add(args, count, tiles, tile > 0);
      }
      finish(args, first, count);
    }
  }

 private:
  static constexpr std::int64_t kTiles = 96, kPanel = 16;

  static std::int64_t rows_of(std::int64_t depth, std::int64_t channels) {
    constexpr std::int64_t kFloats = 5 * 512 * 1024;  // of sums: 10 MiB
    return std::clamp<std::int64_t>(kFloats / (kWinogradPlaces * depth), 1, channels);
  }

  static std::int64_t lines(std::int64_t floats) noexcept { return (floats + kPanel - 1) / kPanel * kPanel; }
  // Floats from one place to the next: of transformed inputs and gradients, as panels [channels / 16][tiles][16], and of sums
  // [rows][depth] (a line more, so that places do not share sets of the cache).
  std::ptrdiff_t x_plane() const noexcept { return block_ * lines(depth_) + kPanel; }
  std::ptrdiff_t dy_plane() const noexcept { return block_ * lines(rows_) + kPanel; }
  std::ptrdiff_t sums_plane() const noexcept { return lines(rows_ * depth_) + kPanel; }
  std::size_t sums_bytes() const noexcept { return float_bytes(kWinogradPlaces * sums_plane() + kPanel); }
  // A row of gradients of one channel and place.
  std::int64_t line() const noexcept { return lines(block_) + kPanel; }
  std::size_t row_bytes() const noexcept { return float_bytes(rows_ * line()); }
  std::size_t pointer_bytes() const noexcept {
    return aligned_to_line(static_cast<std::size_t>(std::max<std::int64_t>(kWinogradPlaces, rows_)) *
                           sizeof(void*));
  }

  // Scratch memory: sums, transformed inputs, transformed gradients, then a thread's pointers and rows of gradients.
  float* sums(const StepArgs& args) const noexcept { return reinterpret_cast<float*>(args.scratch); }
  float* xs(const StepArgs& args) const noexcept {
    return reinterpret_cast<float*>(args.scratch + sums_bytes());
  }
  float* dys(const StepArgs& args) const noexcept { return xs(args) + kWinogradPlaces * x_plane(); }
  std::byte* own(const StepArgs& args, std::size_t thread) const noexcept {
    return args.scratch + sums_bytes() + float_bytes(kWinogradPlaces * (x_plane() + dy_plane()) + 16) +
           thread * (pointer_bytes() + row_bytes());
  }

  // Tiles [tile, tile + tiles) of all inputs and of output channels [first, first + count).
  void transform(const StepArgs& args, std::int64_t first, std::int64_t count, std::int64_t tile,
                 std::int64_t tiles) const noexcept {
    const auto* padding = reinterpret_cast<const std::byte*>(padding_.data());
    on_threads(*args.threads, [&](std::size_t thread, std::size_t threads) {
      auto** at = reinterpret_cast<const std::byte**>(own(args, thread));
      const auto* rows = reinterpret_cast<const float* const*>(at);
      const Share mine = share(tiles, static_cast<std::int64_t>(thread), static_cast<std::int64_t>(threads));
      for (std::int64_t t = mine.begin; t < mine.end; ++t) {
        inputs_.fill(args.in[0], padding, tile + t, 1, at);
        transforms_.input({rows, static_cast<int>(depth_), xs(args) + t * kPanel, x_plane(), tiles * kPanel});
        outputs_.fill(args.in[1], padding, tile + t, 1, at);
        for (std::int64_t i = 0; i < kOutputs; ++i)
          if (at[i] != padding) at[i] += first * static_cast<std::ptrdiff_t>(sizeof(float));
        transforms_.gradient(
            {rows, static_cast<int>(count), dys(args) + t * kPanel, dy_plane(), tiles * kPanel});
      }
    });
  }

  // The products of a block of tiles, to those of the blocks before it.
  void add(const StepArgs& args, std::int64_t count, std::int64_t tiles, bool more) const noexcept {
    on_threads(*args.threads, [&](std::size_t thread, std::size_t threads) {
      auto** rows = reinterpret_cast<const float**>(own(args, thread));
      auto* gradients = reinterpret_cast<float*>(own(args, thread) + pointer_bytes());
      for (std::int64_t m = 0; m < count; ++m) rows[m] = gradients + m * line();
      const Share places =
          share(kWinogradPlaces, static_cast<std::int64_t>(thread), static_cast<std::int64_t>(threads));
      for (std::int64_t p = places.begin; p < places.end; ++p) {
        for (std::int64_t m = 0; m < count; m += kPanel)
          transpose_({dys(args) + p * dy_plane() + m * tiles, gradients + m * line(),
                      static_cast<std::size_t>(tiles), static_cast<std::size_t>(std::min(kPanel, count - m)),
                      kPanel * static_cast<std::ptrdiff_t>(sizeof(float)),
                      line() * static_cast<std::ptrdiff_t>(sizeof(float))});
        kernels::GemmF32Args call;
        call.rows = rows;
        call.row_stride = 1;
        call.m = static_cast<int>(count);
        call.n = static_cast<int>(depth_);
        call.taps = 1;
        call.k = static_cast<int>(tiles);
        call.weights = xs(args) + p * x_plane();
        call.bias = no_bias_.data();
        call.out = sums(args) + p * sums_plane();
        call.residual = more ? call.out : nullptr;
        call.out_stride = call.residual_stride = depth_ * static_cast<std::ptrdiff_t>(sizeof(float));
        gemm_.run(call);
      }
    });
  }

  // The gradient of output channels [first, first + count) from their sums.
  void finish(const StepArgs& args, std::int64_t first, std::int64_t count) const noexcept {
    auto* out = reinterpret_cast<float*>(args.out[0]) + first * 9 * depth_;
    args.threads->for_ranges(static_cast<std::size_t>(count), [&](std::size_t begin, std::size_t end) {
      for (auto m = static_cast<std::int64_t>(begin); m < static_cast<std::int64_t>(end); ++m)
        transforms_.taps(
            {sums(args) + m * depth_, sums_plane(), static_cast<int>(depth_), out + m * 9 * depth_, depth_});
    });
  }

  const kernels::WinogradKernel& transforms_;
  const F32::Kernel& gemm_;
  kernels::TransposeFn transpose_;
  WindowRows inputs_, outputs_;
  std::int64_t depth_, channels_;
  std::vector<float> padding_, no_bias_;
  std::int64_t rows_;   // output channels that are computed at a time
  std::int64_t block_;  // tiles that are transformed at a time
};

}  // namespace

bool is_winograd_weight_grad(const Query& query) {
  const Geometry geometry = geometry_of(query);
  return op_of(query).group == 1 &&
         is_winograd_window(geometry, query.in(0).shape[1], query.in(1).shape[1]) &&
         WinogradTiles::count(geometry, query.in(0).shape[0]) >= kLeastTrainTiles;
}

Prepared prepare_winograd_weight_grad(const Query& query) {
  return {std::make_unique<WinogradGradStep>(query),
          "grad_" + std::string(kernels::select_winograd(query.isa).name)};
}

}  // namespace eke
