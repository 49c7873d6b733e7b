#include "data/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "data/test_files.h"

namespace eke {
namespace {

using ::testing::ElementsAre;

// Folders a, b, c of so many images, all different unless `flat`.
Dataset make_set(const TestFolder& folder, const std::vector<int>& counts) {
  int value = 0;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    for (int i = 0; i < counts[c]; ++i) {
      folder.write(std::string(1, static_cast<char>('a' + c)) + "/" + std::to_string(100 + i) + ".pgm",
                   flat_pgm(2, 2, value++));
    }
  }
  return open_dataset(folder.path());
}

void expect_parts(const TrainValidation& parts, std::size_t size) {
  std::set<std::size_t> all(parts.train.begin(), parts.train.end());
  all.insert(parts.validation.begin(), parts.validation.end());
  EXPECT_EQ(all.size(), size);
  EXPECT_EQ(parts.train.size() + parts.validation.size(), size);
}

std::vector<int> counts_of(const Dataset& set, const std::vector<std::size_t>& positions) {
  std::vector<int> counts(set.classes().size());
  for (const std::size_t i : positions) ++counts[static_cast<std::size_t>(set.samples()[i].label)];
  return counts;
}

TEST(SplitByClass, TakesAPartOfEachClass) {
  const TestFolder folder;
  const Dataset set = make_set(folder, {10, 20, 1, 2});
  const TrainValidation parts = split_by_class(set, 0.2, 1);
  expect_parts(parts, 33);
  EXPECT_THAT(counts_of(set, parts.validation), ElementsAre(2, 4, 0, 0));
  EXPECT_EQ(split_by_class(set, 0.2, 1).validation, parts.validation);
  EXPECT_NE(split_by_class(set, 0.2, 2).validation, parts.validation);
  EXPECT_TRUE(split_by_class(set, 0, 1).validation.empty());
  EXPECT_THROW(split_by_class(set, 1, 1), Error);
}

TEST(SplitByClass, CopiesOfAnImageTrain) {
  const TestFolder folder;
  for (const char* name : {"a/0.pgm", "a/1.pgm", "b/0.pgm", "b/1.pgm"}) folder.write(name, flat_pgm(2, 2, 7));
  folder.write("a/2.pgm", flat_pgm(2, 2, 8));
  folder.write("b/2.pgm", flat_pgm(2, 2, 9));
  const Dataset set = open_dataset(folder.path());
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    EXPECT_THAT(split_by_class(set, 0.5, seed).validation, ElementsAre(2, 5));
  }
}

TEST(SplitByIdentity, NoClassIsOnBothSides) {
  const TestFolder folder;
  const Dataset set = make_set(folder, {3, 4, 5, 6, 2});
  const TrainValidation parts = split_by_identity(set, 0.4, 3);
  expect_parts(parts, 20);
  const std::vector<int> train = counts_of(set, parts.train), validation = counts_of(set, parts.validation);
  int held_out = 0;
  for (std::size_t c = 0; c < 5; ++c) {
    EXPECT_TRUE(train[c] == 0 || validation[c] == 0);
    held_out += validation[c] > 0;
  }
  EXPECT_EQ(held_out, 2);
  EXPECT_THROW(split_by_identity(set, 0.01, 3), Error);
}

TEST(SplitPerClass, TakesTheFirstOfEachLargeClass) {
  const TestFolder folder;
  const Dataset set = make_set(folder, {3, 6, 2, 4});
  const PerClassParts parts = split_per_class(set, {4, 3});
  EXPECT_THAT(parts.train.classes(), ElementsAre("b", "d"));
  EXPECT_EQ(parts.train.size(), 6u);
  EXPECT_EQ(parts.validation.size(), 2u);
  EXPECT_EQ(parts.train.samples()[3].id, "d/100.pgm");
  EXPECT_EQ(parts.train.samples()[3].label, 1);
  EXPECT_EQ(parts.validation.samples()[0].id, "b/103.pgm");
  EXPECT_THROW(split_per_class(set, {4, 4}), Error);
  EXPECT_THROW(split_per_class(set, {7, 3}), Error);
}

TEST(WithClasses, RenumbersByName) {
  const TestFolder folder;
  const Dataset set = make_set(folder, {1, 2});
  const Dataset renamed = with_classes(set, {"b", "x", "a"});
  EXPECT_EQ(renamed.samples()[0].label, 2);
  EXPECT_EQ(renamed.samples()[1].label, 0);
  EXPECT_THROW(with_classes(set, {"a", "x"}), Error);
  const TestFolder bare;
  bare.write("0.pgm", flat_pgm(1, 1, 1));
  EXPECT_THROW(class_counts(open_dataset(bare.path())), Error);
}

TEST(EpochOrder, IsAPermutationThatChangesWithTheEpoch) {
  const TestFolder folder;
  const Dataset set = make_set(folder, {7, 3, 5});
  std::vector<std::size_t> order = epoch_order(set, false, 1, 0);
  EXPECT_EQ(order, epoch_order(set, false, 1, 0));
  EXPECT_NE(order, epoch_order(set, false, 1, 1));
  EXPECT_NE(order, epoch_order(set, false, 2, 0));
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < 15; ++i) EXPECT_EQ(order[i], i);
}

TEST(EpochOrder, BalanceRepeatsSmallClasses) {
  const TestFolder folder;
  const Dataset set = make_set(folder, {7, 3, 5});
  std::set<std::size_t> seen;
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    const std::vector<std::size_t> order = epoch_order(set, true, 1, epoch);
    EXPECT_THAT(counts_of(set, order), ElementsAre(7, 7, 7));
    seen.insert(order.begin(), order.end());
  }
  EXPECT_EQ(seen.size(), 15u);
}

}  // namespace
}  // namespace eke
