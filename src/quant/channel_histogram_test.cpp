#include "quant/channel_histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace eke {
namespace {

TEST(ChannelHistogram, BinsHoldTheirValues) {
  EXPECT_EQ(ChannelHistogram::value_of(0), 0);
  for (int bin = 1; bin + 1 < ChannelHistogram::kBins; ++bin) {
    const Tensor one = Tensor::from<float>({1, 1}, {static_cast<float>(ChannelHistogram::value_of(bin))});
    ChannelHistogram histogram;
    histogram.observe(one.view(), false, 1, Threads(1));
    EXPECT_EQ(histogram.counts()[static_cast<std::size_t>(bin)], 1u) << bin;
  }
}

TEST(ChannelHistogram, EndsTakeTheRest) {
  const Tensor values = Tensor::from<float>({1, 1, 2, 3}, {-5, 0, 1e-7f, 256, 1e30f, -0.0f});
  ChannelHistogram histogram;
  histogram.observe(values.view(), false, 1, Threads(1));
  EXPECT_EQ(histogram.counts().front(), 4u);
  EXPECT_EQ(histogram.counts().back(), 2u);
}

TEST(ChannelHistogram, ChannelsAreApartInEitherLayoutAndAtAnyThreadCount) {
  Tensor plain(DType::f32, {2, 3, 2, 2}), last(DType::f32, {2, 3, 2, 2});
  for (int image = 0; image < 2; ++image) {
    for (int c = 0; c < 3; ++c) {
      for (int p = 0; p < 4; ++p) {
        const auto value = static_cast<float>(std::ldexp(1.0, c + image));
        plain.mutable_values<float>()[static_cast<std::size_t>((image * 3 + c) * 4 + p)] = value;
        last.mutable_values<float>()[static_cast<std::size_t>((image * 4 + p) * 3 + c)] = value;
      }
    }
  }
  ChannelHistogram a, b, one;
  a.observe(plain.view(), false, 2, Threads(1));
  b.observe(last.view(), true, 2, Threads(3));
  one.observe(plain.view(), false, 1, Threads(1));
  EXPECT_EQ(a.counts(), b.counts());
  EXPECT_EQ(a.counts().size(), 3u * ChannelHistogram::kBins);
  for (int c = 0; c < 3; ++c) {
    std::uint32_t sum = 0;
    for (int bin = 0; bin < ChannelHistogram::kBins; ++bin)
      sum += one.counts()[static_cast<std::size_t>(c * ChannelHistogram::kBins + bin)];
    EXPECT_EQ(sum, 4u) << "the second image does not count";
  }
}

}  // namespace
}  // namespace eke
