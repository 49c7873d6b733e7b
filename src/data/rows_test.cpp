#include "data/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "data/npy.h"
#include "data/test_files.h"

namespace eke {
namespace {

TEST(CheckFinite, NamesTheRow) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  const struct {
    std::vector<float> output;
    const char* says;
  } cases[] = {{{}, ""},
               {{0, -1e38f, 1}, ""},
               {{0, std::numeric_limits<float>::quiet_NaN()}, "'cat.jpg' is NaN"},
               {{kInfinite, 0}, "'cat.jpg' is infinite"},
               {{0, -kInfinite}, "'cat.jpg' is infinite"}};
  for (const auto& c : cases) {
    std::string said;
    try {
      check_finite(c.output, "cat.jpg");
    } catch (const Error& error) {
      said = error.what();
    }
    EXPECT_EQ(said.empty(), std::string(c.says).empty());
    EXPECT_THAT(said, testing::HasSubstr(c.says));
  }
}

TEST(ArrayRows, AreTheEntriesOfTheFirstExtent) {
  const TestFolder folder;
  Tensor tensor(DType::u8, {3, 2, 2});
  for (std::size_t i = 0; i < 12; ++i)
    tensor.mutable_values<std::uint8_t>()[i] = static_cast<std::uint8_t>(20 * i);
  write_npy(folder.path("a.npy"), tensor.view());
  const ArrayRows rows(folder.path("a.npy"));
  EXPECT_EQ(rows.count(), 3);
  EXPECT_EQ(rows.name(1), folder.path("a.npy") + "[1]");
  std::vector<float> read(8);
  rows.read(1, 3, read);
  EXPECT_EQ(read, (std::vector<float>{80, 100, 120, 140, 160, 180, 200, 220}));
  std::vector<float> other(6);
  EXPECT_THROW(rows.read(1, 3, other), Error);
  write_npy(folder.path("none.npy"), Tensor(DType::f32, {0, 4}).view());
  EXPECT_THROW(ArrayRows(folder.path("none.npy")), Error);
}

TEST(DatasetRows, AreTheImagesAsThePreprocessingMakesThem) {
  const TestFolder folder;
  folder.write("a.pgm", flat_pgm(2, 2, 10));
  folder.write("b.pgm", flat_pgm(4, 4, 30));
  const Dataset data = open_dataset(folder.path());
  const Preprocess how{.width = 2, .height = 1, .order = ChannelOrder::grey, .scale = {10, 10, 10}};
  const Threads one(1);
  const DatasetRows rows(data, how, one);
  EXPECT_EQ(rows.count(), 2);
  EXPECT_EQ(rows.name(1), "b.pgm");
  std::vector<float> read(4);
  rows.read(0, 2, read);
  EXPECT_EQ(read, (std::vector<float>{1, 1, 3, 3}));
  std::vector<float> other(6);
  EXPECT_THROW(rows.read(0, 2, other), Error);
}

}  // namespace
}  // namespace eke
