#include "learn/image_input.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace eke {
namespace {

Graph taking(const Shape& shape) {
  Graph graph;
  graph.inputs = {graph.add_value("x", {DType::f32, shape})};
  return graph;
}

TEST(PreprocessOfInput, IsWhatTheShapeTells) {
  const struct {
    Shape shape;
    ImageLayout layout;
    ChannelOrder order;
    int height, width;
  } cases[] = {{{1, 3, 20, 30}, ImageLayout::nchw, ChannelOrder::rgb, 20, 30},
               {{1, 20, 30, 3}, ImageLayout::nhwc, ChannelOrder::rgb, 20, 30},
               {{1, 1, 28, 28}, ImageLayout::nchw, ChannelOrder::grey, 28, 28},
               {{1, 28, 28, 1}, ImageLayout::nhwc, ChannelOrder::grey, 28, 28},
               {{kDynamic, 3, 3, 3}, ImageLayout::nchw, ChannelOrder::rgb, 3, 3},
               {{kDynamic, 3, kDynamic, 40}, ImageLayout::nchw, ChannelOrder::rgb, 0, 40},
               {{1, 3, 8, 1 << 20}, ImageLayout::nchw, ChannelOrder::rgb, 8, 16384}};
  for (const auto& c : cases) {
    SCOPED_TRACE(to_string(c.shape));
    const Preprocess how = preprocess_of_input(taking(c.shape));
    EXPECT_EQ(how.layout, c.layout);
    EXPECT_EQ(how.order, c.order);
    EXPECT_EQ(how.height, c.height);
    EXPECT_EQ(how.width, c.width);
  }
  EXPECT_THROW(preprocess_of_input(taking({1, 3})), Error);
  Graph two = taking({1, 3, 8, 8});
  two.inputs.push_back(two.add_value("y", {DType::f32, {1}}));
  EXPECT_THROW(preprocess_of_input(two), Error);
}

}  // namespace
}  // namespace eke
