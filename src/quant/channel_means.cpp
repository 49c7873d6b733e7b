#include "quant/channel_means.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace eke {
namespace {

constexpr std::size_t kLanes = 8;

struct Sums {
  double sum = 0, square = 0;
  float peak = 0;
};

Sums sums_of(const float* values, std::int64_t count) {
  std::array<double, kLanes> sum{}, square{};
  std::array<float, kLanes> peak{};
  const auto step = [&](std::size_t lane, float x) {
    sum[lane] += static_cast<double>(x);
    square[lane] += static_cast<double>(x) * static_cast<double>(x);
    peak[lane] = std::max(peak[lane], std::fabs(x));
  };
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(kLanes) <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) step(lane, values[i + static_cast<std::int64_t>(lane)]);
  }
  for (std::size_t lane = 0; i < count; ++i, ++lane) step(lane, values[i]);
  Sums result;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    result.sum += sum[lane];
    result.square += square[lane];
    result.peak = std::max(result.peak, peak[lane]);
  }
  return result;
}

constexpr std::size_t kTogether =
    32;                            // channels: GCC unrolls loops of 16 and fewer, and then vectorizes none
constexpr std::int64_t kRun = 64;  // pixels that are summed in floats, to 64 roundings of 2^-24

struct RunSums {
  std::array<float, kTogether> sum{}, square{}, peak{};
};

// Of `count` channels, kTogether at most, over a run of pixels; `values` is the first of them. Into a local value, which
// compilers know to lie apart from what is read.
RunSums sums_of_run(const float* values, std::int64_t pixels, std::int64_t channels, std::size_t count) {
  RunSums sums;
  for (std::int64_t p = 0; p < pixels; ++p, values += channels) {
    for (std::size_t c = 0; c < count; ++c) {
      const float x = values[c], magnitude = std::fabs(x);
      sums.sum[c] += x;
      sums.square[c] += x * x;
      sums.peak[c] = magnitude > sums.peak[c] ? magnitude : sums.peak[c];
    }
  }
  return sums;
}

// Adds up channels [begin, end) of an image whose channels are innermost.
void add_pixels(const float* image, std::int64_t pixels, std::int64_t channels, std::size_t begin,
                std::size_t end, double* sums, double* squares, float* peaks) {
  for (std::int64_t p = 0; p < pixels; p += kRun) {
    const std::int64_t run = std::min(kRun, pixels - p);
    for (std::size_t first = begin; first < end; first += kTogether) {
      const std::size_t count = std::min(kTogether, end - first);
      const float* values = image + p * channels + first;
      // A constant count is what compilers vectorize.
      const RunSums part = count == kTogether ? sums_of_run(values, run, channels, kTogether)
                                              : sums_of_run(values, run, channels, count);
      for (std::size_t c = 0; c < count; ++c) {
        sums[first + c] += static_cast<double>(part.sum[c]);
        squares[first + c] += static_cast<double>(part.square[c]);
        peaks[first + c] = std::max(peaks[first + c], part.peak[c]);
      }
    }
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
  squares_.resize(sums_.size());
  peaks_.resize(sums_.size());
  std::vector<double> sums(sums_.size()), squares(sums_.size());
  for (std::int64_t i = 0; i < images; ++i) {
    const float* image = view.as<float>() + i * channels * pixels;
    std::ranges::fill(sums, 0.0);
    std::ranges::fill(squares, 0.0);
    threads.for_ranges(sums.size(), [&](std::size_t begin, std::size_t end) {
      if (channels_last)
        return add_pixels(image, pixels, channels, begin, end, sums.data(), squares.data(), peaks_.data());
      for (std::size_t c = begin; c < end; ++c) {
        const Sums part = sums_of(image + static_cast<std::int64_t>(c) * pixels, pixels);
        sums[c] = part.sum;
        squares[c] = part.square;
        peaks_[c] = std::max(peaks_[c], part.peak);
      }
    });
    for (std::size_t c = 0; c < sums.size(); ++c) {
      sums_[c] += sums[c] / static_cast<double>(pixels);
      squares_[c] += squares[c] / static_cast<double>(pixels);
    }
  }
  images_ += images;
}

std::vector<float> ChannelMeans::averaged(const std::vector<double>& sums) const {
  std::vector<float> means;
  for (const double sum : sums) means.push_back(static_cast<float>(sum / static_cast<double>(images_)));
  return means;
}

}  // namespace eke
