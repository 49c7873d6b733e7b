#include "quant/channel_means.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace eke {
namespace {

constexpr std::size_t kLanes = 8;

double sum_of(const float* values, std::int64_t count) {
  std::array<double, kLanes> lanes{};
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(kLanes) <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      lanes[lane] += values[i + static_cast<std::int64_t>(lane)];
  }
  for (std::size_t lane = 0; i < count; ++i, ++lane) lanes[lane] += values[i];
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

// Adds up channels [begin, end) of an image whose channels are innermost.
void add_pixels(const float* image, std::int64_t pixels, std::int64_t channels, std::size_t begin,
                std::size_t end, double* sums) {
  for (std::int64_t p = 0; p < pixels; ++p) {
    const float* pixel = image + p * channels;
    for (std::size_t c = begin; c < end; ++c) sums[c] += pixel[c];
  }
}

}  // namespace

void ChannelMeans::observe(const TensorView& view, bool channels_last, std::int64_t images,
                           const Threads& threads) {
  const Shape& shape = view.shape();
  check(shape.rank() >= 2 && view.dtype() == DType::f32, "{} has no channels", to_string(*view.type));
  const std::int64_t channels = shape[1], pixels = shape.count(2, shape.rank());
  if (channels == 0 || pixels == 0) return;
  sums_.resize(static_cast<std::size_t>(channels));
  std::vector<double> sums(sums_.size());
  for (std::int64_t i = 0; i < images; ++i) {
    const float* image = view.as<float>() + i * channels * pixels;
    std::ranges::fill(sums, 0.0);
    threads.for_ranges(sums.size(), [&](std::size_t begin, std::size_t end) {
      if (channels_last) return add_pixels(image, pixels, channels, begin, end, sums.data());
      for (std::size_t c = begin; c < end; ++c)
        sums[c] = sum_of(image + static_cast<std::int64_t>(c) * pixels, pixels);
    });
    for (std::size_t c = 0; c < sums.size(); ++c) sums_[c] += sums[c] / static_cast<double>(pixels);
  }
  images_ += images;
}

std::vector<float> ChannelMeans::means() const {
  std::vector<float> means;
  for (const double sum : sums_) means.push_back(static_cast<float>(sum / static_cast<double>(images_)));
  return means;
}

}  // namespace eke
