// Convolutions and matrix products where types carry quantization, fused forms, and refusals; ONNX's own
// cases cover the plain float forms.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/integer_product.h"
#include "ops/run_op.h"

namespace eke {
namespace {

using testing::infer;
using testing::run_op;

Tensor floats(const Shape& shape, std::initializer_list<float> values) {
  return Tensor::from<float>(shape, values);
}

Tensor u8(const Shape& shape, std::initializer_list<std::uint8_t> values, float scale,
          std::int32_t zero_point) {
  return Tensor::from<std::uint8_t>(shape, values).with_quant(QParams{{scale}, {zero_point}});
}

// Two images of one channel and two pixels; two output channels of a 1x1 kernel.
struct SmallConv {
  Tensor x = u8({2, 1, 1, 2}, {0, 130, 255, 125}, 0.1f, 128);
  Tensor w =
      Tensor::from<std::int8_t>({2, 1, 1, 1}, {-100, 127}).with_quant(QParams{{0.02f, 0.03f}, {0, 0}, 0});
  Tensor b = Tensor::from<std::int32_t>({2}, {5, -7});
  Type y{DType::u8, {2, 2, 1, 2}, QParams{{0.5f}, {100}}};

  std::int32_t acc(std::int64_t i) const {
    const std::int64_t n = i / 4, c = i / 2 % 2, p = i % 2;
    return (x.values<std::uint8_t>()[static_cast<std::size_t>(n * 2 + p)] - 128) *
               w.values<std::int8_t>()[static_cast<std::size_t>(c)] +
           b.values<std::int32_t>()[static_cast<std::size_t>(c)];
  }
  float m(std::int64_t i, double output_scale, double slope = 1) const {
    const double sw = w.type().quant->scale[static_cast<std::size_t>(i / 2 % 2)];
    return static_cast<float>(double{0.1f} * sw * slope / output_scale);
  }
};

TEST(QuantizedConv, Rules3And7) {
  const SmallConv s;
  const Tensor q = testing::eval(op::Conv{}, {s.x, s.w, s.b}, {s.y})[0];
  const Tensor f = run_op(op::Conv{}, {s.x, s.w, s.b})[0];
  ASSERT_EQ(f.dtype(), DType::f32);
  for (std::int64_t i = 0; i < q.count(); ++i) {
    const auto acc = static_cast<float>(s.acc(i));
    EXPECT_EQ(q.values<std::uint8_t>()[static_cast<std::size_t>(i)],
              quantized::sat(acc * s.m(i, 0.5), 100, {0, 255}));
    EXPECT_EQ(f.values<float>()[static_cast<std::size_t>(i)], acc * s.m(i, 1));
  }
}

TEST(QuantizedConv, Rules4To6) {
  const SmallConv s;
  const Tensor slope = floats({2}, {0.25f, 0.5f});
  const Tensor r = u8({2, 2, 1, 2}, {1, 20, 3, 40, 5, 60, 7, 255}, 0.7f, 10);
  op::Conv rounded;
  rounded.mid = {0.25f, 90, DType::u8};
  rounded.clamp = {.lo = 0, .hi = 50};
  const Tensor sloped = testing::eval(op::Conv{}, {s.x, s.w, s.b, slope}, {s.y})[0];
  const Tensor added = testing::eval(op::Conv{}, {s.x, s.w, s.b, {}, r}, {s.y})[0];
  const Tensor twice = testing::eval(rounded, {s.x, s.w, s.b, slope, r}, {s.y})[0];
  ASSERT_NO_THROW(infer(rounded, {s.x, s.w, s.b, slope, r}));
  for (std::int64_t i = 0; i < s.y.shape.count(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    const double a = s.acc(i) < 0 ? double{slope.values<float>()[static_cast<std::size_t>(i / 2 % 2)]} : 1;
    const auto acc = static_cast<float>(s.acc(i));
    EXPECT_EQ(sloped.values<std::uint8_t>()[k], quantized::sat(acc * s.m(i, 0.5, a), 100, {0, 255}));
    const float rest = static_cast<float>(r.values<std::uint8_t>()[k] - 10) *
                       static_cast<float>(double{0.7f} / double{0.5f});
    EXPECT_EQ(added.values<std::uint8_t>()[k],
              quantized::sat(std::fma(acc, s.m(i, 0.5), rest), 100, {0, 255}));
    const std::int32_t t = quantized::sat(acc * s.m(i, 0.25, a), 90, {0, 255});
    EXPECT_EQ(twice.values<std::uint8_t>()[k],
              quantized::sat(std::fma(static_cast<float>(t - 90), 0.5f, rest), 100, {100, 200}));
  }
}

TEST(QuantizedConv, AccumulatorsWrapAndPaddingIsNeutral) {
  const Tensor x = u8({1, 1, 1}, {255}, 1, 0);
  const Tensor w = Tensor::from<std::int8_t>({1, 1, 3}, {1, 1, 1}).with_quant(QParams{{1.f}, {0}});
  const Tensor b = Tensor::from<std::int32_t>({1}, {std::numeric_limits<std::int32_t>::max()});
  const Tensor y = run_op(op::Conv{.pads = {1, 1}}, {x, w, b})[0];
  EXPECT_EQ(y.values<float>()[0], static_cast<float>(std::numeric_limits<std::int32_t>::min() + 254));
  const Tensor shifted = u8({1, 1, 1}, {7}, 1, 7);
  EXPECT_EQ(run_op(op::Conv{.pads = {1, 1}}, {shifted, w})[0].values<float>()[0], 0.f);
}

TEST(QuantizedConv, FloatBiasIsPutOnTheAccumulatorsScale) {
  SmallConv s;
  const Tensor want = testing::eval(op::Conv{}, {s.x, s.w, s.b}, {s.y})[0];
  const Tensor bias = floats({2}, {5 * 0.1f * 0.02f, -7 * 0.1f * 0.03f});
  EXPECT_EQ(testing::eval(op::Conv{}, {s.x, s.w, bias}, {s.y})[0], want);
}

TEST(QuantizedGemm, BothWeightLayoutsAgree) {
  const Tensor x = u8({2, 3}, {1, 2, 3, 200, 100, 50}, 0.5f, 100);
  const Tensor nk =
      Tensor::from<std::int8_t>({2, 3}, {1, -2, 3, 4, 5, -6}).with_quant(QParams{{.1f, .2f}, {0, 0}, 0});
  const Tensor kn =
      Tensor::from<std::int8_t>({3, 2}, {1, 4, -2, 5, 3, -6}).with_quant(QParams{{.1f, .2f}, {0, 0}, 1});
  const Tensor b = Tensor::from<std::int32_t>({2}, {10, 20});
  const Tensor y = run_op(op::Gemm{.transB = 1}, {x, nk, b})[0];
  EXPECT_EQ(y, run_op(op::Gemm{}, {x, kn, b})[0]);
  // (1-100)*1 + (2-100)*-2 + (3-100)*3 + 10
  EXPECT_EQ(y.values<float>()[0], -184.f * static_cast<float>(0.5 * double{.1f}));
  EXPECT_EQ(weight_axis(op::Gemm{.transB = 1}), 0);
  EXPECT_EQ(weight_axis(op::Gemm{}), 1);
  EXPECT_EQ(run_op(op::MatMul{}, {x, kn})[0],
            run_op(op::Gemm{}, {x, kn, Tensor::from<std::int32_t>({2}, {0, 0})})[0]);
}

TEST(FloatConv, FusedSlopeResidualAndClamp) {
  const Tensor x = floats({1, 1, 4}, {-4, -1, 1, 4}), w = floats({1, 1, 1}, {2}), b = floats({1}, {1});
  const Tensor r = floats({1, 1, 4}, {1, 1, 1, 1});
  op::Conv conv;
  conv.clamp = {.lo = -2, .hi = 6};
  EXPECT_EQ(run_op(conv, {x, w, b, floats({1}, {0.5f}), r})[0], floats({1, 1, 4}, {-2, 0.5f, 4, 6}));
}

TEST(Products, RefuseWhatDoesNotFit) {
  const SmallConv s;
  const Tensor x(DType::f32, {1, 4, 5, 5}), w(DType::f32, {6, 2, 3, 3}), u8_plain(DType::u8, {1, 4, 5, 5});
  const Tensor zero_point_1 = s.w.with_quant(QParams{{1.f}, {1}});
  const op::Conv grouped{.group = 2};
  op::Conv mid;
  mid.mid = {1.f, 0, DType::u8};
  struct Case {
    const char* message;
    Op op;
    std::vector<Tensor> in;
  };
  const Case cases[] = {
      {"input 1 (w) is missing", op::Conv{}, {x}},
      {"take 2 channels a group", op::Conv{}, {x, w}},
      {"kernel_shape says 5", op::Conv{.kernel_shape = {5, 5}, .group = 2}, {x, w}},
      {"0 groups do not divide", op::Conv{.group = 0}, {x, w}},
      {"4 groups do not divide 6", op::Conv{.group = 4}, {x, Tensor(DType::f32, {6, 1, 3, 3})}},
      {"must have the same rank", grouped, {x, Tensor(DType::f32, {6, 2, 3})}},
      {"floats are needed", grouped, {u8_plain, w}},
      {"input 1 is f64", grouped, {x, Tensor(DType::f64, {6, 2, 3, 3})}},
      {"bias has shape", grouped, {x, w, Tensor(DType::f32, {5})}},
      {"slope has shape", grouped, {x, w, {}, Tensor(DType::f32, {5})}},
      {"the residual has shape", grouped, {x, w, {}, {}, x}},
      {"needs quantized inputs", mid, {s.x, s.w}},
      {"zero point 1", op::Conv{}, {s.x, zero_point_1}},
      {"must be quantized int8", op::Conv{}, {s.x, Tensor(DType::i8, {2, 1, 1, 1})}},
      {"inner extents 3", op::Gemm{}, {Tensor(DType::f32, {2, 3}), Tensor(DType::f32, {2, 3})}},
      {"does not broadcast",
       op::Gemm{},
       {Tensor(DType::f32, {2, 3}), Tensor(DType::f32, {3, 4}), Tensor(DType::f32, {2, 1, 4})}},
      {"inner extents of", op::MatMul{}, {Tensor(DType::f32, {2, 3}), Tensor(DType::f32, {2, 3})}},
      {"at least rank 1", op::MatMul{}, {Tensor(DType::f32, Shape{}), Tensor(DType::f32, {2, 3})}},
  };
  for (const Case& c : cases) {
    try {
      infer(c.op, c.in);
      ADD_FAILURE() << "accepted: " << c.message;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(c.message), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace eke
