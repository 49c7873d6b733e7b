// Convolutions in NHWC over row pointers: products for dense and grouped ones, depthwise kernels for one
// channel a group.
#include <memory>

#include "kernels/dwconv/registry.h"
#include "runtime/tactics/bf16.h"
#include "runtime/tactics/gemm_driver.h"
#include "runtime/tactics/winograd.h"

namespace eke {
namespace {

const op::Conv& conv_of(const Query& query) { return std::get<op::Conv>(query.node.op); }

Geometry geometry_of(const Query& query) {
  return window_geometry(window_attributes(conv_of(query)), query.in(0).shape,
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

// Bytes from one pixel of the output to the next.
std::ptrdiff_t out_stride(const Query& query) {
  const std::int64_t channels = query.pixel_channels != 0 ? query.pixel_channels : query.out().shape[1];
  return channels * static_cast<std::ptrdiff_t>(size_of(query.out().dtype));
}

// What dense and depthwise steps share: where rows lie, and the row that padding points to.
struct ConvRows {
  // `pixels`: how many the padding stands for.
  ConvRows(const Query& query, const Geometry& geometry, std::size_t element, std::int64_t pixels = 1)
      : rows(geometry, query.in(0).shape, element),
        padding(
            std::max(rows.joined_bytes(), static_cast<std::size_t>(pixels * query.in(0).shape[1]) * element) +
            kernels::kSlackBytes) {
    if (!query.in(0).quant) return;
    std::fill(padding.begin(), padding.end(), static_cast<std::byte>(query.in(0).quant->zero_point[0]));
  }
  WindowRows rows;
  LineVector<std::byte> padding;
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

// Up to so many bytes of a pixel, the taps of a kernel's row are read as one row: fewer pointers, and no padding of
// few channels to a step of the kernel.
constexpr std::size_t kJoinBytes = 256;

bool joins(const Query& query, const WindowRows& rows) {
  return conv_of(query).group == 1 && rows.taps() > rows.rows() && rows.can_join() &&
         rows.joined_bytes() <= kJoinBytes;
}

// A dense integer convolution to few channels would leave most lanes of a kernel empty. `fold` neighbouring pixels are then one
// pixel of so many times the channels: its window covers theirs, with weights of zero where one of them has none.
Geometry folded(Geometry geometry, int fold) {
  Window& w = geometry.axes.back();
  w.kernel += (fold - 1) * w.stride;
  w.stride *= fold;
  w.out /= fold;
  return geometry;
}

int dense_fold_of(const Query& query, const IntegerWeights& weights, const kernels::GemmU8S8Kernel& kernel) {
  const Window w = geometry_of(query).w();
  const std::int64_t channels = query.out().shape[1], depth = query.in(0).shape[1];
  if (conv_of(query).group != 1 || weights.halves != 1 || query.has(4) || query.pixel_channels != 0 ||
      w.dilation != 1)
    return 1;
  const auto steps = [&](std::int64_t columns) {
    return (columns * depth + 3) / 4;
  };  // of a kernel, for a row
  for (std::int64_t fold = kernel.nr / channels; fold > 1; --fold) {
    const std::int64_t columns = w.kernel + (fold - 1) * w.stride;
    if (w.out % fold == 0 && columns <= w.in && columns * depth <= static_cast<std::int64_t>(kJoinBytes) &&
        steps(columns) <= fold * steps(w.kernel))
      return static_cast<int>(fold);
  }
  return 1;
}

IntegerWeights folded(const IntegerWeights& weights, const Window& w, int fold) {
  const std::int64_t rows = weights.taps / w.kernel, columns = w.kernel + (fold - 1) * w.stride;
  IntegerWeights result;
  result.channels = weights.channels * fold;
  result.taps = rows * columns;
  result.depth = weights.depth;
  std::vector<std::int8_t>& values = result.values.own();
  values.resize(static_cast<std::size_t>(result.channels * result.taps * result.depth));
  const std::int64_t run = w.kernel * weights.depth;  // weights of a row
  const std::int8_t* from = weights.values.data();
  for (std::int64_t m = 0; m < weights.channels; ++m)
    for (std::int64_t r = 0; r < rows; ++r, from += run)
      for (std::int64_t j = 0; j < fold; ++j)
        std::copy_n(from, run,
                    values.data() +
                        (((j * weights.channels + m) * rows + r) * columns + j * w.stride) * weights.depth);
  return result;
}

// Dense and grouped convolutions, of the weights and channels that `query` has, or of folded ones.
template <class Kind, class Epilogue>
class ConvStep : public StripStep {
 public:
  ConvStep(const Query& query, const typename Kind::Kernel& kernel,
           const ProductWeights<typename Kind::Weight>& weights, int halves, Epilogue epilogue, int fold = 1)
      : kernel_(kernel),
        source_(query, folded(geometry_of(query), fold), sizeof(typename Kind::In)),
        epilogue_(std::move(epilogue)),
        halves_(halves),
        joined_(joins(query, source_.rows)),
        taps_((joined_ ? source_.rows.rows() : source_.rows.taps()) * halves),
        block_(block_of_pixels(kernel.mr, taps_)),
        groups_(conv_of(query).group),
        depth_(weights.depth * weights.taps / taps_),
        channels_(weights.channels / groups_),
        out_element_(size_of(query.out().dtype)),
        out_stride_(out_stride(query) * fold) {
    const std::int64_t block = channels_ * taps_ * depth_;
    for (std::int64_t g = 0; g < groups_; ++g)
      weights_.emplace_back(kernel, channels_, taps_, depth_, weights.values.data() + g * block);
  }

  std::size_t scratch_bytes(int threads) const noexcept override {
    return static_cast<std::size_t>(threads) * thread_bytes();
  }
  std::size_t weight_bytes() const noexcept override { return weights_.front().bytes() * weights_.size(); }

  void run(const StepArgs& args) const noexcept override {
    const auto count = static_cast<std::size_t>(args.threads->count());
    args.threads->for_ranges(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t thread = begin; thread < end; ++thread)
        work(args, args.scratch + thread * thread_bytes(),
             part_of(source_.rows.pixels(), kernel_.mr, panels(), static_cast<std::int64_t>(thread),
                     static_cast<std::int64_t>(count)));
    });
  }

  void run_rows(const StepArgs& args, std::int64_t begin, std::int64_t end) const noexcept override {
    const std::int64_t width = source_.rows.out_width();
    work(args, args.scratch, {{begin * width, end * width}, {0, panels()}});
  }

 private:
  std::int64_t panels() const noexcept { return (channels_ + kernel_.nr - 1) / kernel_.nr; }
  std::size_t pointer_bytes() const noexcept {
    return static_cast<std::size_t>(block_ * taps_) * sizeof(void*);
  }
  // Pointers, then patches: a multiple of a cache line.
  std::size_t thread_bytes() const noexcept {
    const std::size_t patches = joined_ ? static_cast<std::size_t>(block_) * source_.rows.patch_bytes() : 0;
    return (pointer_bytes() + 63) / 64 * 64 + patches;
  }

  void work(const StepArgs& args, std::byte* scratch, const Part& part) const noexcept {
    auto** rows = reinterpret_cast<const std::byte**>(scratch);
    std::byte* patches = scratch + (pointer_bytes() + 63) / 64 * 64;
    for (std::int64_t g = 0; g < groups_; ++g)
      for_tiles(part, block_, weights_[static_cast<std::size_t>(g)].panel_bytes(),
                [&](std::int64_t pixel, std::int64_t m, std::int64_t panel, std::int64_t blocks) {
                  fill(args.in[0], pixel, m, patches, rows);
                  tile(args, g, rows, pixel, m, panel, blocks);
                });
  }

  void fill(const std::byte* x, std::int64_t pixel, std::int64_t m, std::byte* patches,
            const std::byte** rows) const noexcept {
    if (halves_ == 1) return fill_once(x, pixel, m, patches, rows);
    const int taps = taps_ / 2;
    for (std::int64_t i = 0; i < m; ++i, rows += taps_, patches += joined_ ? source_.rows.patch_bytes() : 0) {
      fill_once(x, pixel + i, 1, patches, rows);
      std::copy_n(rows, taps, rows + taps);
    }
  }

  void fill_once(const std::byte* x, std::int64_t pixel, std::int64_t m, std::byte* patches,
                 const std::byte** rows) const noexcept {
    if (joined_)
      source_.rows.fill_joined(x, source_.padding.data(), pixel, m, patches, rows);
    else
      source_.rows.fill(x, source_.padding.data(), pixel, m, rows);
  }

  void tile(const StepArgs& step, std::int64_t g, const std::byte** rows, std::int64_t pixel, std::int64_t m,
            std::int64_t panel, std::int64_t blocks) const noexcept {
    const std::int64_t in_panel = panel * kernel_.nr, channel = g * channels_ + in_panel,
                       all = groups_ * channels_;
    typename Kind::Args args;
    args.rows = reinterpret_cast<const typename Kind::In* const*>(rows);
    args.row_stride = taps_;
    args.offset = g * depth_;
    args.m = static_cast<int>(m);
    args.n = static_cast<int>(std::min<std::int64_t>(blocks * kernel_.nr, channels_ - in_panel));
    args.taps = taps_;
    args.k = static_cast<int>(depth_);
    args.weights = weights_[static_cast<std::size_t>(g)].panel(panel);
    const std::byte* residual = step.in_count > 4 ? step.in[4] : nullptr;
    if (residual != nullptr)
      residual += (pixel * all + channel) * static_cast<std::ptrdiff_t>(sizeof(typename Kind::In));
    set_epilogue<Kind>(args, epilogue_, channel, residual,
                       all * static_cast<std::ptrdiff_t>(sizeof(typename Kind::In)));
    std::byte* out = step.out[0] + pixel * out_stride_ + channel * static_cast<std::ptrdiff_t>(out_element_);
    args.out = reinterpret_cast<decltype(args.out)>(out);
    args.out_stride = out_stride_;
    kernel_.run(args);
  }

  const typename Kind::Kernel& kernel_;
  ConvRows source_;
  Epilogue epilogue_;
  std::vector<PackedWeights<Kind>> weights_;
  int halves_;
  bool joined_;
  int taps_;  // rows of a pixel, as the kernel sees them
  std::int64_t block_, groups_, depth_, channels_;
  std::size_t out_element_;
  std::ptrdiff_t out_stride_;
};

struct DepthwiseU8S8 {
  using Kernel = kernels::DwconvU8S8Kernel;
  using Args = kernels::DwconvU8S8Args;
  using In = std::uint8_t;
  using Weight = std::int8_t;
  static constexpr bool kFolds = true;
};
struct DepthwiseF32 {
  using Kernel = kernels::DwconvF32Kernel;
  using Args = kernels::DwconvF32Args;
  using In = float;
  using Weight = float;
  static constexpr bool kFolds = false;  // columns that pixels share are worth more than full lanes
};

// Weights [channels][repeats][rows][columns] as [channels][columns][repeats][rows].
template <class T>
std::vector<T> by_columns(const ProductWeights<T>& weights, std::int64_t rows, std::int64_t repeats) {
  const std::int64_t columns = weights.taps / rows / repeats;
  std::vector<T> result;
  result.reserve(weights.values.size());
  for (std::int64_t c = 0; c < weights.channels; ++c)
    for (std::int64_t column = 0; column < columns; ++column)
      for (std::int64_t r = 0; r < repeats * rows; ++r)
        result.push_back(
            weights.values[static_cast<std::size_t>((c * repeats * rows + r) * columns + column)]);
  return result;
}

void pack_depthwise(const kernels::DwconvU8S8Kernel& kernel, std::size_t channels, std::size_t taps,
                    std::size_t column, const std::vector<std::int8_t>& weights,
                    LineVector<std::int8_t>& packed) {
  packed.resize(kernels::packed_bytes(kernel, channels, taps, column) + kernels::kSlackBytes);
  kernels::pack(kernel, channels, taps, column, weights.data(), packed.data());
}
void pack_depthwise(const kernels::DwconvF32Kernel& kernel, std::size_t channels, std::size_t taps,
                    std::size_t, const std::vector<float>& weights, LineVector<float>& packed) {
  packed.resize(kernels::packed_bytes(kernel, channels, taps) / sizeof(float) + kernels::kSlackBytes);
  kernels::pack(kernel, channels, taps, weights.data(), packed.data());
}

// Neighbouring pixels of few channels are taken as one of many channels, so that a kernel's lanes are full: how many
// (1: they are taken one by one).
template <class Kind>
int fold_of(const Query& query, const typename Kind::Kernel& kernel) {
  if constexpr (Kind::kFolds) {
    constexpr std::int64_t kFew = 16;  // with more, kernels fill their lanes themselves
    const std::int64_t channels = query.in(0).shape[1];
    const Window w = geometry_of(query).w();
    if (channels > kFew || w.stride != 1 || query.pixel_channels != 0) return 1;
    for (std::int64_t fold = std::min(lanes_of(kernel) / channels, w.out); fold > 1; --fold)
      if (w.out % fold == 0) return static_cast<int>(fold);
  }
  return 1;
}

template <class Kind, class Epilogue>
class DepthwiseStep : public StripStep {
 public:
  DepthwiseStep(const Query& query, const typename Kind::Kernel& kernel,
                const ProductWeights<typename Kind::Weight>& weights, int halves, Epilogue epilogue)
      : kernel_(kernel),
        fold_(fold_of<Kind>(query, kernel)),
        source_(query, geometry_of(query), sizeof(typename Kind::In), fold_),
        epilogue_(std::move(epilogue)),
        halves_(halves),
        column_(source_.rows.rows() * halves),
        channels_(weights.channels),
        out_stride_(out_stride(query)) {
    using Weight = typename Kind::Weight;
    const std::vector<Weight> once = by_columns(weights, source_.rows.rows(), halves);
    std::vector<Weight> folded;
    for (int i = 0; i < fold_; ++i) folded.insert(folded.end(), once.begin(), once.end());
    pack_depthwise(kernel, static_cast<std::size_t>(fold_ * weights.channels),
                   static_cast<std::size_t>(weights.taps), static_cast<std::size_t>(column_), folded,
                   packed_);
    if constexpr (Kind::kFolds) epilogue_.repeat(channels_, fold_);
  }

  std::size_t scratch_bytes(int threads) const noexcept override {
    return static_cast<std::size_t>(threads) * thread_bytes();
  }
  std::size_t weight_bytes() const noexcept override {
    return packed_.size() * sizeof(typename Kind::Weight);
  }

  void run(const StepArgs& args) const noexcept override {
    const auto count = static_cast<std::size_t>(args.threads->count());
    args.threads->for_ranges(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t thread = begin; thread < end; ++thread)
        work(args, args.scratch + thread * thread_bytes(),
             share(source_.rows.pixels() / fold_, static_cast<std::int64_t>(thread),
                   static_cast<std::int64_t>(count)));
    });
  }

