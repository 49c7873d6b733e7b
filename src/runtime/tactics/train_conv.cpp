// Convolutions whose weights change from run to run, in NHWC: forward, and the gradients of their input (a ConvTranspose)
// and of their weights; in float32, and forward and back to the input with factors rounded to bfloat16 where that is asked
// for (train_grad.h has the weights). Weights are packed in each run, which is little work beside the product. The
// reduction over pixels is split into parts whose number depends on the shape alone, joined in order.
#include <algorithm>
#include <cstring>
#include <memory>

#include "kernels/convgrad/registry.h"
#include "ops/geometry.h"
#include "runtime/tactics/bf16.h"
#include "runtime/tactics/phases.h"
#include "runtime/tactics/train.h"
#include "runtime/tactics/train_grad.h"
#include "runtime/tactics/train_product.h"
#include "runtime/tactics/winograd.h"

namespace eke {
namespace {

// Weights [M, C / group, kh, kw] with the channels innermost, also where they are a constant.
class WeightSource {
 public:
  explicit WeightSource(const Query& query) {
    if (query.constant(1) != nullptr) constant_ = to_nhwc(*query.constant(1));
  }
  const float* get(const StepArgs& args) const noexcept {
    return constant_.data() != nullptr ? static_cast<const float*>(constant_.data())
                                       : reinterpret_cast<const float*>(args.in[1]);
  }

 private:
  Tensor constant_;
};

// --- forward -----------------------------------------------------------------------------------------------

template <class Kind>
class ForwardStep : public Step {
 public:
  explicit ForwardStep(const Query& query)
      : kind_(query.isa),
        weights_(query),
        rows_(window_geometry(window_attributes(conv(query)), query.in(0).shape,
                              query.in(1).shape.dims().subspan(2)),
              query.in(0).shape, sizeof(typename Kind::Value)),
        values_(query.in(0).shape.count()),
        padding_(static_cast<std::size_t>(query.in(0).shape[1]) * sizeof(typename Kind::Value) +
                 kernels::kSlackBytes),
        groups_(conv(query).group),
        depth_(query.in(1).shape[1]),
        panels_{query.out().shape[1] / groups_, depth_ * rows_.taps() / Kind::kPerWord, kind_.kernel.nr},
        parts_(rows_.taps(), depth_ / Kind::kPerWord * kind_.kernel.nr * 4),
        no_bias_(static_cast<std::size_t>(bias_stride())),
        clamp_(conv(query).clamp) {}

  std::size_t scratch_bytes(int threads) const noexcept override {
    return shared_bytes() + static_cast<std::size_t>(threads) * pointers() * sizeof(void*);
  }

  void run(const StepArgs& args) const noexcept override {
    auto* bias = reinterpret_cast<float*>(args.scratch + shared_bytes() - bias_bytes());
    const bool has_bias = args.in_count > 2 && args.in[2] != nullptr;
    for (std::int64_t g = 0; g < groups_; ++g) {
      float* to = bias + g * bias_stride();
      std::fill_n(to, bias_stride(), 0.0f);
      if (has_bias) std::copy_n(reinterpret_cast<const float*>(args.in[2]) + g * panels_.n, panels_.n, to);
    }
    const std::byte* x = kind_.input(args, values_);
    pack(args);
    on_threads(*args.threads,
               [&](std::size_t thread, std::size_t count) { work(args, x, bias, thread, count); });
  }

 private:
  static const op::Conv& conv(const Query& query) { return std::get<op::Conv>(query.node.op); }
  std::int64_t bias_stride() const noexcept { return panels_.count() * panels_.nr + kernels::kChannelSlack; }
  std::size_t bias_bytes() const noexcept { return float_bytes(groups_ * bias_stride()); }
  std::size_t pointers() const noexcept { return static_cast<std::size_t>(kind_.kernel.mr * rows_.taps()); }
  // Scratch memory: the input, packed weights, biases, then what belongs to a thread.
  std::size_t shared_bytes() const noexcept {
    return Kind::input_bytes(values_) + panels_.bytes() * static_cast<std::size_t>(groups_) + bias_bytes();
  }
  std::byte* packed(const StepArgs& args, std::int64_t g) const noexcept {
    return args.scratch + Kind::input_bytes(values_) + panels_.bytes() * static_cast<std::size_t>(g);
  }

