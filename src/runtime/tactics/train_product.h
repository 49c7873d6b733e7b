// Products with weights that change from run to run, and are packed in each: shared by convolutions and matrix products,
// in float32 and with factors rounded to bfloat16.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/transpose/registry.h"
#include "runtime/tactics/gemm_driver.h"
#include "runtime/tactics/train.h"

namespace eke {

// Panels of packed weights (kernels/gemm/gemm.h) for n output channels: [n / nr][depth][nr] words of 32 bits.
struct Panels {
  std::int64_t n = 0, depth = 0, nr = 1;
  std::int64_t count() const noexcept { return (n + nr - 1) / nr; }
  std::size_t panel_bytes() const noexcept { return static_cast<std::size_t>(depth * nr) * sizeof(float); }
  std::size_t bytes() const noexcept {
    return aligned_to_line(static_cast<std::size_t>(count()) * panel_bytes()) + kernels::kSlackBytes;
  }
  std::int64_t width(std::int64_t panel) const noexcept { return std::min(nr, n - panel * nr); }
};

// Products of float32: a word of the weights is one of them.
struct SingleProducts {
  using Value = float;
  static constexpr std::int64_t kPerWord = 1;

  explicit SingleProducts(Isa isa)
      : kernel(F32::select(isa)), transpose(kernels::select_transpose_x32(isa)) {}

  // What is multiplied, `count` values of input 0, is read where it lies.
  static std::size_t input_bytes(std::int64_t) noexcept { return 0; }
  const std::byte* input(const StepArgs& args, std::int64_t) const noexcept { return args.in[0]; }

  // A panel from rows [n][depth] that lie `stride` floats apart.
  void pack_rows(const Panels& panels, std::int64_t panel, const float* rows, std::int64_t stride,
                 std::byte* to) const noexcept {
    const std::int64_t width = panels.width(panel);
    if (width < panels.nr) std::fill_n(to, panels.panel_bytes(), std::byte{});
    transpose({rows + panel * panels.nr * stride, to, static_cast<std::size_t>(width),
               static_cast<std::size_t>(panels.depth), stride * static_cast<std::ptrdiff_t>(sizeof(float)),
               panels.nr * static_cast<std::ptrdiff_t>(sizeof(float))});
  }
  // `depth` values of each of `width` columns, from rows that lie `stride` floats apart; what is no column is zero already.
  void pack_columns(const float* from, std::int64_t stride, std::int64_t depth, std::int64_t width,
                    std::byte* to) const noexcept {
    const std::size_t bytes = static_cast<std::size_t>(width) * sizeof(float),
                      line = static_cast<std::size_t>(kernel.nr) * sizeof(float);
    for (std::int64_t i = 0; i < depth; ++i, from += stride, to += line) std::memcpy(to, from, bytes);
  }

  // Rows of pixels, `row_stride` pointers apart, as weights of a product whose sum goes over the pixels.
  void pack_pixels(const float* const* rows, std::int64_t row_stride, std::int64_t offset, std::int64_t count,
                   std::int64_t n, std::byte* to) const noexcept {
    constexpr std::int64_t kColumns = 16;
    constexpr std::size_t kBytes = kColumns * sizeof(float);
    for (std::int64_t i = 0; i < count; ++i, to += kBytes) {
      const float* from = rows[i * row_stride] + offset;
      for (std::int64_t j = 0; j < n; j += kColumns)
        std::memcpy(to + static_cast<std::size_t>(j * count) * sizeof(float), from + j, kBytes);
    }
  }

  const kernels::GemmF32Kernel& kernel;
  kernels::TransposeFn transpose;
};

// Products of factors rounded to bfloat16: a word of the weights is a pair of them, so the depth is even.
struct PairProducts {
  using Value = std::uint16_t;
  static constexpr std::int64_t kPerWord = 2;

  explicit PairProducts(Isa isa)
      : kernel(kernels::select_gemm_bf16(isa)), transpose(kernels::select_transpose_x32(isa)) {}

  // What is multiplied is rounded into scratch memory first.
  static std::size_t input_bytes(std::int64_t count) noexcept {
    return aligned_to_line(static_cast<std::size_t>(count) * sizeof(Value) + kernels::kSlackBytes);
  }
  const std::byte* input(const StepArgs& args, std::int64_t count) const noexcept {
    auto* to = reinterpret_cast<Value*>(args.scratch);
    const auto* x = reinterpret_cast<const float*>(args.in[0]);
    args.threads->for_ranges(static_cast<std::size_t>(count), [&](std::size_t begin, std::size_t end) {
      kernel.round(x + begin, static_cast<std::ptrdiff_t>(end - begin), to + begin);
    });
    return args.scratch;
  }

