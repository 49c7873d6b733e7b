#include "ops/geometry.h"

#include <gtest/gtest.h>

#include <limits>

namespace eke {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(WindowGeometry, PlacesWindowsAsOnnxDoes) {
  struct Case {
    const char* what;
    op::MaxPool a;
    std::int64_t in, pad_begin, pad_end, out;
  };
  const Case cases[] = {
      {"plain", {.kernel_shape = {3}}, 5, 0, 0, 3},
      {"stride", {.kernel_shape = {2}, .strides = {2}}, 5, 0, 0, 2},
      {"pads", {.kernel_shape = {3}, .strides = {2}, .pads = {1, 1}}, 5, 1, 1, 3},
      {"dilation", {.kernel_shape = {3}, .dilations = {2}}, 7, 0, 0, 3},
      {"ceil", {.kernel_shape = {2}, .strides = {2}, .ceil_mode = 1}, 5, 0, 0, 3},
      {"the last window would start in the padding",
       {.kernel_shape = {1}, .strides = {2}, .pads = {0, 1}, .ceil_mode = 1},
       3,
       0,
       1,
       2},
      {"ceil with padding before",
       {.kernel_shape = {2}, .strides = {2}, .pads = {1, 0}, .ceil_mode = 1},
       4,
       1,
       0,
       3},
      {"same upper", {.auto_pad = "SAME_UPPER", .kernel_shape = {2}}, 5, 0, 1, 5},
      {"same lower", {.auto_pad = "SAME_LOWER", .kernel_shape = {2}}, 5, 1, 0, 5},
      {"same with stride", {.auto_pad = "SAME_UPPER", .kernel_shape = {3}, .strides = {2}}, 6, 0, 1, 3},
      {"same without need", {.auto_pad = "SAME_UPPER", .kernel_shape = {1}, .strides = {2}}, 6, 0, 0, 3},
      {"valid ignores pads", {.auto_pad = "VALID", .kernel_shape = {3}, .pads = {1, 1}}, 5, 0, 0, 3},
  };
  for (const Case& c : cases) {
    const Geometry g = window_geometry(window_attributes(c.a), {1, 1, c.in});
    EXPECT_EQ(g.rank, 1) << c.what;
    EXPECT_EQ(g.d(), Window{}) << c.what;
    EXPECT_EQ(g.w().pad_begin, c.pad_begin) << c.what;
    EXPECT_EQ(g.w().pad_end, c.pad_end) << c.what;
    EXPECT_EQ(g.w().out, c.out) << c.what;
  }
}

TEST(WindowGeometry, RefusesWhatDoesNotFit) {
  struct Case {
    const char* message;
    op::MaxPool a;
    Shape x = {1, 1, 5, 5};
  };
  const Case cases[] = {
      {"kernel_shape is missing", {}},
      {"kernel_shape has 1 entries", {.kernel_shape = {3}}},
      {"kernel_shape has an entry 0", {.kernel_shape = {0, 3}}},
      {"kernel_shape has an entry", {.kernel_shape = {kMax, kMax}}},
      {"strides has an entry 0", {.kernel_shape = {3, 3}, .strides = {1, 0}}},
      {"dilations has an entry -1", {.kernel_shape = {3, 3}, .dilations = {-1, 1}}},
      {"pads has an entry -1", {.kernel_shape = {3, 3}, .pads = {0, 0, -1, 0}}},
      {"pads has an entry", {.kernel_shape = {3, 3}, .pads = {kMax, 0, 0, 0}}},
      {"pads has 2 entries", {.kernel_shape = {3, 3}, .pads = {1, 1}}},
      {"reaches over 6 elements", {.kernel_shape = {6, 3}}},
      {"reaches over 7 elements", {.kernel_shape = {3, 3}, .dilations = {3, 1}}},
      {"auto_pad is 'SAME'", {.auto_pad = "SAME", .kernel_shape = {3, 3}}},
      {"spatial axes", {.kernel_shape = {}}, {5, 5}},
      {"spatial axes", {.kernel_shape = {1, 1, 1, 1}}, {1, 1, 1, 1, 1, 1}},
      {"must be from 1", {.kernel_shape = {3, 3}}, {1, 1, 0, 5}},
  };
  for (const Case& c : cases) {
    try {
      static_cast<void>(window_geometry(window_attributes(c.a), c.x));
      ADD_FAILURE() << "accepted: " << c.message;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(c.message), std::string::npos) << error.what();
    }
  }
}

TEST(WindowGeometry, KernelMustAgreeWithWeights) {
  const op::Conv conv{.kernel_shape = {5, 5}};
  const op::Ints kernel{3, 3};
  EXPECT_THROW(static_cast<void>(window_geometry(window_attributes(conv), {1, 1, 8, 8}, kernel)), Error);
}

TEST(TransposedGeometry, OutputsAndPadding) {
  struct Case {
    const char* what;
    op::ConvTranspose a;
    std::int64_t pad_begin, pad_end, out;
  };
  const Case cases[] = {
      {"plain", {}, 0, 0, 5},
      {"stride", {.strides = {2}}, 0, 0, 7},
      {"pads", {.strides = {2}, .pads = {1, 0}}, 1, 0, 6},
      {"output padding", {.strides = {2}, .output_padding = {1}}, 0, 0, 8},
      {"output shape", {.strides = {2}, .output_shape = {4}}, 2, 1, 4},
      {"output shape with batch and channels", {.strides = {2}, .output_shape = {1, 1, 4}}, 2, 1, 4},
      {"a longer output shape", {.strides = {2}, .output_shape = {9}}, 0, 0, 9},
      {"same upper", {.auto_pad = "SAME_UPPER", .strides = {2}}, 0, 1, 6},
      {"same lower", {.auto_pad = "SAME_LOWER", .strides = {2}}, 1, 0, 6},
  };
  const op::Ints kernel{3};
  for (const Case& c : cases) {
    const Window w = transposed_geometry(c.a, {1, 1, 3}, kernel).w();
    EXPECT_EQ(w.pad_begin, c.pad_begin) << c.what;
    EXPECT_EQ(w.pad_end, c.pad_end) << c.what;
    EXPECT_EQ(w.out, c.out) << c.what;
  }
  EXPECT_THROW(static_cast<void>(transposed_geometry({.pads = {3, 3}}, {1, 1, 3}, kernel)), Error);
}

}  // namespace
}  // namespace eke
