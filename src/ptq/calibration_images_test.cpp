#include "ptq/calibration_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "learn/testing/halves.h"

namespace eke {
namespace {

constexpr std::int64_t kRow = 3 * 8 * 8;

TEST(CalibrationImages, GivesAllInOrderInWholeBatchesAndALastOne) {
  const Halves halves;
  const Dataset data = halves.open();
  const struct {
    std::int64_t batch, limit;
    std::vector<std::size_t> sizes;
  } cases[] = {{1, 3, {1, 1, 1}}, {5, 0, {5, 5, 5, 5, 4}}, {7, 8, {7, 1}}, {24, 0, {24}}, {32, 100, {24}}};
  for (const int threads : {1, 2}) {
    const Threads pool(threads);
    const Preprocess how = small_preprocess();
    CalibrationImages images(data, how, pool);
    const BatchLoader loader(data, how, pool);
    for (const auto& c : cases) {
      SCOPED_TRACE(c.batch);
      std::vector<std::size_t> sizes;
      std::size_t at = 0;
      images.each_batch(c.batch, kRow, c.limit, "",
                        [&](std::span<const float> values, std::span<const std::string> names) {
                          sizes.push_back(names.size());
                          const Tensor wanted = loader.load(at, at + names.size());
                          EXPECT_TRUE(std::ranges::equal(values, wanted.values<float>()));
                          for (const std::string& name : names) EXPECT_EQ(name, data.samples()[at++].id);
                        });
      EXPECT_EQ(sizes, c.sizes);
    }
  }
}

TEST(CalibrationImages, TellsHowFarItIsAndStopsWhereThatThrows) {
  const Halves halves;
  const Dataset data = halves.open();
  const Threads one(1);
  std::vector<std::int64_t> told;
  std::size_t taken = 0;
  const auto progress = [&](std::string_view what, std::int64_t done, std::int64_t of) {
    EXPECT_EQ(what, "looking");
    EXPECT_EQ(of, 20);
    told.push_back(done);
    if (done == 16) throw std::runtime_error("stop");
  };
  CalibrationImages images(data, small_preprocess(), one, progress);
  EXPECT_THROW(images.each_batch(8, kRow, 20, "looking", [&](auto, auto names) { taken += names.size(); }),
               std::runtime_error);
  EXPECT_EQ(told, (std::vector<std::int64_t>{0, 8, 16}));
  EXPECT_EQ(taken, 16u);
}

TEST(CalibrationImages, NotesEqualImagesOnce) {
  const Halves halves;
  const Dataset all = halves.open();
  const Dataset data = all.select({0, 1, 0, 2, 1});
  const Threads one(1);
  CalibrationImages images(data, small_preprocess(), one);
  for (int time = 0; time < 2; ++time) images.each_batch(2, kRow, 0, "", [](auto, auto) {});
  EXPECT_THAT(images.duplicates(), testing::ElementsAre(std::pair(2, 0), std::pair(4, 1)));
}

TEST(CalibrationImages, GivesTheSameVersionsAtAnyNumberOfThreads) {
  const Halves halves;
  const Dataset data = halves.open();
  std::vector<std::vector<float>> first;
  for (const int threads : {1, 2}) {
    const Threads pool(threads);
    CalibrationImages images(data, small_preprocess(), pool);
    std::vector<std::vector<float>> all;
    for (int time = 0; time < 2; ++time) {
      all.clear();
      images.each_version(
          [&](std::span<const float> values) { all.emplace_back(values.begin(), values.end()); });
    }
    EXPECT_EQ(images.version_count(), images.count() * CalibrationImages::kVersions);
    ASSERT_EQ(static_cast<std::int64_t>(all.size()), images.version_count());
    if (first.empty()) first = all;
    EXPECT_EQ(all, first);
  }
  const std::size_t count = data.size();
  std::size_t changed = 0;
  for (std::size_t i = count; i < first.size(); ++i) changed += first[i] != first[i % count];
  EXPECT_GT(changed, count);
}

}  // namespace
}  // namespace eke
