// Runs each Arm kernel once between the markers of count_plugin.c, over shapes of known networks, and prints a line a run:
// kernel, shape, work, its unit, and the least number of arithmetic instructions that the tier's instruction set needs
// for the products (0 where the kernel is not a sum of products). scripts/bench_arm.sh joins the lines with the counts.
#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/dwconv/registry.h"
#include "kernels/eltwise/registry.h"
#include "kernels/gemm/registry.h"
#include "kernels/pool/registry.h"
#include "kernels/softmax/registry.h"
#include "kernels/transpose/registry.h"

namespace eke::kernels {
namespace {

template <class F>
void count(std::string_view name, const std::string& shape, double work, std::string_view unit, double least,
           F run) {
  run();  // fills the tables of the dynamic linker
  asm volatile("hint #96" ::: "memory");
  run();
  asm volatile("hint #97" ::: "memory");
  fmt::print("{}|{}|{:.0f}|{}|{:.0f}\n", name, shape, work, unit, least);
}

std::size_t size(int n) { return static_cast<std::size_t>(n); }

// Memory that kernels may read a little past.
template <class T>
std::vector<T> memory(std::size_t count, T value = T{}) {
  return std::vector<T>(count + kChannelSlack, value);
}

struct Product {
  int m, n, taps, k;
};
constexpr Product kProducts[] = {
    {192, 128, 9, 128},  // 3x3 of ResNet
    {48, 512, 9, 512},   // 3x3 of ResNet at the end
    {192, 256, 1, 256},  // 1x1
    {192, 96, 1, 16},    // expansion of MobileNetV2 at 112x112
    {48, 320, 1, 960},   // projection of MobileNetV2 at 7x7
    {192, 64, 7, 21},    // 7x7 on three channels, a kernel row as one tap
    {1, 1000, 1, 2048},  // classifier
};

template <class T>
std::vector<const T*> row_pointers(const Product& p, const T* data) {
  std::vector<const T*> rows;
  for (int i = 0; i < p.m; ++i)
    for (int t = 0; t < p.taps; ++t) rows.push_back(data + std::ptrdiff_t{(i + t) % p.m} * p.k);
  return rows;
}

std::string shape_of(const Product& p) { return fmt::format("{} x {} x {}*{}", p.m, p.n, p.taps, p.k); }
double work_of(const Product& p) { return static_cast<double>(p.m) * p.n * p.taps * p.k; }

// Instructions for a product of bytes: usmmla takes 32, sdot and usdot 16, and smull, smlal and sadalp together 16.
double per_product(Isa isa) {
  return isa == Isa::i8mm ? 1.0 / 32 : isa == Isa::neon_dotprod ? 1.0 / 16 : 3.0 / 16;
}

void count_gemm_u8s8(const GemmU8S8Kernel& kernel, const Product& p) {
  auto x = memory<std::uint8_t>(size(p.m) * size(p.k), 3), out = memory<std::uint8_t>(size(p.m) * size(p.n));
  const auto weights = memory<std::int8_t>(size(p.n) * size(p.taps) * size(p.k), 1);
  auto packed = memory<std::int8_t>(packed_bytes(kernel, size(p.n), size(p.taps), size(p.k)));
  const auto bias = memory<std::int32_t>(size(p.n));
  const auto scale = memory<float>(size(p.n), 0.01f);
  const auto rows = row_pointers(p, x.data());
  pack(kernel, size(p.n), size(p.taps), size(p.k), weights.data(), packed.data());
  GemmU8S8Args a;
  a.rows = rows.data();
  a.row_stride = p.taps;
  a.m = p.m, a.n = p.n, a.taps = p.taps, a.k = p.k;
  a.weights = packed.data();
  a.epilogue.bias = bias.data();
  a.epilogue.scale = scale.data();
  a.epilogue.hi = 255;
  a.out = out.data();
  a.out_stride = p.n;
  count(kernel.name, shape_of(p), work_of(p), "MAC", work_of(p) * per_product(kernel.isa),
        [&] { kernel.run(a); });
}

void count_gemm_f32(const GemmF32Kernel& kernel, const Product& p) {
  auto x = memory<float>(size(p.m) * size(p.k), 0.5f), out = memory<float>(size(p.m) * size(p.n));
  const auto bias = memory<float>(size(p.n)),
             weights = memory<float>(size(p.n) * size(p.taps) * size(p.k), 0.25f);
  auto packed = memory<float>(packed_bytes(kernel, size(p.n), size(p.taps), size(p.k)) / sizeof(float));
  const auto rows = row_pointers(p, x.data());
  pack(kernel, size(p.n), size(p.taps), size(p.k), weights.data(), packed.data());
  GemmF32Args a;
  a.rows = rows.data();
  a.row_stride = p.taps;
  a.m = p.m, a.n = p.n, a.taps = p.taps, a.k = p.k;
  a.weights = packed.data();
  a.bias = bias.data();
  a.out = out.data();
  a.out_stride = p.n * static_cast<std::ptrdiff_t>(sizeof(float));
  count(kernel.name, shape_of(p), work_of(p), "MAC", work_of(p) / 4, [&] { kernel.run(a); });
}

// A row of pixels, square kernels, stride 1.
struct Depthwise {
  int width, channels, side;
};
constexpr Depthwise kDepthwise[] = {{56, 96, 3}, {28, 192, 3}, {7, 960, 3}, {14, 240, 5}};

// Instructions for a product: sdot and usdot take 16; without them smull, smlal and the additions to 32 bits, eight for 32.
double per_depthwise(Isa isa) { return isa == Isa::neon ? 8.0 / 32 : 1.0 / 16; }

void count_dwconv(const DwconvU8S8Kernel& kernel, const Depthwise& d) {
  const int taps = d.side * d.side, columns = d.width + d.side;
  auto x = memory<std::uint8_t>(size(columns) * size(d.side) * size(d.channels), 3),
       out = memory<std::uint8_t>(size(d.width) * size(d.channels));
  std::vector<const std::uint8_t*> rows;
  for (int c = 0; c < columns; ++c)
    for (int r = 0; r < d.side; ++r) rows.push_back(x.data() + std::ptrdiff_t{r * columns + c} * d.channels);
  const auto weights = memory<std::int8_t>(size(d.channels) * size(taps), 1);
  auto packed = memory<std::int8_t>(packed_bytes(kernel, size(d.channels), size(taps), size(d.side)));
  const auto bias = memory<std::int32_t>(size(d.channels));
  const auto scale = memory<float>(size(d.channels), 0.01f);
  pack(kernel, size(d.channels), size(taps), size(d.side), weights.data(), packed.data());
  DwconvU8S8Args a;
  a.rows = rows.data();
  a.row_stride = a.column = d.side;
  a.pixels = d.width, a.channels = d.channels, a.taps = taps;
  a.weights = packed.data();
  a.epilogue.bias = bias.data();
  a.epilogue.scale = scale.data();
  a.epilogue.hi = 255;
  a.out = out.data();
  a.out_stride = d.channels;
  const double work = static_cast<double>(d.width) * d.channels * taps;
  count(kernel.name, fmt::format("{} x {}, {}x{}", d.width, d.channels, d.side, d.side), work, "MAC",
        work * per_depthwise(kernel.isa), [&] { kernel.run(a); });
}

void count_add(const EltwiseKernel<BinaryU8Fn>& kernel) {
  constexpr std::size_t kSize = 4096;
  auto a = memory<std::uint8_t>(kSize, 3), b = memory<std::uint8_t>(kSize, 5),
       out = memory<std::uint8_t>(kSize);
  BinaryU8Args g;
  g.a = a.data(), g.b = b.data(), g.out = out.data();
  g.rows = 1, g.cols = kSize;
  g.ka = g.kb = 0.5f;
  g.hi = 255;
  count(kernel.name, "4096", kSize, "element", 0, [&] { kernel.run(g); });
}

void count_streams() {
  constexpr std::size_t kSize = 4096;
  auto bytes = memory<std::uint8_t>(kSize, 3), out = memory<std::uint8_t>(kSize),
       table = memory<std::uint8_t>(256);
  auto floats = memory<float>(kSize, 0.5f), float_out = memory<float>(kSize);
  const Isa isa = supported_isas().back();
  const auto kernel_of = [&](const auto& rows) { return select(rows, isa); };
  const auto stream = [&](const auto& kernel, const auto& args) {
    count(kernel.name, "4096", kSize, "element", 0, [&] { kernel.run(args); });
  };
  stream(kernel_of(lut_kernels()), LutArgs{bytes.data(), out.data(), kSize, table.data()});
  stream(kernel_of(quantize_kernels()), QuantizeArgs{floats.data(), out.data(), kSize, 0.1f, 3, -3, 252});
  stream(kernel_of(dequantize_kernels()), DequantizeArgs{bytes.data(), float_out.data(), kSize, 0.1f, 3});
  stream(kernel_of(unary_f32_kernels()),
         UnaryF32Args{UnaryF32Op::sigmoid, floats.data(), float_out.data(), kSize, 0, 0});
  stream(kernel_of(softmax_f32_kernels()), SoftmaxArgs{floats.data(), float_out.data(), 1, kSize, 0, 0});
  count_add(kernel_of(add_u8_kernels()));
  count_add(kernel_of(mul_u8_kernels()));
}

void count_pools() {
  constexpr int kPixels = 28, kChannels = 64;
  auto x = memory<std::uint8_t>(size(kPixels + 8) * kChannels, 3),
       out = memory<std::uint8_t>(kPixels * kChannels);
  std::vector<const std::uint8_t*> rows;
  for (int i = 0; i < kPixels; ++i)
    for (int t = 0; t < 9; ++t) rows.push_back(x.data() + (i + t % 3) * kChannels);
  const Isa isa = supported_isas().back();
  const auto& max = select(max_pool_u8_kernels(), isa);
  const MaxPoolArgs<std::uint8_t> m{rows.data(), 9, kPixels, kChannels, 9, out.data(), kChannels};
  count(max.name, "28 x 64, 3x3", kPixels * kChannels, "output", 0, [&] { max.run(m); });
  const auto multiplier = memory<float>(kPixels, 0.1f);
  const auto& average = select(average_pool_u8_kernels(), isa);
  const AveragePoolU8Args v{rows.data(), 9, kPixels, kChannels, 9,          multiplier.data(),
                            3,           3, -3,      252,       out.data(), kChannels};
  count(average.name, "28 x 64, 3x3", kPixels * kChannels, "output", 0, [&] { average.run(v); });
  constexpr int kWide = 1280;
  auto image = memory<std::uint8_t>(49 * kWide, 3), means = memory<std::uint8_t>(kWide);
  const auto& global = select(global_average_u8_kernels(), isa);
  const GlobalAverageU8Args g{.in = image.data(),
                              .in_stride = kWide,
                              .rows = 49,
                              .channels = kWide,
                              .multiplier = 0.02f,
                              .input_zero = 3,
                              .output_zero = 3,
                              .lo = -3,
                              .hi = 252,
                              .out = means.data()};
  count(global.name, "49 x 1280", 49 * kWide, "element", 0, [&] { global.run(g); });
}

template <class T>
void count_transpose(const TransposeKernel& kernel, std::size_t rows, std::size_t cols) {
  auto in = memory<T>(rows * cols, T{3}), out = memory<T>(rows * cols);
  const TransposeArgs a{in.data(),
                        out.data(),
                        rows,
                        cols,
                        static_cast<std::ptrdiff_t>(cols * sizeof(T)),
                        static_cast<std::ptrdiff_t>(rows * sizeof(T))};
  count(kernel.name, fmt::format("{} x {}", rows, cols), static_cast<double>(rows * cols), "element", 0,
        [&] { kernel.run(a); });
}

}  // namespace
}  // namespace eke::kernels

int main() {
  using namespace eke::kernels;
  using eke::Isa;
  for (const auto& kernel : gemm_u8s8_kernels())
    for (const auto& p : kProducts)
      if (kernel.isa != Isa::scalar) count_gemm_u8s8(kernel, p);
  for (const auto& kernel : gemm_f32_kernels())
    for (const auto& p : kProducts)
      if (kernel.isa != Isa::scalar) count_gemm_f32(kernel, p);
  for (const auto& kernel : dwconv_u8s8_kernels())
    for (const auto& d : kDepthwise)
      if (kernel.isa != Isa::scalar) count_dwconv(kernel, d);
  count_streams();
  count_pools();
  const Isa isa = eke::supported_isas().back();
  count_transpose<std::uint8_t>(select(transpose_x8_kernels(), isa), 3, 224 * 224);
  count_transpose<std::uint8_t>(select(transpose_x8_kernels(), isa), 49, 1280);
  count_transpose<std::uint32_t>(select(transpose_x32_kernels(), isa), 3, 224 * 224);
  count_transpose<std::uint32_t>(select(transpose_x32_kernels(), isa), 49, 1280);
}