  Panels panels_of(const Share& taps) const noexcept {
    return {panels_.n, depth_ * (taps.end - taps.begin) / Kind::kPerWord, panels_.nr};
  }
  // The weights of a part lie behind those of the parts before it.
  std::byte* packed(const StepArgs& args, std::int64_t g, const Share& taps) const noexcept {
    return packed(args, g) +
           static_cast<std::size_t>(panels_.count()) * panels_of({0, taps.begin}).panel_bytes();
  }

  void pack(const StepArgs& args) const noexcept {
    const float* weights = weights_.get(args);
    const std::int64_t row = depth_ * rows_.taps();
    args.threads->for_ranges(
        static_cast<std::size_t>(groups_ * panels_.count()), [&](std::size_t begin, std::size_t end) {
          for (auto i = static_cast<std::int64_t>(begin); i < static_cast<std::int64_t>(end); ++i) {
            const std::int64_t g = i / panels_.count(), panel = i % panels_.count();
            for (std::int64_t p = 0; p < parts_.count(); ++p) {
              const Share taps = parts_.part(p);
              const Panels panels = panels_of(taps);
              kind_.pack_rows(panels, panel, weights + g * panels_.n * row + taps.begin * depth_, row,
                              packed(args, g, taps) + static_cast<std::size_t>(panel) * panels.panel_bytes());
            }
          }
        });
  }

  void work(const StepArgs& args, const std::byte* x, const float* bias, std::size_t thread,
            std::size_t count) const noexcept {
    auto** rows = reinterpret_cast<const std::byte**>(args.scratch + shared_bytes()) + thread * pointers();
    const int mr = kind_.kernel.mr;
    const Part part = part_of(rows_.pixels(), mr, panels_.count(), static_cast<std::int64_t>(thread),
                              static_cast<std::int64_t>(count));
    const std::int64_t all = groups_ * panels_.n;
    const float* residual = args.in_count > 4 ? reinterpret_cast<const float*>(args.in[4]) : nullptr;
    auto* out = reinterpret_cast<float*>(args.out[0]);
    for (std::int64_t g = 0; g < groups_; ++g)
      for (std::int64_t p = 0; p < parts_.count(); ++p) {
        const Share taps = parts_.part(p);
        const Panels panels = panels_of(taps);
        const bool first = p == 0, last = p == parts_.count() - 1;
        const float* addends = first ? residual : out;
        const Product<Kind> product{kind_,
                                    rows_.taps(),
                                    static_cast<int>(taps.begin),
                                    static_cast<int>(taps.end - taps.begin),
                                    g * depth_,
                                    depth_,
                                    first ? bias + g * bias_stride() : no_bias_.data(),
                                    last ? clamp_ : op::Clamp{}};
        for_tiles(part, mr, panels.panel_bytes(),
                  [&](std::int64_t pixel, std::int64_t m, std::int64_t panel, std::int64_t blocks) {
                    rows_.fill(x, padding_.data(), pixel, m, rows);
                    const std::int64_t at = pixel * all + g * panels.n + panel * panels.nr;
                    product.run(rows, m, panels, packed(args, g, taps), panel, blocks,
                                addends == nullptr ? nullptr : addends + at, all, out + at, all);
                  });
      }
  }

  Kind kind_;
  WeightSource weights_;
  WindowRows rows_;
  std::int64_t values_;  // of the input
  std::vector<std::byte> padding_;
  std::int64_t groups_, depth_;
  Panels panels_;  // of all taps
  TapParts parts_;
  std::vector<float> no_bias_;
  op::Clamp clamp_;
};

// --- the gradient of the input -----------------------------------------------------------------------------

const op::ConvTranspose& transposed(const Query& query) { return std::get<op::ConvTranspose>(query.node.op); }

Geometry transposed_geometry_of(const Query& query) {
  return transposed_geometry(transposed(query), query.in(0).shape, query.in(1).shape.dims().subspan(2));
}

template <class Kind>
class TransposedStep : public Step {
 public:
  explicit TransposedStep(const Query& query)
      : kind_(query.isa),
        weights_(query),
        phases_(phases_of(transposed_geometry_of(query), query.in(0).shape, sizeof(typename Kind::Value))),
        values_(query.in(0).shape.count()),
        padding_(static_cast<std::size_t>(query.in(0).shape[1]) * sizeof(typename Kind::Value) +
                 kernels::kSlackBytes),
        groups_(transposed(query).group),
        depth_(query.in(1).shape[0] / groups_),
        channels_(query.in(1).shape[1]),
        taps_(query.in(1).shape[2] * query.in(1).shape[3]),
        no_bias_(static_cast<std::size_t>(bias_stride())) {}

