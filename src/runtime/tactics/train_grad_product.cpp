// The gradient of a convolution's weights as matrix products, in float32 or with factors rounded to bfloat16: for each tap
// the transposed gradient of the output by the input's pixels that the tap meets, packed as weights. The sum over pixels is
// cut into chunks, each a product of its own, and the chunks into parts whose number depends on the shape alone, joined in
// order.
#include <algorithm>
#include <memory>

#include "ops/geometry.h"
#include "runtime/tactics/bf16.h"
#include "runtime/tactics/train_grad.h"
#include "runtime/tactics/train_product.h"

namespace eke {
namespace {

const op::ConvGradWeight& op_of(const Query& query) { return std::get<op::ConvGradWeight>(query.node.op); }

std::int64_t blocks_of(std::int64_t n, std::int64_t block) { return (n + block - 1) / block; }

template <class Kind>
class ProductGradStep : public Step {
 public:
  explicit ProductGradStep(const Query& query)
      : kind_(query.isa),
        rows_(window_geometry(window_attributes(op_of(query)), query.in(0).shape, op_of(query).kernel_shape),
              query.in(0).shape, sizeof(float)),
        depth_(query.in(0).shape[1]),
        channels_(query.in(1).shape[1]),
        taps_(rows_.taps()),
        chunk_(std::min(kPixels, blocks_of(rows_.pixels(), 2) * 2)),
        chunks_(blocks_of(rows_.pixels(), chunk_)),
        splits_(std::clamp<std::int64_t>(blocks_of(kItems, column_blocks()), 1, chunks_)),
        padding_(static_cast<std::size_t>(depth_) * sizeof(float) + kernels::kSlackBytes),
        no_bias_(static_cast<std::size_t>(kColumns) + kernels::kChannelSlack) {}

  std::size_t scratch_bytes(int threads) const noexcept override {
    return gradient_bytes() + partial_bytes() + static_cast<std::size_t>(threads) * thread_bytes();
  }

  void run(const StepArgs& args) const noexcept override {
    on_threads(*args.threads, [&](std::size_t thread, std::size_t count) {
      const Own own = own_of(args, thread);
      const Share mine = share(chunks_ * blocks_of(channels_, kColumns), static_cast<std::int64_t>(thread),
                               static_cast<std::int64_t>(count));
      for (std::int64_t i = mine.begin; i < mine.end; ++i)
        transpose_gradient(args, own, i % chunks_, i / chunks_);
    });
    on_threads(*args.threads, [&](std::size_t thread, std::size_t count) {
      const Own own = own_of(args, thread);
      const Share mine = share(splits_ * column_blocks(), static_cast<std::int64_t>(thread),
                               static_cast<std::int64_t>(count));
      for (std::int64_t i = mine.begin; i < mine.end; ++i)
        multiply(args, own, i / column_blocks(), i % column_blocks() * kColumns);
    });
    if (splits_ > 1)
      args.threads->for_ranges(static_cast<std::size_t>(channels_), [&](std::size_t begin, std::size_t end) {
        join(args, static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end));
      });
  }

 private:
  static constexpr std::int64_t kPixels = 256, kColumns = 64, kItems = 16;

  // The memory of one thread: pointers to pixels, pointers to rows of the transposed gradient, packed pairs of pixels.
  struct Own {
    const std::byte** pixels;
    const std::byte** rows;
    std::byte* packed;
  };

  std::int64_t column_blocks() const noexcept { return blocks_of(depth_, kColumns); }
  std::int64_t size() const noexcept { return channels_ * taps_ * depth_; }  // of the gradient
  // Bytes of a channel's row of a chunk; a line more than its values need, so that rows do not share sets of the cache.
  std::size_t line() const noexcept {
    return aligned_to_line(static_cast<std::size_t>(chunk_) * sizeof(typename Kind::Value)) + 64;
  }
  std::size_t gradient_bytes() const noexcept {
    return static_cast<std::size_t>(chunks_ * channels_) * line();
  }
  std::size_t partial_bytes() const noexcept { return splits_ == 1 ? 0 : float_bytes(splits_ * size() + 16); }
  std::size_t pixel_bytes() const noexcept {
    return aligned_to_line(static_cast<std::size_t>(chunk_ * taps_) * sizeof(void*));
  }
  std::size_t row_bytes() const noexcept {
    return aligned_to_line(static_cast<std::size_t>(channels_) * sizeof(void*));
  }
  std::size_t thread_bytes() const noexcept {
    return pixel_bytes() + row_bytes() +
           static_cast<std::size_t>(chunk_ * kColumns) * sizeof(typename Kind::Value);
  }
  Own own_of(const StepArgs& args, std::size_t thread) const noexcept {
    std::byte* own = args.scratch + gradient_bytes() + partial_bytes() + thread * thread_bytes();
    return {reinterpret_cast<const std::byte**>(own),
            reinterpret_cast<const std::byte**>(own + pixel_bytes()), own + pixel_bytes() + row_bytes()};
  }
  std::byte* row(const StepArgs& args, std::int64_t chunk, std::int64_t channel) const noexcept {
    return args.scratch + static_cast<std::size_t>(chunk * channels_ + channel) * line();
  }
  std::int64_t pixels_of(std::int64_t chunk) const noexcept {
    return std::min(chunk_, rows_.pixels() - chunk * chunk_);
  }

