#include "quant/observer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"

namespace eke {
namespace {

std::vector<float> normal_values(std::size_t count, unsigned seed, float scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(count);
  for (float& x : values) x = normal(random);
  return values;
}

// Images whose magnitude grows, so that bins join on the way, with zeros of both signs.
std::vector<float> growing_images(std::int64_t images, std::int64_t per_image) {
  std::vector<float> all;
  for (std::int64_t i = 0; i < images; ++i) {
    std::vector<float> image =
        normal_values(static_cast<std::size_t>(per_image), static_cast<unsigned>(i + 1),
                      std::ldexp(1e-3f, static_cast<int>(i)));
    for (std::size_t j = 0; j < image.size(); j += 5) image[j] = j % 2 == 0 ? 0.0f : -0.0f;
    all.insert(all.end(), image.begin(), image.end());
  }
  return all;
}

Observer observed(std::span<const float> values, std::int64_t per_image, std::int64_t batch, int threads) {
  const Threads pool(threads);
  Observer observer;
  while (!values.empty()) {
    const auto size = std::min(values.size(), static_cast<std::size_t>(batch * per_image));
    observer.observe(values.first(size), per_image, pool);
    values = values.subspan(size);
  }
  return observer;
}

TEST(Observer, DoesNotDependOnBatchesOrThreads) {
  constexpr std::int64_t kImages = 12, kPerImage = 9011;
  const std::vector<float> values = growing_images(kImages, kPerImage);
  const Observer whole = observed(values, kPerImage, kImages, 1);
  for (const int threads : {1, 2, 7}) {
    for (const std::int64_t batch : {1, 2, 5, 12}) {
      EXPECT_EQ(observed(values, kPerImage, batch, threads), whole)
          << threads << " threads, batches of " << batch;
    }
  }
}

TEST(Observer, CountsDependOnTheMultisetOfValuesAlone) {
  std::vector<float> values = growing_images(10, 1000);
  const Observer forward = observed(values, 1000, 1, 1);
  std::ranges::reverse(values);
  EXPECT_EQ(observed(values, 1000, 1, 1).histogram(), forward.histogram());
  EXPECT_EQ(observed(values, 1000, 1, 1).bounds(), forward.bounds());
}

TEST(Observer, CountsEveryValueInItsBin) {
  const std::vector<float> values = growing_images(9, 3001);
  const Observer observer = observed(values, 3001, 4, 2);
  const double width = observer.histogram().bin_width();
  std::vector<std::uint64_t> expected(2 * Histogram::kSide);
  for (const float x : values)
    ++expected[static_cast<std::size_t>(static_cast<int>(std::floor(x / width)) + Histogram::kSide)];
  for (int bin = -Histogram::kSide; bin < Histogram::kSide; ++bin) {
    ASSERT_EQ(observer.histogram().count(bin), expected[static_cast<std::size_t>(bin + Histogram::kSide)])
        << bin;
  }
  const auto [lo, hi] = std::ranges::minmax(values);
  EXPECT_EQ(observer.bounds(), (Range{lo, hi}));
  EXPECT_EQ(observer.zeros(), static_cast<std::uint64_t>(std::ranges::count(values, 0.0f)));
  EXPECT_EQ(observer.values(), values.size());
  EXPECT_EQ(observer.images(), 9);
}

TEST(Observer, UsesHalfOfTheBinsOfTheLongerSide) {
  for (const float most : {0x1p-140f, 1e-20f, 0.99f, 1.0f, 1.01f, 6.0f, 255.0f, 3e38f}) {
    const std::vector<float> values{0.0f, most};
    const Observer observer = observed(values, 2, 1, 1);
    const double bin = most / observer.histogram().bin_width();
    EXPECT_LT(bin, Histogram::kSide) << most;
    if (most > 1e-25f) {
      EXPECT_GE(bin, Histogram::kSide / 2) << most;
    }
    EXPECT_EQ(observer.histogram().count(static_cast<int>(bin)), most > 1e-25f ? 1u : 2u) << most;
  }
}

TEST(Observer, AveragesTheBoundsOfImages) {
  const Threads one(1);
  Observer observer(false);
  observer.observe(std::vector<float>{-1, 3, -3, 1, 0, 8}, 2, one);
  EXPECT_EQ(observer.mean_bounds(), (Range{-4.0f / 3, 4}));
  EXPECT_EQ(observer.bounds(), (Range{-3, 8}));
  EXPECT_EQ(observer.histogram().count(0), 0u);
}

TEST(Observer, MovesTheAverageAfterAHundredImages) {
  const Threads one(1);
  Observer observer(false);
  for (int i = 0; i < 100; ++i) observer.observe(std::vector<float>{0, 1}, 2, one);
  observer.observe(std::vector<float>{0, 101}, 2, one);
  EXPECT_FLOAT_EQ(observer.mean_bounds().hi, 2);
}

TEST(Observer, NamesTheFirstValueThatIsNotFinite) {
  struct Case {
    float bad;
    std::int64_t image, element;
  };
  constexpr std::int64_t kPerImage = 10000;
  for (const Case& c : {Case{std::numeric_limits<float>::infinity(), 0, 0},
                        Case{-std::numeric_limits<float>::infinity(), 3, kPerImage - 1},
                        Case{std::numeric_limits<float>::quiet_NaN(), 5, 8192}}) {
    std::vector<float> values = normal_values(6 * kPerImage, 1);
    values[static_cast<std::size_t>(c.image * kPerImage + c.element)] = c.bad;
    for (const std::int64_t batch : {1, 2, 6}) {
      const Observer observer = observed(values, kPerImage, batch, 2);
      ASSERT_NE(observer.nonfinite(), nullptr);
      EXPECT_EQ(observer.nonfinite()->image, c.image);
      EXPECT_EQ(observer.nonfinite()->element, c.element);
      EXPECT_EQ(std::isnan(observer.nonfinite()->value), std::isnan(c.bad));
    }
  }
}

TEST(Observer, RefusesPartsOfImages) {
  const Threads one(1);
  Observer observer;
  EXPECT_THROW(observer.observe(std::vector<float>(5), 2, one), Error);
}

}  // namespace
}  // namespace eke
