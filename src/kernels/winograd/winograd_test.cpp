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

// 2e-7 of the largest weight: two roundings a stage, on the way to sums of nine.
TEST_P(Winograd, FiltersEqualTheOracleAndTheTransformInDouble) {
  for (int channels = 1; channels <= 70; ++channels)
    for (const bool turned : {false, true}) {
      const std::size_t plane = padded(channels), tap = static_cast<std::size_t>(channels) + 3;
      Buffer<float> taps(9 * tap, [&] { return real(-1, 1); });
      const auto run = [&](const WinogradKernel& kernel) {
        Buffer<float> out(kPlaces * plane);
        kernel.filter({taps.data(), static_cast<std::ptrdiff_t>(tap), channels, turned, out.data(),
                       static_cast<std::ptrdiff_t>(plane)});
        return out;
      };
      Buffer<float> ours = run(GetParam()), oracle = run(winograd_kernels().back());
      for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
        float g[9], want[kWinogradPlaces];
        for (std::size_t t = 0; t < 9; ++t) g[t] = taps[(turned ? 8 - t : t) * tap + c];
        winograd_weights(g, want);
        for (std::size_t p = 0; p < kPlaces; ++p) {
          ASSERT_EQ(ours[p * plane + c], oracle[p * plane + c]) << channels << " channels";
          ASSERT_NEAR(ours[p * plane + c], want[p], 2e-7) << channels << " channels, place " << p;
        }
      }
    }
}

TEST_P(Winograd, GradientsEqualTheOracle) {
  for (int channels = 1; channels <= 70; ++channels) {
    const std::size_t plane = padded(channels), width = static_cast<std::size_t>(channels);
    const auto value = [&] { return real(-1, 1); };
    Buffer<float> tile(16 * width, value), places(kPlaces * plane, value);
    std::vector<const float*> rows;
    for (std::size_t p = 0; p < 16; ++p) rows.push_back(tile.data() + p * width);
    const auto run = [&](const WinogradKernel& kernel) {
      Buffer<float> spread(kPlaces * plane), taps(9 * width);
      kernel.gradient({rows.data(), channels, spread.data(), static_cast<std::ptrdiff_t>(plane)});
      kernel.taps({places.data(), static_cast<std::ptrdiff_t>(plane), channels, taps.data(), channels});
      return std::pair{std::move(spread), std::move(taps)};
    };
    auto ours = run(GetParam()), oracle = run(winograd_kernels().back());
    EXPECT_TRUE(ours.second == oracle.second) << channels << " channels";
    for (std::size_t p = 0; p < kPlaces; ++p)
      for (std::size_t c = 0; c < width; ++c)
        ASSERT_EQ(ours.first[p * plane + c], oracle.first[p * plane + c]) << channels << " channels";
  }
}

// The gradient of a filter of one channel, summed over tiles, against a direct sum in double.
TEST_P(Winograd, GradientErrorBound) {
  double largest = 0;
  for (int round = 0; round < 20; ++round) {
    constexpr std::size_t kTiles = 256;
    float sums[kPlaces * 16] = {};
    double exact[9] = {}, size[9] = {};
    for (std::size_t t = 0; t < kTiles; ++t) {
      Buffer<float> x(kPlaces, [&] { return real(-1, 1); }), dy(16, [&] { return real(-1, 1); });
      std::vector<const float*> rows;
      for (std::size_t p = 0; p < 16; ++p) rows.push_back(dy.data() + p);
      Buffer<float> spread(kPlaces * 16), v = transformed(GetParam(), pixels(x.data(), 1), 1);
      GetParam().gradient({rows.data(), 1, spread.data(), 16});
      for (std::size_t p = 0; p < kPlaces; ++p)
        sums[p * 16] = std::fma(v[p * 16], spread[p * 16], sums[p * 16]);
      for (std::size_t tap = 0; tap < 9; ++tap)
        for (std::size_t o = 0; o < 16; ++o) {
          const double product =
              static_cast<double>(dy[o]) * static_cast<double>(x[(o / 4 + tap / 3) * 6 + o % 4 + tap % 3]);
          exact[tap] += product, size[tap] += std::abs(product);
        }
    }
    Buffer<float> taps(9);
    GetParam().taps({sums, 16, 1, taps.data(), 1});
    for (std::size_t tap = 0; tap < 9; ++tap)
      largest = std::max(largest, std::abs(static_cast<double>(taps[tap]) - exact[tap]) / size[tap]);
  }
  EXPECT_LT(largest, 4e-6);
  EXPECT_GT(largest, 0);
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
