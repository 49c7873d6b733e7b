// The training kernels over sixteen lanes. Included after the tier's file and generic.h of simd/.
#pragma once

#include "kernels/training/training.h"

namespace eke::kernels {
namespace {

// Walks rows in blocks of V * 16 channels, calling f(block) with V known at compile time.
template <class F>
inline void for_blocks(int channels, F&& f) noexcept {
  int c = 0;
  for (; c + 64 <= channels; c += 64) f.template operator()<4>(c);
  for (; c + 32 <= channels; c += 32) f.template operator()<2>(c);
  for (; c < channels; c += 16) f.template operator()<1>(c);
}

// Sums over rows take four rows at a time into sums of their own, so that few channels do not wait for each other.
constexpr int kRows = 4;

inline void channel_sums(const ChannelSumsArgs& a) noexcept {
  for_blocks(a.channels, [&]<int V>(int c) {
    F16 sum[V][kRows], square[V][kRows], shift[V];
    for (int v = 0; v < V; ++v) {
      shift[v] = load(a.shift + c + v * 16);
      for (int i = 0; i < kRows; ++i) sum[v][i] = square[v][i] = set(0.0f);
    }
    const float* x = a.x + c;
    const std::ptrdiff_t stride = a.channels;
    const auto add = [&](int i) {
      for (int v = 0; v < V; ++v) {
        const F16 d = load(x + i * stride + v * 16) - shift[v];
        sum[v][i] = sum[v][i] + d;
        square[v][i] = fma(d, d, square[v][i]);
      }
    };
    std::int64_t r = 0;
    for (; r + kRows <= a.rows; r += kRows, x += kRows * stride)
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) add(i);
    for (int i = 0; r < a.rows; ++r, ++i) add(i);
    for (int v = 0; v < V; ++v) {
      store(a.sum + c + v * 16, (sum[v][0] + sum[v][1]) + (sum[v][2] + sum[v][3]));
      if (a.square)
        store(a.square + c + v * 16, (square[v][0] + square[v][1]) + (square[v][2] + square[v][3]));
    }
  });
}

// The parameters of V * 16 channels.
template <int V>
struct Norm {
  Norm(const NormParameters& p, int c) noexcept : lo(set(p.lo)), hi(set(p.hi)) {
    for (int v = 0; v < V; ++v) {
      mean[v] = load(p.mean + c + v * 16);
      factor[v] = load(p.factor + c + v * 16);
      shift[v] = load(p.shift + c + v * 16);
    }
  }
  F16 centred(int v, F16 x) const noexcept { return x - mean[v]; }
  F16 value(int v, F16 centred) const noexcept { return fma(centred, factor[v], shift[v]); }
  F16 masked(int v, F16 centred, F16 dy) const noexcept {
    const F16 y = value(v, centred), zero = set(0.0f);
    return pick(less(lo, y), pick(less(y, hi), dy, zero), zero);
  }
  F16 mean[V], factor[V], shift[V], lo, hi;
};

inline void batch_norm(const BatchNormArgs& a) noexcept {
  for_blocks(a.channels, [&]<int V>(int c) {
    const Norm<V> norm(a.norm, c);
    for (std::int64_t r = 0; r < a.rows; ++r) {
      const std::ptrdiff_t at = r * a.channels + c;
      for (int v = 0; v < V; ++v) {
        const F16 y = norm.value(v, norm.centred(v, load(a.x + at + v * 16)));
        store(a.out + at + v * 16, clamp(y, norm.lo, norm.hi), at_most_16(a.channels - c - v * 16));
      }
    }
  });
}

inline void batch_norm_sums(const BatchNormSumsArgs& a) noexcept {
  for_blocks(a.channels, [&]<int V>(int c) {
    const Norm<V> norm(a.norm, c);
    F16 sum[V][2], product[V][2];
    for (int v = 0; v < V; ++v)
      for (int i = 0; i < 2; ++i) sum[v][i] = product[v][i] = set(0.0f);
    const auto add = [&](std::int64_t r, int i) {
      const std::ptrdiff_t at = r * a.channels + c;
      for (int v = 0; v < V; ++v) {
        const F16 d = norm.centred(v, load(a.x + at + v * 16)),
                  g = norm.masked(v, d, load(a.dy + at + v * 16));
        sum[v][i] = sum[v][i] + g;
        product[v][i] = fma(g, d, product[v][i]);
      }
    };
    std::int64_t r = 0;
    for (; r + 2 <= a.rows; r += 2) {
      add(r, 0);
      add(r + 1, 1);
    }
    if (r < a.rows) add(r, 0);
    for (int v = 0; v < V; ++v) {
      store(a.sum + c + v * 16, sum[v][0] + sum[v][1]);
      store(a.product + c + v * 16, product[v][0] + product[v][1]);
    }
  });
}

inline void batch_norm_grad(const BatchNormGradArgs& a) noexcept {
  for_blocks(a.channels, [&]<int V>(int c) {
    const Norm<V> norm(a.norm, c);
    F16 offset[V], slope[V];
    for (int v = 0; v < V; ++v) {
      offset[v] = load(a.offset + c + v * 16);
      slope[v] = load(a.slope + c + v * 16);
    }
    for (std::int64_t r = 0; r < a.rows; ++r) {
      const std::ptrdiff_t at = r * a.channels + c;
      for (int v = 0; v < V; ++v) {
        const F16 d = norm.centred(v, load(a.x + at + v * 16)),
                  g = norm.masked(v, d, load(a.dy + at + v * 16));
        store(a.out + at + v * 16, norm.factor[v] * (g - offset[v] - d * slope[v]),
              at_most_16(a.channels - c - v * 16));
      }
    }
  });
}

// Calls f(i, count) for each sixteen elements.
template <class F>
inline void for_lanes(std::size_t count, F&& f) noexcept {
  const auto n = static_cast<std::ptrdiff_t>(count);
  for (std::ptrdiff_t i = 0; i < n; i += 16) f(i, at_most_16(n - i));
}

inline void clamp_grad(const ClampGradArgs& a) noexcept {
  const F16 lo = set(a.lo), hi = set(a.hi), zero = set(0.0f);
  for_lanes(a.count, [&](std::ptrdiff_t i, int n) {
    const F16 y = load(a.y + i), dy = load(a.dy + i);
    store(a.out + i, pick(less(lo, y), pick(less(y, hi), dy, zero), zero), n);
  });
}

inline void momentum(const MomentumArgs& a) noexcept {
  const F16 rate = set(a.rate), alpha = set(a.alpha), beta = set(a.beta), decay = set(a.decay);
  for_lanes(a.count, [&](std::ptrdiff_t i, int n) {
    const F16 x = load(a.x + i), g = decay * x + load(a.g + i);
    const F16 v = alpha * load(a.v + i) + beta * g;
    const F16 step = a.nesterov ? g + alpha * v : v;
    store(a.v_out + i, v, n);
    store(a.x_out + i, x - rate * step, n);
  });
}

inline void adam(const AdamArgs& a) noexcept {
  const F16 rate = set(a.rate), alpha = set(a.alpha), beta = set(a.beta), epsilon = set(a.epsilon),
            decay = set(a.decay), keep = set(a.keep), keep_post = set(a.keep_post), one = set(1.0f);
  for_lanes(a.count, [&](std::ptrdiff_t i, int n) {
    const F16 x = load(a.x + i), g = decay * x + load(a.g + i);
    const F16 m = alpha * load(a.m + i) + (one - alpha) * g;
    const F16 v = beta * load(a.v + i) + (one - beta) * g * g;
    store(a.m_out + i, m, n);
    store(a.v_out + i, v, n);
    store(a.x_out + i, keep_post * (keep * x - rate * m / (sqrt(v) + epsilon)), n);
  });
}

inline void average(const AverageArgs& a) noexcept {
  const F16 m = set(a.momentum), rest = set(1.0f) - m;
  for_lanes(a.count, [&](std::ptrdiff_t i, int n) {
    store(a.out + i, m * load(a.old + i) + rest * load(a.value + i), n);
  });
}

// To the nearest integer, ties to even, by a number whose last digit counts ones; NaN stays.
inline F16 rounded(F16 steps, F16 lo, F16 hi) noexcept {
  const F16 ones = set(0x1.8p23f);
  return (clamp(steps, lo, hi) + ones) - ones;
}

inline void rounding_grad(const RoundingGradArgs& a) noexcept {
  const F16 scale = set(a.scale), lo = set(a.lo), hi = set(a.hi), zero = set(0.0f);
  F16 sum = zero;
  for_lanes(a.count, [&](std::ptrdiff_t i, int n) {
    const F16 dy = load(a.dy + i), steps = load(a.x + i) / scale;
    const auto inside = [&](F16 v) { return pick(less(lo, steps), pick(less(steps, hi), v, zero), zero); };
    F16 product = dy * (rounded(steps, lo, hi) - inside(steps));
    if (n < 16) {  // what lies behind the end does not count
      float kept[16] = {};
      store(kept, product, n);
      product = load(kept);
    }
    sum = sum + product;
    if (a.out) store(a.out + i, inside(dy), n);
  });
  store(a.sum, sum);
}

}  // namespace
}  // namespace eke::kernels
