// Unary and binary functions, reductions: what ONNX's own cases leave out (quantized tensors, integers at
// their limits, refusals).
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/quantized.h"
#include "ops/run_op.h"
#include "ops/unary.h"

namespace eke {
namespace {

using testing::infer;
using testing::run_op;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

Tensor quantized_u8(std::initializer_list<std::uint8_t> values, float scale, std::int32_t zero_point) {
  return Tensor::from<std::uint8_t>({static_cast<std::int64_t>(values.size())}, values)
      .with_quant(QParams{{scale}, {zero_point}});
}

std::vector<int> stored(const Tensor& t) {
  std::vector<int> q;
  for (std::int64_t i = 0; i < t.count(); ++i) q.push_back(quantized::load(t.view(), i));
  return q;
}

TEST(Saturate, ClampsBeforeRoundingAndRoundsToEven) {
  struct Case {
    float v;
    std::int32_t zero_point;
    quantized::Bounds bounds;
    std::int32_t want;
  };
  const quantized::Bounds u8 = quantized::bounds_of(DType::u8), i8 = quantized::bounds_of(DType::i8);
  for (const Case& c :
       {Case{0.5f, 0, u8, 0}, Case{1.5f, 0, u8, 2}, Case{2.5f, 128, u8, 130}, Case{-0.5f, 3, u8, 3},
        Case{1e30f, 7, u8, 255}, Case{-1e30f, 7, u8, 0}, Case{-1e30f, 0, i8, -128},
        Case{std::numeric_limits<float>::infinity(), -128, i8, 127}, Case{std::nanf(""), 9, u8, 9}}) {
    EXPECT_EQ(quantized::sat(c.v, c.zero_point, c.bounds), c.want) << c.v << " + " << c.zero_point;
  }
}

TEST(Unary, QuantizedIsDequantizeFunctionQuantize) {
  const Tensor x = quantized_u8({0, 1, 100, 128, 129, 200, 255}, 0.05f, 128);
  const QParams out{{1.f / 256}, {0}};
  for (const Op& op : {Op{op::Unary{op::UnaryFn::Sigmoid}}, Op{op::Unary{op::UnaryFn::Relu}},
                       Op{op::HardSigmoid{}}, Op{op::Swish{}}, Op{op::Gelu{}}}) {
    ASSERT_TRUE(is_elementwise_unary(op));
    const std::vector<int> got = stored(run_op(op, {x}, out)[0]);
    for (std::int64_t i = 0; i < x.count(); ++i) {
      const float real = quantized::load_real(x.view(), i);
      const int want =
          quantized::quantize(apply_unary(op, real), {out.scale[0], 0}, quantized::bounds_of(DType::u8));
      EXPECT_EQ(got[static_cast<std::size_t>(i)], want) << op_name(op) << " of " << real;
    }
  }
}

TEST(Unary, IntegersWrap) {
  const Tensor x = Tensor::from<std::int64_t>({3}, {kMin, -5, 5});
  EXPECT_EQ(run_op(op::Unary{op::UnaryFn::Abs}, {x})[0], Tensor::from<std::int64_t>({3}, {kMin, 5, 5}));
  EXPECT_EQ(run_op(op::Unary{op::UnaryFn::Neg}, {x})[0], Tensor::from<std::int64_t>({3}, {kMin, 5, -5}));
}

TEST(Clip, BoundsMayBeAbsentAndRealBoundsFitQuantizedData) {
  const Tensor x = Tensor::from<float>({3}, {-2, 0.5f, 9});
  EXPECT_EQ(run_op(op::Clip{}, {x, {}, Tensor::scalar(6.f)})[0], Tensor::from<float>({3}, {-2, 0.5f, 6}));
  const Tensor q = quantized_u8({0, 10, 30, 255}, 0.5f, 10);
  EXPECT_EQ(stored(run_op(op::Clip{}, {q, Tensor::scalar(0.f), Tensor::scalar(6.f)})[0]),
            (std::vector<int>{10, 10, 22, 22}));
}

TEST(Cast, FloatsOutsideTheRangeAreDefined) {
  const Tensor x = Tensor::from<float>({5}, {-1.9f, 300.7f, 1e30f, std::nanf(""), -1e30f});
  EXPECT_EQ(run_op(op::Cast{DType::i32}, {x})[0].values<std::int32_t>()[0], -1);
  EXPECT_EQ(run_op(op::Cast{DType::u8}, {x})[0].values<std::uint8_t>()[1], 44);
  EXPECT_EQ(run_op(op::Cast{DType::i64}, {x})[0],
            Tensor::from<std::int64_t>({5}, {-1, 300, std::numeric_limits<std::int64_t>::max(), 0, kMin}));
}

TEST(Binary, QuantizedAddRoundsOnceAndMixesScales) {
  const Tensor a = quantized_u8({0, 128, 255, 129}, 0.1f, 128), b = quantized_u8({0, 10, 255, 11}, 0.2f, 10);
  const QParams y{{0.3f}, {100}};
  std::vector<int> want;
  const auto ka = static_cast<float>(double{0.1f} / double{0.3f}),
             kb = static_cast<float>(double{0.2f} / double{0.3f});
  for (std::int64_t i = 0; i < a.count(); ++i) {
    const auto da = static_cast<float>(quantized::load(a.view(), i) - 128),
               db = static_cast<float>(quantized::load(b.view(), i) - 10);
    want.push_back(quantized::sat(std::fma(da, ka, db * kb), 100, quantized::bounds_of(DType::u8)));
  }
  EXPECT_EQ(stored(run_op(op::Binary{op::BinaryFn::Add}, {a, b}, y)[0]), want);
  EXPECT_EQ(stored(run_op(op::Variadic{op::VariadicFn::Sum}, {a, b}, y)[0]), want);
}

TEST(Binary, QuantizedMul) {
  const Tensor a = quantized_u8({0, 128, 255, 138}, 0.5f, 128), b = quantized_u8({20}, 0.25f, 10);
  EXPECT_EQ(stored(run_op(op::Binary{op::BinaryFn::Mul}, {a, b}, QParams{{1.f}, {128}})[0]),
            (std::vector<int>{0, 128, 255, 140}));
}

TEST(Binary, IntegersAtTheirLimits) {
  const Tensor a = Tensor::from<std::int64_t>({4}, {kMin, 7, -7, 5}),
               b = Tensor::from<std::int64_t>({4}, {-1, 0, 2, -2});
  EXPECT_EQ(run_op(op::Binary{op::BinaryFn::Div}, {a, b})[0],
            Tensor::from<std::int64_t>({4}, {kMin, 0, -3, -2}));
  EXPECT_EQ(run_op(op::Mod{}, {a, b})[0], Tensor::from<std::int64_t>({4}, {0, 0, 1, -1}));
  EXPECT_EQ(run_op(op::Mod{1}, {a, b})[0], Tensor::from<std::int64_t>({4}, {0, 0, -1, 1}));
  EXPECT_EQ(run_op(op::Binary{op::BinaryFn::Pow}, {b, a})[0],
            Tensor::from<std::int64_t>({4}, {1, 0, 0, -32}));
}

TEST(Binary, RefusesWhatDoesNotFit) {
  const Tensor x23 = Tensor(DType::f32, {2, 3}), x3 = Tensor(DType::f32, {3}), x2 = Tensor(DType::f32, {2});
  EXPECT_THROW(infer(op::Binary{op::BinaryFn::Add}, {x23, x2}), Error);
  EXPECT_THROW(infer(op::Binary{op::BinaryFn::PRelu}, {x3, x23}), Error);
  EXPECT_THROW(infer(op::Binary{op::BinaryFn::Add}, {x3, Tensor(DType::i32, {3})}), Error);
  EXPECT_THROW(infer(op::Binary{op::BinaryFn::And}, {x3, x3}), Error);
  EXPECT_THROW(infer(op::Binary{op::BinaryFn::Add}, {x3}), Error);
  EXPECT_THROW(infer(op::Mod{}, {x3, x3}), Error);
  EXPECT_THROW(infer(op::BitShift{"UP"}, {x3, x3}), Error);
}

TEST(Reduce, QuantizedMeanDividesOnce) {
  const Tensor x = quantized_u8({0, 1, 2, 255}, 0.1f, 3).reshaped({1, 1, 2, 2});
  const Tensor axes = Tensor::from<std::int64_t>({2}, {2, 3});
  const float v = static_cast<float>(258 - 12) * static_cast<float>(double{0.1f} / (double{0.4f} * 4));
  const int want = quantized::sat(v, 5, quantized::bounds_of(DType::u8));
  EXPECT_EQ(stored(run_op(op::Reduce{op::ReduceFn::ReduceMean}, {x, axes}, QParams{{0.4f}, {5}})[0]),
            std::vector<int>{want});
}

TEST(Reduce, EmptyGroupsGiveTheNeutralElement) {
  const Tensor x = Tensor(DType::f32, {2, 0});
  const Tensor axes = Tensor::from<std::int64_t>({1}, {1});
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(run_op(op::Reduce{op::ReduceFn::ReduceSum, 0}, {x, axes})[0], Tensor::from<float>({2}, {0, 0}));
  EXPECT_EQ(run_op(op::Reduce{op::ReduceFn::ReduceProd, 0}, {x, axes})[0], Tensor::from<float>({2}, {1, 1}));
  EXPECT_EQ(run_op(op::Reduce{op::ReduceFn::ReduceMax, 0}, {x, axes})[0],
            Tensor::from<float>({2}, {-infinity, -infinity}));
  EXPECT_THROW(infer(op::ArgMax{1}, {x}), Error);
}

TEST(TopK, KeepsTheFirstOfEquals) {
  const Tensor x = Tensor::from<float>({6}, {1, 5, 3, 5, 5, 2}), k = Tensor::from<std::int64_t>({1}, {4});
  const std::vector<Tensor> y = run_op(op::TopK{}, {x, k});
  EXPECT_EQ(y[0], Tensor::from<float>({4}, {5, 5, 5, 3}));
  EXPECT_EQ(y[1], Tensor::from<std::int64_t>({4}, {1, 3, 4, 2}));
  EXPECT_THROW(infer(op::TopK{}, {x, Tensor::from<std::int64_t>({1}, {7})}), Error);
  EXPECT_THROW(infer(op::TopK{}, {x, Tensor::from<std::int64_t>({1}, {-1})}), Error);
}

}  // namespace
}  // namespace eke
