// Depthwise convolutions whose weights change from run to run, float32 in NHWC: forward, and the gradients of their
// input (a ConvTranspose) and of their weights.
#include <algorithm>
#include <cstring>
#include <memory>

#include "kernels/convgrad/registry.h"
#include "kernels/dwconv/registry.h"
#include "ops/geometry.h"
#include "runtime/tactic.h"
#include "runtime/tactics/phases.h"
#include "runtime/tactics/product.h"
#include "runtime/tactics/rows.h"
#include "runtime/tactics/train.h"

namespace eke {
namespace {

constexpr std::int64_t kPixels = 64;  // pointers are made for that many pixels at a time

std::int64_t lanes(std::int64_t channels) { return (channels + 15) / 16 * 16; }

// The bias of all channels, padded as kernels read it.
struct Bias {
  std::int64_t channels = 0;
  std::size_t bytes() const noexcept { return float_bytes(lanes(channels) + kernels::kChannelSlack); }
  void fill(const StepArgs& args, float* to) const noexcept {
    std::fill_n(to, bytes() / sizeof(float), 0.0f);
    if (args.in_count > 2 && args.in[2] != nullptr)
      std::copy_n(reinterpret_cast<const float*>(args.in[2]), channels, to);
  }
};

// --- forward -----------------------------------------------------------------------------------------------

// Windows over input 0, one weight a channel and tap, where strides are 1 the gradient of the input too: by weights in reverse
// order.
struct DepthwiseWindows {
  Geometry geometry;
  bool turned = false;
  op::Clamp clamp = {};
};

DepthwiseWindows forward_of(const Query& query) {
  const auto& conv = std::get<op::Conv>(query.node.op);
  return {window_geometry(window_attributes(conv), query.in(0).shape, query.in(1).shape.dims().subspan(2)),
          false, conv.clamp};
}

Geometry transposed_geometry_of(const Query& query) {
  return transposed_geometry(std::get<op::ConvTranspose>(query.node.op), query.in(0).shape,
                             query.in(1).shape.dims().subspan(2));
}

// A gradient at p adds to inputs p - pad to p - pad + reach - 1: those read gradients from p + pad - reach + 1 on.
DepthwiseWindows backward_of(const Query& query) {
  Geometry g = transposed_geometry_of(query);
  for (int i = 0; i < 2; ++i) {
    Window& w = g.spatial(i);
    w.pad_begin = w.reach() - 1 - w.pad_begin;
    w.pad_end = w.reach() - 1 - w.pad_end;
  }
  return {g, true, {}};
}

class DepthwiseStep : public Step {
 public:
  DepthwiseStep(const Query& query, const DepthwiseWindows& windows)
      : kernel_(kernels::select_dwconv_f32(query.isa)),
        rows_(windows.geometry, query.in(0).shape, sizeof(float)),
        channels_(query.in(0).shape[1]),
        padding_(static_cast<std::size_t>(channels_) * sizeof(float) + kernels::kSlackBytes),
        bias_{channels_},
        turned_(windows.turned),
        clamp_(windows.clamp) {}

  std::size_t scratch_bytes(int threads) const noexcept override {
    return packed_bytes() + order_bytes() + bias_.bytes() +
           static_cast<std::size_t>(threads) * pointer_bytes();
  }

  void run(const StepArgs& args) const noexcept override {
    auto* packed = reinterpret_cast<float*>(args.scratch);
    auto* order = reinterpret_cast<float*>(args.scratch + packed_bytes());
    std::byte* behind = args.scratch + packed_bytes() + order_bytes();
    auto* bias = reinterpret_cast<float*>(behind);
    bias_.fill(args, bias);
    arrange(reinterpret_cast<const float*>(args.in[1]), order);
    kernels::pack(kernel_, static_cast<std::size_t>(channels_), static_cast<std::size_t>(rows_.taps()), order,
                  packed);
    on_threads(*args.threads, [&](std::size_t thread, std::size_t count) {
      auto** rows = reinterpret_cast<const std::byte**>(behind + bias_.bytes() + thread * pointer_bytes());
      const Share mine =
          share(rows_.pixels(), static_cast<std::int64_t>(thread), static_cast<std::int64_t>(count));
      // Pixels of one row of the output at a time.
      const std::int64_t width = rows_.out_width();
      for (std::int64_t pixel = mine.begin, m = 0; pixel < mine.end; pixel += m) {
        m = std::min({kPixels, width - pixel % width, mine.end - pixel});
        tile(args, packed, bias, rows, pixel, m);
      }
    });
  }

