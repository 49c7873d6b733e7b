// 3x3 convolutions at stride 1 by Winograd's F(4x4, 3x3) with weights that change from run to run, float32 in NHWC: forward,
// and the gradient of the input (a ConvTranspose), which is the forward pass over turned filters. Weights are transformed in
// each run, so many output channels at a time that they stay small. Where factors may be bfloat16 too: a quarter of the
// multiplications beats products at twice the speed.
#include <algorithm>
#include <memory>

#include "kernels/transpose/registry.h"
#include "ops/geometry.h"
#include "runtime/tactics/train.h"
#include "runtime/tactics/winograd.h"
#include "runtime/tactics/winograd_tiles.h"

namespace eke {
namespace {

using kernels::kWinogradPlaces;

constexpr std::int64_t kPanel = 16;  // columns of a panel of packed weights

// What is computed, as a convolution over input 0.
struct Filters {
  Geometry geometry;
  std::int64_t in = 0, out = 0;  // channels
  bool turned = false;           // weights [in][3][3][out], taps in reverse order; else [out][3][3][in]
  op::Clamp clamp = {};
};

Filters forward_of(const Query& query) {
  const auto& conv = std::get<op::Conv>(query.node.op);
  return {window_geometry(window_attributes(conv), query.in(0).shape, query.in(1).shape.dims().subspan(2)),
          query.in(0).shape[1], query.out().shape[1], false, conv.clamp};
}

// A gradient at p adds to inputs p - pad to p - pad + 2: those read gradients p + pad - 2 to p + pad.
Filters backward_of(const Query& query) {
  Geometry g = transposed_geometry(std::get<op::ConvTranspose>(query.node.op), query.in(0).shape,
                                   query.in(1).shape.dims().subspan(2));
  for (int i = 0; i < 2; ++i) {
    Window& w = g.spatial(i);
    w.pad_begin = w.kernel - 1 - w.pad_begin;
    w.pad_end = w.kernel - 1 - w.pad_end;
  }
  return {g, query.in(0).shape[1], query.out().shape[1], true, {}};
}

class TrainWinogradStep : public Step {
 public:
  TrainWinogradStep(const Query& query, const Filters& filters)
      : transforms_(kernels::select_winograd(query.isa)),
        transpose_(kernels::select_transpose_x32(query.isa)),
        filters_(filters),
        columns_(columns_of(filters)),
        place_(static_cast<std::ptrdiff_t>(columns_ * filters.in + kPanel)),
        tiles_(query.isa, filters.geometry, query.in(0).shape, columns_) {
    if (query.constant(1) != nullptr) constant_ = to_nhwc(*query.constant(1));
  }

  std::size_t scratch_bytes(int threads) const noexcept override {
    return shared_bytes() + static_cast<std::size_t>(threads) * thread_bytes();
  }

  void run(const StepArgs& args) const noexcept override {
    auto* bias = reinterpret_cast<float*>(args.scratch + packed_bytes());
    std::fill_n(bias, bias_bytes() / sizeof(float), 0.0f);
    if (args.in_count > 2 && args.in[2] != nullptr)
      std::copy_n(reinterpret_cast<const float*>(args.in[2]), filters_.out, bias);
    for (std::int64_t first = 0; first < filters_.out; first += columns_) {
      const std::int64_t count = std::min(columns_, filters_.out - first);
      pack(args, first, count);
      multiply(args, bias, first, count);
    }
  }

 private:
  static constexpr std::int64_t kDepth = 32;  // channels that are transposed at a time

  static std::int64_t columns_of(const Filters& filters) {
    constexpr std::int64_t kFloats = 5 * 512 * 1024;  // of transformed weights: 10 MiB
    const std::int64_t fitting = kFloats / (kWinogradPlaces * filters.in) / kPanel * kPanel,
                       all = (filters.out + kPanel - 1) / kPanel * kPanel;
    return std::clamp<std::int64_t>(fitting, kPanel, all);
  }

  std::size_t packed_bytes() const noexcept {
    return float_bytes(kWinogradPlaces * place_ + kernels::kChannelSlack);
  }
  std::size_t bias_bytes() const noexcept { return float_bytes(filters_.out + kernels::kChannelSlack + 16); }
  // Scratch memory: packed weights, biases, then what belongs to a thread.
  std::size_t shared_bytes() const noexcept { return packed_bytes() + bias_bytes(); }
  std::size_t thread_bytes() const noexcept {
    return std::max(aligned_to_line(tiles_.scratch_bytes()), float_bytes(kWinogradPlaces * kPanel * kDepth));
  }