  std::size_t scratch_bytes(int threads) const noexcept override {
    return shared_bytes() + static_cast<std::size_t>(threads) * (pointer_bytes() + tile_bytes());
  }

  void run(const StepArgs& args) const noexcept override {
    auto* bias = reinterpret_cast<float*>(args.scratch + shared_bytes() - bias_bytes());
    const bool has_bias = args.in_count > 2 && args.in[2] != nullptr;
    for (std::int64_t g = 0; g < groups_; ++g) {
      float* to = bias + g * bias_stride();
      std::fill_n(to, bias_stride(), 0.0f);
      if (has_bias) std::copy_n(reinterpret_cast<const float*>(args.in[2]) + g * channels_, channels_, to);
    }
    const std::byte* x = kind_.input(args, values_);
    for (std::int64_t g = 0; g < groups_; ++g)
      for (const Phase& phase : phases_) {
        pack(args, phase, g);
        on_threads(*args.threads, [&](std::size_t thread, std::size_t count) {
          work(args, x, phase, g, bias + g * bias_stride(), thread, count);
        });
      }
  }

 private:
  Panels panels_of(const Share& taps) const noexcept {
    return {channels_, (taps.end - taps.begin) * depth_ / Kind::kPerWord, kind_.kernel.nr};
  }
  TapParts parts_of(const Phase& phase) const noexcept {
    return {static_cast<std::int64_t>(phase.taps().size()), depth_ / Kind::kPerWord * kind_.kernel.nr * 4};
  }
  // The weights of a part lie behind those of the parts before it.
  std::byte* packed(const StepArgs& args, const Share& taps) const noexcept {
    const Panels before = panels_of({0, taps.begin});
    return packed(args) + static_cast<std::size_t>(before.count()) * before.panel_bytes();
  }
  std::size_t packed_bytes() const noexcept {
    return Panels{channels_, taps_ * depth_ / Kind::kPerWord, kind_.kernel.nr}.bytes();
  }
  std::int64_t bias_stride() const noexcept {
    const std::int64_t nr = kind_.kernel.nr;
    return (channels_ + nr - 1) / nr * nr + kernels::kChannelSlack;
  }
  std::size_t bias_bytes() const noexcept { return float_bytes(groups_ * bias_stride()); }
  // Scratch memory: the input, packed weights of a phase, biases, then what belongs to a thread.
  std::size_t shared_bytes() const noexcept {
    return Kind::input_bytes(values_) + packed_bytes() + bias_bytes();
  }
  std::byte* packed(const StepArgs& args) const noexcept { return args.scratch + Kind::input_bytes(values_); }
  std::size_t pointer_bytes() const noexcept {
    return aligned_to_line(static_cast<std::size_t>(kind_.kernel.mr * taps_) * sizeof(void*));
  }
  std::size_t tile_bytes() const noexcept { return float_bytes(kind_.kernel.mr * channels_ + 16); }

  // The weights of tap t and input channel m, for the output channels of a panel, lie side by side.
  void pack(const StepArgs& args, const Phase& phase, std::int64_t g) const noexcept {
    const TapParts parts = parts_of(phase);
    const float* weights = weights_.get(args) + g * depth_ * taps_ * channels_;
    const std::int64_t nr = kind_.kernel.nr;
    const std::size_t tap_bytes = static_cast<std::size_t>(depth_ / Kind::kPerWord * nr) * sizeof(float);
    args.threads->for_ranges(
        static_cast<std::size_t>(panels_of({}).count()), [&](std::size_t begin, std::size_t end) {
          for (auto panel = static_cast<std::int64_t>(begin); panel < static_cast<std::int64_t>(end); ++panel)
            for (std::int64_t p = 0; p < parts.count(); ++p) {
              const Share taps = parts.part(p);
              const Panels panels = panels_of(taps);
              const std::int64_t width = panels.width(panel);
              std::byte* out = packed(args, taps) + static_cast<std::size_t>(panel) * panels.panel_bytes();
              if (width < nr) std::fill_n(out, panels.panel_bytes(), std::byte{});
              for (std::int64_t t = taps.begin; t < taps.end; ++t, out += tap_bytes)
                kind_.pack_columns(
                    weights + phase.taps()[static_cast<std::size_t>(t)].index * channels_ + panel * nr,
                    taps_ * channels_, depth_, width, out);
            }
        });
  }

