#include "kernels/dwconv/registry.h"
#include "kernels/testing.h"

namespace eke::kernels {
namespace {

using testing::Buffer;
using testing::Epilogues;
using testing::KernelTest;

struct Size {
  int pixels, channels, taps;
  int column = 1, step = 1;  // rows of a column; columns from one pixel to the next
};

std::vector<Size> sizes() {
  std::vector<Size> result;
  for (int channels = 1; channels <= 200; ++channels)
    result.push_back(channels % 2 ? Size{2, channels, 9, 3} : Size{2, channels, 25, 5});
  for (int taps = 1; taps <= 50; ++taps) result.push_back({3, 72, taps, taps});
  for (int pixels = 1; pixels <= 9; ++pixels)
    for (int side : {3, 5, 7})
      for (int step : {1, 2, 3}) result.push_back({pixels, 33 + 40 * (pixels % 3), side * side, side, step});
  for (int rows = 1; rows <= 8; ++rows) result.push_back({5, 90, 3 * rows, rows, 3});
  return result;
}

// Pixels overlap as in a convolution: the next pixel's pointers start `step` columns later.
int pointer_count(Size s) { return (s.pixels - 1) * s.step * s.column + s.taps; }

template <class T>
std::vector<const T*> overlapping(Size s, T* data) {
  std::vector<const T*> pointers;
  for (int i = 0; i < pointer_count(s); ++i) pointers.push_back(data + i * s.channels + i % 3);
  return pointers;
}

std::size_t count(int n) { return static_cast<std::size_t>(n); }

class DwconvU8S8 : public KernelTest<DwconvU8S8Kernel> {
 protected:
  // What products are of: anything, or only values that could overflow inside, with weights of 127 or of -128.
  enum class Fill { any, high, low };

  void compare(Size s, int variant, Fill fill) {
    Buffer<std::uint8_t> values(count(pointer_count(s) * s.channels + 2), [&] {
      if (fill == Fill::any) return static_cast<std::uint8_t>(uniform(0, 255));
      return static_cast<std::uint8_t>((uniform(0, 7) == 0) == (fill == Fill::high) ? 0 : 255);
    });
    Buffer<std::int8_t> weights(count(s.channels * s.taps), [&] {
      if (fill == Fill::any) return static_cast<std::int8_t>(uniform(-127, 127));
      const bool usual = uniform(0, 7) > 0;
      return static_cast<std::int8_t>(fill == Fill::high ? (usual ? 127 : -127) : (usual ? -128 : 127));
    });
    Epilogues epilogues(s.pixels, s.channels, (fill == Fill::any ? 4000 : 20000) * s.taps, random);
    const auto rows = overlapping(s, values.data());
    DwconvU8S8Args a;
    a.rows = rows.data();
    a.row_stride = s.step * s.column;
    a.column = s.column;
    a.pixels = s.pixels, a.channels = s.channels, a.taps = s.taps;
    a.epilogue = epilogues.make(variant);
    a.out_stride = s.channels * (a.epilogue.output == OutputKind::u8 ? 1 : 4) + 4;
    const auto run = [&](const DwconvU8S8Kernel& kernel) {
      Buffer<std::int8_t> packed(packed_bytes(kernel, count(s.channels), count(s.taps), count(s.column)));
      pack(kernel, count(s.channels), count(s.taps), count(s.column), weights.data(), packed.data());
      Buffer<std::int32_t> out(count(s.pixels) * static_cast<std::size_t>(a.out_stride) / 4 + 1);
      a.weights = packed.data();
      a.out = out.data();
      kernel.run(a);
      return out;
    };
    EXPECT_TRUE(run(GetParam()) == run(dwconv_u8s8_kernels().back()))
        << s.pixels << " pixels, " << s.channels << " channels, " << s.taps << " taps, epilogue " << variant;
  }
};

TEST_P(DwconvU8S8, EqualsOracle) {
  int variant = 0;
  for (const Size& size : sizes()) compare(size, variant++ % Epilogues::kVariants, Fill::any);
}

TEST_P(DwconvU8S8, EveryEpilogueEqualsOracle) {
  for (int variant = 0; variant < Epilogues::kVariants; ++variant)
    for (int side : {3, 5, 7, 2}) compare({5, 117, side * side, side}, variant, Fill::any);
}

TEST_P(DwconvU8S8, DoesNotSaturateInside) {
  for (int variant : {0, 4, 10})
    for (int side : {2, 3, 5, 7})
      for (const Fill fill : {Fill::high, Fill::low}) compare({5, 85, side * side, side}, variant, fill);
}

EKE_TEST_ROWS(DwconvU8S8, dwconv_u8s8_kernels());

class DwconvF32 : public KernelTest<DwconvF32Kernel> {
 protected:
  void compare(Size s, int variant) {
    const auto value = [&] { return real(-1.0f, 1.0f); };
    const auto channels = count(s.channels);
    Buffer<float> values(count(pointer_count(s) * s.channels + 2), value),
        weights(channels * count(s.taps), value), bias(channels + kChannelSlack, value),
        slope(channels + kChannelSlack, value), residual(count(s.pixels) * (channels + 3), value);
    const auto rows = overlapping(s, values.data());
    DwconvF32Args a;
    a.rows = rows.data();
    a.row_stride = s.step * s.column;
    a.column = s.column;
    a.pixels = s.pixels, a.channels = s.channels, a.taps = s.taps;
    a.bias = bias.data();
    if (variant & 1) a.slope = slope.data();
    if (variant & 2) a.residual = residual.data();
    a.residual_stride = static_cast<std::ptrdiff_t>((channels + 3) * sizeof(float));
    if (variant & 4) a.lo = 0, a.hi = 0.5f;
    a.out_stride = static_cast<std::ptrdiff_t>((channels + 1) * sizeof(float));
    const auto run = [&](const DwconvF32Kernel& kernel) {
      Buffer<float> packed(packed_bytes(kernel, channels, count(s.taps)) / sizeof(float));
      pack(kernel, channels, count(s.taps), weights.data(), packed.data());
      Buffer<float> out(count(s.pixels) * (channels + 1));
      a.weights = packed.data();
      a.out = out.data();
      kernel.run(a);
      return out;
    };
    EXPECT_TRUE(run(GetParam()) == run(dwconv_f32_kernels().back()))
        << s.pixels << " pixels, " << s.channels << " channels, " << s.taps << " taps, variant " << variant;
  }
};

TEST_P(DwconvF32, EqualsOracle) {
  int variant = 0;
  for (const Size& size : sizes()) compare(size, variant++ % 8);
}

EKE_TEST_ROWS(DwconvF32, dwconv_f32_kernels());

}  // namespace
}  // namespace eke::kernels
