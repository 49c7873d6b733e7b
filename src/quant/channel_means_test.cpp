#include "quant/channel_means.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"

namespace eke {
namespace {

using testing::ElementsAre;
using testing::FloatEq;

TEST(ChannelMeans, BothLayouts) {
  const Threads two(2);
  // Two images of three channels and two pixels; the third image is padding of the batch.
  const Tensor plain =
      Tensor::from<float>({3, 3, 2, 1}, {1, 3, 10, 30, -1, -3, 5, 7, 0, 0, 0, 8, 9, 9, 9, 9, 9, 9});
  const Tensor last =
      Tensor::from<float>({3, 3, 2, 1}, {1, 10, -1, 3, 30, -3, 5, 0, 0, 7, 0, 8, 9, 9, 9, 9, 9, 9});
  for (const bool channels_last : {false, true}) {
    ChannelMeans means;
    EXPECT_TRUE(means.means().empty());
    means.observe((channels_last ? last : plain).view(), channels_last, 2, two);
    EXPECT_THAT(means.means(), ElementsAre(FloatEq(4), FloatEq(10), FloatEq(1)));
  }
}

TEST(ChannelMeans, DoNotDependOnBatchesOrThreads) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  Tensor images(DType::f32, {6, 5, 7, 3});
  for (float& x : images.mutable_values<float>()) x = normal(random);
  for (const bool channels_last : {false, true}) {
    std::vector<float> expected;
    for (const int threads : {1, 2, 3}) {
      const Threads pool(threads);
      ChannelMeans whole, single;
      whole.observe(images.view(), channels_last, 6, pool);
      for (std::size_t i = 0; i < 6; ++i) {
        const Tensor image = Tensor::from<float>({1, 5, 7, 3}, images.values<float>().subspan(i * 105, 105));
        single.observe(image.view(), channels_last, 1, pool);
      }
      if (expected.empty()) expected = whole.means();
      EXPECT_EQ(whole.means(), expected) << threads;
      EXPECT_EQ(single.means(), expected) << threads;
    }
  }
}

TEST(ChannelMeans, AreOfFloatTensorsWithChannels) {
  const Threads one(1);
  ChannelMeans means;
  EXPECT_THROW(means.observe(Tensor(DType::f32, {3}).view(), false, 1, one), Error);
  EXPECT_THROW(means.observe(Tensor(DType::u8, {1, 3}).view(), false, 1, one), Error);
}

}  // namespace
}  // namespace eke
