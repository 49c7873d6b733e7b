#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace eke {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(DType, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(DType::boolean); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(parse_dtype(to_string(dtype)), dtype);
    EXPECT_GE(size_of(dtype), 1u);
  }
  EXPECT_FALSE(parse_dtype("f31"));
}

TEST(Half, EveryValueRoundTrips) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = half_to_float(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
    } else {
      ASSERT_EQ(float_to_half(value), bits);
    }
    const float brain = bfloat16_to_float(static_cast<std::uint16_t>(bits));
    if (!std::isnan(brain)) {
      ASSERT_EQ(float_to_bfloat16(brain), bits);
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  struct Case {
    float value;
    std::uint16_t bits;
  };
  for (const Case& c :
       {Case{1.f, 0x3C00}, Case{-2.f, 0xC000}, Case{65504.f, 0x7BFF}, Case{65519.9f, 0x7BFF},
        Case{65520.f, 0x7C00}, Case{kInf, 0x7C00}, Case{0x1p-24f, 1}, Case{0x1p-25f, 0}, Case{0x1.8p-24f, 2},
        Case{0x1.000002p-25f, 1}, Case{-0.f, 0x8000}, Case{1.f + 0x1p-11f, 0x3C00},
        Case{1.f + 0x1.8p-10f, 0x3C02}, Case{0x1.ff8p-15f, 0x3FF}, Case{0x1.ffcp-15f, 0x400}})
    EXPECT_EQ(float_to_half(c.value), c.bits) << c.value;
  EXPECT_EQ(float_to_bfloat16(1.f + 0x1p-8f), 0x3F80);
  EXPECT_EQ(float_to_bfloat16(1.f + 0x1.8p-7f), 0x3F82);
}

TEST(Shape, CountsAndPrints) {
  const Shape shape{1, 3, 224, 224};
  EXPECT_EQ(shape.count(), 150528);
  EXPECT_EQ(shape.count(2, 4), 50176);
  EXPECT_EQ(to_string(shape), "1x3x224x224");
  EXPECT_EQ(to_string(Shape{kDynamic, 2}), "?x2");
  EXPECT_EQ(to_string(Shape{}), "scalar");
  EXPECT_EQ(to_string(Type{DType::f32, shape}), "f32[1,3,224,224]");
  EXPECT_TRUE((Shape{kDynamic, 2}.is_dynamic()));
  EXPECT_EQ(Shape::filled(3, 2), (Shape{2, 2, 2}));
  EXPECT_THROW(Shape::filled(9, 1), Error);
}

TEST(ByteSize, ChecksEverySize) {
  EXPECT_EQ(byte_size(DType::f32, Shape{2, 3}), 24u);
  EXPECT_EQ(byte_size(DType::f64, Shape{}), 8u);
  EXPECT_EQ(byte_size(DType::f32, Shape{0, 3}), 0u);
  const std::int64_t big = std::int64_t{1} << 40;
  for (const Shape& bad : {Shape{-1}, Shape{2, -5}, Shape{big}, Shape{big, big, big}, Shape{0, big},
                           Shape{std::numeric_limits<std::int64_t>::max(), 2}, Shape{1 << 20, 1 << 20}})
    EXPECT_THROW(byte_size(DType::f32, bad), Error) << to_string(bad);
}

TEST(Tensor, CopiesShareUntilWritten) {
  Tensor a = Tensor::from<float>({2}, {1, 2});
  const Tensor b = a;
  EXPECT_EQ(a.data(), b.data());
  a.mutable_values<float>()[0] = 5;
  EXPECT_NE(a.data(), b.data());
  EXPECT_EQ(b.values<float>()[0], 1);
  EXPECT_EQ(a.values<float>()[1], 2);
  EXPECT_FALSE(a == b);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data()) % 64, 0u);
  EXPECT_THROW(a.values<int>(), Error);
  EXPECT_THROW(Tensor::from<float>({3}, {1, 2}), Error);
}

TEST(Tensor, Reshapes) {
  const Tensor a = Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(a.reshaped({6}).shape(), Shape{6});
  EXPECT_EQ(a.reshaped({6}).data(), a.data());
  EXPECT_THROW(a.reshaped({5}), Error);
}

TEST(Tensor, ComparesBytes) {
  const Tensor nan = Tensor::scalar(std::nanf(""));
  EXPECT_EQ(nan, Tensor::scalar(std::nanf("")));
  EXPECT_FALSE(Tensor::scalar(0.f) == Tensor::scalar(-0.f));
  EXPECT_FALSE(Tensor::scalar(1.f) == Tensor::scalar(1.f).with_quant(QParams{{1.f}, {0}, -1}));
  EXPECT_EQ(Tensor(), Tensor());
  EXPECT_FALSE(Tensor() == Tensor::scalar(0.f));
}

TEST(Tensor, ReadsParameters) {
  const Tensor ints = Tensor::from<std::int64_t>({3}, {-1, 0, 7});
  EXPECT_EQ(as_ints(ints), (std::vector<std::int64_t>{-1, 0, 7}));
  EXPECT_THROW(as_floats(ints), Error);
  EXPECT_THROW(as_ints(Tensor::scalar(1.f)), Error);
  const Tensor quantized =
      Tensor::from<std::int8_t>({2, 2}, {1, 2, 3, 4}).with_quant(QParams{{1.f, 10.f}, {0, 1}, 0});
  EXPECT_EQ(as_floats(quantized), (std::vector<float>{1, 2, 20, 30}));
  EXPECT_EQ(element_as_int(Tensor::scalar(-2.7f).view(), 0), -2);
  EXPECT_EQ(element_as_double(Tensor::scalar<std::uint8_t>(200).view(), 0), 200.0);
}

TEST(Converted, FollowsCast) {
  const Tensor floats = Tensor::from<float>({5}, {1.9f, -1.9f, 300.f, kInf, std::nanf("")});
  const Tensor truncated = converted(floats, DType::i32);
  const auto ints = truncated.values<std::int32_t>();
  EXPECT_EQ(ints[0], 1);
  EXPECT_EQ(ints[1], -1);
  EXPECT_EQ(ints[4], 0);
  EXPECT_EQ(converted(floats, DType::u8).values<std::uint8_t>()[2], 44);
  EXPECT_TRUE(converted(floats, DType::boolean).values<bool>()[4]);
  EXPECT_EQ(converted(Tensor::scalar(true), DType::f32).values<float>()[0], 1.f);
  const Tensor half = converted(floats, DType::f16);
  EXPECT_EQ(as_floats(half)[2], 300.f);
  EXPECT_EQ(converted(half, DType::f32).values<float>()[3], kInf);
}

}  // namespace
}  // namespace eke
