#include "runtime/tactics/bf16.h"

#include <algorithm>
#include <memory>

#include "kernels/gemm/registry.h"
#include "runtime/tactics/gemm_driver.h"

namespace eke {
namespace {

struct Bf16 {
  using Kernel = kernels::GemmBf16Kernel;
  using Weight = std::uint16_t;
};

constexpr std::int64_t even(std::int64_t n) { return (n + 1) / 2 * 2; }

// [channels][taps][depth] as bfloat16, each tap's channels filled up to an even number with zeros.
std::vector<std::uint16_t> rounded(const Bf16::Kernel& kernel, const ProductWeights<float>& weights) {
  const std::int64_t padded = even(weights.depth), rows = weights.channels * weights.taps;
  std::vector<std::uint16_t> result(static_cast<std::size_t>(rows * padded));
  for (std::int64_t i = 0; i < rows; ++i)
    kernel.round(weights.values.data() + i * weights.depth, weights.depth, result.data() + i * padded);
  return result;
}

// What is multiplied: where the rows of the output's pixels lie in the input, [pixels][channels].
struct Bf16Input {
  std::int64_t pixels, channels;
  WindowRows rows;  // over even(channels) elements of two bytes
};

class Bf16Step : public Step {
 public:
  Bf16Step(const Query& query, Bf16Input input, const ProductWeights<float>& weights, std::int64_t out_pixel,
           FloatEpilogue epilogue)
      : kernel_(kernels::select_gemm_bf16(query.isa)),
        input_(std::move(input)),
        depth_(even(input_.channels)),
        taps_(input_.rows.taps()),
        channels_(weights.channels),
        block_(block_of_pixels(kernel_.mr, taps_)),
        out_stride_(out_pixel * static_cast<std::ptrdiff_t>(sizeof(float))),
        weights_(kernel_, weights.channels, weights.taps, depth_, rounded(kernel_, weights).data()),
        epilogue_(std::move(epilogue)),
        padding_(static_cast<std::size_t>(depth_)) {}

  std::size_t scratch_bytes(int threads) const noexcept override {
    return input_bytes() + static_cast<std::size_t>(threads) * pointer_bytes();
  }
  std::size_t weight_bytes() const noexcept override { return weights_.bytes(); }

  void run(const StepArgs& args) const noexcept override {
    args.threads->for_ranges(static_cast<std::size_t>(input_.pixels),
                             [&](std::size_t begin, std::size_t end) { round(args, begin, end); });
    const auto count = static_cast<std::size_t>(args.threads->count());
    args.threads->for_ranges(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t thread = begin; thread < end; ++thread) work(args, thread, count);
    });
  }

 private:
  static std::size_t lines(std::size_t bytes) noexcept { return (bytes + 63) / 64 * 64; }
  std::size_t input_bytes() const noexcept {
    return lines(static_cast<std::size_t>(input_.pixels * depth_) * sizeof(std::uint16_t) +
                 kernels::kSlackBytes);
  }
  std::size_t pointer_bytes() const noexcept {
    return lines(static_cast<std::size_t>(block_ * taps_) * sizeof(void*));
  }

  void round(const StepArgs& args, std::size_t begin, std::size_t end) const noexcept {
    const std::int64_t channels = input_.channels;
    const auto first = static_cast<std::int64_t>(begin), count = static_cast<std::int64_t>(end - begin);
    const float* x = reinterpret_cast<const float*>(args.in[0]) + first * channels;
    std::uint16_t* to = reinterpret_cast<std::uint16_t*>(args.scratch) + first * depth_;
    if (channels == depth_) return kernel_.round(x, count * channels, to);
    for (std::int64_t i = 0; i < count; ++i, x += channels, to += depth_) {
      kernel_.round(x, channels, to);
      to[channels] = 0;
    }
  }

  void work(const StepArgs& args, std::size_t thread, std::size_t count) const noexcept {
    auto** rows =
        reinterpret_cast<const std::byte**>(args.scratch + input_bytes() + thread * pointer_bytes());
    const std::int64_t panels = (channels_ + kernel_.nr - 1) / kernel_.nr;
    const Part part = part_of(input_.rows.pixels(), kernel_.mr, panels, static_cast<std::int64_t>(thread),
                              static_cast<std::int64_t>(count));
    for_tiles(part, block_, weights_.panel_bytes(),
              [&](std::int64_t pixel, std::int64_t m, std::int64_t panel, std::int64_t blocks) {
                input_.rows.fill(args.scratch, reinterpret_cast<const std::byte*>(padding_.data()), pixel, m,
                                 rows);
                tile(args, rows, pixel, m, panel, blocks);
              });
  }