  // A block of channels of the output's gradient, as [channel][pixel].
  void transpose_gradient(const StepArgs& args, const Own& own, std::int64_t chunk,
                          std::int64_t block) const noexcept {
    const std::int64_t first = block * kColumns, width = std::min(kColumns, channels_ - first),
                       count = pixels_of(chunk), words = blocks_of(count, Kind::kPerWord);
    const std::ptrdiff_t pixel = channels_ * static_cast<std::ptrdiff_t>(sizeof(float));
    for (std::int64_t i = 0; i < count; ++i) own.pixels[i] = args.in[1] + (chunk * chunk_ + i) * pixel;
    kind_.pack_pixels(reinterpret_cast<const float* const*>(own.pixels), 1, first, count, width, own.packed);
    constexpr std::int64_t kPanel = 16;
    constexpr std::ptrdiff_t kPanelBytes = kPanel * sizeof(float);
    for (std::int64_t c = 0; c < width; c += kPanel)
      kind_.transpose({own.packed + c / kPanel * words * kPanelBytes, row(args, chunk, first + c),
                       static_cast<std::size_t>(words), static_cast<std::size_t>(std::min(kPanel, width - c)),
                       kPanelBytes, static_cast<std::ptrdiff_t>(line())});
  }

  // All output channels by a block of input channels, over the chunks of a part.
  void multiply(const StepArgs& args, const Own& own, std::int64_t split,
                std::int64_t column) const noexcept {
    float* out = splits_ == 1 ? reinterpret_cast<float*>(args.out[0])
                              : reinterpret_cast<float*>(args.scratch + gradient_bytes()) + split * size();
    kernels::GemmRealArgs<typename Kind::Value> call;
    call.rows = reinterpret_cast<const typename Kind::Value* const*>(own.rows);
    call.row_stride = 1;
    call.m = static_cast<int>(channels_);
    call.n = static_cast<int>(std::min(kColumns, depth_ - column));
    call.taps = 1;
    call.weights = reinterpret_cast<const typename Kind::Value*>(own.packed);
    call.bias = no_bias_.data();
    call.out_stride = call.residual_stride = taps_ * depth_ * static_cast<std::ptrdiff_t>(sizeof(float));
    const Share chunks = share(chunks_, split, splits_);
    for (std::int64_t chunk = chunks.begin; chunk < chunks.end; ++chunk) {
      const std::int64_t count = pixels_of(chunk);
      rows_.fill(args.in[0], padding_.data(), chunk * chunk_, count, own.pixels);
      for (std::int64_t c = 0; c < channels_; ++c) own.rows[c] = row(args, chunk, c);
      call.k = static_cast<int>(blocks_of(count, Kind::kPerWord) * Kind::kPerWord);
      for (std::int64_t t = 0; t < taps_; ++t) {
        kind_.pack_pixels(reinterpret_cast<const float* const*>(own.pixels + t), taps_, column, count, call.n,
                          own.packed);
        call.out = out + t * depth_ + column;
        call.residual = chunk == chunks.begin ? nullptr : call.out;
        kind_.kernel.run(call);
      }
    }
  }

  // The sums of all parts, for output channels [first, end).
  void join(const StepArgs& args, std::int64_t first, std::int64_t end) const noexcept {
    const auto* partial = reinterpret_cast<const float*>(args.scratch + gradient_bytes());
    auto* out = reinterpret_cast<float*>(args.out[0]);
    for (std::int64_t i = first * taps_ * depth_; i < end * taps_ * depth_; ++i) {
      float sum = 0;
      for (std::int64_t s = 0; s < splits_; ++s) sum += partial[s * size() + i];
      out[i] = sum;
    }
  }

  Kind kind_;
  WindowRows rows_;
  std::int64_t depth_, channels_, taps_, chunk_, chunks_, splits_;
  std::vector<std::byte> padding_;
  std::vector<float> no_bias_;
};

template <class Kind>
Prepared prepared(const Query& query) {
  return {std::make_unique<ProductGradStep<Kind>>(query), "grad_" + std::string(Kind(query.isa).kernel.name)};
}

}  // namespace

// Packing pays where a packed pixel meets many output channels, and columns fill vectors.
bool is_product_weight_grad(const Query& query) {
  constexpr std::int64_t kLeastRows = 24, kLeastColumns = 32;
  return op_of(query).group == 1 && query.in(0).shape[1] >= kLeastColumns &&
         query.in(1).shape[1] >= kLeastRows;
}

Prepared prepare_product_weight_grad(const Query& query) {
  return query.floats == Floats::bf16 ? prepared<PairProducts>(query) : prepared<SingleProducts>(query);
}

}  // namespace eke
