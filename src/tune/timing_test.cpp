#include "tune/timing.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/error.h"
#include "runtime/testing/random_network.h"

namespace eke {
namespace {

TEST(SpreadOf, IsMadeOfOrderStatistics) {
  const struct {
    std::vector<double> values;
    double median, p10, p90, least;
  } cases[] = {
      {{3}, 3, 3, 3, 3}, {{2, 1}, 1.5, 1.1, 1.9, 1}, {{10, 0, 5, 2, 8, 4, 6, 1, 9, 7, 3}, 5, 1, 9, 0}};
  for (const auto& c : cases) {
    const Spread spread = spread_of(c.values);
    EXPECT_DOUBLE_EQ(spread.median, c.median);
    EXPECT_DOUBLE_EQ(spread.p10, c.p10);
    EXPECT_DOUBLE_EQ(spread.p90, c.p90);
    EXPECT_EQ(spread.least, c.least);
  }
  EXPECT_THROW(spread_of({}), Error);
}

TEST(TimeInTurn, GivesEachSessionItsTimesAndStopsWhereTheCallerThrows) {
  const Threads one(1);
  const Graph graph = testing::random_network(1, {});
  Session first(graph, one), second(graph, one);
  Session* const sessions[] = {&first, &second};
  std::vector<int> rounds;
  const Timing timing = time_in_turn(sessions, 2, 3, [&](int done, int of) {
    EXPECT_EQ(of, 5);
    rounds.push_back(done);
  });
  EXPECT_EQ(rounds, (std::vector<int>{1, 2, 3, 4, 5}));
  EXPECT_EQ(timing.runs, 3);
  EXPECT_EQ(timing.warmup, 2);
  ASSERT_EQ(timing.ms.size(), 2u);
  ASSERT_EQ(timing.ratio.size(), 2u);
  ASSERT_EQ(timing.first_run_ms.size(), 2u);
  EXPECT_EQ(timing.ratio[0].median, 1);
  for (const Spread& ms : timing.ms) {
    EXPECT_GT(ms.least, 0);
    EXPECT_LE(ms.least, ms.p10);
    EXPECT_LE(ms.p10, ms.median);
    EXPECT_LE(ms.median, ms.p90);
  }
  EXPECT_THROW(time_in_turn(sessions, 0, 1, [](int, int) { throw std::runtime_error("stop"); }),
               std::runtime_error);
}

}  // namespace
}  // namespace eke
