// Poolings in NHWC over row pointers, and averages over all pixels of an image.
#include <algorithm>
#include <memory>

#include "kernels/pool/registry.h"
#include "ops/quantized.h"
#include "runtime/tactic.h"
#include "runtime/tactics/rows.h"

namespace eke {
namespace {

bool is_u8(const Type& type) { return type.dtype == DType::u8 && type.quant && type.quant->per_tensor(); }
bool is_f32(const Type& type) { return type.dtype == DType::f32; }
bool same_kind(const Query& query) {
  return (is_u8(query.in(0)) && is_u8(query.out())) || (is_f32(query.in(0)) && is_f32(query.out()));
}

template <class A>
Geometry geometry_of(const Query& query) {
  return window_geometry(window_attributes(std::get<A>(query.node.op)), query.in(0).shape);
}

// Every window must hold an element of the input; otherwise the maximum is minus infinity.
bool windows_hold_input(const Geometry& g) {
  for (const Window& w : {g.h(), g.w()})
    for (std::int64_t i = 0; i < w.out; ++i)
      if (taps_inside(w, i, false) == 0) return false;
  return true;
}

bool is_image(const Query& query) {
  return query.in(0).shape.rank() == 4 && query.out().shape.count() > 0 &&
         query.in(0).shape.count() < (std::int64_t{1} << 30);
}
bool is_image_pool(const Query& query) { return is_image(query) && same_kind(query); }

bool is_max_pool(const Query& query) {
  if (!std::holds_alternative<op::MaxPool>(query.node.op) || !is_image_pool(query)) return false;
  if (query.node.out.size() > 1 && query.node.out[1] != kNoValue) return false;
  return query.in(0).quant == query.out().quant && windows_hold_input(geometry_of<op::MaxPool>(query));
}

bool is_average_pool(const Query& query) {
  if (!std::holds_alternative<op::AveragePool>(query.node.op) || !is_image_pool(query)) return false;
  return windows_hold_input(geometry_of<op::AveragePool>(query));
}

// Rule 11's multiplier for an average of n elements; a float result has no scale.
float average_multiplier(const Query& query, std::int64_t n) {
  const double output_scale = query.out().quant ? static_cast<double>(query.out().quant->scale[0]) : 1.0;
  return static_cast<float>(static_cast<double>(query.in(0).quant->scale[0]) /
                            (output_scale * static_cast<double>(n)));
}

struct OutputBounds {
  explicit OutputBounds(const Type& type) {
    if (!type.quant) return;
    const quantized::Bounds bounds = quantized::bounds_of(type.dtype);
    zero = type.quant->zero_point[0];
    lo = static_cast<float>(bounds.lo - zero);
    hi = static_cast<float>(bounds.hi - zero);
  }
  std::int32_t zero = 0;
  float lo = 0, hi = 0;
};

// A pooling with a sliding window: fills pointers for some pixels at a time and leaves the rest to `Work`.
class WindowStep : public Step {
 public:
  WindowStep(const Geometry& geometry, const Query& query)
      : rows_(geometry, query.in(0).shape, size_of(query.in(0).dtype)),
        channels_(static_cast<int>(query.in(0).shape[1])),
        out_stride_((query.pixel_channels != 0 ? query.pixel_channels : channels_) *
                    static_cast<std::ptrdiff_t>(size_of(query.out().dtype))) {}

  std::size_t scratch_bytes(int threads) const noexcept override {
    return static_cast<std::size_t>(threads) * pointers() * sizeof(void*);
  }

  void run(const StepArgs& args) const noexcept override {
    const auto count = static_cast<std::size_t>(args.threads->count());
    args.threads->for_ranges(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t thread = begin; thread < end; ++thread) {
        auto** rows = reinterpret_cast<const std::byte**>(args.scratch) + thread * pointers();
        const Share pixels =
            share(rows_.pixels(), static_cast<std::int64_t>(thread), static_cast<std::int64_t>(count));
        for (std::int64_t pixel = pixels.begin; pixel < pixels.end; pixel += kPixels) {
          const std::int64_t m = std::min(kPixels, pixels.end - pixel);
          rows_.fill(args.in[0], padding(), pixel, m, rows);
          pool(rows, pixel, static_cast<int>(m), args.out[0] + pixel * out_stride_);
        }
      }
    });
  }

 protected:
  virtual const std::byte* padding() const noexcept { return nullptr; }
  virtual void pool(const std::byte* const* rows, std::int64_t pixel, int m,
                    std::byte* out) const noexcept = 0;

