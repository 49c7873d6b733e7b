#include "cli/peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "kernels/gemm/registry.h"

namespace eke::cli {

namespace {

constexpr int kPixels = 24, kChannels = 64, kDepth = 256;

template <class Args, class Kernel, class Value>
double rate(const Kernel& kernel, const std::vector<Value>& packed, Args args) {
  using In = std::remove_cvref_t<decltype(**args.rows)>;
  std::vector<In> x(kPixels * kDepth + kernels::kSlackBytes);
  std::vector<const In*> rows;
  for (int i = 0; i < kPixels; ++i) rows.push_back(x.data() + i * kDepth);
  std::vector<float> out(kPixels * kChannels);
  args.rows = rows.data();
  args.row_stride = 1;
  args.m = kPixels, args.n = kChannels, args.taps = 1, args.k = kDepth;
  args.weights = packed.data();
  args.out = out.data();
  args.out_stride = kChannels * static_cast<std::ptrdiff_t>(sizeof(float));
  constexpr int kTries = 300, kRuns = 8;
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    for (int run = 0; run < kRuns; ++run) kernel.run(args);
    const double ns =
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, double{kRuns} * kPixels * kChannels * kDepth / std::max(ns, 1.0));
  }
  return best;
}

}  // namespace

Peak measure_peak(Isa isa) {
  constexpr std::size_t n = kChannels, k = kDepth;
  Peak peak;
  const auto& u8 = kernels::select_gemm_u8s8(isa);
  std::vector<std::int8_t> integers(kernels::packed_bytes(u8, n, 1, k) + kernels::kSlackBytes);
  const std::vector<std::int32_t> bias(n + kernels::kChannelSlack);
  kernels::GemmU8S8Args u8_args;
  u8_args.epilogue.bias = bias.data();
  u8_args.epilogue.output = kernels::OutputKind::i32;
  peak.u8_macs_per_ns = rate(u8, integers, u8_args);
  const auto& f32 = kernels::select_gemm_f32(isa);
  std::vector<float> floats(kernels::packed_bytes(f32, n, 1, k) / sizeof(float) + kernels::kSlackBytes);
  const std::vector<float> float_bias(n + kernels::kChannelSlack);
  kernels::GemmF32Args f32_args;
  f32_args.bias = float_bias.data();
  peak.f32_macs_per_ns = rate(f32, floats, f32_args);
  const auto& bf16 = kernels::select_gemm_bf16(isa);
  const std::vector<std::uint16_t> halves(kernels::packed_bytes(bf16, n, 1, k) / sizeof(std::uint16_t) +
                                          kernels::kSlackBytes);
  kernels::GemmBf16Args bf16_args;
  bf16_args.bias = float_bias.data();
  peak.bf16_macs_per_ns = rate(bf16, halves, bf16_args);
  return peak;
}

}  // namespace eke::cli
