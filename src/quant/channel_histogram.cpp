#include "quant/channel_histogram.h"

#include <bit>
#include <cmath>

#include "base/error.h"

namespace eke {
namespace {

constexpr int kPerOctave = 4, kLowestOctave = -12, kHighestOctave = 8;

// The upper two bits of the mantissa divide an octave into four.
int bin_of(float x) {
  if (!(x >= 0x1p-12f)) return 0;
  if (x >= 0x1p8f) return ChannelHistogram::kBins - 1;
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const int octave = static_cast<int>(bits >> 23) - 127, quarter = static_cast<int>(bits >> 21) & 3;
  return 1 + (octave - kLowestOctave) * kPerOctave + quarter;
}
static_assert(ChannelHistogram::kBins == (kHighestOctave - kLowestOctave) * kPerOctave + 2);

}  // namespace

double ChannelHistogram::value_of(int bin) {
  if (bin <= 0) return 0;
  const int octave = (bin - 1) / kPerOctave + kLowestOctave, quarter = (bin - 1) % kPerOctave;
  return std::ldexp(1 + (quarter + 0.5) / kPerOctave, octave);
}

void ChannelHistogram::observe(const TensorView& view, bool channels_last, std::int64_t images,
                               const Threads& threads) {
  const Shape& shape = view.shape();
  check(shape.rank() >= 2 && images <= shape[0], "{} images of a tensor of shape {}", images,
        to_string(shape));
  const std::int64_t channels = shape[1], pixels = shape.count(2, shape.rank());
  counts_.resize(static_cast<std::size_t>(channels * kBins));
  const std::int64_t to_pixel = channels_last ? channels : 1, to_channel = channels_last ? 1 : pixels;
  threads.for_ranges(static_cast<std::size_t>(channels), [&](std::size_t begin, std::size_t end) {
    for (std::int64_t i = 0; i < images; ++i) {
      for (std::size_t c = begin; c < end; ++c) {
        const float* values =
            view.as<float>() + i * channels * pixels + static_cast<std::int64_t>(c) * to_channel;
        std::uint32_t* counts = counts_.data() + c * kBins;
        for (std::int64_t p = 0; p < pixels; ++p) ++counts[bin_of(values[p * to_pixel])];
      }
    }
  });
}

}  // namespace eke
