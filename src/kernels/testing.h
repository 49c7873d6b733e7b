// What the tests of all kernel families share: rows as test parameters, random buffers, whole-buffer
// comparison.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/isa.h"
#include "kernels/epilogue.h"

namespace eke::kernels::testing {

inline bool supported(Isa isa) {
  const auto isas = supported_isas();
  return std::find(isas.begin(), isas.end(), isa) != isas.end();
}

// A test over the rows of one list; rows whose tier the machine lacks are skipped.
template <class Kernel>
class KernelTest : public ::testing::TestWithParam<Kernel> {
 protected:
  void SetUp() override {
    const Kernel& kernel = this->GetParam();
    if (!supported(kernel.isa))
      GTEST_SKIP() << kernel.name << ": this machine lacks " << to_string(kernel.isa);
  }
  std::mt19937 random{20240229};

  int uniform(int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(random); }
  float real(float lo, float hi) { return std::uniform_real_distribution<float>(lo, hi)(random); }
};

#define EKE_TEST_ROWS(suite, rows)                                                         \
  INSTANTIATE_TEST_SUITE_P(Rows, suite, ::testing::ValuesIn((rows).begin(), (rows).end()), \
                           [](const auto& row) { return std::string(row.param.name); })

// A buffer at an odd address with the slack that kernels may read, and what they may not write around it.
template <class T>
class Buffer {
 public:
  // Every element, the slack included, comes from fill().
  template <class Fill>
  Buffer(std::size_t count, Fill fill) : bytes_(kFront + count * sizeof(T) + kSlackBytes) {
    for (std::size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = static_cast<std::uint8_t>(i * 37 + 11);
    for (std::size_t i = 0; i < count + kSlackBytes / sizeof(T); ++i) {
      const T value = fill();
      std::memcpy(bytes_.data() + kFront + i * sizeof(T), &value, sizeof(T));
    }
  }
  explicit Buffer(std::size_t count) : Buffer(count, [] { return T{}; }) {}

  T* data() noexcept { return reinterpret_cast<T*>(bytes_.data() + kFront); }
  T& operator[](std::size_t i) noexcept { return data()[i]; }

  // Equal bytes, those around the elements included.
  friend bool operator==(const Buffer& a, const Buffer& b) { return a.bytes_ == b.bytes_; }

 private:
  static constexpr std::size_t kFront = 64 + sizeof(T);  // off the alignment of vectors
  std::vector<std::uint8_t> bytes_;
};

// Integer epilogues of every kind over random channels, and the buffers behind them.
class Epilogues {
 public:
  static constexpr int kKinds = 11, kVariants = 2 * kKinds;  // each kind without and with Epilogue::bounded

  Epilogues(int pixels, int channels, int accumulator, std::mt19937& random)
      : random_(random),
        channels_(channels),

        bias_(count(channels), [&] { return uniform(-accumulator / 4, accumulator / 4); }),
        scale_(count(channels), [&] { return real(50.0f, 400.0f) / static_cast<float>(accumulator); }),
        negative_(count(channels), [&] { return real(-100.0f, 300.0f) / static_cast<float>(accumulator); }),
        residual_(count(pixels * (channels + 3)),
                  [&] { return static_cast<std::uint8_t>(uniform(0, 255)); }) {}

  Epilogue make(int variant) {
    Epilogue e;
    e.bounded = variant >= kKinds;
    variant %= kKinds;
    e.bias = bias_.data();
    e.scale = scale_.data();
    e.zero_point = variant == 0 ? 0 : uniform(0, 255);
    e.lo = static_cast<float>(-e.zero_point);
    e.hi = static_cast<float>(255 - e.zero_point);
    if (variant % 2 == 1) e.negative_scale = negative_.data();
    switch (variant) {
      case 2:  // a narrow clamp
        e.lo = std::max(e.lo, -3.0f);
        e.hi = std::min(e.hi, 40.0f);
        break;
      case 4:
      case 5:
        e.residual = residual(ResidualKind::direct);
        break;
      case 6:
      case 7:
        e.residual = residual(ResidualKind::rounded);
        break;
      case 8:
      case 9:
        e.output = OutputKind::f32;
        e.lo = variant == 8 ? 0.0f : -std::numeric_limits<float>::infinity();
        e.hi = variant == 8 ? 6.0f : std::numeric_limits<float>::infinity();
        break;
      case 10:
        e.output = OutputKind::i32;
        break;
      default:
        break;
    }
    return e;
  }

 private:
  static std::size_t count(int n) { return static_cast<std::size_t>(n) + kChannelSlack; }
  int uniform(int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(random_); }
  float real(float lo, float hi) { return std::uniform_real_distribution<float>(lo, hi)(random_); }

  Residual residual(ResidualKind kind) {
    return {kind, residual_.data(), channels_ + 3, uniform(0, 255), real(0.1f, 2.0f), real(0.1f, 2.0f), -100,
            155};
  }

  std::mt19937& random_;
  int channels_;
  Buffer<std::int32_t> bias_;
  Buffer<float> scale_, negative_;
  Buffer<std::uint8_t> residual_;
};

}  // namespace eke::kernels::testing