  void pack(const StepArgs& args, std::int64_t first, std::int64_t count) const noexcept {
    const float* weights = constant_.data() != nullptr ? static_cast<const float*>(constant_.data())
                                                       : reinterpret_cast<const float*>(args.in[1]);
    const std::int64_t panels = (count + kPanel - 1) / kPanel;
    on_threads(*args.threads, [&](std::size_t thread, std::size_t threads) {
      auto* buffer = reinterpret_cast<float*>(args.scratch + shared_bytes() + thread * thread_bytes());
      const Share mine = share(panels, static_cast<std::int64_t>(thread), static_cast<std::int64_t>(threads));
      for (std::int64_t panel = mine.begin; panel < mine.end; ++panel) {
        float* to = reinterpret_cast<float*>(args.scratch) + panel * kPanel * filters_.in;
        const std::int64_t column = first + panel * kPanel, width = std::min(kPanel, filters_.out - column);
        filters_.turned ? pack_turned(weights, column, width, to)
                        : pack_forward(weights, column, width, buffer, to);
      }
    });
  }

  // Output channels [column, column + width), whose transformed filters are transposed.
  void pack_forward(const float* weights, std::int64_t column, std::int64_t width, float* buffer,
                    float* to) const noexcept {
    constexpr std::int64_t kPlane = kPanel * kDepth;
    for (std::int64_t c = 0; c < filters_.in; c += kDepth) {
      const std::int64_t depth = std::min(kDepth, filters_.in - c);
      for (std::int64_t i = 0; i < width; ++i)
        transforms_.filter({weights + (column + i) * 9 * filters_.in + c, filters_.in,
                            static_cast<int>(depth), false, buffer + i * kDepth, kPlane});
      for (std::int64_t p = 0; p < kWinogradPlaces; ++p)
        transpose_({buffer + p * kPlane, to + p * place_ + c * kPanel, static_cast<std::size_t>(width),
                    static_cast<std::size_t>(depth), kDepth * static_cast<std::ptrdiff_t>(sizeof(float)),
                    kPanel * static_cast<std::ptrdiff_t>(sizeof(float))});
    }
  }

  void pack_turned(const float* weights, std::int64_t column, std::int64_t width, float* to) const noexcept {
    for (std::int64_t c = 0; c < filters_.in; ++c)
      transforms_.filter({weights + c * 9 * filters_.out + column, filters_.out, static_cast<int>(width),
                          true, to + c * kPanel, place_});
  }

  void multiply(const StepArgs& args, const float* bias, std::int64_t first,
                std::int64_t count) const noexcept {
    WinogradTarget target{.bias = bias + first,
                          .out = reinterpret_cast<float*>(args.out[0]) + first,
                          .pixel = filters_.out,
                          .residual_pixel = filters_.out,
                          .lo = filters_.clamp.lo,
                          .hi = filters_.clamp.hi};
    if (args.in_count > 4) target.residual = reinterpret_cast<const float*>(args.in[4]) + first;
    on_threads(*args.threads, [&](std::size_t thread, std::size_t threads) {
      tiles_.run(args.in[0], reinterpret_cast<const float*>(args.scratch), place_, count, target,
                 share(tiles_.count(), static_cast<std::int64_t>(thread), static_cast<std::int64_t>(threads)),
                 args.scratch + shared_bytes() + thread * thread_bytes());
    });
  }

  const kernels::WinogradKernel& transforms_;
  kernels::TransposeFn transpose_;
  Filters filters_;
  std::int64_t columns_;  // output channels that are computed at a time
  std::ptrdiff_t place_;  // floats from the weights of one place to those of the next
  WinogradTiles tiles_;
  Tensor constant_;
};

bool pays(const Query& query, const Filters& filters) {
  return query.in(0).shape.count() < (std::int64_t{1} << 30) &&
         is_winograd_window(filters.geometry, filters.in, filters.out) &&
         WinogradTiles::count(filters.geometry, query.in(0).shape[0]) >= kLeastTrainTiles;
}

bool is_forward(const Query& query) {
  return std::get<op::Conv>(query.node.op).group == 1 && pays(query, forward_of(query));
}
bool is_backward(const Query& query) {
  return std::get<op::ConvTranspose>(query.node.op).group == 1 && pays(query, backward_of(query));
}

Prepared prepared(const Query& query, const Filters& filters, const char* prefix) {
  return {std::make_unique<TrainWinogradStep>(query, filters),
          prefix + std::string(kernels::select_winograd(query.isa).name)};
}

}  // namespace

bool is_train_winograd(const Query& query) {
  return std::holds_alternative<op::Conv>(query.node.op) ? is_forward(query) : is_backward(query);
}

Prepared prepare_train_winograd(const Query& query) {
  return std::holds_alternative<op::Conv>(query.node.op) ? prepared(query, forward_of(query), "train_")
                                                         : prepared(query, backward_of(query), "transposed_");
}

}  // namespace eke
