#include "target/version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace eke {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(TensorRtVersionTest, Parses) {
  EXPECT_EQ(parse_tensorrt_version("8.5"), (TensorRtVersion{8, 5, 2}));
  EXPECT_EQ(parse_tensorrt_version("8.6.1"), (TensorRtVersion{8, 6, 1}));
  EXPECT_EQ(parse_tensorrt_version("10.3"), kDefaultTensorRt);
  EXPECT_EQ(parse_tensorrt_version("10.7.0"), (TensorRtVersion{10, 7, 0}));
  EXPECT_TRUE(is_strongly_typed(parse_tensorrt_version("11.4")));
  EXPECT_FALSE(is_strongly_typed(parse_tensorrt_version("10.7")));
}

TEST(TensorRtVersionTest, NamesTheNearestOne) {
  const std::pair<const char*, const char*> cases[] = {{"8.4", "8.5 is the nearest"},
                                                       {"10.4", "10.3 is the nearest"},
                                                       {"10.14.1", "10.7 is the nearest"},
                                                       {"11.0", "11.4 is the nearest"}};
  for (const auto& [text, nearest] : cases)
    EXPECT_THAT([&text = text] { parse_tensorrt_version(text); },
                ThrowsMessage<UsageError>(AllOf(HasSubstr(text), HasSubstr(nearest))));
}

TEST(TensorRtVersionTest, RefusesOtherText) {
  for (const char* text : {"", "ten", "10", "10.", "10.3.", "10.3.x", "10.3.0.1", "-8.6", "99999999999.1"})
    EXPECT_THAT([&] { parse_tensorrt_version(text); }, ThrowsMessage<UsageError>(HasSubstr("the form is")))
        << text;
}

}  // namespace
}  // namespace eke
