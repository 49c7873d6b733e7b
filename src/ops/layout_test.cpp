// Layout and shape operators: quantized tensors, limits and hostile parameters; ONNX's own cases cover the
// rest.
#include <gtest/gtest.h>

#include <limits>

#include "ops/run_op.h"

namespace eke {
namespace {

using testing::infer;
using testing::run_op;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min(),
                       kMax = std::numeric_limits<std::int64_t>::max();

Tensor ints(std::initializer_list<std::int64_t> values) {
  return Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
}

TEST(Slice, PositionsAtTheLimitsAreCutOff) {
  const Tensor x = ints({0, 1, 2, 3, 4});
  struct Case {
    std::int64_t start, end, step;
    Tensor want;
  };
  const Tensor none = Tensor(DType::i64, {0});
  for (const Case& c :
       {Case{kMin, kMax, 1, x}, Case{kMax, kMin, -1, ints({4, 3, 2, 1, 0})}, Case{1, kMax, kMax, ints({1})},
        Case{3, kMin, kMin, ints({3})}, Case{4, 1, 1, none}, Case{-2, -4, -1, ints({3, 2})},
        Case{4, kMin, -2, ints({4, 2, 0})}, Case{1, 4, 2, ints({1, 3})}}) {
    EXPECT_EQ(run_op(op::Slice{}, {x, ints({c.start}), ints({c.end}), {}, ints({c.step})})[0], c.want)
        << c.start << ":" << c.end << ":" << c.step;
  }
  EXPECT_THROW(infer(op::Slice{}, {x, ints({0}), ints({1}), {}, ints({0})}), Error);
  EXPECT_THROW(infer(op::Slice{}, {x, ints({0, 0}), ints({1, 1}), ints({0, 0})}), Error);
  EXPECT_THROW(infer(op::Slice{}, {x, ints({0}), ints({1}), ints({kMin})}), Error);
}

TEST(Pad, ModesAndCropping) {
  const Tensor x = ints({1, 2, 3});
  struct Case {
    const char* mode;
    std::int64_t before, after;
    Tensor want;
  };
  for (const Case& c :
       {Case{"constant", 1, 1, ints({0, 1, 2, 3, 0})}, Case{"edge", 2, 1, ints({1, 1, 1, 2, 3, 3})},
        Case{"reflect", 3, 2, ints({2, 3, 2, 1, 2, 3, 2, 1})},
        Case{"wrap", 1, 4, ints({3, 1, 2, 3, 1, 2, 3, 1})}, Case{"constant", -1, -1, ints({2})},
        Case{"edge", -1, 2, ints({2, 3, 3, 3})}}) {
    EXPECT_EQ(run_op(op::Pad{c.mode}, {x, ints({c.before, c.after})})[0], c.want)
        << c.mode << c.before << c.after;
  }
  EXPECT_THROW(infer(op::Pad{}, {x, ints({-2, -2})}), Error);
  EXPECT_THROW(infer(op::Pad{}, {x, ints({kMax, kMax})}), Error);
  EXPECT_THROW(infer(op::Pad{}, {x, ints({kMin, 0})}), Error);
  EXPECT_THROW(infer(op::Pad{"mirror"}, {x, ints({1, 1})}), Error);
  EXPECT_THROW(infer(op::Pad{"edge"}, {Tensor(DType::f32, {0}), ints({1, 1})}), Error);
}

TEST(Pad, QuantizedZeroIsTheZeroPoint) {
  const Tensor x = Tensor::from<std::uint8_t>({2}, {1, 2}).with_quant(QParams{{0.5f}, {7}});
  const auto padded = [&](Tensor value) {
    return run_op(op::Pad{}, {x, ints({1, 0}), std::move(value)})[0].values<std::uint8_t>()[0];
  };
  EXPECT_EQ(padded({}), 7);
  EXPECT_EQ(padded(Tensor::scalar(2.f)), 11);
}

TEST(Concat, RequantizesInputsOfOtherScales) {
  const Tensor a = Tensor::from<std::uint8_t>({2}, {10, 20}).with_quant(QParams{{1.f}, {10}});
  const Tensor b = Tensor::from<std::uint8_t>({2}, {0, 255}).with_quant(QParams{{2.f}, {0}});
  const Tensor y = run_op(op::Concat{0}, {a, b})[0];
  EXPECT_EQ(y, Tensor::from<std::uint8_t>({4}, {10, 20, 10, 255}).with_quant(QParams{{1.f}, {10}}));
}

TEST(Transpose, MovesTheAxisOfQuantization) {
  const Tensor w = Tensor(DType::i8, {2, 3, 4}).with_quant(QParams{{1, 2}, {0, 0}, 0});
  EXPECT_EQ(infer(op::Transpose{{1, 2, 0}}, {w})[0].quant->axis, 2);
  EXPECT_THROW(infer(op::Flatten{}, {w}), Error);
}

TEST(Split, UnequalAndListedParts) {
  const Tensor x = ints({1, 2, 3, 4, 5});
  EXPECT_EQ(run_op(op::Split{0, 3}, {x}), (std::vector{ints({1, 2}), ints({3, 4}), ints({5})}));
  EXPECT_EQ(run_op(op::Split{0, 0}, {x, ints({4, 1})}), (std::vector{ints({1, 2, 3, 4}), ints({5})}));
  for (const Tensor& parts :
       {ints({4, 2}), ints({2, 2}), ints({-1, 6}), ints({kMax, kMin}), Tensor(DType::i64, {0})}) {
    EXPECT_THROW(infer(op::Split{}, {x, parts}), Error);
  }
  EXPECT_THROW(infer(op::Split{0, 4}, {x}), Error);
  EXPECT_THROW(infer(op::Split{0, kMax}, {x}), Error);
}

TEST(Reshape, RefusesShapesThatDoNotFit) {
  const Tensor x = Tensor(DType::f32, {2, 3});
  EXPECT_EQ(infer(op::Reshape{}, {x, ints({0, -1, 1})})[0].shape, (Shape{2, 3, 1}));
  for (const Tensor& shape : {ints({7}), ints({-1, -1}), ints({-2, 3}), ints({-1, 4}),
                              ints({kMax, kMax, kMax}), ints({1, 2, 0}), ints({1, 1, 1, 1, 1, 1, 1, 1, 6})}) {
    EXPECT_THROW(infer(op::Reshape{}, {x, shape}), Error);
  }
  EXPECT_THROW(infer(op::Reshape{1}, {Tensor(DType::f32, {0, 3}), ints({0, -1})}), Error);
}

TEST(Sizes, HugeResultsAreRefused) {
  const Tensor x = Tensor(DType::f32, {2, 3});
  EXPECT_THROW(infer(op::Tile{}, {x, ints({kMax, kMax})}), Error);
  EXPECT_THROW(infer(op::Tile{}, {x, ints({-1, 1})}), Error);
  EXPECT_THROW(infer(op::Expand{}, {x, ints({kMax, 1, 1})}), Error);
  EXPECT_THROW(infer(op::ConstantOfShape{}, {ints({kMax, 2})}), Error);
  EXPECT_THROW(infer(op::ConstantOfShape{}, {ints({-1})}), Error);
  EXPECT_THROW(
      infer(op::Range{}, {Tensor::scalar(kMin), Tensor::scalar(kMax), Tensor::scalar<std::int64_t>(1)}),
      Error);
  EXPECT_THROW(infer(op::Range{}, {Tensor::scalar(0.f), Tensor::scalar(1.f), Tensor::scalar(0.f)}), Error);
  EXPECT_THROW(infer(op::Unsqueeze{}, {x, ints({0, 0})}), Error);
  EXPECT_THROW(infer(op::Squeeze{}, {x, ints({0})}), Error);
  EXPECT_THROW(infer(op::Transpose{{0, 0}}, {x}), Error);
}

TEST(Range, CountsDownFromTheLimits) {
  EXPECT_EQ(run_op(op::Range{}, {Tensor::scalar(kMax), Tensor::scalar(kMin), Tensor::scalar(kMin)})[0],
            ints({kMax, -1}));
}

TEST(Gather, IndexesAreChecked) {
  const Tensor x = ints({5, 6, 7});
  EXPECT_EQ(run_op(op::Gather{}, {x, ints({-1, 0})})[0], ints({7, 5}));
  EXPECT_THROW(infer(op::Gather{}, {x, ints({3})}), Error);
  EXPECT_THROW(infer(op::Gather{}, {x, ints({kMin})}), Error);
}

TEST(Dropout, TrainingIsRefusedUnlessNothingIsDropped) {
  const Tensor x = Tensor::from<float>({2}, {1, 2}), on = Tensor::scalar(true);
  const std::vector<Tensor> y = run_op(op::Dropout{}, {x, Tensor::scalar(0.f), on});
  EXPECT_EQ(y[0], x);
  EXPECT_EQ(y[1], Tensor::from<bool>({2}, {true, true}));
  EXPECT_THROW(infer(op::Dropout{}, {x, Tensor::scalar(0.5f), on}), Error);
  EXPECT_THROW(infer(op::Dropout{}, {x, {}, on}), Error);
}

}  // namespace
}  // namespace eke