  void run_rows(const StepArgs& args, std::int64_t begin, std::int64_t end) const noexcept override {
    const std::int64_t groups = source_.rows.out_width() / fold_;
    work(args, args.scratch, {begin * groups, end * groups});
  }

 private:
  static constexpr std::int64_t kPixels = 128;  // pointers are made for about that many pixels at a time

  std::int64_t most_pixels() const noexcept {
    return std::min(kPixels / fold_ * fold_, source_.rows.out_width());
  }
  std::size_t pointer_bytes() const noexcept {
    const std::int64_t columns = fold_ > 1
                                     ? most_pixels() / fold_ * (source_.rows.taps() / source_.rows.rows())
                                     : source_.rows.columns(most_pixels());
    return static_cast<std::size_t>(columns * column_) * sizeof(void*);
  }
  // Pointers, then patches: a multiple of a cache line.
  std::size_t thread_bytes() const noexcept {
    return (pointer_bytes() + 63) / 64 * 64 +
           (fold_ > 1 ? source_.rows.folded_patch_bytes(fold_, halves_) : 0);
  }

  // Groups of pixels that fold, of one row at a time.
  void work(const StepArgs& step, std::byte* scratch, Share groups) const noexcept {
    const std::int64_t width = source_.rows.out_width(), end = groups.end * fold_;
    for (std::int64_t pixel = groups.begin * fold_, m = 0; pixel < end; pixel += m) {
      m = std::min({most_pixels(), width - pixel % width, end - pixel});
      tile(step, scratch, pixel, m);
    }
  }

