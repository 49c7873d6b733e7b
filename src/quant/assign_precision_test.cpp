#include "quant/assign_precision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"

namespace eke {
namespace {

using testing::ElementsAre;

TEST(AssignPrecision, FrontLeavesOutWhatIsBeaten) {
  struct Case {
    std::vector<CostAndNoise> tried;
    std::vector<std::size_t> front;
  };
  const Case cases[] = {
      {{}, {}},
      {{{2, 1}}, {0}},
      {{{2, 1}, {1, 3}, {3, 0}, {3, 2}}, {1, 0, 2}},
      {{{1, 1}, {1, 1}, {1, 2}, {2, 1}}, {0}},  // of equals the first
  };
  for (const Case& c : cases) EXPECT_EQ(pareto_front(c.tried), c.front);
}

TEST(AssignPrecision, BuysFirstWhatTakesAwayMostNoiseForItsCost) {
  // The second layer gains most by its first step; the third has nothing to gain.
  const std::vector<std::vector<CostAndNoise>> layers{
      {{1, 4}, {3, 0}}, {{1, 10}, {2, 2}, {4, 0}}, {{2, 1}, {1, 1}}};
  const std::vector<Assignment> path = convex_assignments(layers, 10);
  EXPECT_THAT(
      path, ElementsAre(Assignment{0, 0, 1}, Assignment{0, 1, 1}, Assignment{1, 1, 1}, Assignment{1, 2, 1}));
  EXPECT_THAT(convex_assignments(layers, 2), ElementsAre(path.front(), path.back()));
  EXPECT_THAT(convex_assignments(layers, 3), ElementsAre(path[0], path[2], path[3]));
  EXPECT_THROW(convex_assignments(layers, 1), Error);
  EXPECT_THROW(convex_assignments(std::vector<std::vector<CostAndNoise>>(1), 2), Error);
}

// For any price of noise, no assignment of all is better than the best of the path.
TEST(AssignPrecision, HoldsWhatIsBestAtEveryPrice) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> number(0, 1);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<std::vector<CostAndNoise>> layers(4, std::vector<CostAndNoise>(3));
    for (auto& layer : layers)
      for (CostAndNoise& c : layer) c = {number(random), number(random)};
    const auto total = [&](const Assignment& a, double price) {
      double sum = 0;
      for (std::size_t l = 0; l < a.size(); ++l) sum += layers[l][a[l]].cost + price * layers[l][a[l]].noise;
      return sum;
    };
    const std::vector<Assignment> path = convex_assignments(layers, 100);
    for (const double price : {0.01, 0.3, 1.0, 3.0, 100.0}) {
      double best = total(path[0], price), least = best;
      for (const Assignment& a : path) best = std::min(best, total(a, price));
      for (std::size_t code = 0; code < 81; ++code)
        least = std::min(least, total({code % 3, code / 3 % 3, code / 9 % 3, code / 27}, price));
      EXPECT_NEAR(best, least, 1e-12);
    }
  }
}

}  // namespace
}  // namespace eke
