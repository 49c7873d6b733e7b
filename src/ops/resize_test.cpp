// Resize as of opsets 18 and 19, and on quantized tensors. The expected numbers are those of ONNX's own
// cases, which older releases of its test data lack.
#include <gtest/gtest.h>

#include "ops/run_op.h"

namespace eke {
namespace {

using testing::infer;
using testing::run_op;

const Tensor kSquare =
    Tensor::from<float>({1, 1, 4, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});

Tensor ints(std::initializer_list<std::int64_t> values) {
  return Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
}
Tensor scales(std::initializer_list<float> values) {
  return Tensor::from<float>({static_cast<std::int64_t>(values.size())}, values);
}

TEST(Resize, NewerModes) {
  struct Case {
    const char* what;
    op::Resize a;
    Tensor x, scales, sizes;
    std::vector<float> want;
  };
  const Tensor row = Tensor::from<float>({1, 1, 1, 4}, {1, 2, 3, 4});
  const Case cases[] = {
      {"linear antialias by scales",
       {.antialias = 1, .mode = "linear"},
       kSquare,
       scales({1, 1, 0.6f, 0.6f}),
       {},
       {2.875f, 4.5f, 9.375f, 11.f}},
      {"cubic antialias by scales",
       {.antialias = 1, .mode = "cubic"},
       kSquare,
       scales({1, 1, 0.6f, 0.6f}),
       {},
       {2.5180721f, 4.2858863f, 9.589329f, 11.357142f}},
      {"linear antialias by sizes",
       {.antialias = 1, .mode = "linear"},
       kSquare,
       {},
       ints({1, 1, 3, 3}),
       {2.3636363f, 3.590909f, 4.818182f, 7.2727275f, 8.5f, 9.727273f, 12.181818f, 13.409091f, 14.636364f}},
      {"cubic antialias by sizes",
       {.antialias = 1, .mode = "cubic"},
       kSquare,
       {},
       ints({1, 1, 3, 3}),
       {1.7750092f, 3.1200073f, 4.4650054f, 7.1550016f, 8.5f, 9.844998f, 12.534994f, 13.8799925f,
        15.224991f}},
      {"symmetric",
       {.coordinate_transformation_mode = "half_pixel_symmetric", .mode = "linear"},
       row,
       scales({1, 1, 1, 0.6f}),
       {},
       {1.6666667f, 3.3333333f}},
      {"axes in any order", {.axes = {3, 2}}, row, scales({0.5f, 2}), {}, {1, 3, 1, 3}},
  };
  for (const Case& c : cases) {
    const Tensor y = run_op(c.a, {c.x, {}, c.scales, c.sizes})[0];
    ASSERT_EQ(y.count(), static_cast<std::int64_t>(c.want.size())) << c.what;
    for (std::size_t i = 0; i < c.want.size(); ++i)
      EXPECT_NEAR(y.values<float>()[i], c.want[i], 2e-6f * c.want[i]) << c.what << ", element " << i;
  }
}

TEST(Resize, KeepsTheAspectRatio) {
  const Tensor x(DType::f32, {1, 1, 2, 2});
  op::Resize a{.axes = {2, 3}, .keep_aspect_ratio_policy = "not_larger"};
  EXPECT_EQ(infer(a, {x, {}, {}, ints({7, 8})})[0].shape, (Shape{1, 1, 7, 7}));
  a.keep_aspect_ratio_policy = "not_smaller";
  EXPECT_EQ(infer(a, {x, {}, {}, ints({7, 8})})[0].shape, (Shape{1, 1, 8, 8}));
}

TEST(Resize, QuantizedMovesOrInterpolates) {
  const Tensor x = Tensor::from<std::uint8_t>({1, 1, 1, 2}, {10, 21}).with_quant(QParams{{0.5f}, {10}});
  const Tensor twice = scales({1, 1, 1, 2});
  EXPECT_EQ(run_op(op::Resize{}, {x, {}, twice})[0],
            Tensor::from<std::uint8_t>({1, 1, 1, 4}, {10, 10, 21, 21}).with_quant(x.type().quant));
  // 0, 2.75, 8.25, 11 above the zero point, each worth two steps of the output.
  EXPECT_EQ(run_op(op::Resize{.mode = "linear"}, {x, {}, twice}, QParams{{0.25f}, {3}})[0],
            Tensor::from<std::uint8_t>({1, 1, 1, 4}, {3, 9, 19, 25}).with_quant(QParams{{0.25f}, {3}}));
}

TEST(Resize, NothingIsSampledForNoElements) {
  const Tensor y =
      run_op(op::Resize{}, {Tensor(DType::f32, {0, 1, 1, 1}), {}, {}, ints({0, 1, 1, 1 << 30})})[0];
  EXPECT_EQ(y.shape(), (Shape{0, 1, 1, 1 << 30}));
}

TEST(Resize, RefusesWhatDoesNotFit) {
  struct Case {
    const char* message;
    op::Resize a;
    Tensor scales, sizes;
  };
  const float inf = std::numeric_limits<float>::infinity();
  const Case cases[] = {
      {"exactly one", {}, {}, {}},
      {"exactly one", {}, scales({1, 1, 2, 2}), ints({1, 1, 8, 8})},
      {"scales has 2 entries", {}, scales({2, 2}), {}},
      {"not a positive number", {}, scales({1, 1, 0, 2}), {}},
      {"not a positive number", {}, scales({1, 1, inf, 2}), {}},
      {"too large", {}, scales({1, 1, 3e38f, 2}), {}},
      {"would become 0", {}, scales({1, 1, 0.1f, 1}), {}},
      {"sizes has an entry -1", {}, {}, ints({1, 1, -1, 2})},
      {"would become 0", {}, {}, ints({1, 1, 0, 2})},
      {"mode 'nearby'", {.mode = "nearby"}, scales({1, 1, 1, 1}), {}},
      {"axis 2 twice", {.axes = {2, -2}}, scales({1, 1}), {}},
      {"input 1 (roi)", {.coordinate_transformation_mode = "tf_crop_and_resize"}, scales({1, 1, 1, 1}), {}},
  };
  for (const Case& c : cases) {
    try {
      infer(c.a, {kSquare, {}, c.scales, c.sizes});
      ADD_FAILURE() << "accepted: " << c.message;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(c.message), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace eke