  void pack_rows(const Panels& panels, std::int64_t panel, const float* rows, std::int64_t stride,
                 std::byte* to) const noexcept {
    constexpr std::int64_t kColumns = 16, kDepth = 256;
    Value rounded[kColumns * kDepth];
    const std::int64_t width = panels.width(panel), depth = panels.depth * kPerWord;
    const auto line = static_cast<std::size_t>(panels.nr) * sizeof(float);
    if (width < panels.nr) std::fill_n(to, panels.panel_bytes(), std::byte{});
    rows += panel * panels.nr * stride;
    for (std::int64_t first = 0; first < depth; first += kDepth, to += kDepth / kPerWord * line) {
      const std::int64_t count = std::min(kDepth, depth - first);
      for (std::int64_t i = 0; i < width; ++i)
        kernel.round(rows + i * stride + first, count, rounded + i * kDepth);
      transpose({rounded, to, static_cast<std::size_t>(width), static_cast<std::size_t>(count / kPerWord),
                 kDepth * static_cast<std::ptrdiff_t>(sizeof(Value)), static_cast<std::ptrdiff_t>(line)});
    }
  }
  void pack_columns(const float* from, std::int64_t stride, std::int64_t depth, std::int64_t width,
                    std::byte* to) const noexcept {
    constexpr std::int64_t kRows = 64;
    const float* rows[kRows];
    for (std::int64_t first = 0; first < depth; first += kRows) {
      const std::int64_t count = std::min(kRows, depth - first);
      for (std::int64_t i = 0; i < count; ++i, from += stride) rows[i] = from;
      kernel.pair_rows({rows, 1, 0, static_cast<int>(count), static_cast<int>(width),
                        reinterpret_cast<Value*>(to) + first * kernel.nr});
    }
  }

  void pack_pixels(const float* const* rows, std::int64_t row_stride, std::int64_t offset, std::int64_t count,
                   std::int64_t n, std::byte* to) const noexcept {
    kernel.pair_rows({rows, row_stride, offset, static_cast<int>(count), static_cast<int>(n),
                      reinterpret_cast<Value*>(to)});
  }

  const kernels::GemmBf16Kernel& kernel;
  kernels::TransposeFn transpose;
};

// The taps of a window in parts of which four panels stay in the L2 cache: weights are packed, and products added up, part by
// part.
class TapParts {
 public:
  TapParts(std::int64_t taps, std::int64_t tap_bytes) : taps_(taps) {  // bytes of a panel, of one tap
    constexpr std::int64_t kBytes = 384 * 1024;
    const std::int64_t fitting =
        std::max<std::int64_t>(1, kBytes / (4 * std::max<std::int64_t>(1, tap_bytes)));
    count_ = std::max<std::int64_t>(1, (taps + fitting - 1) / fitting);
  }
  std::int64_t count() const noexcept { return count_; }
  // Taps [first, end) of part i.
  Share part(std::int64_t i) const noexcept { return share(taps_, i, count_); }

 private:
  std::int64_t taps_, count_ = 1;
};

// What a product over row pointers needs beside its rows.
template <class Kind>
struct Product {
  const Kind& kind;
  int row_stride = 0, first_tap = 0, taps = 0;  // pointers of a pixel, and those of them that count
  std::int64_t offset = 0, depth = 0;           // of each row: the group's first channel, and how many
  const float* bias = nullptr;                  // of the group, padded
  op::Clamp clamp = {};

  void run(const std::byte** rows, std::int64_t m, const Panels& panels, const std::byte* packed,
           std::int64_t panel, std::int64_t blocks, const float* residual, std::int64_t residual_stride,
           float* out, std::int64_t out_stride) const noexcept {
    using Value = typename Kind::Value;
    kernels::GemmRealArgs<Value> args;
    args.rows = reinterpret_cast<const Value* const*>(rows + first_tap);
    args.row_stride = row_stride;
    args.offset = offset;
    args.m = static_cast<int>(m);
    args.n = static_cast<int>(std::min(blocks * panels.nr, panels.n - panel * panels.nr));
    args.taps = taps;
    args.k = static_cast<int>(depth);
    args.weights =
        reinterpret_cast<const Value*>(packed + static_cast<std::size_t>(panel) * panels.panel_bytes());
    args.bias = bias + panel * panels.nr;
    args.residual = residual;
    args.residual_stride = residual_stride * static_cast<std::ptrdiff_t>(sizeof(float));
    args.lo = clamp.lo;
    args.hi = clamp.hi;
    args.out = out;
    args.out_stride = out_stride * static_cast<std::ptrdiff_t>(sizeof(float));
    kind.kernel.run(args);
  }
};

}  // namespace eke
