// Convolutions in NHWC over row pointers: products for dense and grouped ones, depthwise kernels for one
// channel a group.
#include <memory>

#include "kernels/dwconv/registry.h"
#include "runtime/tactics/gemm_driver.h"

namespace eke {
namespace {

Geometry geometry_of(const Query& query) {
  return window_geometry(window_attributes(std::get<op::Conv>(query.node.op)), query.in(0).shape,
                         query.in(1).shape.dims().subspan(2));
}

bool fits_int(std::int64_t value) { return value >= 0 && value < (std::int64_t{1} << 30); }

bool is_image(const Query& query) {
  return query.in(0).shape.rank() == 4 && query.out().shape.count() > 0 && fits_int(query.in(0).shape[1]) &&
         fits_int(query.out().shape[1]) && fits_int(query.in(1).shape.count(2, 4));
}

bool is_integer_conv(const Query& query) { return is_image(query) && is_integer_product(query); }
bool is_float_conv(const Query& query) { return is_image(query) && is_float_product(query); }

bool is_depthwise(const Query& query) {
  const auto& conv = std::get<op::Conv>(query.node.op);
  return conv.group > 1 && conv.group == query.in(0).shape[1] && conv.group == query.out().shape[1];
}

// What dense and depthwise steps share: where rows lie, and the row that padding points to.
struct ConvRows {
  ConvRows(const Query& query, std::size_t element)
      : rows(geometry_of(query), query.in(0).shape, element),
        padding(static_cast<std::size_t>(query.in(0).shape[1]) * element + kernels::kSlackBytes) {
    if (!query.in(0).quant) return;
    std::fill(padding.begin(), padding.end(), static_cast<std::byte>(query.in(0).quant->zero_point[0]));
  }
  WindowRows rows;
  std::vector<std::byte> padding;
};

template <class Kind>
void set_epilogue(typename Kind::Args& args, const IntegerEpilogue& epilogue, std::int64_t channel,
                  const std::byte* residual, std::ptrdiff_t residual_stride) noexcept {
  args.epilogue = epilogue.at(channel, residual);
  args.epilogue.residual.stride = residual_stride;
}

template <class Kind>
void set_epilogue(typename Kind::Args& args, const FloatEpilogue& epilogue, std::int64_t channel,
                  const std::byte* residual, std::ptrdiff_t residual_stride) noexcept {
  args.bias = epilogue.bias.data() + channel;
  args.slope = epilogue.slope.empty() ? nullptr : epilogue.slope.data() + channel;
  args.residual = reinterpret_cast<const float*>(residual);
  args.residual_stride = residual_stride;
  args.lo = epilogue.lo;
  args.hi = epilogue.hi;
}

// Dense and grouped convolutions.
template <class Kind, class Epilogue>
class ConvStep : public Step {
 public:
  ConvStep(const Query& query, const typename Kind::Kernel& kernel,
           const ProductWeights<typename Kind::Weight>& weights, int halves, Epilogue epilogue)
      : kernel_(kernel),
        source_(query, sizeof(typename Kind::In)),
        epilogue_(std::move(epilogue)),
        halves_(halves),
        groups_(std::get<op::Conv>(query.node.op).group),
        depth_(weights.depth),
        channels_(weights.channels / groups_),
        out_element_(size_of(query.out().dtype)) {
    const std::int64_t block = channels_ * weights.taps * weights.depth;
    for (std::int64_t g = 0; g < groups_; ++g)
      weights_.emplace_back(kernel, channels_, weights.taps, depth_, weights.values.data() + g * block);
  }

  std::size_t scratch_bytes(int threads) const noexcept override {
    return static_cast<std::size_t>(threads) * pointers() * sizeof(void*);
  }
  std::size_t weight_bytes() const noexcept override { return weights_.front().bytes() * weights_.size(); }

  void run(const StepArgs& args) const noexcept override {
    const auto count = static_cast<std::size_t>(args.threads->count());
    args.threads->for_ranges(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t thread = begin; thread < end; ++thread) work(args, thread, count);
    });
  }

 private:
  std::size_t pointers() const noexcept {
    return static_cast<std::size_t>(kernel_.mr * source_.rows.taps() * halves_);
  }

  void work(const StepArgs& args, std::size_t thread, std::size_t count) const noexcept {
    auto** rows = reinterpret_cast<const std::byte**>(args.scratch) + thread * pointers();
    const std::int64_t panels = (channels_ + kernel_.nr - 1) / kernel_.nr;
    const Part part = part_of(source_.rows.pixels(), kernel_.mr, panels, static_cast<std::int64_t>(thread),
                              static_cast<std::int64_t>(count));
    for (std::int64_t g = 0; g < groups_; ++g)
      for_tiles(part, kernel_.mr, weights_[static_cast<std::size_t>(g)].panel_bytes(),
                [&](std::int64_t pixel, std::int64_t m, std::int64_t panel, std::int64_t blocks) {
                  fill(args.in[0], pixel, m, rows);
                  tile(args, g, rows, pixel, m, panel, blocks);
                });
  }