  void work(const StepArgs& args, const std::byte* x, const Phase& phase, std::int64_t g, const float* bias,
            std::size_t thread, std::size_t count) const noexcept {
    std::byte* own = args.scratch + shared_bytes() + thread * (pointer_bytes() + tile_bytes());
    auto** rows = reinterpret_cast<const std::byte**>(own);
    auto* tile = reinterpret_cast<float*>(own + pointer_bytes());
    auto* out = reinterpret_cast<float*>(args.out[0]);
    const int mr = kind_.kernel.mr;
    const Part part = part_of(phase.pixels(), mr, panels_of({}).count(), static_cast<std::int64_t>(thread),
                              static_cast<std::int64_t>(count));
    const std::int64_t all = groups_ * channels_;
    const TapParts parts = parts_of(phase);
    // Pixels follow each other in the output, which has no part of its own that no tap reaches.
    const bool dense = phases_.size() == 1 && !phase.taps().empty();
    for (std::int64_t p = 0; p < parts.count(); ++p) {
      const Share taps = parts.part(p);
      const Panels panels = panels_of(taps);
      const Product<Kind> product{kind_,
                                  static_cast<int>(phase.taps().size()),
                                  static_cast<int>(taps.begin),
                                  static_cast<int>(taps.end - taps.begin),
                                  g * depth_,
                                  depth_,
                                  p == 0 ? bias : no_bias_.data()};
      for_tiles(part, mr, panels.panel_bytes(),
                [&](std::int64_t pixel, std::int64_t m, std::int64_t panel, std::int64_t blocks) {
                  const std::int64_t first = panel * panels.nr;
                  const std::int64_t width = std::min(blocks * panels.nr, channels_ - first);
                  phase.fill(x, padding_.data(), pixel, m, rows);
                  if (dense) {
                    float* to = out + pixel * all + g * channels_ + first;
                    product.run(rows, m, panels, packed(args, taps), panel, blocks, p == 0 ? nullptr : to,
                                all, to, all);
                    return;
                  }
                  if (!phase.taps().empty())
                    product.run(rows, m, panels, packed(args, taps), panel, blocks, nullptr, 0, tile, width);
                  for (std::int64_t i = 0; i < m; ++i)
                    scatter(phase.taps().empty() ? bias + first : tile + i * width, width, p > 0,
                            out + phase.target(pixel + i) * all + g * channels_ + first);
                });
    }
  }

  static void scatter(const float* from, std::int64_t count, bool add, float* to) noexcept {
    if (!add) {
      std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(float));
      return;
    }
    for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
  }

  Kind kind_;
  WeightSource weights_;
  std::vector<Phase> phases_;
  std::int64_t values_;  // of the input
  std::vector<std::byte> padding_;
  std::int64_t groups_, depth_, channels_, taps_;
  std::vector<float> no_bias_;
};

// --- the gradient of the weights ---------------------------------------------------------------------------

class WeightGradStep : public Step {
 public:
  explicit WeightGradStep(const Query& query)
      : kernel_(kernels::select_outer_f32(query.isa).run),
        rows_(window_geometry(window_attributes(op_of(query)), query.in(0).shape, op_of(query).kernel_shape),
              query.in(0).shape, sizeof(float)),
        padding_(static_cast<std::size_t>(query.in(0).shape[1]) * sizeof(float) + kernels::kSlackBytes),
        groups_(op_of(query).group),
        depth_(query.in(0).shape[1] / groups_),
        channels_(query.in(1).shape[1] / groups_),
        taps_(rows_.taps()) {
    const auto lanes = [](std::int64_t n) { return (n + 15) / 16 * 16; };
    // Lanes run over the side that fills them better.
    swapped_ = depth_ * lanes(channels_) < channels_ * lanes(depth_);
    m_ = swapped_ ? depth_ : channels_;
    n_ = swapped_ ? channels_ : depth_;
    row_blocks_ = (m_ + kRows - 1) / kRows;
    column_blocks_ = (n_ + kColumns - 1) / kColumns;
    const std::int64_t items = groups_ * row_blocks_ * column_blocks_;
    splits_ = std::clamp<std::int64_t>((kItems + items - 1) / items, 1,
                                       std::max<std::int64_t>(1, rows_.pixels() / kLeastPixels));
  }

  std::size_t scratch_bytes(int threads) const noexcept override {
    return partial_bytes() + static_cast<std::size_t>(threads) * pointer_bytes();
  }