  void tile(const StepArgs& step, std::byte* scratch, std::int64_t pixel, std::int64_t m) const noexcept {
    auto** rows = reinterpret_cast<const std::byte**>(scratch);
    if (fold_ > 1) {
      source_.rows.fill_folded(step.in[0], source_.padding.data(), pixel, m / fold_, fold_, halves_,
                               scratch + (pointer_bytes() + 63) / 64 * 64, rows);
    } else {
      source_.rows.fill_columns(step.in[0], source_.padding.data(), pixel, m, halves_, rows);
    }
    typename Kind::Args args;
    args.rows = reinterpret_cast<const typename Kind::In* const*>(rows);
    args.taps = source_.rows.taps() * halves_;
    args.row_stride = fold_ > 1 ? args.taps : source_.rows.column_step() * column_;
    args.pixels = static_cast<int>(m / fold_);
    args.channels = static_cast<int>(channels_ * fold_);
    args.column = column_;
    args.weights = packed_.data();
    constexpr auto kIn = static_cast<std::ptrdiff_t>(sizeof(typename Kind::In));
    const std::byte* residual = step.in_count > 4 ? step.in[4] : nullptr;
    if (residual != nullptr) residual += pixel * channels_ * kIn;
    set_epilogue<Kind>(args, epilogue_, 0, residual, channels_ * fold_ * kIn);
    args.out_stride = out_stride_ * fold_;
    args.out = reinterpret_cast<decltype(args.out)>(step.out[0] + pixel * out_stride_);
    kernel_.run(args);
  }

