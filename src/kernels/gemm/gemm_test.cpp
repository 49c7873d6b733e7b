#include "kernels/gemm/registry.h"
#include "kernels/testing.h"

namespace eke::kernels {
namespace {

using testing::Buffer;
using testing::Epilogues;
using testing::KernelTest;

// Pointers to [m][taps] rows of k values at odd places of one buffer, one pointer more than taps a pixel.
template <class T>
struct Rows {
  template <class Fill, class Uniform>
  Rows(int m, int taps, int k, Fill fill, Uniform uniform)
      : values(static_cast<std::size_t>(8 * k + 64), fill), stride(taps + 1) {
    for (int i = 0; i < m * stride; ++i) pointers.push_back(values.data() + uniform(0, 7 * k + 7));
  }
  Buffer<T> values;
  std::vector<const T*> pointers;
  int stride;
};

struct Size {
  int m, n, taps, k;
};

std::vector<Size> sizes() {
  std::vector<Size> result;
  for (int m = 1; m <= 26; ++m) result.push_back({m, 80, 1, 7});
  for (int n = 1; n <= 200; n += n < 70 ? 1 : 13)
    for (int m : {1, 3, 13}) result.push_back({m, n, 2, 5});
  for (int k = 1; k <= 70; ++k) result.push_back({7, 33, 3, k});
  for (int taps : {1, 2, 9, 25, 49}) result.push_back({12, 64, taps, 24});
  result.push_back({6, 48, 9, 512});
  return result;
}

class GemmU8S8 : public KernelTest<GemmU8S8Kernel> {
 protected:
  // What products are of: anything, or only values that could overflow inside, with weights of 127 or of -128.
  enum class Fill { any, high, low };

