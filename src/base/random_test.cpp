#include "base/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace eke {
namespace {

TEST(Random, StreamsAreReproducibleAndDistinct) {
  std::set<std::uint64_t> firsts;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (std::uint64_t major = 0; major < 10; ++major) {
      for (std::uint64_t minor = 0; minor < 10; ++minor) firsts.insert(Random(seed, major, minor).next());
    }
  }
  EXPECT_EQ(firsts.size(), 1000u);
  EXPECT_EQ(Random(1, 2, 3).next(), Random(1, 2, 3).next());
  // The same on every machine and in every version: checkpoints rely on it.
  EXPECT_EQ(Random(0).next(), 11306573068052400947u);
}

TEST(Random, DistributionsHaveTheirMoments) {
  Random random(7);
  double sum = 0, squares = 0, uniform = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    const double u = random.uniform(2, 4);
    ASSERT_GE(u, 2);
    ASSERT_LT(u, 4);
    uniform += u;
    ASSERT_LT(random.below(3), 3u);
  }
  EXPECT_NEAR(sum / kCount, 0, 0.02);
  EXPECT_NEAR(squares / kCount, 1, 0.02);
  EXPECT_NEAR(uniform / kCount, 3, 0.02);
}

TEST(Random, ShuffledIsAPermutation) {
  const std::vector<std::size_t> order = shuffled(100, Random(3));
  std::vector<std::size_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_NE(order, sorted);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(sorted[i], i);
  EXPECT_EQ(order, shuffled(100, Random(3)));
  EXPECT_TRUE(shuffled(0, Random(3)).empty());
}

}  // namespace
}  // namespace eke
