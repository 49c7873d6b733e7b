#include <cmath>

#include "kernels/softmax/registry.h"
#include "kernels/testing.h"

namespace eke::kernels {
namespace {

using testing::Buffer;

class Softmax : public testing::KernelTest<SoftmaxKernel> {
 protected:
  Buffer<float> run(SoftmaxFn kernel, Buffer<float>& in, std::size_t rows, std::size_t cols) {
    Buffer<float> out(rows * (cols + 1));
    const auto stride = static_cast<std::ptrdiff_t>((cols + 1) * sizeof(float));
    kernel({in.data(), out.data(), rows, cols, stride, stride});
    return out;
  }
};

TEST_P(Softmax, EqualsOracleAndExactValue) {
  for (std::size_t cols = 1; cols <= 130; ++cols) {
    const std::size_t rows = 3;
    // Multiples of 2^-12, whose differences are exact.
    Buffer<float> in(rows * (cols + 1),
                     [&] { return static_cast<float>(uniform(-80000, 80000)) * 0x1p-12f; });
    Buffer<float> out = run(GetParam().run, in, rows, cols);
    EXPECT_TRUE(out == run(softmax_f32_kernels().back().run, in, rows, cols)) << cols << " columns";
    for (std::size_t r = 0; r < rows; ++r) {
      const float* x = in.data() + r * (cols + 1);
      double sum = 0;
      for (std::size_t c = 0; c < cols; ++c) sum += std::exp(static_cast<double>(x[c]));
      for (std::size_t c = 0; c < cols; ++c) {
        const double exact = std::exp(static_cast<double>(x[c])) / sum;
        EXPECT_NEAR(out[r * (cols + 1) + c], exact, 1e-6 * exact);
      }
    }
  }
}

TEST_P(Softmax, SurvivesLargeValues) {
  Buffer<float> in(4);
  in[0] = 3e38f, in[1] = -3e38f, in[2] = 3e38f;
  Buffer<float> out = run(GetParam().run, in, 1, 3);
  EXPECT_EQ(out[0], 0.5f);
  EXPECT_EQ(out[1], 0.0f);
  EXPECT_EQ(out[2], 0.5f);
}

EKE_TEST_ROWS(Softmax, softmax_f32_kernels());

}  // namespace
}  // namespace eke::kernels
