// Work of training on rows of channels (NHWC) and on parameters: normalization by the statistics of a batch, its
// gradient, masks of clamps, updates. Every tier does the same operations in the same order, lane by lane, so the bits
// are the same. Inputs are readable for kSlackBytes past their end, arrays with one entry a channel for kChannelSlack
// entries. `out` may be the same buffer as an input, element for element.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"

namespace eke::kernels {

// sum[c] = sum of (x[r][c] - shift[c]), square[c] = sum of (x[r][c] - shift[c])^2. With a shift near the mean the
// variance keeps its digits.
struct ChannelSumsArgs {
  const float* x = nullptr;
  std::int64_t rows = 0;
  int channels = 0;
  const float* shift = nullptr;
  float* sum = nullptr;     // written for channels rounded up to 16
  float* square = nullptr;  // the same; null: not wanted
};
using ChannelSumsFn = void (*)(const ChannelSumsArgs&) noexcept;

// y = min(max((x - mean) * factor + shift, lo), hi), one entry a channel.
struct NormParameters {
  const float *mean = nullptr, *factor = nullptr, *shift = nullptr;
  float lo = -__builtin_inff(), hi = __builtin_inff();
};
struct BatchNormArgs {
  const float* x = nullptr;
  float* out = nullptr;
  std::int64_t rows = 0;
  int channels = 0;
  NormParameters norm;
};
using BatchNormFn = void (*)(const BatchNormArgs&) noexcept;

// With g = dy where the normalized value lies strictly between lo and hi, else 0:
// sum[c] = sum of g, product[c] = sum of g * (x - mean).
struct BatchNormSumsArgs {
  const float *dy = nullptr, *x = nullptr;
  std::int64_t rows = 0;
  int channels = 0;
  NormParameters norm;
  float *sum = nullptr, *product = nullptr;  // written for channels rounded up to 16
};
using BatchNormSumsFn = void (*)(const BatchNormSumsArgs&) noexcept;

// out = factor * (g - offset - (x - mean) * slope), g as above.
struct BatchNormGradArgs {
  const float *dy = nullptr, *x = nullptr;
  float* out = nullptr;
  std::int64_t rows = 0;
  int channels = 0;
  NormParameters norm;
  const float *offset = nullptr, *slope = nullptr;
};
using BatchNormGradFn = void (*)(const BatchNormGradArgs&) noexcept;

// out = dy where lo < y < hi, else 0.
struct ClampGradArgs {
  const float *dy = nullptr, *y = nullptr;
  float* out = nullptr;
  std::size_t count = 0;
  float lo = 0, hi = 0;
};
using ClampGradFn = void (*)(const ClampGradArgs&) noexcept;

// g = decay * x + g; v = alpha * v + beta * g; x = x - rate * (nesterov ? g + alpha * v : v).
struct MomentumArgs {
  const float *x = nullptr, *g = nullptr, *v = nullptr;
  float *x_out = nullptr, *v_out = nullptr;
  std::size_t count = 0;
  float rate = 0, alpha = 0, beta = 1, decay = 0;
  bool nesterov = false;
};
using MomentumFn = void (*)(const MomentumArgs&) noexcept;

// g = decay * x + g; m = alpha m + (1 - alpha) g; v = beta v + (1 - beta) g^2; x = keep * x - rate * m / (sqrt(v) +
// epsilon); x = keep_post * x.
struct AdamArgs {
  const float *x = nullptr, *g = nullptr, *m = nullptr, *v = nullptr;
  float *x_out = nullptr, *m_out = nullptr, *v_out = nullptr;
  std::size_t count = 0;
  float rate = 0, alpha = 0, beta = 0, epsilon = 0, decay = 0, keep = 1, keep_post = 1;
};
using AdamFn = void (*)(const AdamArgs&) noexcept;

// out = momentum * old + (1 - momentum) * value.
struct AverageArgs {
  const float *old = nullptr, *value = nullptr;
  float* out = nullptr;
  std::size_t count = 0;
  float momentum = 0;
};
using AverageFn = void (*)(const AverageArgs&) noexcept;

// With v = x / scale, rounded to the nearest integer, ties to even, where lo and hi are integers below 2^22: out = dy where
// lo < v < hi, else 0; sum[i % 16] = sum of dy * (round(clamp(v)) - v), of dy *
// round(clamp(v)) where v is not inside.
struct RoundingGradArgs {
  const float *dy = nullptr, *x = nullptr;
  float* out = nullptr;  // null: not wanted
  std::size_t count = 0;
  float scale = 1, lo = 0, hi = 0;
  float* sum = nullptr;  // [16]
};
using RoundingGradFn = void (*)(const RoundingGradArgs&) noexcept;

}  // namespace eke::kernels
