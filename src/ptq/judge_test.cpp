#include "ptq/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "base/error.h"
#include "ptq/testing/halves_network.h"

namespace eke {
namespace {

TEST(HoldBack, TakesAQuarterWhereStepsAreJudgedAndEnoughImagesAreThere) {
  const Halves halves;
  const Dataset all = halves.open();
  const struct {
    std::size_t images;
    bool judged;
    std::size_t held;
  } cases[] = {{24, true, 6}, {24, false, 0}, {11, true, 2}, {8, true, 2}, {7, true, 0}, {1, true, 0}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.images);
    const CalibrationParts parts = hold_back(all.head(c.images), c.judged);
    ASSERT_EQ(parts.held_back.has_value(), c.held > 0);
    EXPECT_EQ(parts.calibration.size(), c.images - c.held);
    if (!parts.held_back) continue;
    EXPECT_EQ(parts.held_back->size(), c.held);
    std::set<std::string> names;
    for (const Dataset* part : {&parts.calibration, &*parts.held_back})
      for (const Sample& sample : part->samples()) names.insert(sample.id);
    EXPECT_EQ(names.size(), c.images);
  }
}

// With the weights of the head times `factors`, one an output.
Graph with_head_times(const Graph& graph, float left, float right) {
  Graph changed = graph;
  const auto node = std::ranges::find(changed.nodes, std::string("head"), &Node::name);
  Value& head = changed[node->in[1]];
  Tensor weights = *head.constant;
  const auto values = weights.mutable_values<float>();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] *= i < 8 ? left : right;
  head.constant = std::make_shared<const Tensor>(std::move(weights));
  return changed;
}

TEST(Judge, ComparesImageByImageWithFloatAndWithLabels) {
  const HalvesParts halves;
  const Graph graph = halves_network();
  const struct {
    const char* what;
    float left, right;
    double sqnr_db;
    bool right_as_float;
  } cases[] = {{"the same", 1, 1, kExactDb, true},
               {"a tenth larger", 1.1f, 1.1f, 20, true},
               {"a hundredth smaller", 0.99f, 0.99f, 40, true},
               {"the other way round", -1, -1, -6.0206, false},
               {"nothing", 0, 0, 0, false}};
  for (const bool labelled : {true, false}) {
    HeldBack held = halves.held(labelled);
    Judge judge(graph, held, halves.threads);
    EXPECT_EQ(judge.by_labels(), labelled);
    EXPECT_THAT(judge.float_right(), testing::Each(true));
    for (const auto& c : cases) {
      SCOPED_TRACE(c.what);
      const Judged judged = judge.of(with_head_times(graph, c.left, c.right));
      ASSERT_EQ(judged.sqnr_db.size(), 6u);
      ASSERT_EQ(judged.right.size(), 6u);
      EXPECT_THAT(judged.sqnr_db, testing::Each(testing::DoubleNear(c.sqnr_db, 1e-2)));
      if (c.left == 0) continue;  // of equal outputs the first is the largest, which is right for one class
      EXPECT_THAT(judged.right, testing::Each(c.right_as_float));
    }
  }
}

TEST(Judge, TakesTheOutputOfAClassFromItsOffset) {
  const HalvesParts halves;
  HeldBack held = held_back_images(*halves.parts.held_back, halves.how, halves.threads, true, 1);
  const Judge judge(halves_network(), held, halves.threads);
  // "left" is output 1 now, which is largest for the images of "right"; those are output 2, which is not there.
  EXPECT_THAT(judge.float_right(), testing::Each(false));
}

TEST(Judge, NamesTheImageWhoseOutputIsNoNumber) {
  const HalvesParts halves;
  HeldBack held = halves.held();
  try {
    const Judge judge(with_head_times(halves_network(), std::numeric_limits<float>::infinity(), 1), held,
                      halves.threads);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(halves.parts.held_back->samples()[0].id));
  }
}

}  // namespace
}  // namespace eke
