#include "kernels/testing.h"
#include "kernels/transpose/registry.h"

namespace eke::kernels {
namespace {

class Transpose : public testing::KernelTest<TransposeKernel> {
 protected:
  template <class T>
  void check() {
    check_strides<T>(0, 0);
    check_strides<T>(1, 2);
  }

 private:
  // The rows of the input and of the output lie that many elements apart.
  template <class T>
  void check_strides(int in_gap, int out_gap) {
    for (int rows = 1; rows <= 80; rows += rows < 20 ? 1 : 5)
      for (int cols = 1; cols <= 80; cols += cols < 20 ? 1 : 5) {
        const auto in_stride = static_cast<std::size_t>(cols + in_gap),
                   out_stride = static_cast<std::size_t>(rows + out_gap);
        const auto r_count = static_cast<std::size_t>(rows), c_count = static_cast<std::size_t>(cols);
        testing::Buffer<T> in(r_count * in_stride, [&] { return static_cast<T>(random()); });
        testing::Buffer<T> out(c_count * out_stride), expected(c_count * out_stride);
        for (std::size_t r = 0; r < r_count; ++r)
          for (std::size_t c = 0; c < c_count; ++c) expected[c * out_stride + r] = in[r * in_stride + c];
        GetParam().run({in.data(), out.data(), r_count, c_count,
                        static_cast<std::ptrdiff_t>(in_stride * sizeof(T)),
                        static_cast<std::ptrdiff_t>(out_stride * sizeof(T))});
        EXPECT_TRUE(out == expected) << rows << " x " << cols;
      }
  }
};

class TransposeX8 : public Transpose {};
TEST_P(TransposeX8, MovesEveryElement) { check<std::uint8_t>(); }
EKE_TEST_ROWS(TransposeX8, transpose_x8_kernels());

class TransposeX32 : public Transpose {};
TEST_P(TransposeX32, MovesEveryElement) { check<std::uint32_t>(); }
EKE_TEST_ROWS(TransposeX32, transpose_x32_kernels());

}  // namespace
}  // namespace eke::kernels