  const typename Kind::Kernel& kernel_;
  int fold_;  // pixels that the kernel takes as one
  ConvRows source_;
  Epilogue epilogue_;
  LineVector<typename Kind::Weight> packed_;
  int halves_;
  int column_;  // pointers of a column
  std::int64_t channels_;
  std::ptrdiff_t out_stride_;
};

Prepared prepare_depthwise_integer(const Query& query) {
  const auto& kernel = kernels::select_dwconv_u8s8(query.isa);
  const IntegerWeights weights = integer_conv_weights(*query.constant(1));
  IntegerEpilogue epilogue(query, weights.sums, conv_of(query).clamp, conv_of(query).mid);
  return {std::make_unique<DepthwiseStep<DepthwiseU8S8, IntegerEpilogue>>(
              query, kernel, weights, weights.halves, std::move(epilogue)),
          std::string(kernel.name)};
}

Prepared prepare_dense_integer(const Query& query) {
  const auto& kernel = U8S8::select(query.isa);
  IntegerWeights weights = integer_conv_weights(*query.constant(1));
  IntegerEpilogue epilogue(query, weights.sums, conv_of(query).clamp, conv_of(query).mid);
  const int fold = dense_fold_of(query, weights, kernel), halves = weights.halves;
  if (fold > 1) {
    epilogue.repeat(weights.channels, fold);
    weights = folded(weights, geometry_of(query).w(), fold);
  }
  return {std::make_unique<ConvStep<U8S8, IntegerEpilogue>>(query, kernel, weights, halves,
                                                            std::move(epilogue), fold),
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
  constexpr bool kSlices = true, kStrips = true;
  static const Tactic list[] = {
      {"depthwise_u8s8", LayoutNeed::nhwc,
       [](const Query& q) { return is_integer_conv(q) && is_depthwise(q); }, prepare_depthwise_integer,
       kSlices, kStrips},
      {"conv_u8s8", LayoutNeed::nhwc, is_integer_conv, prepare_dense_integer, kSlices, kStrips},
      {"depthwise_f32", LayoutNeed::nhwc, [](const Query& q) { return is_float_conv(q) && is_depthwise(q); },
       [](const Query& q) {
         return prepare_float<DepthwiseStep, DepthwiseF32>(q, kernels::select_dwconv_f32(q.isa));
       },
       kSlices, kStrips},
      {"conv_bf16", LayoutNeed::nhwc, is_bf16_conv, prepare_bf16_conv, kSlices},
      {"winograd_f32", LayoutNeed::nhwc, is_winograd_conv, prepare_winograd, kSlices},
      {"conv_f32", LayoutNeed::nhwc, is_float_conv,
       [](const Query& q) { return prepare_float<ConvStep, F32>(q, F32::select(q.isa)); }, kSlices, kStrips},
  };
  return list;
}

}  // namespace eke
