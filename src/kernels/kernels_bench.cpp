// Rates of the kernels that carry most of a network, one line a row and shape: the best and the median of
// many short runs on one thread, by the thread's own clock.
#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <string_view>
#include <vector>

#include "base/isa.h"
#include "kernels/dwconv/registry.h"
#include "kernels/gemm/registry.h"

namespace eke::kernels {
namespace {

double thread_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Seconds {
  double best, median;
};

template <class F>
double seconds_of(int count, F f) {
  const double start = thread_seconds();
  for (int i = 0; i < count; ++i) f();
  return thread_seconds() - start;
}

template <class F>
Seconds measure(F f) {
  constexpr int kRuns = 101;
  constexpr double kLeast = 3e-4;  // of one run, far above the cost of reading the clock
  int count = 1;
  while (seconds_of(count, f) < kLeast) count *= 2;
  std::vector<double> runs;
  for (int r = 0; r < kRuns; ++r) runs.push_back(seconds_of(count, f) / count);
  std::sort(runs.begin(), runs.end());
  return {runs.front(), runs[kRuns / 2]};
}

bool runs_here(Isa isa) {
  const auto isas = supported_isas();
  return isa != Isa::scalar && std::find(isas.begin(), isas.end(), isa) != isas.end();
}

void print(std::string_view name, const std::string& shape, double work, Seconds s, const char* unit) {
  fmt::print("{:32} {:28} {:8.1f} {} best, {:8.1f} median\n", name, shape, work / s.best * 1e-9, unit,
             work / s.median * 1e-9);
}

// Memory that kernels may read a little past, at a cache line.
template <class T>
struct Memory {
  explicit Memory(std::size_t count, T value = T{}) : values(count + 128 / sizeof(T), value) {}
  T* data() { return reinterpret_cast<T*>((reinterpret_cast<std::uintptr_t>(values.data()) + 63) / 64 * 64); }
  std::vector<T> values;
};

std::size_t size(int n) { return static_cast<std::size_t>(n); }

// Convolutions of known networks, as products.
struct Product {
  int m, n, taps, k;
};
constexpr Product kProducts[] = {
    {3136, 64, 9, 64},   // 3x3 of ResNet at 56x56
    {784, 128, 9, 128},  // 3x3 of ResNet at 28x28
    {49, 512, 9, 512},   // 3x3 of ResNet at 7x7
    {196, 256, 1, 256},  // 1x1
    {49, 512, 1, 2048},  // 1x1 of ResNet at 7x7
    {3136, 256, 1, 64},  // 1x1, requantization weighs
    {12544, 96, 1, 16},  // expansion of MobileNetV2 at 112x112
    {3136, 24, 1, 96},   // projection at 56x56
    {49, 320, 1, 960},   // projection of MobileNetV2 at 7x7
    {12544, 64, 7, 21},  // 7x7 on three channels, a kernel row as one tap
    {1, 1000, 1, 2048},  // classifier
};

// Row pointers into one tensor: pixel i, tap t starts at pixel i + t.
template <class T>
std::vector<const T*> row_pointers(const Product& p, const T* data) {
  std::vector<const T*> rows;
  for (int i = 0; i < p.m; ++i)
    for (int t = 0; t < p.taps; ++t) rows.push_back(data + std::ptrdiff_t{(i + t) % p.m} * p.k);
  return rows;
}

std::string shape_of(const Product& p) { return fmt::format("{} x {} x {}*{}", p.m, p.n, p.taps, p.k); }
double work_of(const Product& p) { return static_cast<double>(p.m) * p.n * p.taps * p.k; }

void bench_gemm_u8s8(const GemmU8S8Kernel& kernel, const Product& p) {
  Memory<std::uint8_t> x(size(p.m) * size(p.k), 3), out(size(p.m) * size(p.n));
  Memory<std::int8_t> weights(size(p.n) * size(p.taps) * size(p.k), 1);
  Memory<std::int8_t> packed(packed_bytes(kernel, size(p.n), size(p.taps), size(p.k)));
  Memory<std::int32_t> bias(size(p.n) + kChannelSlack);
  Memory<float> scale(size(p.n) + kChannelSlack, 0.01f);
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
  a.epilogue.bounded = true;
  a.out = out.data();
  a.out_stride = p.n;
  print(kernel.name, shape_of(p), work_of(p), measure([&] { kernel.run(a); }), "GMAC/s");
}

void bench_gemm_f32(const GemmF32Kernel& kernel, const Product& p) {
  Memory<float> x(size(p.m) * size(p.k), 0.5f), out(size(p.m) * size(p.n)), bias(size(p.n) + kChannelSlack);
  Memory<float> weights(size(p.n) * size(p.taps) * size(p.k), 0.25f);
  Memory<float> packed(packed_bytes(kernel, size(p.n), size(p.taps), size(p.k)) / sizeof(float));
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
  print(kernel.name, shape_of(p), work_of(p), measure([&] { kernel.run(a); }), "GMAC/s");
}

// A row of pixels, square kernels.
struct Depthwise {
  int width, channels, side, step;
};
constexpr Depthwise kDepthwise[] = {{112, 32, 3, 1}, {56, 96, 3, 2}, {28, 144, 3, 1}, {28, 192, 3, 1},
                                    {14, 576, 3, 1}, {7, 960, 3, 1}, {14, 240, 5, 1}, {7, 96, 5, 2},
                                    {56, 16, 3, 2},  {1, 512, 7, 1}, {28, 192, 7, 1}, {28, 96, 7, 2},
                                    {28, 72, 5, 2}};

void bench_dwconv(const DwconvU8S8Kernel& kernel, const Depthwise& d) {
  const int taps = d.side * d.side, columns = (d.width - 1) * d.step + d.side;
  Memory<std::uint8_t> x(size(columns) * size(d.side) * size(d.channels), 3),
      out(size(d.width) * size(d.channels));
  std::vector<const std::uint8_t*> rows;
  for (int c = 0; c < columns; ++c)
    for (int r = 0; r < d.side; ++r) rows.push_back(x.data() + std::ptrdiff_t{r * columns + c} * d.channels);
  Memory<std::int8_t> weights(size(d.channels) * size(taps), 1),
      packed(packed_bytes(kernel, size(d.channels), size(taps), size(d.side)));
  Memory<std::int32_t> bias(size(d.channels) + kChannelSlack);
  Memory<float> scale(size(d.channels) + kChannelSlack, 0.01f);
  pack(kernel, size(d.channels), size(taps), size(d.side), weights.data(), packed.data());
  DwconvU8S8Args a;
  a.rows = rows.data();
  a.row_stride = std::ptrdiff_t{d.step} * d.side;
  a.pixels = d.width, a.channels = d.channels, a.taps = taps, a.column = d.side;
  a.weights = packed.data();
  a.epilogue.bias = bias.data();
  a.epilogue.scale = scale.data();
  a.epilogue.hi = 255;
  a.epilogue.bounded = true;
  a.out = out.data();
  a.out_stride = d.channels;
  print(kernel.name, fmt::format("{} x {}, {}x{}, step {}", d.width, d.channels, d.side, d.side, d.step),
        static_cast<double>(d.width) * d.channels, measure([&] { kernel.run(a); }), "G outputs/s");
}

void bench_dwconv(const DwconvF32Kernel& kernel, const Depthwise& d) {
  const int taps = d.side * d.side, columns = (d.width - 1) * d.step + d.side;
  Memory<float> x(size(columns) * size(d.side) * size(d.channels), 0.5f),
      out(size(d.width) * size(d.channels));
  std::vector<const float*> rows;
  for (int c = 0; c < columns; ++c)
    for (int r = 0; r < d.side; ++r) rows.push_back(x.data() + std::ptrdiff_t{r * columns + c} * d.channels);
  Memory<float> weights(size(d.channels) * size(taps), 0.25f),
      packed(packed_bytes(kernel, size(d.channels), size(taps)) / sizeof(float));
  Memory<float> bias(size(d.channels) + kChannelSlack);
  pack(kernel, size(d.channels), size(taps), weights.data(), packed.data());
  DwconvF32Args a;
  a.rows = rows.data();
  a.row_stride = std::ptrdiff_t{d.step} * d.side;
  a.pixels = d.width, a.channels = d.channels, a.taps = taps, a.column = d.side;
  a.weights = packed.data();
  a.bias = bias.data();
  a.out = out.data();
  a.out_stride = d.channels * static_cast<std::ptrdiff_t>(sizeof(float));
  print(kernel.name, fmt::format("{} x {}, {}x{}, step {}", d.width, d.channels, d.side, d.side, d.step),
        static_cast<double>(d.width) * d.channels, measure([&] { kernel.run(a); }), "G outputs/s");
}

}  // namespace
}  // namespace eke::kernels

// The optional argument picks the rows whose name contains it.
int main(int argc, char** argv) {
  using namespace eke::kernels;
  const std::string_view wanted = argc > 1 ? argv[1] : "";
  const auto chosen = [&](const auto& kernel) {
    return runs_here(kernel.isa) && kernel.name.find(wanted) != std::string_view::npos;
  };
  for (const auto& kernel : gemm_u8s8_kernels())
    for (const auto& p : kProducts)
      if (chosen(kernel)) bench_gemm_u8s8(kernel, p);
  for (const auto& kernel : gemm_f32_kernels())
    for (const auto& p : kProducts)
      if (chosen(kernel)) bench_gemm_f32(kernel, p);
  for (const auto& kernel : dwconv_u8s8_kernels())
    for (const auto& d : kDepthwise)
      if (chosen(kernel)) bench_dwconv(kernel, d);
  for (const auto& kernel : dwconv_f32_kernels())
    for (const auto& d : kDepthwise)
      if (chosen(kernel)) bench_dwconv(kernel, d);
}