  static constexpr std::int64_t kPixels = 32;
  WindowRows rows_;
  int channels_;
  std::ptrdiff_t out_stride_;

 private:
  std::size_t pointers() const noexcept { return static_cast<std::size_t>(kPixels * rows_.taps()); }
};

template <class T>
class MaxPoolStep : public WindowStep {
 public:
  using Fn = void (*)(const kernels::MaxPoolArgs<T>&) noexcept;
  MaxPoolStep(const Query& query, Fn kernel)
      : WindowStep(geometry_of<op::MaxPool>(query), query), kernel_(kernel) {}

 private:
  void pool(const std::byte* const* rows, std::int64_t, int m, std::byte* out) const noexcept override {
    kernel_({reinterpret_cast<const T* const*>(rows), rows_.taps(), m, channels_, rows_.taps(),
             reinterpret_cast<T*>(out), out_stride_});
  }
  Fn kernel_;
};

class AveragePoolStep : public WindowStep {
 public:
  explicit AveragePoolStep(const Query& query)
      : WindowStep(geometry_of<op::AveragePool>(query), query),
        bounds_(query.out()),
        u8_(kernels::select_average_pool_u8(query.isa)),
        f32_(kernels::select_average_pool_f32(query.isa)),
        quantized_(query.in(0).quant.has_value()),
        padding_(static_cast<std::size_t>(channels_) * size_of(query.in(0).dtype) + kernels::kSlackBytes) {
    if (quantized_) {
      input_zero_ = query.in(0).quant->zero_point[0];
      std::fill(padding_.begin(), padding_.end(), static_cast<std::byte>(input_zero_));
    }
    const bool with_padding = std::get<op::AveragePool>(query.node.op).count_include_pad != 0;
    for (std::int64_t pixel = 0; pixel < rows_.pixels(); ++pixel) {
      const std::int64_t n = rows_.inside(pixel, with_padding);
      factor_.push_back(quantized_ ? average_multiplier(query, n) : static_cast<float>(n));
    }
  }

 private:
  const std::byte* padding() const noexcept override { return padding_.data(); }

  void pool(const std::byte* const* rows, std::int64_t pixel, int m, std::byte* out) const noexcept override {
    const float* factor = factor_.data() + pixel;
    if (quantized_)
      u8_({reinterpret_cast<const std::uint8_t* const*>(rows), rows_.taps(), m, channels_, rows_.taps(),
           factor, input_zero_, bounds_.zero, bounds_.lo, bounds_.hi, reinterpret_cast<std::uint8_t*>(out),
           out_stride_});
    else
      f32_({reinterpret_cast<const float* const*>(rows), rows_.taps(), m, channels_, rows_.taps(), factor,
            reinterpret_cast<float*>(out), out_stride_});
  }

  OutputBounds bounds_;
  kernels::AveragePoolU8Fn u8_;
  kernels::AveragePoolF32Fn f32_;
  bool quantized_;
  std::int32_t input_zero_ = 0;
  std::vector<std::byte> padding_;
  std::vector<float> factor_;  // one a pixel: the multiplier, or the divisor
};

// GlobalAveragePool, and ReduceMean over height and width.
class GlobalAverageStep : public Step {
 public:
  explicit GlobalAverageStep(const Query& query)
      : bounds_(query.out()),
        u8_(kernels::select_global_average_u8(query.isa)),
        f32_(kernels::select_global_average_f32(query.isa)),
        quantized_(query.in(0).quant.has_value()),
        to_float_(!query.out().quant) {
    const Shape& x = query.in(0).shape;
    images_ = x[0];
    channels_ = static_cast<int>(x[1]);
    pixels_ = static_cast<int>(x[2] * x[3]);
    if (quantized_) input_zero_ = query.in(0).quant->zero_point[0];
    factor_ = quantized_ ? average_multiplier(query, pixels_) : static_cast<float>(pixels_);
  }

