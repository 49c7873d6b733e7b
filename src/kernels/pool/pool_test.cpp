#include "kernels/pool/registry.h"
#include "kernels/testing.h"

namespace eke::kernels {
namespace {

using testing::Buffer;

struct Size {
  int pixels, channels, taps;
};

std::vector<Size> sizes() {
  std::vector<Size> result;
  for (int channels = 1; channels <= 140; ++channels) result.push_back({3, channels, channels % 9 + 1});
  for (int taps = 1; taps <= 50; taps += 7) result.push_back({2, 35, taps});
  return result;
}

template <class T>
std::vector<const T*> windows(Size s, Buffer<T>& values) {
  std::vector<const T*> rows;
  for (int i = 0; i < s.pixels * (s.taps + 1); ++i)
    rows.push_back(values.data() + i * 7 % (6 * s.channels + 1));
  return rows;
}

std::size_t count(int n) { return static_cast<std::size_t>(n); }

// One list of kernels, each against the last of the list. `make` gives the arguments but for the output.
template <class Fn>
class Pool : public testing::KernelTest<PoolKernel<Fn>> {
 protected:
  template <class T, class Args>
  void compare(std::span<const PoolKernel<Fn>> kernels, Args args, int pixels, int channels) {
    const auto run = [&](Fn kernel) {
      Buffer<T> out(count(pixels * (channels + 3)));
      args.out = out.data();
      kernel(args);
      return out;
    };
    EXPECT_TRUE(run(this->GetParam().run) == run(kernels.back().run))
        << pixels << " pixels, " << channels << " channels";
  }

  template <class T, class Args>
  void compare_windows(std::span<const PoolKernel<Fn>> kernels, Args args, Size s, Buffer<T>& values) {
    const auto rows = windows(s, values);
    args.rows = rows.data();
    args.row_stride = s.taps + 1;
    args.pixels = s.pixels, args.channels = s.channels, args.taps = s.taps;
    args.out_stride = (s.channels + 3) * static_cast<std::ptrdiff_t>(sizeof(T));
    compare<T>(kernels, args, s.pixels, s.channels);
  }

  Buffer<std::uint8_t> bytes(Size s) {
    return {count(7 * s.channels + 1), [&] { return static_cast<std::uint8_t>(this->uniform(0, 255)); }};
  }
  Buffer<float> floats(Size s) {
    return {count(7 * s.channels + 1), [&] { return this->real(-2, 2); }};
  }
  // The part of integer arguments that scales and rounds.
  template <class Args>
  void quantized(Args& args) {
    args.input_zero = this->uniform(0, 255);
    args.output_zero = this->uniform(0, 255);
    args.lo = static_cast<float>(-args.output_zero);
    args.hi = static_cast<float>(255 - args.output_zero);
  }
};

using MaxPoolU8 = Pool<MaxPoolU8Fn>;
TEST_P(MaxPoolU8, EqualsOracle) {
  for (const Size& s : sizes()) {
    auto values = bytes(s);
    compare_windows(max_pool_u8_kernels(), MaxPoolArgs<std::uint8_t>{}, s, values);
  }
}
EKE_TEST_ROWS(MaxPoolU8, max_pool_u8_kernels());

using MaxPoolF32 = Pool<MaxPoolF32Fn>;
TEST_P(MaxPoolF32, EqualsOracle) {
  for (const Size& s : sizes()) {
    auto values = floats(s);
    compare_windows(max_pool_f32_kernels(), MaxPoolArgs<float>{}, s, values);
  }
}
EKE_TEST_ROWS(MaxPoolF32, max_pool_f32_kernels());

using AveragePoolU8 = Pool<AveragePoolU8Fn>;
TEST_P(AveragePoolU8, EqualsOracle) {
  for (const Size& s : sizes()) {
    auto values = bytes(s);
    std::vector<float> multiplier;
    for (int i = 0; i < s.pixels; ++i) multiplier.push_back(real(0.5f, 2.0f) / static_cast<float>(s.taps));
    AveragePoolU8Args args;
    quantized(args);
    args.multiplier = multiplier.data();
    compare_windows(average_pool_u8_kernels(), args, s, values);
  }
}
EKE_TEST_ROWS(AveragePoolU8, average_pool_u8_kernels());

using AveragePoolF32 = Pool<AveragePoolF32Fn>;
TEST_P(AveragePoolF32, EqualsOracle) {
  for (const Size& s : sizes()) {
    auto values = floats(s);
    std::vector<float> divisor;
    for (int i = 0; i < s.pixels; ++i) divisor.push_back(static_cast<float>(s.taps - i % s.taps));
    AveragePoolF32Args args;
    args.divisor = divisor.data();
    compare_windows(average_pool_f32_kernels(), args, s, values);
  }
}
EKE_TEST_ROWS(AveragePoolF32, average_pool_f32_kernels());

using GlobalAverageU8 = Pool<GlobalAverageU8Fn>;
TEST_P(GlobalAverageU8, EqualsOracle) {
  for (const Size& s : sizes()) {
    auto values = bytes(s);
    GlobalAverageU8Args args;
    quantized(args);
    args.in = values.data();
    args.in_stride = s.channels + 1;
    args.rows = 1 + s.taps % 6;
    args.channels = s.channels;
    args.multiplier = real(0.5f, 2.0f) / static_cast<float>(args.rows);
    compare<std::uint8_t>(global_average_u8_kernels(), args, 1, s.channels);
    args.to_float = true;
    compare<float>(global_average_u8_kernels(), args, 1, s.channels);
  }
}
EKE_TEST_ROWS(GlobalAverageU8, global_average_u8_kernels());

using GlobalAverageF32 = Pool<GlobalAverageF32Fn>;
TEST_P(GlobalAverageF32, EqualsOracle) {
  for (const Size& s : sizes()) {
    auto values = floats(s);
    GlobalAverageF32Args args;
    args.in = values.data();
    args.in_stride = s.channels * static_cast<std::ptrdiff_t>(sizeof(float));
    args.rows = 1 + s.taps % 7;
    args.channels = s.channels;
    args.divisor = static_cast<float>(args.rows);
    compare<float>(global_average_f32_kernels(), args, 1, s.channels);
  }
}
EKE_TEST_ROWS(GlobalAverageF32, global_average_f32_kernels());

}  // namespace
}  // namespace eke::kernels
