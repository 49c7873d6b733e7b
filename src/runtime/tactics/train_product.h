// Products with weights that change from run to run, and are packed in each: shared by convolutions and matrix products.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/transpose/registry.h"
#include "runtime/tactics/gemm_driver.h"
#include "runtime/tactics/train.h"

namespace eke {

// Panels of packed weights (kernels/gemm/gemm.h) for n output channels and `depth` values a channel: [n / nr][depth][nr].
struct Panels {
  std::int64_t n = 0, depth = 0, nr = 1;
  std::int64_t count() const noexcept { return (n + nr - 1) / nr; }
  std::int64_t floats() const noexcept { return depth * nr; }  // of one panel
  std::size_t bytes() const noexcept { return float_bytes(count() * floats()) + kernels::kSlackBytes; }
  std::int64_t width(std::int64_t panel) const noexcept { return std::min(nr, n - panel * nr); }
};

// From rows [n][depth].
inline void pack_rows(const Panels& panels, std::int64_t panel, const float* rows,
                      kernels::TransposeFn transpose, float* out) noexcept {
  const std::int64_t width = panels.width(panel);
  if (width < panels.nr) std::fill_n(out, panels.floats(), 0.0f);
  transpose({rows + panel * panels.nr * panels.depth, out, static_cast<std::size_t>(width),
             static_cast<std::size_t>(panels.depth),
             panels.depth * static_cast<std::ptrdiff_t>(sizeof(float)),
             panels.nr * static_cast<std::ptrdiff_t>(sizeof(float))});
}

// What a product over row pointers needs beside its rows.
struct Product {
  const kernels::GemmF32Kernel* kernel = nullptr;
  int taps = 0;
  std::int64_t offset = 0, depth = 0;  // of each row: the group's first channel, and how many
  const float* bias = nullptr;         // of the group, padded
  op::Clamp clamp;

  void run(const std::byte** rows, std::int64_t m, const Panels& panels, const float* packed,
           std::int64_t panel, std::int64_t blocks, const float* residual, std::int64_t residual_stride,
           float* out, std::int64_t out_stride) const noexcept {
    kernels::GemmF32Args args;
    args.rows = reinterpret_cast<const float* const*>(rows);
    args.row_stride = taps;
    args.offset = offset;
    args.m = static_cast<int>(m);
    args.n = static_cast<int>(std::min(blocks * panels.nr, panels.n - panel * panels.nr));
    args.taps = taps;
    args.k = static_cast<int>(depth);
    args.weights = packed + panel * panels.floats();
    args.bias = bias + panel * panels.nr;
    args.residual = residual;
    args.residual_stride = residual_stride * static_cast<std::ptrdiff_t>(sizeof(float));
    args.lo = clamp.lo;
    args.hi = clamp.hi;
    args.out = out;
    args.out_stride = out_stride * static_cast<std::ptrdiff_t>(sizeof(float));
    kernel->run(args);
  }
};

}  // namespace eke