 private:
  std::size_t packed_bytes() const noexcept { return float_bytes(lanes(channels_) * rows_.taps() + 16); }
  std::size_t order_bytes() const noexcept { return float_bytes(channels_ * rows_.taps()); }
  std::size_t pointer_bytes() const noexcept {
    return aligned_to_line(
        static_cast<std::size_t>(rows_.columns(std::min(kPixels, rows_.out_width())) * rows_.rows()) *
        sizeof(void*));
  }

  // Taps column by column, as kernels share them between pixels.
  void arrange(const float* weights, float* to) const noexcept {
    const int taps = rows_.taps(), height = rows_.rows(), width = taps / height;
    for (std::int64_t c = 0; c < channels_; ++c, weights += taps)
      for (int column = 0; column < width; ++column)
        for (int r = 0; r < height; ++r) {
          const int t = r * width + column;
          *to++ = weights[turned_ ? taps - 1 - t : t];
        }
  }

  void tile(const StepArgs& args, const float* packed, const float* bias, const std::byte** rows,
            std::int64_t pixel, std::int64_t count) const noexcept {
    rows_.fill_columns(args.in[0], padding_.data(), pixel, count, 1, rows);
    kernels::DwconvF32Args call;
    call.rows = reinterpret_cast<const float* const*>(rows);
    call.row_stride = rows_.column_step() * rows_.rows();
    call.pixels = static_cast<int>(count);
    call.channels = static_cast<int>(channels_);
    call.taps = rows_.taps();
    call.column = rows_.rows();
    call.weights = packed;
    call.bias = bias;
    call.lo = clamp_.lo;
    call.hi = clamp_.hi;
    call.out = reinterpret_cast<float*>(args.out[0]) + pixel * channels_;
    call.out_stride = channels_ * static_cast<std::ptrdiff_t>(sizeof(float));
    if (args.in_count > 4) {
      call.residual = reinterpret_cast<const float*>(args.in[4]) + pixel * channels_;
      call.residual_stride = call.out_stride;
    }
    kernel_.run(call);
  }

  const kernels::DwconvF32Kernel& kernel_;
  WindowRows rows_;
  std::int64_t channels_;
  std::vector<std::byte> padding_;
  Bias bias_;
  bool turned_;
  op::Clamp clamp_;
};

// --- the gradient of the input at any stride ---------------------------------------------------------------

class DepthwiseTransposedStep : public Step {
 public:
  explicit DepthwiseTransposedStep(const Query& query)
      : kernel_(kernels::select_dwconv_f32(query.isa)),
        phases_(phases_of(transposed_geometry_of(query), query.in(0).shape, sizeof(float))),
        channels_(query.in(0).shape[1]),
        taps_(query.in(1).shape[2] * query.in(1).shape[3]),
        padding_(static_cast<std::size_t>(channels_) * sizeof(float) + kernels::kSlackBytes),
        bias_{channels_} {}

  std::size_t scratch_bytes(int threads) const noexcept override {
    return packed_bytes() + order_bytes() + bias_.bytes() +
           static_cast<std::size_t>(threads) * (pointer_bytes() + tile_bytes());
  }

  void run(const StepArgs& args) const noexcept override {
    auto* packed = reinterpret_cast<float*>(args.scratch);
    auto* order = reinterpret_cast<float*>(args.scratch + packed_bytes());
    auto* bias = reinterpret_cast<float*>(args.scratch + packed_bytes() + order_bytes());
    bias_.fill(args, bias);
    for (const Phase& phase : phases_) {
      pack(args, phase, order, packed);
      on_threads(*args.threads, [&](std::size_t thread, std::size_t count) {
        std::byte* own = args.scratch + packed_bytes() + order_bytes() + bias_.bytes() +
                         thread * (pointer_bytes() + tile_bytes());
        const Share mine =
            share(phase.pixels(), static_cast<std::int64_t>(thread), static_cast<std::int64_t>(count));
        for (std::int64_t pixel = mine.begin; pixel < mine.end; pixel += kPixels)
          tile(args, phase, packed, bias, own, pixel, std::min(kPixels, mine.end - pixel));
      });
    }
  }

