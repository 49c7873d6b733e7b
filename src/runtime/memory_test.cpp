#include "runtime/memory.h"

#include <gtest/gtest.h>

#include <random>

namespace eke {
namespace {

TEST(Placement, BuffersAliveTogetherNeverOverlap) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    std::vector<Interval> intervals;
    for (int i = 0; i < 40; ++i) {
      const int first = static_cast<int>(random() % 30);
      intervals.push_back({random() % 5000, first, first + static_cast<int>(random() % 6)});
    }
    const Placement placement = place(intervals);
    for (std::size_t i = 0; i < intervals.size(); ++i) {
      EXPECT_EQ(placement.offsets[i] % 64, 0u);
      EXPECT_LE(placement.offsets[i] + intervals[i].bytes + 64, placement.bytes);
      for (std::size_t j = 0; j < i; ++j) {
        const bool together =
            intervals[i].first <= intervals[j].last && intervals[j].first <= intervals[i].last;
        const bool apart = placement.offsets[i] + intervals[i].bytes + 64 <= placement.offsets[j] ||
                           placement.offsets[j] + intervals[j].bytes + 64 <= placement.offsets[i];
        EXPECT_TRUE(!together || apart) << i << " and " << j;
      }
    }
  }
}

TEST(Placement, BuffersThatNeverMeetShareMemory) {
  EXPECT_EQ(place({{1000, 0, 1}, {1000, 2, 3}, {1000, 4, 5}}).bytes, place({{1000, 0, 1}}).bytes);
}

}  // namespace
}  // namespace eke
