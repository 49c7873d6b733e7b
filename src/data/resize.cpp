#include "data/resize.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace eke {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;

// For each output position: the first input position that counts, how many do, and where their weights start.
struct Taps {
  struct Window {
    int first;
    int count;
    std::size_t weights_at;
  };
  std::vector<Window> windows;
  std::vector<std::int32_t> weights;
};

Taps make_taps(int in_size, int out_size) {
  const double scale = static_cast<double>(in_size) / out_size;
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter_scale;
  const double step = 1.0 / filter_scale;
  Taps taps;
  std::vector<double> raw;
  for (int i = 0; i < out_size; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int last = std::min(in_size, static_cast<int>(center + support + 0.5));
    raw.clear();
    double sum = 0;
    for (int x = first; x < last; ++x) {
      const double distance = std::abs((x - center + 0.5) * step);
      raw.push_back(distance < 1.0 ? 1.0 - distance : 0.0);
      sum += raw.back();
    }
    taps.windows.push_back({first, last - first, taps.weights.size()});
    for (double weight : raw) {
      const double normalized = sum != 0 ? weight / sum : weight;
      taps.weights.push_back(static_cast<std::int32_t>(0.5 + normalized * (1 << kPrecisionBits)));
    }
  }
  return taps;
}

std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

Image resize_rows(const Image& in, int width) {
  const Taps taps = make_taps(in.width, width);
  const int channels = in.channels;
  Image out{width, in.height, channels,
            std::vector<std::uint8_t>(std::size_t{1} * width * in.height * channels)};
  std::uint8_t* to = out.pixels.data();
  for (int y = 0; y < in.height; ++y) {
    const std::uint8_t* row = in.pixels.data() + static_cast<std::size_t>(y) * in.width * channels;
    for (const Taps::Window& window : taps.windows) {
      const std::int32_t* weights = taps.weights.data() + window.weights_at;
      for (int c = 0; c < channels; ++c) {
        const std::uint8_t* from = row + static_cast<std::size_t>(window.first) * channels + c;
        std::int32_t sum = 1 << (kPrecisionBits - 1);
        for (int k = 0; k < window.count; ++k) sum += from[k * channels] * weights[k];
        *to++ = rounded(sum);
      }
    }
  }
  return out;
}

Image resize_columns(const Image& in, int height) {
  const Taps taps = make_taps(in.height, height);
  const std::size_t stride = static_cast<std::size_t>(in.width) * in.channels;
  Image out{in.width, height, in.channels, std::vector<std::uint8_t>(stride * height)};
  std::vector<std::int32_t> sums(stride);
  std::uint8_t* to = out.pixels.data();
  for (const Taps::Window& window : taps.windows) {
    std::fill(sums.begin(), sums.end(), 1 << (kPrecisionBits - 1));
    for (int k = 0; k < window.count; ++k) {
      const std::int32_t weight = taps.weights[window.weights_at + k];
      const std::uint8_t* from = in.pixels.data() + static_cast<std::size_t>(window.first + k) * stride;
      for (std::size_t i = 0; i < stride; ++i) sums[i] += from[i] * weight;
    }
    for (std::int32_t sum : sums) *to++ = rounded(sum);
  }
  return out;
}

}  // namespace

Image resize_bilinear(const Image& image, int width, int height) {
  check(width > 0 && height > 0 && width <= kMaxImagePixels / height,
        "cannot resize to {} x {}: give positive extents of at most {} pixels", width, height,
        kMaxImagePixels);
  // The intermediate image is as wide as the target and as high as the source.
  check(width <= kMaxImagePixels / image.height, "cannot resize {} x {} to a width of {}: that is too large",
        image.width, image.height, width);
  Image rows = width == image.width ? image : resize_rows(image, width);
  return height == image.height ? rows : resize_columns(rows, height);
}

Image crop(const Image& image, int x, int y, int width, int height) {
  check(x >= 0 && y >= 0 && width > 0 && height > 0 && width <= image.width - x && height <= image.height - y,
        "cannot crop {} x {} at ({}, {}) from an image of {} x {}", width, height, x, y, image.width,
        image.height);
  const std::size_t stride = static_cast<std::size_t>(width) * image.channels;
  Image out{width, height, image.channels, std::vector<std::uint8_t>(stride * height)};
  for (int row = 0; row < height; ++row) {
    const std::size_t from = (static_cast<std::size_t>(y + row) * image.width + x) * image.channels;
    std::copy_n(image.pixels.begin() + from, stride, out.pixels.begin() + row * stride);
  }
  return out;
}

Image to_grey(const Image& image) {
  if (image.channels == 1) return image;
  Image out{image.width, image.height, 1, std::vector<std::uint8_t>(image.pixels.size() / 3)};
  for (std::size_t i = 0; i < out.pixels.size(); ++i) {
    const std::uint8_t* rgb = &image.pixels[i * 3];
    out.pixels[i] =
        static_cast<std::uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
  }
  return out;
}

}  // namespace eke