  void run(const StepArgs& args) const noexcept override {
    const std::int64_t per_split = groups_ * row_blocks_ * column_blocks_;
    const auto items = static_cast<std::size_t>(splits_ * per_split);
    on_threads(*args.threads, [&](std::size_t thread, std::size_t count) {
      auto** pointers =
          reinterpret_cast<const std::byte**>(args.scratch + partial_bytes() + thread * pointer_bytes());
      const Share mine = share(static_cast<std::int64_t>(items), static_cast<std::int64_t>(thread),
                               static_cast<std::int64_t>(count));
      for (std::int64_t i = mine.begin; i < mine.end; ++i) item(args, i / per_split, i % per_split, pointers);
    });
    if (direct()) return;
    args.threads->for_ranges(
        static_cast<std::size_t>(groups_ * channels_), [&](std::size_t begin, std::size_t end) {
          for (auto m = static_cast<std::int64_t>(begin); m < static_cast<std::int64_t>(end); ++m)
            join(args, m);
        });
  }

 private:
  static constexpr std::int64_t kRows = 48, kColumns = 64, kPixels = 128, kItems = 32, kLeastPixels = 256;

  static const op::ConvGradWeight& op_of(const Query& query) {
    return std::get<op::ConvGradWeight>(query.node.op);
  }

  bool direct() const noexcept { return splits_ == 1 && !swapped_; }
  std::int64_t size() const noexcept { return groups_ * channels_ * taps_ * depth_; }  // of the gradient
  std::size_t partial_bytes() const noexcept { return direct() ? 0 : float_bytes(splits_ * size() + 16); }
  std::size_t pointer_bytes() const noexcept {
    return aligned_to_line(static_cast<std::size_t>(kPixels * (taps_ + 1)) * sizeof(void*));
  }
  // Partial sums lie as [group][m][tap][n]; not swapped this is the gradient's own order.
  std::int64_t group_size() const noexcept { return channels_ * taps_ * depth_; }

  void item(const StepArgs& args, std::int64_t split, std::int64_t block,
            const std::byte** pointers) const noexcept {
    const std::int64_t g = block / (row_blocks_ * column_blocks_),
                       in_group = block % (row_blocks_ * column_blocks_);
    const std::int64_t m0 = in_group / column_blocks_ * kRows, n0 = in_group % column_blocks_ * kColumns;
    const Share pixels = share(rows_.pixels(), split, splits_);
    float* out = direct() ? reinterpret_cast<float*>(args.out[0])
                          : reinterpret_cast<float*>(args.scratch) + split * size();
    out += g * group_size() + m0 * taps_ * n_ + n0;
    const std::byte** x_rows = pointers;
    const std::byte** dy_rows = pointers + kPixels * taps_;
    const std::ptrdiff_t dy_bytes = groups_ * channels_ * static_cast<std::ptrdiff_t>(sizeof(float));
    for (std::int64_t pixel = pixels.begin; pixel < pixels.end; pixel += kPixels) {
      const std::int64_t count = std::min(kPixels, pixels.end - pixel);
      rows_.fill(args.in[0], padding_.data(), pixel, count, x_rows);
      for (std::int64_t i = 0; i < count; ++i) dy_rows[i] = args.in[1] + (pixel + i) * dy_bytes;
      for (std::int64_t t = 0; t < taps_; ++t) {
        const auto* x = reinterpret_cast<const float* const*>(x_rows + t);
        const auto* dy = reinterpret_cast<const float* const*>(dy_rows);
        const std::ptrdiff_t x_offset = g * depth_ + (swapped_ ? m0 : n0),
                             dy_offset = g * channels_ + (swapped_ ? n0 : m0);
        kernels::OuterF32Args call;
        call.a = swapped_ ? x : dy;
        call.b = swapped_ ? dy : x;
        call.a_stride = swapped_ ? taps_ : 1;
        call.b_stride = swapped_ ? 1 : taps_;
        call.a_offset = swapped_ ? x_offset : dy_offset;
        call.b_offset = swapped_ ? dy_offset : x_offset;
        call.pixels = static_cast<int>(count);
        call.m = static_cast<int>(std::min(kRows, m_ - m0));
        call.n = static_cast<int>(std::min(kColumns, n_ - n0));
        call.out = out + t * n_;
        call.out_stride = taps_ * n_;
        call.add = pixel != pixels.begin;
        kernel_(call);
      }
    }
  }

