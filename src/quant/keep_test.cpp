#include "quant/keep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace eke {
namespace {

TEST(Keep, Globs) {
  struct Case {
    std::string_view pattern, text;
    bool matches;
  };
  const Case cases[] = {
      {"conv1", "conv1", true},
      {"conv1", "conv10", false},
      {"conv*", "conv10", true},
      {"*", "", true},
      {"", "", true},
      {"", "a", false},
      {"*/sep?", "a/b/sep3", true},
      {"a*b*c", "aXbXbYc", true},
      {"a*b*c", "aXbXbY", false},
      {"?", "", false},
      {"**a**", "bab", true},
      {"a?", "a", false},
  };
  for (const Case& c : cases)
    EXPECT_EQ(matches_glob(c.pattern, c.text), c.matches) << c.pattern << " on " << c.text;
}

Graph three_nodes() {
  return parse_text(R"(graph "g"
input %x: f32[1,4]
%a: f32[1,4] = Relu "stem/relu" (%x)
%b: f32[1,4] = Relu "head/relu" (%a)
%y: f32[1,4] = Relu (%b)
output %y
)");
}

TEST(Keep, NamesThePatternOfEachNode) {
  EXPECT_THAT(match_nodes(three_nodes(), {}), testing::ElementsAre("", "", ""));
  EXPECT_THAT(match_nodes(three_nodes(), {"*/relu", "head*", "y"}),
              testing::ElementsAre("*/relu", "*/relu", "y"));
}

TEST(Keep, APatternThatMatchesNothingListsNearNames) {
  try {
    match_nodes(three_nodes(), {"hed/relu*"});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("no node matches 'hed/relu*'; the nearest are 'head/relu'"));
  }
}

}  // namespace
}  // namespace eke
