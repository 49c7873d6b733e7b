#include <cmath>

#include "kernels/testing.h"
#include "kernels/winograd/registry.h"

namespace eke::kernels {
namespace {

using testing::Buffer;

constexpr std::size_t kPlaces = kWinogradPlaces;

class Winograd : public testing::KernelTest<WinogradKernel> {
 protected:
  static std::size_t padded(int channels) { return (static_cast<std::size_t>(channels) + 15) / 16 * 16; }

  Buffer<float> transformed(const WinogradKernel& kernel, const std::vector<const float*>& rows,
                            int channels) {
    const std::size_t plane = padded(channels);
    Buffer<float> out(kPlaces * plane);
    kernel.input({rows.data(), channels, out.data(), static_cast<std::ptrdiff_t>(plane)});
    return out;
  }
  static std::vector<const float*> pixels(const float* tile, int channels) {
    std::vector<const float*> rows;
    for (std::size_t p = 0; p < kPlaces; ++p) rows.push_back(tile + p * static_cast<std::size_t>(channels));
    return rows;
  }
};

TEST_P(Winograd, InputEqualsOracle) {
  for (int channels = 1; channels <= 70; ++channels) {
    Buffer<float> tile(kPlaces * static_cast<std::size_t>(channels), [&] { return real(-1, 1); });
    const auto rows = pixels(tile.data(), channels);
    Buffer<float> ours = transformed(GetParam(), rows, channels),
                  oracle = transformed(winograd_kernels().back(), rows, channels);
    for (std::size_t p = 0; p < kPlaces; ++p)
      for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c)
        ASSERT_EQ(ours[p * padded(channels) + c], oracle[p * padded(channels) + c])
            << channels << " channels";
  }
}

TEST_P(Winograd, OutputEqualsOracle) {
  for (int variant = 0; variant < 64; ++variant) {
    const int channels = uniform(1, 70), rows = 1 + variant % 4, cols = 1 + variant / 4 % 4;
    const std::size_t plane = padded(channels), size = static_cast<std::size_t>(channels);
    const auto value = [&] { return real(-1, 1); };
    Buffer<float> in(kPlaces * plane, value), bias(size + 64, value), slope(size + 64, value),
        residual(16 * size, value);
    const auto run = [&](const WinogradKernel& kernel) {
      Buffer<float> out(16 * (size + 1));
      WinogradOutputArgs a;
      a.in = in.data(), a.plane = static_cast<std::ptrdiff_t>(plane);
      a.channels = channels, a.rows = rows, a.cols = cols;
      a.bias = bias.data();
      if (variant & 16) a.slope = slope.data();
      if (variant & 32) a.residual = residual.data(), a.lo = 0, a.hi = 1;
      a.out = out.data();
      a.out_pixel = channels + 1, a.out_row = 4 * (channels + 1);
      a.residual_pixel = channels, a.residual_row = 4 * channels;
      kernel.output(a);
      return out;
    };
    EXPECT_TRUE(run(GetParam()) == run(winograd_kernels().back()))
        << channels << " channels, variant " << variant;
  }
}

// One channel in, one out, and sums over many channels: against a direct sum in double.
TEST_P(Winograd, ErrorBound) {
  double largest = 0;
  for (int round = 0; round < 20; ++round) {
    constexpr int kChannels = 256;
    Buffer<float> tile(kPlaces * kChannels, [&] { return real(-1, 1); }),
        weights(9 * kChannels, [&] { return real(-1, 1); });
    Buffer<float> v = transformed(GetParam(), pixels(tile.data(), kChannels), kChannels);
    Buffer<float> sums(kPlaces * 16), bias(80);
    for (std::size_t c = 0; c < kChannels; ++c) {
      float u[kWinogradPlaces];
      winograd_weights(weights.data() + 9 * c, u);
      for (std::size_t p = 0; p < kPlaces; ++p)
        sums[p * 16] = std::fma(v[p * kChannels + c], u[p], sums[p * 16]);
    }
    Buffer<float> out(16);
    WinogradOutputArgs a;
    a.in = sums.data(), a.plane = 16, a.channels = 1, a.rows = a.cols = 4;
    a.bias = bias.data(), a.out = out.data(), a.out_row = 4, a.out_pixel = 1;
    GetParam().output(a);
    for (std::size_t y = 0; y < 4; ++y)
      for (std::size_t x = 0; x < 4; ++x) {
        double exact = 0, size = 0;
        for (std::size_t c = 0; c < kChannels; ++c)
          for (std::size_t r = 0; r < 3; ++r)
            for (std::size_t s = 0; s < 3; ++s) {
              const double product = static_cast<double>(tile[((y + r) * 6 + x + s) * kChannels + c]) *
                                     static_cast<double>(weights[9 * c + 3 * r + s]);
              exact += product, size += std::abs(product);
            }
        largest = std::max(largest, std::abs(static_cast<double>(out[4 * y + x]) - exact) / size);
      }
  }
  EXPECT_LT(largest, 4e-6);
  EXPECT_GT(largest, 0);
}

EKE_TEST_ROWS(Winograd, winograd_kernels());

}  // namespace
}  // namespace eke::kernels