  void fill(const std::byte* x, std::int64_t pixel, std::int64_t m, const std::byte** rows) const noexcept {
    const int taps = source_.rows.taps();
    if (halves_ == 1) {
      source_.rows.fill(x, source_.padding.data(), pixel, m, rows);
      return;
    }
    for (std::int64_t i = 0; i < m; ++i) {
      source_.rows.fill(x, source_.padding.data(), pixel + i, 1, rows + i * taps * 2);
      std::copy_n(rows + i * taps * 2, taps, rows + (i * 2 + 1) * taps);
    }
  }

  void tile(const StepArgs& step, std::int64_t g, const std::byte** rows, std::int64_t pixel, std::int64_t m,
            std::int64_t panel, std::int64_t blocks) const noexcept {
    const std::int64_t in_panel = panel * kernel_.nr, channel = g * channels_ + in_panel,
                       all = groups_ * channels_;
    typename Kind::Args args;
    args.rows = reinterpret_cast<const typename Kind::In* const*>(rows);
    args.row_stride = source_.rows.taps() * halves_;
    args.offset = g * depth_;
    args.m = static_cast<int>(m);
    args.n = static_cast<int>(std::min<std::int64_t>(blocks * kernel_.nr, channels_ - in_panel));
    args.taps = source_.rows.taps() * halves_;
    args.k = static_cast<int>(depth_);
    args.weights = weights_[static_cast<std::size_t>(g)].panel(panel);
    const auto out_stride = all * static_cast<std::ptrdiff_t>(out_element_);
    const std::byte* residual = step.in_count > 4 ? step.in[4] : nullptr;
    if (residual != nullptr)
      residual += (pixel * all + channel) * static_cast<std::ptrdiff_t>(sizeof(typename Kind::In));
    set_epilogue<Kind>(args, epilogue_, channel, residual,
                       all * static_cast<std::ptrdiff_t>(sizeof(typename Kind::In)));
    std::byte* out = step.out[0] + pixel * out_stride + channel * static_cast<std::ptrdiff_t>(out_element_);
    args.out = reinterpret_cast<decltype(args.out)>(out);
    args.out_stride = out_stride;
    kernel_.run(args);
  }

  const typename Kind::Kernel& kernel_;
  ConvRows source_;
  Epilogue epilogue_;
  std::vector<PackedWeights<Kind>> weights_;
  int halves_;
  std::int64_t groups_, depth_, channels_;
  std::size_t out_element_;
};

struct DepthwiseU8S8 {
  using Kernel = kernels::DwconvU8S8Kernel;
  using Args = kernels::DwconvU8S8Args;
  using In = std::uint8_t;
  using Weight = std::int8_t;
};
struct DepthwiseF32 {
  using Kernel = kernels::DwconvF32Kernel;
  using Args = kernels::DwconvF32Args;
  using In = float;
  using Weight = float;
};

template <class Kind, class Epilogue>
class DepthwiseStep : public Step {
 public:
  DepthwiseStep(const Query& query, const typename Kind::Kernel& kernel,
                const ProductWeights<typename Kind::Weight>& weights, int halves, Epilogue epilogue)
      : kernel_(kernel),
        source_(query, sizeof(typename Kind::In)),
        epilogue_(std::move(epilogue)),
        halves_(halves),
        channels_(weights.channels),
        out_element_(size_of(query.out().dtype)) {
    const auto c = static_cast<std::size_t>(weights.channels), t = static_cast<std::size_t>(weights.taps);
    packed_.resize(kernels::packed_bytes(kernel, c, t) / sizeof(typename Kind::Weight) +
                   kernels::kSlackBytes);
    kernels::pack(kernel, c, t, weights.values.data(), packed_.data());
  }

  std::size_t scratch_bytes(int threads) const noexcept override {
    return static_cast<std::size_t>(threads) * pointers() * sizeof(void*);
  }
  std::size_t weight_bytes() const noexcept override {
    return packed_.size() * sizeof(typename Kind::Weight);
  }