  // The partial sums of output channel `m` of all groups.
  void join(const StepArgs& args, std::int64_t m) const noexcept {
    const auto* partial = reinterpret_cast<const float*>(args.scratch) + m / channels_ * group_size();
    float* out = reinterpret_cast<float*>(args.out[0]) + m * taps_ * depth_;
    const std::int64_t in_group = m % channels_;
    for (std::int64_t t = 0; t < taps_; ++t)
      for (std::int64_t c = 0; c < depth_; ++c) {
        const float* at =
            partial + (swapped_ ? (c * taps_ + t) * n_ + in_group : (in_group * taps_ + t) * n_ + c);
        float sum = 0;
        for (std::int64_t s = 0; s < splits_; ++s) sum += at[s * size()];
        *out++ = sum;
      }
  }

  kernels::OuterF32Fn kernel_;
  WindowRows rows_;
  std::vector<std::byte> padding_;
  std::int64_t groups_, depth_, channels_, taps_;
  std::int64_t m_ = 0, n_ = 0, row_blocks_ = 0, column_blocks_ = 0, splits_ = 1;
  bool swapped_ = false;
};

// Constant weights are packed ahead of time, by conv.cpp.
bool is_forward(const Query& query) {
  if (is_float_product(query)) return false;
  return varies(query, 0) && is_float_image(query.in(1)) && is_float_image(query.out()) && !query.has(3) &&
         (!query.has(4) || varies(query, 4));
}
bool is_transposed(const Query& query) {
  return varies(query, 0) && query.has(1) && is_float_image(query.in(1)) && is_float_image(query.out());
}
bool is_weight_grad(const Query& query) {
  return varies(query, 0) && varies(query, 1) && is_float_image(query.out());
}

// Pairs of channels, and so many that rounding them pays.
bool pairs_up(std::int64_t channels) { return channels % 2 == 0 && channels >= kLeastBf16Channels; }

bool is_bf16_forward(const Query& query) {
  return query.floats == Floats::bf16 && is_forward(query) && std::get<op::Conv>(query.node.op).group == 1 &&
         pairs_up(query.in(1).shape[1]);
}
bool is_bf16_transposed(const Query& query) {
  return query.floats == Floats::bf16 && is_transposed(query) && transposed(query).group == 1 &&
         pairs_up(query.in(1).shape[0]);
}

template <template <class> class StepOf, class Kind>
Prepared prepared(const Query& query, const char* prefix) {
  return {std::make_unique<StepOf<Kind>>(query), prefix + std::string(Kind(query.isa).kernel.name)};
}

}  // namespace

std::span<const Tactic> train_conv_tactics() {
  static const Tactic list[] = {
      {"train_conv_bf16", LayoutNeed::nhwc, is_bf16_forward,
       [](const Query& q) { return prepared<ForwardStep, PairProducts>(q, "train_"); }},
      {"train_winograd_f32", LayoutNeed::nhwc,
       [](const Query& q) { return is_forward(q) && is_train_winograd(q); }, prepare_train_winograd},
      {"train_conv_f32", LayoutNeed::nhwc, is_forward,
       [](const Query& q) { return prepared<ForwardStep, SingleProducts>(q, "train_"); }}};
  return list;
}

std::span<const Tactic> conv_transpose_tactics() {
  static const Tactic list[] = {
      {"conv_transpose_bf16", LayoutNeed::nhwc, is_bf16_transposed,
       [](const Query& q) { return prepared<TransposedStep, PairProducts>(q, "transposed_"); }},
      {"transposed_winograd_f32", LayoutNeed::nhwc,
       [](const Query& q) { return is_transposed(q) && is_train_winograd(q); }, prepare_train_winograd},
      {"conv_transpose_f32", LayoutNeed::nhwc, is_transposed,
       [](const Query& q) { return prepared<TransposedStep, SingleProducts>(q, "transposed_"); }}};
  return list;
}

std::span<const Tactic> conv_grad_weight_tactics() {
  static const Tactic list[] = {
      {"grad_winograd_f32", LayoutNeed::nhwc,
       [](const Query& q) { return is_weight_grad(q) && is_winograd_weight_grad(q); },
       prepare_winograd_weight_grad},
      {"grad_product", LayoutNeed::nhwc,
       [](const Query& q) { return is_weight_grad(q) && is_product_weight_grad(q); },
       prepare_product_weight_grad},
      {"conv_grad_weight_f32", LayoutNeed::nhwc, is_weight_grad, [](const Query& q) {
         return Prepared{std::make_unique<WeightGradStep>(q),
                         std::string(kernels::select_outer_f32(q.isa).name)};
       }}};
  return list;
}

}  // namespace eke
