// Real sets, where they are present: every image of them is decoded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "data/dataset.h"
#include "data/loader.h"
#include "data/metrics.h"
#include "data/test_files.h"

namespace eke {
namespace {

struct RealSet {
  const char* name;
  DatasetKind kind;
  std::size_t size, classes, pairs;
  int width, height, channels;  // of the first image
};

const RealSet kSets[] = {
    {"imagenet-val", DatasetKind::list, 650, 1000, 0, 227, 227, 3},
    {"imagenet-val/labels.csv", DatasetKind::list, 650, 1000, 0, 227, 227, 3},
    {"imagenet-val/images", DatasetKind::images, 650, 0, 0, 227, 227, 3},
    {"lfw112", DatasetKind::pairs, 4250, 0, 2541, 112, 112, 3},
    {"lfw112/images", DatasetKind::folders, 7037, 2776, 0, 112, 112, 3},
    {"orl", DatasetKind::folders, 400, 40, 0, 92, 112, 1},
    {"cifar10-jpeg-test", DatasetKind::folders, 2000, 10, 0, 32, 32, 3},
};

class RealSetTest : public ::testing::TestWithParam<RealSet> {};

TEST_P(RealSetTest, OpensAndDecodes) {
  const RealSet& set = GetParam();
  const std::filesystem::path path = real_data() / set.name;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not present";
  const Dataset dataset = open_dataset(path.string());
  EXPECT_EQ(dataset.kind(), set.kind);
  EXPECT_EQ(dataset.size(), set.size);
  EXPECT_EQ(dataset.classes().size(), set.classes);
  EXPECT_EQ(dataset.pairs().size(), set.pairs);
  const Image image = dataset.load(0);
  EXPECT_EQ(image.width, set.width);
  EXPECT_EQ(image.height, set.height);
  EXPECT_EQ(image.channels, set.channels);
  const Threads threads(2);
  Preprocess how;
  how.width = how.height = 8;
  const BatchLoader loader(dataset, how, threads);
  for (std::size_t begin = 0; begin < dataset.size(); begin += 500) {
    const std::size_t end = std::min(begin + 500, dataset.size());
    EXPECT_EQ(loader.load(begin, end).shape()[0], static_cast<std::int64_t>(end - begin));
  }
}

INSTANTIATE_TEST_SUITE_P(All, RealSetTest, ::testing::ValuesIn(kSets), [](const auto& info) {
  std::string name = info.param.name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

TEST(RealSet, ReferenceScoresOfLfwSeparate) {
  const std::filesystem::path path = real_data() / "lfw112/pairs.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not present";
  std::vector<ScoredPair> pairs;
  const Dataset dataset = open_dataset(path.string());
  for (const Pair& pair : dataset.pairs()) pairs.push_back({*pair.reference_score, pair.same});
  const Verification result = verify_pairs(pairs);
  EXPECT_EQ(result.same, 1197);
  EXPECT_EQ(result.different, 1344);
  EXPECT_NEAR(result.best_accuracy, 0.9917, 5e-5);
  EXPECT_GT(result.auc, 0.995);
}

TEST(RealSet, FashionMnist) {
  const std::string path = "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not present";
  const Dataset dataset = open_dataset(path);
  EXPECT_EQ(dataset.size(), 10000u);
  EXPECT_EQ(dataset.classes().size(), 10u);
  EXPECT_EQ(dataset.load(9999).width, 28);
}

TEST(RealSet, SkimageFaces) {
  const std::string path = "/usr/lib/python3/dist-packages/skimage/data/lfw_subset.npy";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not present";
  const Dataset dataset = open_dataset(path);
  EXPECT_EQ(dataset.size(), 200u);
  EXPECT_EQ(dataset.load(199).height, 25);
}

}  // namespace
}  // namespace eke
