#include "data/list_file.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "data/test_files.h"

namespace eke {
namespace {

TEST(ListFile, IsReadAgain) {
  const TestFolder folder, elsewhere;
  folder.write("a \"q\", b/1.pgm", flat_pgm(1, 1, 7));
  folder.write("c/2.pgm", flat_pgm(1, 1, 9));
  const Dataset set = open_dataset(folder.path());
  const Dataset again = open_dataset(elsewhere.write("list.csv", to_list(set)));
  EXPECT_EQ(again.classes(), set.classes());
  ASSERT_EQ(again.size(), 2u);
  for (std::size_t i = 0; i < set.size(); ++i) {
    EXPECT_EQ(again.samples()[i].label, set.samples()[i].label);
    EXPECT_EQ(again.content_hash(i), set.content_hash(i));
  }
}

TEST(ListFile, NeedsFilesWithClasses) {
  const TestFolder folder;
  folder.write("1.pgm", flat_pgm(1, 1, 7));
  EXPECT_THROW(to_list(open_dataset(folder.path())), Error);
}

}  // namespace
}  // namespace eke