  void tile(const StepArgs& step, const std::byte** rows, std::int64_t pixel, std::int64_t m,
            std::int64_t panel, std::int64_t blocks) const noexcept {
    const std::int64_t channel = panel * kernel_.nr;
    kernels::GemmBf16Args args;
    args.rows = reinterpret_cast<const std::uint16_t* const*>(rows);
    args.row_stride = taps_;
    args.m = static_cast<int>(m);
    args.n = static_cast<int>(std::min<std::int64_t>(blocks * kernel_.nr, channels_ - channel));
    args.taps = taps_;
    args.k = static_cast<int>(depth_);
    args.weights = weights_.panel(panel);
    args.bias = epilogue_.bias.data() + channel;
    args.slope = epilogue_.slope.empty() ? nullptr : epilogue_.slope.data() + channel;
    if (step.in_count > 4 && step.in[4] != nullptr)
      args.residual = reinterpret_cast<const float*>(step.in[4]) + pixel * channels_ + channel;
    args.residual_stride = channels_ * static_cast<std::ptrdiff_t>(sizeof(float));
    args.lo = epilogue_.lo;
    args.hi = epilogue_.hi;
    args.out = reinterpret_cast<float*>(step.out[0] + pixel * out_stride_) + channel;
    args.out_stride = out_stride_;
    kernel_.run(args);
  }

  const Bf16::Kernel& kernel_;
  Bf16Input input_;
  std::int64_t depth_;  // values of a tap, even
  int taps_;
  std::int64_t channels_, block_;
  std::ptrdiff_t out_stride_;
  PackedWeights<Bf16> weights_;
  FloatEpilogue epilogue_;
  LineVector<std::uint16_t> padding_;
};

Shape with_channels(Shape shape, std::int64_t channels) {
  shape[1] = channels;
  return shape;
}

// Every row once.
Geometry row_geometry(std::int64_t rows) {
  Geometry geometry;
  Window& axis = geometry.spatial(0);
  axis.in = axis.out = rows;
  return geometry;
}

Prepared prepared(const Query& query, Bf16Input input, const ProductWeights<float>& weights,
                  std::int64_t out_pixel, const op::Clamp& clamp) {
  FloatEpilogue epilogue(query, weights.channels, clamp);
  return {std::make_unique<Bf16Step>(query, std::move(input), weights, out_pixel, std::move(epilogue)),
          std::string(kernels::select_gemm_bf16(query.isa).name)};
}

}  // namespace

bool is_bf16_conv(const Query& query) {
  const Shape& x = query.in(0).shape;
  return query.floats == Floats::bf16 && is_float_product(query) && x.rank() == 4 &&
         x[1] >= kLeastBf16Channels && std::get<op::Conv>(query.node.op).group == 1 &&
         x.count() < (std::int64_t{1} << 30) && query.out().shape.count() > 0;
}

Prepared prepare_bf16_conv(const Query& query) {
  const auto& conv = std::get<op::Conv>(query.node.op);
  const Shape& x = query.in(0).shape;
  const Geometry geometry = window_geometry(window_attributes(conv), x, query.in(1).shape.dims().subspan(2));
  const std::int64_t channels = x[1];
  return prepared(query,
                  {x.count() / channels, channels,
                   WindowRows(geometry, with_channels(x, even(channels)), sizeof(std::uint16_t))},
                  conv_weights<float>(*query.constant(1)),
                  query.pixel_channels != 0 ? query.pixel_channels : query.out().shape[1], conv.clamp);
}

bool is_bf16_matrix(const Query& query) { return query.floats == Floats::bf16 && is_float_product(query); }

Prepared prepare_bf16_matrix(const Query& query, bool transposed, const op::Clamp& clamp) {
  const auto weights = matrix_weights<float>(*query.constant(1), transposed);
  const std::int64_t rows = query.out().shape.count() / weights.channels, k = weights.depth;
  return prepared(query,
                  {rows, k, WindowRows(row_geometry(rows), {1, even(k), rows, 1}, sizeof(std::uint16_t))},
                  weights, weights.channels, clamp);
}

}  // namespace eke