 private:
  std::size_t packed_bytes() const noexcept { return float_bytes(lanes(channels_) * taps_ + 16); }
  std::size_t order_bytes() const noexcept { return float_bytes(channels_ * taps_); }
  std::size_t pointer_bytes() const noexcept {
    return aligned_to_line(static_cast<std::size_t>(kPixels * taps_) * sizeof(void*));
  }
  std::size_t tile_bytes() const noexcept { return float_bytes(kPixels * channels_); }

  void pack(const StepArgs& args, const Phase& phase, float* order, float* packed) const noexcept {
    const auto* weights = reinterpret_cast<const float*>(args.in[1]);
    float* to = order;
    for (std::int64_t c = 0; c < channels_; ++c)
      for (const Phase::Tap& tap : phase.taps()) *to++ = weights[c * taps_ + tap.index];
    kernels::pack(kernel_, static_cast<std::size_t>(channels_), phase.taps().size(), order, packed);
  }

  void tile(const StepArgs& args, const Phase& phase, const float* packed, const float* bias, std::byte* own,
            std::int64_t pixel, std::int64_t count) const noexcept {
    auto** rows = reinterpret_cast<const std::byte**>(own);
    auto* buffer = reinterpret_cast<float*>(own + pointer_bytes());
    auto* out = reinterpret_cast<float*>(args.out[0]);
    const bool dense = phases_.size() == 1, empty = phase.taps().empty();
    phase.fill(args.in[0], padding_.data(), pixel, count, rows);
    kernels::DwconvF32Args call;
    call.rows = reinterpret_cast<const float* const*>(rows);
    call.row_stride = static_cast<std::ptrdiff_t>(phase.taps().size());
    call.pixels = static_cast<int>(count);
    call.channels = static_cast<int>(channels_);
    call.taps = static_cast<int>(phase.taps().size());
    call.weights = packed;
    call.bias = bias;
    call.out = dense ? out + pixel * channels_ : buffer;
    call.out_stride = channels_ * static_cast<std::ptrdiff_t>(sizeof(float));
    if (!empty) kernel_.run(call);
    if (dense && !empty) return;
    for (std::int64_t i = 0; i < count; ++i)
      std::memcpy(out + phase.target(pixel + i) * channels_, empty ? bias : buffer + i * channels_,
                  static_cast<std::size_t>(channels_) * sizeof(float));
  }

  const kernels::DwconvF32Kernel& kernel_;
  std::vector<Phase> phases_;
  std::int64_t channels_, taps_;
  std::vector<std::byte> padding_;
  Bias bias_;
};

// --- the gradient of the weights ---------------------------------------------------------------------------

class DepthwiseWeightGradStep : public Step {
 public:
  explicit DepthwiseWeightGradStep(const Query& query)
      : kernel_(kernels::select_depthwise_grad_f32(query.isa).run),
        rows_(window_geometry(window_attributes(op_of(query)), query.in(0).shape, op_of(query).kernel_shape),
              query.in(0).shape, sizeof(float)),
        channels_(query.in(0).shape[1]),
        padding_(static_cast<std::size_t>(channels_) * sizeof(float) + kernels::kSlackBytes),
        parts_(std::clamp<std::int64_t>(rows_.pixels() / kLeastPixels, 1, kMostParts)) {}

  std::size_t scratch_bytes(int threads) const noexcept override {
    return float_bytes(parts_ * size()) + static_cast<std::size_t>(threads) * pointer_bytes();
  }

  void run(const StepArgs& args) const noexcept override {
    auto* partial = reinterpret_cast<float*>(args.scratch);
    on_threads(*args.threads, [&](std::size_t thread, std::size_t count) {
      auto** rows = reinterpret_cast<const std::byte**>(args.scratch + float_bytes(parts_ * size()) +
                                                        thread * pointer_bytes());
      const Share mine = share(parts_, static_cast<std::int64_t>(thread), static_cast<std::int64_t>(count));
      for (std::int64_t part = mine.begin; part < mine.end; ++part)
        sum(args, part, rows, partial + part * size());
    });
    const std::int64_t taps = rows_.taps();
    auto* out = reinterpret_cast<float*>(args.out[0]);
    for (std::int64_t c = 0; c < channels_; ++c)
      for (std::int64_t t = 0; t < taps; ++t) {
        double total = 0;
        for (std::int64_t part = 0; part < parts_; ++part)
          total += static_cast<double>(partial[part * size() + t * lanes(channels_) + c]);
        *out++ = static_cast<float>(total);
      }
  }

