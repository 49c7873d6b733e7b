#include "data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "data/test_files.h"

namespace eke {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Preprocess small() {
  Preprocess how;
  how.width = 3;
  how.height = 2;
  return how;
}

TEST(BatchLoader, LoadsRangesInOrderWhateverTheThreads) {
  TestFolder folder;
  for (int i = 0; i < 9; ++i) folder.write("c/" + std::to_string(i) + ".pgm", flat_pgm(4 + i, 5, i * 20));
  const Dataset dataset = open_dataset(folder.path());
  for (int count : {1, 2, 7}) {
    const Threads threads(count);
    const BatchLoader loader(dataset, small(), threads);
    EXPECT_EQ(loader.size(), 9u);
    const Tensor batch = loader.load(2, 7);
    EXPECT_EQ(batch.shape(), Shape({5, 3, 2, 3}));
    for (std::size_t i = 0; i < 5 * 18; ++i) EXPECT_EQ(batch.values<float>()[i], (2 + i / 18) * 20) << i;
    EXPECT_EQ(loader.load(3, 3).count(), 0);
    EXPECT_THROW(loader.load(3, 10), Error);
    EXPECT_THROW(loader.load(4, 3), Error);
  }
}

TEST(BatchLoader, ShapesFollowTheLayout) {
  TestFolder folder;
  folder.write("a.pgm", flat_pgm(1, 1, 1));
  const Dataset dataset = open_dataset(folder.path());
  const Threads threads(1);
  Preprocess how = small();
  how.layout = ImageLayout::nhwc;
  how.order = ChannelOrder::grey;
  EXPECT_EQ(BatchLoader(dataset, how, threads).load(0, 1).shape(), Shape({1, 2, 3, 1}));
  how.scale[0] = 0;
  EXPECT_THROW(BatchLoader(dataset, how, threads), Error);
}

TEST(BatchLoader, NamesUnreadableImages) {
  TestFolder folder;
  for (int i = 0; i < 6; ++i)
    folder.write(std::to_string(i) + ".pgm", i % 2 ? "P5 1 1 255 " : flat_pgm(1, 1, 1));
  const Dataset dataset = open_dataset(folder.path());
  for (int count : {1, 2, 7}) {
    const Threads threads(count);
    try {
      BatchLoader(dataset, small(), threads).load(0, 6);
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("3 of 6 images"), HasSubstr("1.pgm")));
    }
  }
}

}  // namespace
}  // namespace eke