  void run(const StepArgs& args) const noexcept override {
    args.threads->for_ranges(static_cast<std::size_t>(images_), [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) average(args, static_cast<std::ptrdiff_t>(i));
    });
  }

 private:
  static constexpr auto kFloatBytes = static_cast<std::ptrdiff_t>(sizeof(float));

  void average(const StepArgs& args, std::ptrdiff_t image) const noexcept {
    if (quantized_) {
      const auto* in = reinterpret_cast<const std::uint8_t*>(args.in[0]) + image * pixels_ * channels_;
      u8_({in, channels_, pixels_, channels_, factor_, input_zero_, bounds_.zero, bounds_.lo, bounds_.hi,
           to_float_, args.out[0] + image * channels_ * (to_float_ ? kFloatBytes : 1)});
    } else {
      const auto* in = reinterpret_cast<const float*>(args.in[0]) + image * pixels_ * channels_;
      f32_({in, channels_ * kFloatBytes, pixels_, channels_, factor_,
            reinterpret_cast<float*>(args.out[0]) + image * channels_});
    }
  }

  OutputBounds bounds_;
  kernels::GlobalAverageU8Fn u8_;
  kernels::GlobalAverageF32Fn f32_;
  bool quantized_, to_float_;
  std::int64_t images_ = 0;
  int channels_ = 0, pixels_ = 0;
  std::int32_t input_zero_ = 0;
  float factor_ = 1;
};

class GlobalMaxStep : public Step {
 public:
  explicit GlobalMaxStep(const Query& query)
      : shape_(query.in(0).shape), quantized_(query.in(0).quant.has_value()) {}

  void run(const StepArgs& args) const noexcept override {
    args.threads->for_ranges(static_cast<std::size_t>(shape_[0]), [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i)
        quantized_ ? reduce<std::uint8_t>(args, static_cast<std::ptrdiff_t>(i))
                   : reduce<float>(args, static_cast<std::ptrdiff_t>(i));
    });
  }

 private:
  template <class T>
  void reduce(const StepArgs& args, std::ptrdiff_t image) const noexcept {
    const std::ptrdiff_t channels = shape_[1], pixels = shape_[2] * shape_[3];
    const T* in = reinterpret_cast<const T*>(args.in[0]) + image * pixels * channels;
    T* out = reinterpret_cast<T*>(args.out[0]) + image * channels;
    std::copy_n(in, channels, out);
    for (std::ptrdiff_t p = 1; p < pixels; ++p)
      for (std::ptrdiff_t c = 0; c < channels; ++c) out[c] = std::max(out[c], in[p * channels + c]);
  }

  Shape shape_;
  bool quantized_;
};

bool is_global_average(const Query& query) {
  const bool to_float = is_u8(query.in(0)) && is_f32(query.out());
  if (!is_image(query) || !(same_kind(query) || to_float) || query.in(0).shape.count(2, 4) > (1 << 23))
    return false;
  if (std::holds_alternative<op::GlobalAveragePool>(query.node.op)) return true;
  const auto* reduce = std::get_if<op::Reduce>(&query.node.op);
  if (reduce == nullptr || reduce->fn != op::ReduceFn::ReduceMean || query.constant(1) == nullptr)
    return false;
  std::vector<std::int64_t> axes = as_ints(*query.constant(1));
  for (std::int64_t& axis : axes)
    if (axis < 0) axis += 4;
  std::sort(axes.begin(), axes.end());
  return axes == std::vector<std::int64_t>{2, 3};
}

bool is_global_max(const Query& query) {
  return std::holds_alternative<op::GlobalMaxPool>(query.node.op) && is_image_pool(query) &&
         query.in(0).quant == query.out().quant;
}

Prepared prepare_max(const Query& query) {
  if (query.in(0).quant)
    return {std::make_unique<MaxPoolStep<std::uint8_t>>(query, kernels::select_max_pool_u8(query.isa)),
            "max_pool_u8"};
  return {std::make_unique<MaxPoolStep<float>>(query, kernels::select_max_pool_f32(query.isa)),
          "max_pool_f32"};
}

std::string named(std::string_view name, const Query& query) {
  return std::string(name) + (query.in(0).quant ? "_u8" : "_f32");
}

}  // namespace

std::span<const Tactic> pool_tactics() {
  constexpr bool kSlices = true;
  static const Tactic list[] = {
      {"max_pool", LayoutNeed::nhwc, is_max_pool, prepare_max, kSlices},
      {"average_pool", LayoutNeed::nhwc, is_average_pool,
       [](const Query& q) {
         return Prepared{std::make_unique<AveragePoolStep>(q), named("average_pool", q)};
       },
       kSlices},
      {"global_average", LayoutNeed::nhwc, is_global_average,
       [](const Query& q) {
         return Prepared{std::make_unique<GlobalAverageStep>(q), named("global_average", q)};
       }},
      {"global_max", LayoutNeed::nhwc, is_global_max,
       [](const Query& q) {
         return Prepared{std::make_unique<GlobalMaxStep>(q), named("global_max", q)};
       }},
  };
  return list;
}

}  // namespace eke