 private:
  static constexpr std::int64_t kLeastPixels = 32, kMostParts = 32;

  static const op::ConvGradWeight& op_of(const Query& query) {
    return std::get<op::ConvGradWeight>(query.node.op);
  }
  std::int64_t size() const noexcept { return rows_.taps() * lanes(channels_); }
  std::size_t pointer_bytes() const noexcept {
    return aligned_to_line(static_cast<std::size_t>(kPixels * rows_.taps()) * sizeof(void*));
  }

  void sum(const StepArgs& args, std::int64_t part, const std::byte** rows, float* out) const noexcept {
    const Share pixels = share(rows_.pixels(), part, parts_);
    for (std::int64_t pixel = pixels.begin; pixel < pixels.end; pixel += kPixels) {
      const std::int64_t count = std::min(kPixels, pixels.end - pixel);
      rows_.fill(args.in[0], padding_.data(), pixel, count, rows);
      kernels::DepthwiseGradF32Args call;
      call.rows = reinterpret_cast<const float* const*>(rows);
      call.row_stride = rows_.taps();
      call.dy = reinterpret_cast<const float*>(args.in[1]) + pixel * channels_;
      call.dy_stride = channels_;
      call.pixels = static_cast<int>(count);
      call.channels = static_cast<int>(channels_);
      call.taps = rows_.taps();
      call.out = out;
      call.out_stride = lanes(channels_);
      call.add = pixel != pixels.begin;
      kernel_(call);
    }
  }

  kernels::DepthwiseGradF32Fn kernel_;
  WindowRows rows_;
  std::int64_t channels_;
  std::vector<std::byte> padding_;
  std::int64_t parts_;
};

// One channel a group on both sides. Such weights lie alike in both layouts.
bool is_depthwise(std::int64_t group, const Shape& x, const Shape& y) {
  return group > 1 && group == x[1] && group == y[1];
}

// Constant weights are packed ahead of time, by conv.cpp.
bool is_forward(const Query& query) {
  if (is_float_product(query)) return false;
  return varies(query, 0) && is_float_image(query.in(1)) && is_float_image(query.out()) && !query.has(3) &&
         (!query.has(4) || varies(query, 4)) &&
         is_depthwise(std::get<op::Conv>(query.node.op).group, query.in(0).shape, query.out().shape);
}
bool is_transposed(const Query& query) {
  return varies(query, 0) && query.has(1) && is_float_image(query.in(1)) && is_float_image(query.out()) &&
         is_depthwise(std::get<op::ConvTranspose>(query.node.op).group, query.in(0).shape, query.out().shape);
}
bool is_weight_grad(const Query& query) {
  return varies(query, 0) && varies(query, 1) && is_float_image(query.out()) &&
         is_depthwise(std::get<op::ConvGradWeight>(query.node.op).group, query.in(0).shape,
                      query.in(1).shape);
}

Prepared prepared(std::unique_ptr<Step> step, const Query& query, const char* prefix) {
  return {std::move(step), prefix + std::string(kernels::select_dwconv_f32(query.isa).name)};
}

Prepared prepare_transposed(const Query& query) {
  const Geometry g = transposed_geometry_of(query);
  if (g.h().stride == 1 && g.w().stride == 1)
    return prepared(std::make_unique<DepthwiseStep>(query, backward_of(query)), query, "transposed_");
  return prepared(std::make_unique<DepthwiseTransposedStep>(query), query, "transposed_");
}

}  // namespace

std::span<const Tactic> train_depthwise_tactics() {
  static const Tactic list[] = {{"train_depthwise_f32", LayoutNeed::nhwc, is_forward, [](const Query& q) {
                                   return prepared(std::make_unique<DepthwiseStep>(q, forward_of(q)), q,
                                                   "train_");
                                 }}};
  return list;
}

std::span<const Tactic> depthwise_transpose_tactics() {
  static const Tactic list[] = {
      {"depthwise_transpose_f32", LayoutNeed::nhwc, is_transposed, prepare_transposed}};
  return list;
}

std::span<const Tactic> depthwise_grad_weight_tactics() {
  static const Tactic list[] = {
      {"depthwise_grad_weight_f32", LayoutNeed::nhwc, is_weight_grad, [](const Query& q) {
         return Prepared{std::make_unique<DepthwiseWeightGradStep>(q),
                         std::string(kernels::select_depthwise_grad_f32(q.isa).name)};
       }}};
  return list;
}

}  // namespace eke
