// Gradients of poolings, float32 in NHWC, split over images: a maximum's goes to the first of its window, an average's
// to all alike, and that of a global average is the same row for every pixel.
#include <algorithm>
#include <memory>

#include "ops/geometry.h"
#include "runtime/tactics/train.h"

namespace eke {
namespace {

// Images of the gradient, one thread each.
class ImageSplit {
 public:
  explicit ImageSplit(const Shape& x) : images_(x[0]), image_(x.count(1, 4)) {}
  // Calls f(image, its first element of x) after setting the image's gradient to zero.
  template <class F>
  void each(const StepArgs& args, F&& f) const noexcept {
    args.threads->for_ranges(static_cast<std::size_t>(images_), [&](std::size_t begin, std::size_t end) {
      for (auto n = static_cast<std::int64_t>(begin); n < static_cast<std::int64_t>(end); ++n) {
        std::fill_n(reinterpret_cast<float*>(args.out[0]) + n * image_, image_, 0.0f);
        f(n, n * image_);
      }
    });
  }

 private:
  std::int64_t images_, image_;
};

class MaxPoolGradStep : public Step {
 public:
  explicit MaxPoolGradStep(const Query& query)
      : geometry_(
            window_geometry(window_attributes(std::get<op::MaxPoolGrad>(query.node.op)), query.in(1).shape)),
        split_(query.in(1).shape),
        channels_(query.in(1).shape[1]) {}

  void run(const StepArgs& args) const noexcept override {
    split_.each(args, [&](std::int64_t n, std::int64_t first) {
      const float* dy = reinterpret_cast<const float*>(args.in[0]) + n * geometry_.out_count() * channels_;
      const float* x = reinterpret_cast<const float*>(args.in[1]) + first;
      float* dx = reinterpret_cast<float*>(args.out[0]) + first;
      for (std::int64_t oh = 0; oh < geometry_.h().out; ++oh)
        for (std::int64_t ow = 0; ow < geometry_.w().out; ++ow, dy += channels_) window(x, dy, dx, oh, ow);
    });
  }

 private:
  static constexpr std::int64_t kBlock = 64;

  void window(const float* x, const float* dy, float* dx, std::int64_t oh, std::int64_t ow) const noexcept {
    for (std::int64_t c = 0; c < channels_; c += kBlock) {
      const std::int64_t count = std::min(kBlock, channels_ - c);
      float best[kBlock];
      std::int32_t at[kBlock];
      bool any = false;
      for_taps(geometry_, 0, oh, ow, [&](std::int64_t, std::int64_t i) {
        const float* row = x + i * channels_ + c;
        const auto pixel = static_cast<std::int32_t>(i);
        for (std::int64_t k = 0; k < count; ++k) {
          const bool better = !any || best[k] < row[k];
          best[k] = better ? row[k] : best[k];
          at[k] = better ? pixel : at[k];
        }
        any = true;
      });
      for (std::int64_t k = 0; any && k < count; ++k) dx[at[k] * channels_ + c + k] += dy[c + k];
    }
  }

  Geometry geometry_;
  ImageSplit split_;
  std::int64_t channels_;
};

class AveragePoolGradStep : public Step {
 public:
  explicit AveragePoolGradStep(const Query& query)
      : geometry_(window_geometry(window_attributes(op_of(query)), query.out().shape)),
        split_(query.out().shape),
        channels_(query.out().shape[1]),
        padded_(op_of(query).count_include_pad != 0) {}

  void run(const StepArgs& args) const noexcept override {
    split_.each(args, [&](std::int64_t n, std::int64_t first) {
      const float* dy = reinterpret_cast<const float*>(args.in[0]) + n * geometry_.out_count() * channels_;
      float* dx = reinterpret_cast<float*>(args.out[0]) + first;
      for (std::int64_t oh = 0; oh < geometry_.h().out; ++oh)
        for (std::int64_t ow = 0; ow < geometry_.w().out; ++ow, dy += channels_) {
          const auto taps = static_cast<float>(taps_inside(geometry_.h(), oh, padded_) *
                                               taps_inside(geometry_.w(), ow, padded_));
          for_taps(geometry_, 0, oh, ow, [&](std::int64_t, std::int64_t i) {
            for (std::int64_t c = 0; c < channels_; ++c) dx[i * channels_ + c] += dy[c] / taps;
          });
        }
    });
  }

 private:
  static const op::AveragePoolGrad& op_of(const Query& query) {
    return std::get<op::AveragePoolGrad>(query.node.op);
  }

  Geometry geometry_;
  ImageSplit split_;
  std::int64_t channels_;
  bool padded_;
};

// [N, C, 1, 1] to [N, C, H, W].
class SpreadStep : public Step {
 public:
  explicit SpreadStep(const Query& query)
      : channels_(query.out().shape[1]),
        pixels_(query.out().shape[2] * query.out().shape[3]),
        images_(query.out().shape[0]) {}

  void run(const StepArgs& args) const noexcept override {
    const auto* in = reinterpret_cast<const float*>(args.in[0]);
    auto* out = reinterpret_cast<float*>(args.out[0]);
    args.threads->for_ranges(
        static_cast<std::size_t>(images_ * pixels_), [&](std::size_t begin, std::size_t end) {
          for (auto i = static_cast<std::int64_t>(begin); i < static_cast<std::int64_t>(end); ++i)
            std::copy_n(in + i / pixels_ * channels_, channels_, out + i * channels_);
        });
  }

 private:
  std::int64_t channels_, pixels_, images_;
};

bool is_spread(const Query& query) {
  if (!varies(query, 0) || !is_float_image(query.out())) return false;
  const Shape &x = query.in(0).shape, &y = query.out().shape;
  return x[0] == y[0] && x[1] == y[1] && x[2] == 1 && x[3] == 1;
}

template <class S>
Prepared prepared(const Query& query, std::string name) {
  return {std::make_unique<S>(query), std::move(name)};
}

}  // namespace

std::span<const Tactic> max_pool_grad_tactics() {
  static const Tactic list[] = {
      {"max_pool_grad_f32", LayoutNeed::nhwc, [](const Query& q) { return varies(q, 0) && varies(q, 1); },
       [](const Query& q) { return prepared<MaxPoolGradStep>(q, "max_pool_grad_f32"); }}};
  return list;
}

std::span<const Tactic> average_pool_grad_tactics() {
  static const Tactic list[] = {
      {"average_pool_grad_f32", LayoutNeed::nhwc, [](const Query& q) { return varies(q, 0); },
       [](const Query& q) { return prepared<AveragePoolGradStep>(q, "average_pool_grad_f32"); }}};
  return list;
}

std::span<const Tactic> spread_tactics() {
  static const Tactic list[] = {{"spread_f32", LayoutNeed::nhwc, is_spread,
                                 [](const Query& q) { return prepared<SpreadStep>(q, "spread_f32"); }}};
  return list;
}

}  // namespace eke
