#include "data/prefetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "data/test_files.h"

namespace eke {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Preprocess small() {
  Preprocess how;
  how.width = how.height = 4;
  return how;
}

Dataset make_set(const TestFolder& folder, int count) {
  for (int i = 0; i < count; ++i) {
    folder.write((i % 2 ? "a/" : "b/") + std::to_string(100 + i) + ".pgm", flat_pgm(5, 4, 10 * i));
  }
  return open_dataset(folder.path());
}

std::vector<TrainBatch> all_batches(BatchStream& stream, std::chrono::milliseconds pause = {}) {
  std::vector<TrainBatch> batches;
  TrainBatch batch;
  while (stream.next(batch)) {
    batches.push_back(batch);
    std::this_thread::sleep_for(pause);
  }
  return batches;
}

bool equal(const std::vector<TrainBatch>& a, const std::vector<TrainBatch>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const TrainBatch& x, const TrainBatch& y) {
    return x.images == y.images && x.labels == y.labels;
  });
}

TEST(FittedImages, LeavesOutUnreadableImagesAndSaysWhich) {
  const TestFolder folder;
  make_set(folder, 20);
  folder.write("a/bad.pgm", "P5 1 1 255 ");
  const Dataset set = open_dataset(folder.path());
  for (const std::size_t budget : {std::size_t{0}, std::size_t{100}, FittedImages::kDefaultBudget}) {
    const FittedImages images(set, small(), Threads(2), budget);
    EXPECT_EQ(images.size(), 20u);
    ASSERT_EQ(images.unreadable().size(), 1u);
    EXPECT_THAT(images.unreadable()[0], HasSubstr("bad.pgm"));
    EXPECT_LE(images.kept_bytes(), budget);
    for (std::size_t i = 0; i < images.size(); ++i) {
      EXPECT_EQ(images.load(i), fit_image(images.dataset().load(i), small()));
    }
    const FittedImages part = images.select({3, 1});
    EXPECT_EQ(part.size(), 2u);
    EXPECT_EQ(part.load(0), images.load(3));
  }
  for (int i = 0; i < 4; ++i) folder.write("b/worse" + std::to_string(i) + ".pgm", "");
  try {
    FittedImages(open_dataset(folder.path()), small(), Threads(1));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("5 of 25"), HasSubstr("bad.pgm")));
  }
}

TEST(BatchStream, BitsDependNeitherOnTimingNorOnWhatIsKept) {
  const TestFolder folder;
  const Dataset set = make_set(folder, 11);
  const StreamOptions options{.batch = 4, .augmentation = parse_augmentation("crop,flip,colour"), .seed = 3};
  const Threads threads(2);
  const FittedImages kept(set, small(), threads), decoded(set, small(), threads, 0);
  BatchStream reference(kept, options, 2);
  EXPECT_EQ(reference.batches(), 3u);
  const std::vector<TrainBatch> expected = all_batches(reference);
  ASSERT_EQ(expected.size(), 3u);
  BatchStream slow(decoded, options, 2);
  EXPECT_TRUE(equal(all_batches(slow, std::chrono::milliseconds(5)), expected));
  BatchStream late(kept, options, 2, 2);
  EXPECT_TRUE(equal(all_batches(late), {expected[2]}));
  BatchStream other(kept, options, 3);
  EXPECT_FALSE(equal(all_batches(other), expected));
}

TEST(BatchStream, EveryImageComesInAnEpochAndTheLastBatchIsWhole) {
  const TestFolder folder;
  const FittedImages images(make_set(folder, 11), small(), Threads(1));
  BatchStream stream(images, {.batch = 4}, 0);
  std::multiset<float> seen;
  for (const TrainBatch& batch : all_batches(stream)) {
    for (std::size_t k = 0; k < 4; ++k) seen.insert(batch.images[k * small().count()]);
  }
  EXPECT_EQ(seen.size(), 12u);
  EXPECT_EQ(std::set<float>(seen.begin(), seen.end()).size(), 11u);
}

TEST(BatchStream, StopsEarlyAndPassesErrorsOn) {
  const TestFolder folder;
  const Dataset set = make_set(folder, 30);
  const FittedImages images(set, small(), Threads(1), 0);
  {
    BatchStream stream(images, {.batch = 2, .ahead = 1}, 0);
    TrainBatch batch;
    EXPECT_TRUE(stream.next(batch));
  }
  std::filesystem::remove_all(folder.path("a"));
  BatchStream stream(images, {.batch = 2}, 0);
  EXPECT_THROW(all_batches(stream), Error);
}

}  // namespace
}  // namespace eke
