#include <cmath>

#include "kernels/eltwise/registry.h"
#include "kernels/testing.h"

namespace eke::kernels {
namespace {

using testing::Buffer;

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

template <class Fn>
class Eltwise : public testing::KernelTest<EltwiseKernel<Fn>> {
 protected:
  // The kernel and the last of its list on the same arguments, into `size` elements of T.
  template <class T, class Args>
  void compare(std::span<const EltwiseKernel<Fn>> kernels, Args args, std::size_t size) {
    const auto run = [&](Fn kernel) {
      Buffer<T> out(size);
      args.out = out.data();
      kernel(args);
      return out;
    };
    EXPECT_TRUE(run(this->GetParam().run) == run(kernels.back().run)) << size << " elements";
  }
  Buffer<std::uint8_t> bytes(std::size_t size) {
    return {size, [&] { return static_cast<std::uint8_t>(this->uniform(0, 255)); }};
  }
  Buffer<float> floats(std::size_t size, float lo, float hi) {
    return {size, [&] { return this->real(lo, hi); }};
  }
};

using Lut = Eltwise<LutFn>;
TEST_P(Lut, EqualsOracle) {
  Buffer<std::uint8_t> table = bytes(256);
  for (std::size_t size = 1; size <= 300; ++size) {
    Buffer<std::uint8_t> in = bytes(size);
    compare<std::uint8_t>(lut_kernels(), LutArgs{in.data(), nullptr, size, table.data()}, size);
  }
  std::uint8_t next = 0;
  Buffer<std::uint8_t> all(256, [&] { return next++; });
  compare<std::uint8_t>(lut_kernels(), LutArgs{all.data(), nullptr, 256, table.data()}, 256);
}
EKE_TEST_ROWS(Lut, lut_kernels());

using Quantize = Eltwise<QuantizeFn>;
TEST_P(Quantize, EqualsOracle) {
  for (std::size_t size = 1; size <= 100; ++size) {
    Buffer<float> in = floats(size, -3, 3);
    in[0] = size % 4 == 0 ? kNan : size % 4 == 1 ? kInf : size % 4 == 2 ? -kInf : 1e30f;
    QuantizeArgs args{in.data(), nullptr, size, real(0.001f, 0.1f), uniform(0, 255), 0, 0};
    args.lo = static_cast<float>(-args.zero);
    args.hi = static_cast<float>(255 - args.zero);
    compare<std::uint8_t>(quantize_kernels(), args, size);
  }
}
TEST_P(Quantize, RoundsHalfToEvenAfterTrueDivision) {
  Buffer<float> in(6), near(1);
  const float values[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, kNan};
  std::copy(std::begin(values), std::end(values), in.data());
  Buffer<std::uint8_t> out(6);
  GetParam().run({in.data(), out.data(), 6, 1, 10, -10, 245});
  const std::uint8_t expected[] = {10, 12, 12, 10, 8, 10};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(out[i], expected[i]) << values[i];
}
// Quotients at ties and a few steps of float beside them, under scales of every size.
TEST_P(Quantize, RoundsNearTiesAsTheOracle) {
  const float scales[] = {1e-42f, 1e-30f, 0.0039215689f, 0.1f, 0.3f, 1.0f, 3.7f, 1e30f};
  for (const float scale : scales) {
    int i = 0;
    Buffer<float> in(4000, [&] {
      float x = (static_cast<float>(i / 8 - 250) + 0.5f) * scale;
      for (int step = 0; step < i % 8; ++step) x = std::nextafter(x, i % 2 ? kInf : -kInf);
      ++i;
      return x;
    });
    compare<std::uint8_t>(quantize_kernels(), QuantizeArgs{in.data(), nullptr, 4000, scale, 3, -3, 252},
                          4000);
  }
}
EKE_TEST_ROWS(Quantize, quantize_kernels());

using Dequantize = Eltwise<DequantizeFn>;
TEST_P(Dequantize, EqualsOracle) {
  for (std::size_t size = 1; size <= 100; ++size) {
    Buffer<std::uint8_t> in = bytes(size);
    compare<float>(dequantize_kernels(),
                   DequantizeArgs{in.data(), nullptr, size, real(0.001f, 2), uniform(0, 255)}, size);
  }
}
EKE_TEST_ROWS(Dequantize, dequantize_kernels());

class BinaryU8 : public Eltwise<BinaryU8Fn> {
 protected:
  void check(std::span<const EltwiseKernel<BinaryU8Fn>> kernels, float k) {
    for (std::size_t cols = 1; cols <= 80; ++cols)
      for (bool broadcast : {false, true}) {
        const std::size_t rows = 3, stride = cols + 5;
        Buffer<std::uint8_t> a = bytes(rows * stride), b = bytes(rows * stride);
        BinaryU8Args args;
        args.a = a.data(), args.b = b.data();
        args.rows = rows, args.cols = cols;
        args.a_stride = args.out_stride = static_cast<std::ptrdiff_t>(stride);
        args.b_stride = broadcast ? 0 : args.a_stride;
        args.a_zero = uniform(0, 255), args.b_zero = uniform(0, 255), args.out_zero = uniform(0, 255);
        args.ka = k * real(0.1f, 2), args.kb = k * real(-2, 2);
        args.lo = static_cast<float>(-args.out_zero), args.hi = static_cast<float>(255 - args.out_zero);
        compare<std::uint8_t>(kernels, args, rows * stride);
      }
  }
};

class AddU8 : public BinaryU8 {};
TEST_P(AddU8, EqualsOracle) { check(add_u8_kernels(), 1); }
EKE_TEST_ROWS(AddU8, add_u8_kernels());

class MulU8 : public BinaryU8 {};
TEST_P(MulU8, EqualsOracle) { check(mul_u8_kernels(), 0.01f); }
EKE_TEST_ROWS(MulU8, mul_u8_kernels());

float apply(BinaryF32Op op, float a, float b) {
  switch (op) {
    case BinaryF32Op::add:
      return a + b;
    case BinaryF32Op::sub:
      return a - b;
    case BinaryF32Op::rsub:
      return b - a;
    case BinaryF32Op::mul:
      return a * b;
    case BinaryF32Op::div:
      return a / b;
    case BinaryF32Op::rdiv:
      return b / a;
    case BinaryF32Op::min:
      return std::min(a, b);
    case BinaryF32Op::max:
      return std::max(a, b);
    case BinaryF32Op::prelu:
      return a < 0 ? a * b : a;
  }
  return kNan;
}

constexpr BinaryF32Op kBinaryOps[] = {
#define EKE_OP(name) BinaryF32Op::name,
    EKE_BINARY_F32_OPS(EKE_OP)
#undef EKE_OP
};

using BinaryF32 = Eltwise<BinaryF32Fn>;
TEST_P(BinaryF32, EqualsPlainArithmetic) {
  int round = 0;
  for (std::size_t cols = 1; cols <= 70; ++cols)
    for (BinaryF32Op op : kBinaryOps) {
      const bool broadcast = round & 1, scalar = round & 2, clamped = round & 4;
      ++round;
      const std::size_t rows = 2, stride = cols + 3;
      Buffer<float> a = floats(rows * stride, -2, 2), b = floats(rows * stride, -2, 2), out(rows * stride),
                    expected(rows * stride);
      BinaryF32Args args{op, a.data(), b.data(), out.data(), rows, cols};
      args.a_stride = args.out_stride = static_cast<std::ptrdiff_t>(stride * sizeof(float));
      args.b_stride = broadcast ? 0 : args.a_stride;
      args.b_scalar = scalar;
      if (clamped) args.lo = -0.25f, args.hi = 1;
      GetParam().run(args);
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < cols; ++c) {
          const float y = apply(op, a[r * stride + c], b[(broadcast ? 0 : r * stride) + (scalar ? 0 : c)]);
          expected[r * stride + c] = std::min(std::max(y, args.lo), args.hi);
        }
      EXPECT_TRUE(out == expected) << static_cast<int>(op) << ", " << cols << " columns";
    }
}
EKE_TEST_ROWS(BinaryF32, binary_f32_kernels());

double exact(UnaryF32Op op, double x, double alpha, double beta) {
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  const auto hard_sigmoid = [](double v, double a, double b) {
    return std::max(0.0, std::min(1.0, a * v + b));
  };
  switch (op) {
    case UnaryF32Op::abs:
      return std::abs(x);
    case UnaryF32Op::neg:
      return -x;
    case UnaryF32Op::sqrt:
      return std::sqrt(x);
    case UnaryF32Op::reciprocal:
      return 1 / x;
    case UnaryF32Op::clamp:
      return std::min(std::max(x, alpha), beta);
    case UnaryF32Op::leaky_relu:
      return x < 0 ? alpha * x : x;
    case UnaryF32Op::hard_sigmoid:
      return hard_sigmoid(x, alpha, beta);
    case UnaryF32Op::hard_swish:
      return x * hard_sigmoid(x, 1.0 / 6, 0.5);
    case UnaryF32Op::exp:
      return std::exp(x);
    case UnaryF32Op::sigmoid:
      return sigmoid(x);
    case UnaryF32Op::tanh:
      return std::tanh(x);
    case UnaryF32Op::swish:
      return x * sigmoid(alpha * x);
    case UnaryF32Op::gelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case UnaryF32Op::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case UnaryF32Op::erf:
      return std::erf(x);
    case UnaryF32Op::elu:
      return x < 0 ? alpha * std::expm1(x) : x;
    case UnaryF32Op::selu:
      return beta * (x < 0 ? alpha * std::expm1(x) : x);
    case UnaryF32Op::celu:
      return x < 0 ? alpha * std::expm1(x / alpha) : x;
    case UnaryF32Op::softplus:
      return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    case UnaryF32Op::mish:
      return x * std::tanh(std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))));
  }
  return kNan;
}