  void run(const StepArgs& args) const noexcept override {
    const auto count = static_cast<std::size_t>(args.threads->count());
    args.threads->for_ranges(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t thread = begin; thread < end; ++thread) work(args, thread, count);
    });
  }

 private:
  static constexpr std::int64_t kPixels = 64;  // pointers are made for that many pixels at a time

  std::size_t pointers() const noexcept {
    return static_cast<std::size_t>(kPixels * source_.rows.taps() * halves_ + 4);
  }

  void work(const StepArgs& step, std::size_t thread, std::size_t count) const noexcept {
    auto** rows = reinterpret_cast<const std::byte**>(step.scratch) + thread * pointers();
    const Share pixels =
        share(source_.rows.pixels(), static_cast<std::int64_t>(thread), static_cast<std::int64_t>(count));
    for (std::int64_t pixel = pixels.begin; pixel < pixels.end; pixel += kPixels)
      tile(step, rows, pixel, std::min(kPixels, pixels.end - pixel));
  }

  void tile(const StepArgs& step, const std::byte** rows, std::int64_t pixel, std::int64_t m) const noexcept {
    const int taps = source_.rows.taps();
    if (halves_ == 1) source_.rows.fill(step.in[0], source_.padding.data(), pixel, m, rows);
    for (std::int64_t i = 0; halves_ == 2 && i < m; ++i) {
      source_.rows.fill(step.in[0], source_.padding.data(), pixel + i, 1, rows + i * taps * 2);
      std::copy_n(rows + i * taps * 2, taps, rows + (i * 2 + 1) * taps);
    }
    typename Kind::Args args;
    args.rows = reinterpret_cast<const typename Kind::In* const*>(rows);
    args.row_stride = taps * halves_;
    args.pixels = static_cast<int>(m);
    args.channels = static_cast<int>(channels_);
    args.taps = taps * halves_;
    args.weights = packed_.data();
    constexpr auto kIn = static_cast<std::ptrdiff_t>(sizeof(typename Kind::In));
    const std::byte* residual = step.in_count > 4 ? step.in[4] : nullptr;
    if (residual != nullptr) residual += pixel * channels_ * kIn;
    set_epilogue<Kind>(args, epilogue_, 0, residual, channels_ * kIn);
    args.out_stride = channels_ * static_cast<std::ptrdiff_t>(out_element_);
    args.out = reinterpret_cast<decltype(args.out)>(step.out[0] + pixel * args.out_stride);
    kernel_.run(args);
  }

  const typename Kind::Kernel& kernel_;
  ConvRows source_;
  Epilogue epilogue_;
  std::vector<typename Kind::Weight> packed_;
  int halves_;
  std::int64_t channels_;
  std::size_t out_element_;
};

const op::Conv& conv_of(const Query& query) { return std::get<op::Conv>(query.node.op); }

template <template <class, class> class StepOf, class Kind>
Prepared prepare_integer(const Query& query, const typename Kind::Kernel& kernel) {
  const auto wide = conv_weights<std::int16_t>(*query.constant(1));
  const IntegerWeights weights = integer_weights(wide);
  IntegerEpilogue epilogue(query, weight_sums(wide), conv_of(query).clamp, conv_of(query).mid);
  return {std::make_unique<StepOf<Kind, IntegerEpilogue>>(query, kernel, weights, weights.halves,
                                                          std::move(epilogue)),
          std::string(kernel.name)};
}

template <template <class, class> class StepOf, class Kind>
Prepared prepare_float(const Query& query, const typename Kind::Kernel& kernel) {
  const auto weights = conv_weights<float>(*query.constant(1));
  FloatEpilogue epilogue(query, weights.channels, conv_of(query).clamp);
  return {std::make_unique<StepOf<Kind, FloatEpilogue>>(query, kernel, weights, 1, std::move(epilogue)),
          std::string(kernel.name)};
}

}  // namespace

std::span<const Tactic> conv_tactics() {
  static const Tactic list[] = {
      {"depthwise_u8s8", LayoutNeed::nhwc,
       [](const Query& q) { return is_integer_conv(q) && is_depthwise(q); },
       [](const Query& q) {
         return prepare_integer<DepthwiseStep, DepthwiseU8S8>(q, kernels::select_dwconv_u8s8(q.isa));
       }},
      {"conv_u8s8", LayoutNeed::nhwc, is_integer_conv,
       [](const Query& q) { return prepare_integer<ConvStep, U8S8>(q, U8S8::select(q.isa)); }},
      {"depthwise_f32", LayoutNeed::nhwc, [](const Query& q) { return is_float_conv(q) && is_depthwise(q); },
       [](const Query& q) {
         return prepare_float<DepthwiseStep, DepthwiseF32>(q, kernels::select_dwconv_f32(q.isa));
       }},
      {"conv_f32", LayoutNeed::nhwc, is_float_conv,
       [](const Query& q) { return prepare_float<ConvStep, F32>(q, F32::select(q.isa)); }},
  };
  return list;
}

}  // namespace eke
