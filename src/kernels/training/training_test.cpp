// All tiers do the same operations in the same order: the bits are those of the oracle.
#include "kernels/testing.h"
#include "kernels/training/registry.h"

namespace eke::kernels {
namespace {

using testing::Buffer;

template <class Fn>
class TrainingTest : public testing::KernelTest<TrainingKernel<Fn>> {
 protected:
  using testing::KernelTest<TrainingKernel<Fn>>::real;
  using testing::KernelTest<TrainingKernel<Fn>>::uniform;

  Buffer<float> values(std::size_t count, float lo = -2, float hi = 2) {
    return Buffer<float>(count, [&] { return real(lo, hi); });
  }
  static std::size_t padded(int channels) {
    return static_cast<std::size_t>((channels + 15) / 16 * 16 + kChannelSlack);
  }

  // Rows of channels, and the parameters of a normalization.
  struct Rows {
    int channels;
    std::int64_t rows;
    Buffer<float> x, dy, mean, factor, shift;
    std::size_t count() const { return static_cast<std::size_t>(rows * channels); }
    NormParameters norm() { return {mean.data(), factor.data(), shift.data(), -0.5f, 0.8f}; }
  };
  Rows rows() {
    const int channels = uniform(1, 150);
    const std::int64_t count = uniform(1, 30);
    const auto size = static_cast<std::size_t>(count * channels);
    return {channels,
            count,
            values(size),
            values(size),
            values(padded(channels)),
            values(padded(channels)),
            values(padded(channels))};
  }
  static constexpr int kRounds = 40;
};

#define EKE_TRAINING_TEST(type, list)                  \
  class type##Test : public TrainingTest<type##Fn> {}; \
  EKE_TEST_ROWS(type##Test, list##_kernels());         \
  TEST_P(type##Test, EqualsScalar)

EKE_TRAINING_TEST(ChannelSums, channel_sums) {
  for (int i = 0; i < kRounds; ++i) {
    Rows r = rows();
    Buffer<float> sum(padded(r.channels)), square(padded(r.channels)), want_sum = sum, want_square = square;
    const bool squares = i % 2 == 0;
    GetParam().run(
        {r.x.data(), r.rows, r.channels, r.mean.data(), sum.data(), squares ? square.data() : nullptr});
    channel_sums_kernels().back().run({r.x.data(), r.rows, r.channels, r.mean.data(), want_sum.data(),
                                       squares ? want_square.data() : nullptr});
    ASSERT_TRUE(sum == want_sum && square == want_square) << r.rows << "x" << r.channels;
  }
}

EKE_TRAINING_TEST(BatchNorm, batch_norm) {
  for (int i = 0; i < kRounds; ++i) {
    Rows r = rows();
    Buffer<float> out(r.count()), want = out;
    GetParam().run({r.x.data(), out.data(), r.rows, r.channels, r.norm()});
    batch_norm_kernels().back().run({r.x.data(), want.data(), r.rows, r.channels, r.norm()});
    ASSERT_TRUE(out == want) << r.rows << "x" << r.channels;
  }
}

EKE_TRAINING_TEST(BatchNormSums, batch_norm_sums) {
  for (int i = 0; i < kRounds; ++i) {
    Rows r = rows();
    Buffer<float> sum(padded(r.channels)), product(padded(r.channels)), want_sum = sum,
                                                                        want_product = product;
    GetParam().run({r.dy.data(), r.x.data(), r.rows, r.channels, r.norm(), sum.data(), product.data()});
    batch_norm_sums_kernels().back().run(
        {r.dy.data(), r.x.data(), r.rows, r.channels, r.norm(), want_sum.data(), want_product.data()});
    ASSERT_TRUE(sum == want_sum && product == want_product) << r.rows << "x" << r.channels;
  }
}

EKE_TRAINING_TEST(BatchNormGrad, batch_norm_grad) {
  for (int i = 0; i < kRounds; ++i) {
    Rows r = rows();
    Buffer<float> offset = values(padded(r.channels)), slope = values(padded(r.channels)), out(r.count()),
                  want = out;
    GetParam().run(
        {r.dy.data(), r.x.data(), out.data(), r.rows, r.channels, r.norm(), offset.data(), slope.data()});
    batch_norm_grad_kernels().back().run(
        {r.dy.data(), r.x.data(), want.data(), r.rows, r.channels, r.norm(), offset.data(), slope.data()});
    ASSERT_TRUE(out == want) << r.rows << "x" << r.channels;
  }
}

EKE_TRAINING_TEST(ClampGrad, clamp_grad) {
  for (std::size_t count = 1; count < 80; count += 7) {
    Buffer<float> dy = values(count), y = values(count), out(count), want = out;
    GetParam().run({dy.data(), y.data(), out.data(), count, -1, 1});
    clamp_grad_kernels().back().run({dy.data(), y.data(), want.data(), count, -1, 1});
    ASSERT_TRUE(out == want) << count;
  }
}

EKE_TRAINING_TEST(Momentum, momentum) {
  for (std::size_t count = 1; count < 80; count += 7) {
    Buffer<float> x = values(count), g = values(count), v = values(count), x_out(count), v_out(count),
                  want_x = x_out, want_v = v_out;
    MomentumArgs args{x.data(), g.data(), v.data(), x_out.data(), v_out.data(),  count,
                      0.1f,     0.9f,     1,        0.01f,        count % 2 == 0};
    GetParam().run(args);
    args.x_out = want_x.data();
    args.v_out = want_v.data();
    momentum_kernels().back().run(args);
    ASSERT_TRUE(x_out == want_x && v_out == want_v) << count;
  }
}

EKE_TRAINING_TEST(Adam, adam) {
  for (std::size_t count = 1; count < 80; count += 7) {
    Buffer<float> x = values(count), g = values(count), m = values(count), v = values(count, 0, 1),
                  x_out(count), m_out(count), v_out(count), want_x = x_out, want_m = m_out, want_v = v_out;
    AdamArgs args{x.data(), g.data(), m.data(), v.data(), x_out.data(), m_out.data(), v_out.data(),
                  count,    0.1f,     0.9f,     0.99f,    1e-8f,        0.01f,        0.99f};
    GetParam().run(args);
    args.x_out = want_x.data();
    args.m_out = want_m.data();
    args.v_out = want_v.data();
    adam_kernels().back().run(args);
    ASSERT_TRUE(x_out == want_x && m_out == want_m && v_out == want_v) << count;
  }
}

EKE_TRAINING_TEST(Average, average) {
  for (std::size_t count = 1; count < 80; count += 7) {
    Buffer<float> old = values(count), value = values(count), out(count), want = out;
    GetParam().run({old.data(), value.data(), out.data(), count, 0.9f});
    average_kernels().back().run({old.data(), value.data(), want.data(), count, 0.9f});
    ASSERT_TRUE(out == want) << count;
  }
}

EKE_TRAINING_TEST(RoundingGrad, rounding_grad) {
  for (std::size_t count = 1; count < 80; count += 7) {
    Buffer<float> dy = values(count), x = values(count), out(count), sum(16), want = out, want_sum = sum;
    GetParam().run({dy.data(), x.data(), out.data(), count, 0.01f, -128, 127, sum.data()});
    rounding_grad_kernels().back().run(
        {dy.data(), x.data(), want.data(), count, 0.01f, -128, 127, want_sum.data()});
    ASSERT_TRUE(out == want && sum == want_sum) << count;
  }
}

}  // namespace
}  // namespace eke::kernels
