#include "tensor/values.h"

#include <gtest/gtest.h>

#include <cmath>

namespace eke {
namespace {

TEST(Values, AreRoundedAndSaturatedIntoIntegers) {
  Tensor tensor(DType::u8, {6});
  assign(tensor, std::vector<float>{0.5f, 1.5f, -3, 300, NAN});
  EXPECT_EQ(tensor, (Tensor::from<std::uint8_t>({6}, {0, 2, 0, 255, 0, 0})));
  Tensor wide(DType::i64, {2});
  assign(wide, std::vector<float>{1e30f, -1e30f});
  EXPECT_EQ(wide, (Tensor::from<std::int64_t>({2}, {INT64_MAX, INT64_MIN})));
}

TEST(Values, ComeBackDequantized) {
  const Tensor tensor = Tensor::from<std::uint8_t>({3}, {9, 10, 12}).with_quant(QParams{{0.5f}, {10}, -1});
  EXPECT_EQ(real_values(tensor.view()), (std::vector<float>{-0.5f, 0, 1}));
  EXPECT_EQ(real_values(Tensor::from<std::int64_t>({1}, {7}).view()), (std::vector<float>{7}));
}

TEST(Values, RefuseWhatDoesNotFit) {
  Tensor tensor(DType::f32, {1});
  EXPECT_THROW(assign(tensor, std::vector<float>{1, 2}), Error);
  Tensor half(DType::f16, {1});
  EXPECT_THROW(assign(half, std::vector<float>{1}), Error);
}

}  // namespace
}  // namespace eke