  // The kernel and the oracle on the same arguments.
  void compare(Size s, int variant, Fill fill) {
    const int m = s.m, n = s.n, taps = s.taps, k = s.k;
    const auto count = static_cast<std::size_t>(n) * static_cast<std::size_t>(taps * k);
    Rows<std::uint8_t> rows(
        m, taps, k,
        [&] {
          if (fill == Fill::any) return static_cast<std::uint8_t>(uniform(0, 255));
          return static_cast<std::uint8_t>((uniform(0, 7) == 0) == (fill == Fill::high) ? 0 : 255);
        },
        [&](int lo, int hi) { return uniform(lo, hi); });
    Buffer<std::int8_t> weights(count, [&] {
      if (fill == Fill::any) return static_cast<std::int8_t>(uniform(-127, 127));
      const bool usual = uniform(0, 7) > 0;
      return static_cast<std::int8_t>(fill == Fill::high ? (usual ? 127 : -127) : (usual ? -128 : 127));
    });
    Epilogues epilogues(m, n, (fill == Fill::any ? 1500 : 20000) * taps * k, random);

    GemmU8S8Args a;
    a.rows = rows.pointers.data();
    a.row_stride = rows.stride;
    a.offset = uniform(0, 3);
    a.m = m, a.n = n, a.taps = taps, a.k = k;
    a.epilogue = epilogues.make(variant);
    const int width = a.epilogue.output == OutputKind::u8 ? 1 : 4;
    a.out_stride = n * width + 4;

    const auto run = [&](const GemmU8S8Kernel& kernel) {
      Buffer<std::int8_t> packed(packed_bytes(kernel, count_of(n), count_of(taps), count_of(k)));
      pack(kernel, count_of(n), count_of(taps), count_of(k), weights.data(), packed.data());
      Buffer<std::int32_t> out(count_of(m) * static_cast<std::size_t>(a.out_stride) / 4 + 1);
      a.weights = packed.data();
      a.out = out.data();
      kernel.run(a);
      return out;
    };
    EXPECT_TRUE(run(GetParam()) == run(gemm_u8s8_kernels().back()))
        << "m " << m << " n " << n << " taps " << taps << " k " << k << " epilogue " << variant;
  }
  static std::size_t count_of(int n) { return static_cast<std::size_t>(n); }
};

TEST_P(GemmU8S8, EqualsOracle) {
  int variant = 0;
  for (const Size& size : sizes()) compare(size, variant++ % Epilogues::kVariants, Fill::any);
}

TEST_P(GemmU8S8, EveryEpilogueEqualsOracle) {
  for (int variant = 0; variant < Epilogues::kVariants; ++variant)
    for (const Size& size : {Size{13, 49, 1, 12}, Size{1, 130, 2, 9}, Size{2, 16, 9, 4}})
      compare(size, variant, Fill::any);
}

TEST_P(GemmU8S8, DoesNotSaturateInside) {
  for (int variant : {0, 4, 10})
    for (const Size& size : {Size{7, 33, 9, 64}, Size{1, 64, 1, 700}, Size{4, 17, 3, 5}})
      for (const Fill fill : {Fill::high, Fill::low}) compare(size, variant, fill);
}

TEST_P(GemmU8S8, PanelsAreIndependent) {
  const GemmU8S8Kernel& kernel = GetParam();
  const auto nr = static_cast<std::size_t>(kernel.nr);
  EXPECT_EQ(packed_bytes(kernel, 100, 9, 7), (100 + nr - 1) / nr * packed_bytes(kernel, nr, 9, 7));
}

EKE_TEST_ROWS(GemmU8S8, gemm_u8s8_kernels());

class GemmF32 : public KernelTest<GemmF32Kernel> {
 protected:
  void compare(Size s, int variant) {
    const int m = s.m, n = s.n, taps = s.taps, k = s.k;
    const auto value = [&] { return real(-1.0f, 1.0f); };
    const auto um = static_cast<std::size_t>(m), un = static_cast<std::size_t>(n),
               ut = static_cast<std::size_t>(taps), uk = static_cast<std::size_t>(k);
    Rows<float> rows(m, taps, k, value, [&](int lo, int hi) { return uniform(lo, hi); });
    Buffer<float> weights(un * ut * uk, value), bias(un + kChannelSlack, value),
        slope(un + kChannelSlack, value), residual(um * (un + 3), value);
    GemmF32Args a;
    a.rows = rows.pointers.data();
    a.row_stride = rows.stride;
    a.offset = uniform(0, 3);
    a.m = m, a.n = n, a.taps = taps, a.k = k;
    a.bias = bias.data();
    if (variant & 1) a.slope = slope.data();
    if (variant & 2) a.residual = residual.data();
    a.residual_stride = static_cast<std::ptrdiff_t>((un + 3) * sizeof(float));
    if (variant & 4) a.lo = 0, a.hi = 0.5f;
    a.out_stride = static_cast<std::ptrdiff_t>((un + 1) * sizeof(float));
    const auto run = [&](const GemmF32Kernel& kernel) {
      Buffer<float> packed(packed_bytes(kernel, un, ut, uk) / sizeof(float));
      pack(kernel, un, ut, uk, weights.data(), packed.data());
      Buffer<float> out(um * (un + 1));
      a.weights = packed.data();
      a.out = out.data();
      kernel.run(a);
      return out;
    };
    EXPECT_TRUE(run(GetParam()) == run(gemm_f32_kernels().back()))
        << "m " << m << " n " << n << " taps " << taps << " k " << k << " variant " << variant;
  }
};

TEST_P(GemmF32, EqualsOracle) {
  int variant = 0;
  for (const Size& size : sizes()) compare(size, variant++ % 8);
}

TEST_P(GemmF32, KeepsNan) {
  const GemmF32Kernel& kernel = GetParam();
  Buffer<float> values(4, [] { return std::numeric_limits<float>::quiet_NaN(); }), packed(16),
      bias(kChannelSlack), out(1);
  const float *row = values.data(), weight = 1;
  pack(kernel, 1, 1, 1, &weight, packed.data());
  GemmF32Args a;
  a.rows = &row;
  a.m = a.n = a.taps = a.k = 1;
  a.weights = packed.data();
  a.bias = bias.data();
  a.lo = 0;
  a.out = out.data();
  kernel.run(a);
  EXPECT_NE(out[0], out[0]);
}

EKE_TEST_ROWS(GemmF32, gemm_f32_kernels());

class GemmBf16 : public KernelTest<GemmBf16Kernel> {
 protected:
  void compare(Size s, int variant, float largest) {
    const int m = s.m, n = s.n, taps = s.taps, k = (s.k + 1) / 2 * 2;
    const auto um = static_cast<std::size_t>(m), un = static_cast<std::size_t>(n),
               ut = static_cast<std::size_t>(taps), uk = static_cast<std::size_t>(k);
    const auto real_value = [&] { return real(-largest, largest); };
    const auto value = [&] {
      const float x = real_value();
      std::uint16_t rounded;
      gemm_bf16_kernels().back().round(&x, 1, &rounded);
      return rounded;
    };
    Rows<std::uint16_t> rows(m, taps, k, value, [&](int lo, int hi) { return uniform(lo, hi); });
    Buffer<std::uint16_t> weights(un * ut * uk, value);
    Buffer<float> bias(un + kChannelSlack, real_value), slope(un + kChannelSlack, real_value),
        residual(um * (un + 3), real_value);
    GemmBf16Args a;
    a.rows = rows.pointers.data();
    a.row_stride = rows.stride;
    a.m = m, a.n = n, a.taps = taps, a.k = k;
    a.bias = bias.data();
    if (variant & 1) a.slope = slope.data();
    if (variant & 2) a.residual = residual.data();
    a.residual_stride = static_cast<std::ptrdiff_t>((un + 3) * sizeof(float));
    if (variant & 4) a.lo = 0, a.hi = largest;
    a.out_stride = static_cast<std::ptrdiff_t>((un + 1) * sizeof(float));
    const auto run = [&](const GemmBf16Kernel& kernel) {
      Buffer<std::uint16_t> packed(packed_bytes(kernel, un, ut, uk) / sizeof(std::uint16_t));
      pack(kernel, un, ut, uk, weights.data(), packed.data());
      Buffer<float> out(um * (un + 1));
      a.weights = packed.data();
      a.out = out.data();
      kernel.run(a);
      return out;
    };
    EXPECT_TRUE(run(GetParam()) == run(gemm_bf16_kernels().back()))
        << "m " << m << " n " << n << " taps " << taps << " k " << k << " variant " << variant;
  }
};

TEST_P(GemmBf16, EqualsOracle) {
  int variant = 0;
  for (const Size& size : sizes()) compare(size, variant++ % 8, 1.0f);
}

// Sums that are subnormal numbers are zero.
TEST_P(GemmBf16, FlushesSubnormalNumbers) {
  for (int variant = 0; variant < 8; ++variant) compare({7, 33, 2, 8}, variant, 0x1p-62f);
}

TEST_P(GemmBf16, RoundsToNearestEven) {
  const float inf = std::numeric_limits<float>::infinity();
  const struct {
    float x;
    std::uint16_t rounded;
  } cases[] = {{1.0f, 0x3f80},      {-2.0f, 0xc000},         {0x1.01p0f, 0x3f80},
               {0x1.03p0f, 0x3f82}, {0x1.010002p0f, 0x3f81}, {0x1.00fffep0f, 0x3f80},
               {inf, 0x7f80},       {-inf, 0xff80},          {0x1.ffp127f, 0x7f80},
               {0x1p-126f, 0x0080}, {0x1p-127f, 0},          {-0x1p-140f, 0x8000},
               {0.0f, 0},           {-0.0f, 0x8000}};
  for (const auto& c : cases)
    for (std::size_t count : {1, 16, 37}) {  // in the vectors of a kernel and in its rest
      const std::vector<float> x(count, c.x);
      std::vector<std::uint16_t> rounded(count);
      GetParam().round(x.data(), static_cast<std::ptrdiff_t>(count), rounded.data());
      EXPECT_EQ(rounded, std::vector<std::uint16_t>(count, c.rounded)) << c.x;
    }
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::uint16_t rounded = 0;
  GetParam().round(&nan, 1, &rounded);
  EXPECT_EQ(rounded & 0x7fff, 0x7fc0);
}

TEST_P(GemmBf16, PairsRowsAsTheOracleDoes) {
  for (const int count : {1, 2, 7, 64})
    for (const int n : {1, 15, 16, 17, 48, 70}) {
      const int stride = uniform(1, 3), offset = uniform(0, 5), pairs = (count + 1) / 2;
      const auto width = static_cast<std::size_t>(n + offset);
      Buffer<float> x(width * static_cast<std::size_t>(count), [&] { return real(-2, 2); });
      std::vector<const float*> rows(static_cast<std::size_t>(count * stride));
      for (int i = 0; i < count; ++i)
        rows[static_cast<std::size_t>(i * stride)] = x.data() + static_cast<std::size_t>(i) * width;
      const auto size = static_cast<std::size_t>((n + 15) / 16 * pairs * 32);
      Buffer<std::uint16_t> got(size), want(size);
      GetParam().pair_rows({rows.data(), stride, offset, count, n, got.data()});
      gemm_bf16_kernels().back().pair_rows({rows.data(), stride, offset, count, n, want.data()});
      for (int j = 0; j < n; ++j)
        for (int i = 0; i < 2 * pairs; ++i) {
          const auto at = static_cast<std::size_t>(((j / 16 * pairs + i / 2) * 16 + j % 16) * 2 + i % 2);
          ASSERT_EQ(got[at], want[at]) << count << " rows, column " << j << " of " << n << ", row " << i;
        }
    }
}

EKE_TEST_ROWS(GemmBf16, gemm_bf16_kernels());

}  // namespace
}  // namespace eke::kernels