struct UnaryCase {
  UnaryF32Op op;
  const char* name;
  float bound;
};
constexpr UnaryCase kUnaryOps[] = {
#define EKE_OP(name, bound) {UnaryF32Op::name, #name, bound},
    EKE_UNARY_F32_OPS(EKE_OP)
#undef EKE_OP
};

class UnaryF32 : public Eltwise<UnaryF32Fn> {
 protected:
  static constexpr float kAlpha = 0.75f, kBeta = 1.5f;
};
TEST_P(UnaryF32, StaysWithinItsBound) {
  constexpr std::size_t kSize = 200001;
  for (const auto& [op, name, bound] : kUnaryOps) {
    Buffer<float> in(kSize), out(kSize);
    for (std::size_t i = 0; i < kSize; ++i)
      in[i] = (static_cast<float>(i) - 100000.0f) * (i % 2 ? 1e-4f : 9e-4f);
    GetParam().run({op, in.data(), out.data(), kSize, kAlpha, kBeta});
    double worst = 0;
    float where = 0;
    for (std::size_t i = 0; i < kSize; ++i) {
      const double y = exact(op, static_cast<double>(in[i]), kAlpha, kBeta);
      if (!(std::abs(y) < 3e38)) continue;
      const double error = std::abs(out[i] - y) / std::max(std::abs(y), 1.0);
      if (error > worst) worst = error, where = in[i];
    }
    const double rounding = 2e-7;  // the steps of a plain formula, each rounded to half a unit
    EXPECT_LE(worst, bound > 0 ? static_cast<double>(bound) : rounding) << name << " at " << where;
    RecordProperty(name, std::to_string(worst));
  }
}
TEST_P(UnaryF32, EqualsOracleOnEveryTail) {
  for (const auto& [op, name, bound] : kUnaryOps)
    for (std::size_t size = 1; size <= 50; ++size) {
      Buffer<float> in = floats(size, -5, 5);
      in[0] = size % 3 == 0 ? -1e5f : size % 3 == 1 ? 1e5f : -0.0f;
      compare<float>(unary_f32_kernels(), UnaryF32Args{op, in.data(), nullptr, size, kAlpha, kBeta}, size);
    }
}
TEST_P(UnaryF32, KeepsNan) {
  for (const auto& [op, name, bound] : kUnaryOps) {
    Buffer<float> in(1), out(1);
    in[0] = kNan;
    GetParam().run({op, in.data(), out.data(), 1, kAlpha, kBeta});
    EXPECT_NE(out[0], out[0]) << name;
  }
}
EKE_TEST_ROWS(UnaryF32, unary_f32_kernels());

}  // namespace
}  // namespace eke::kernels
