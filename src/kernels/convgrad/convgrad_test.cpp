#include "kernels/convgrad/registry.h"
#include "kernels/testing.h"

namespace eke::kernels {
namespace {

using testing::Buffer;

// Every kernel takes the pixels in order with one fused multiply-add each: the same bits as the oracle.
class OuterF32Test : public testing::KernelTest<OuterF32Kernel> {};

TEST_P(OuterF32Test, EqualsScalar) {
  for (int i = 0; i < 60; ++i) {
    const int pixels = uniform(1, 40), m = uniform(1, 50), n = uniform(1, 70), stride = uniform(1, 3),
              offset = uniform(0, 5), out_stride = n + uniform(0, 3);
    const auto count = static_cast<std::size_t>(pixels);
    const auto fill = [&] { return real(-1, 1); };
    Buffer<float> a(count * static_cast<std::size_t>(m + offset), fill),
        b(count * static_cast<std::size_t>(n + offset), fill);
    std::vector<const float*> a_rows(count * static_cast<std::size_t>(stride)), b_rows(count);
    for (std::size_t p = 0; p < count; ++p) {
      a_rows[p * static_cast<std::size_t>(stride)] = a.data() + p * static_cast<std::size_t>(m + offset);
      b_rows[p] = b.data() + p * static_cast<std::size_t>(n + offset);
    }
    const auto size = static_cast<std::size_t>(m * out_stride);
    Buffer<float> out(size, fill), want = out;
    OuterF32Args args{a_rows.data(), b_rows.data(), stride,    1, offset, offset, pixels, m, n,
                      out.data(),    out_stride,    i % 2 == 0};
    GetParam().run(args);
    args.out = want.data();
    outer_f32_kernels().back().run(args);
    ASSERT_TRUE(out == want) << pixels << " pixels, " << m << "x" << n;
  }
}
EKE_TEST_ROWS(OuterF32Test, outer_f32_kernels());

class DepthwiseGradF32Test : public testing::KernelTest<DepthwiseGradF32Kernel> {};

TEST_P(DepthwiseGradF32Test, EqualsScalar) {
  for (const int taps : {1, 2, 3, 4, 5, 9, 15, 25})
    for (int i = 0; i < 10; ++i) {
      const int pixels = uniform(1, 20), channels = uniform(1, 70), out_stride = (channels + 15) / 16 * 16;
      const auto fill = [&] { return real(-1, 1); };
      const auto count = static_cast<std::size_t>(pixels), width = static_cast<std::size_t>(channels);
      Buffer<float> x(count * width, fill), dy(count * width, fill);
      std::vector<const float*> rows(count * static_cast<std::size_t>(taps));
      for (const float*& row : rows)
        row = x.data() + static_cast<std::size_t>(uniform(0, pixels - 1)) * width;
      Buffer<float> out(static_cast<std::size_t>(taps * out_stride), fill), want = out;
      DepthwiseGradF32Args args{rows.data(), taps, dy.data(),  channels,   pixels,
                                channels,    taps, out.data(), out_stride, i % 2 == 0};
      GetParam().run(args);
      args.out = want.data();
      depthwise_grad_f32_kernels().back().run(args);
      ASSERT_TRUE(out == want) << taps << " taps, " << channels << " channels";
    }
}
EKE_TEST_ROWS(DepthwiseGradF32Test, depthwise_grad_f32_kernels());

}  // namespace
}  // namespace eke::kernels
