// The transforms over sixteen lanes. Included after the tier's file and generic.h of simd/.
#pragma once

#include "kernels/winograd/winograd.h"

namespace eke::kernels {
namespace {

// B^T d for six values.
inline void forward(const F16 (&d)[6], F16 (&t)[6]) noexcept {
  const F16 two = set(2.0f), four = set(4.0f), minus_four = set(-4.0f), minus_five = set(-5.0f);
  const F16 a = fma(minus_four, d[2], d[4]), b = fma(minus_four, d[1], d[3]);
  const F16 c = d[4] - d[2], e = d[3] - d[1];
  t[0] = fma(four, d[0], fma(minus_five, d[2], d[4]));
  t[1] = a + b;
  t[2] = a - b;
  t[3] = fma(two, e, c);
  t[4] = fma(set(-2.0f), e, c);
  t[5] = fma(four, d[1], fma(minus_five, d[3], d[5]));
}

// A^T m for six values.
inline void backward(const F16 (&m)[6], F16 (&s)[4]) noexcept {
  const F16 sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  s[0] = m[0] + sum + sum2;
  s[1] = fma(set(2.0f), difference2, difference);
  s[2] = fma(set(4.0f), sum2, sum);
  s[3] = fma(set(8.0f), difference2, difference) + m[5];
}

// G g for three values.
inline void spread(const F16 (&g)[3], F16 (&t)[6]) noexcept {
  const F16 sum = g[0] + g[2], wide = fma(set(4.0f), g[2], g[0]) * set(1.0f / 24),
            half = g[1] * set(1.0f / 12);
  const F16 sixth = set(-1.0f / 6);
  t[0] = g[0] * set(0.25f);
  t[1] = (sum + g[1]) * sixth;
  t[2] = (sum - g[1]) * sixth;
  t[3] = wide + half;
  t[4] = wide - half;
  t[5] = g[2];
}

inline void winograd_filter(const WinogradFilterArgs& a) noexcept {
  for (int c = 0; c < a.channels; c += 16) {
    F16 columns[3][6];  // [column][place]
    for (int j = 0; j < 3; ++j) {
      F16 g[3];
      for (int i = 0; i < 3; ++i) {
        const int t = i * 3 + j;
        g[i] = load(a.taps + (a.turned ? 8 - t : t) * a.tap + c);
      }
      spread(g, columns[j]);
    }
    for (int i = 0; i < 6; ++i) {
      F16 g[3], t[6];
      for (int j = 0; j < 3; ++j) g[j] = columns[j][i];
      spread(g, t);
      for (int j = 0; j < 6; ++j) store(a.out + (i * 6 + j) * a.plane + c, t[j]);
    }
  }
}

// A y for four values.
inline void extend(const F16 (&y)[4], F16 (&m)[6]) noexcept {
  const F16 even = y[0] + y[2], odd = y[1] + y[3];
  const F16 even2 = fma(set(4.0f), y[2], y[0]), odd2 = set(2.0f) * fma(set(4.0f), y[3], y[1]);
  m[0] = y[0];
  m[1] = even + odd;
  m[2] = even - odd;
  m[3] = even2 + odd2;
  m[4] = even2 - odd2;
  m[5] = y[3];
}

// G^T u for six values.
inline void gather(const F16 (&u)[6], F16 (&w)[3]) noexcept {
  const F16 sixth = set(1.0f / 6);
  const F16 sum = (u[1] + u[2]) * sixth, difference = (u[2] - u[1]) * sixth;
  const F16 sum2 = u[3] + u[4], difference2 = u[3] - u[4];
  w[0] = fma(set(0.25f), u[0], fma(set(1.0f / 24), sum2, neg(sum)));
  w[1] = fma(set(1.0f / 12), difference2, difference);
  w[2] = fma(sixth, sum2, u[5] - sum);
}

inline void winograd_gradient(const WinogradInputArgs& a) noexcept {
  for (int c = 0; c < a.channels; c += 16) {
    F16 columns[4][6];  // [column][place]
    for (int j = 0; j < 4; ++j) {
      F16 y[4];
      for (int i = 0; i < 4; ++i) y[i] = load(a.rows[i * 4 + j] + c);
      extend(y, columns[j]);
    }
    for (int i = 0; i < 6; ++i) {
      F16 y[4], m[6];
      for (int j = 0; j < 4; ++j) y[j] = columns[j][i];
      extend(y, m);
      for (int j = 0; j < 6; ++j) store(a.out + (i * 6 + j) * a.plane + c / 16 * a.block, m[j]);
    }
  }
}

inline void winograd_taps(const WinogradTapsArgs& a) noexcept {
  for (int c = 0; c < a.channels; c += 16) {
    const int count = at_most_16(a.channels - c);
    F16 columns[6][3];  // [column][tap]
    for (int j = 0; j < 6; ++j) {
      F16 u[6];
      for (int i = 0; i < 6; ++i) u[i] = load(a.in + (i * 6 + j) * a.plane + c);
      gather(u, columns[j]);
    }
    for (int i = 0; i < 3; ++i) {
      F16 u[6], w[3];
      for (int j = 0; j < 6; ++j) u[j] = columns[j][i];
      gather(u, w);
      for (int j = 0; j < 3; ++j) store(a.taps + (i * 3 + j) * a.tap + c, w[j], count);
    }
  }
}

inline void winograd_input(const WinogradInputArgs& a) noexcept {
  for (int c = 0; c < a.channels; c += 16) {
    F16 columns[6][6];  // [column][place]
    for (int j = 0; j < 6; ++j) {
      F16 d[6];
      for (int i = 0; i < 6; ++i) d[i] = load(a.rows[i * 6 + j] + c);
      forward(d, columns[j]);
    }
    for (int i = 0; i < 6; ++i) {
      F16 d[6], t[6];
      for (int j = 0; j < 6; ++j) d[j] = columns[j][i];
      forward(d, t);
      for (int j = 0; j < 6; ++j) store(a.out + (i * 6 + j) * a.plane + c / 16 * a.block, t[j]);
    }
  }
}

inline void winograd_output(const WinogradOutputArgs& a) noexcept {
  const F16 lo = set(a.lo), hi = set(a.hi), zero = set(0.0f);
  for (int c = 0; c < a.channels; c += 16) {
    const int count = at_most_16(a.channels - c);
    F16 columns[6][4];  // [column][row]
    for (int j = 0; j < 6; ++j) {
      F16 m[6];
      for (int i = 0; i < 6; ++i) m[i] = load(a.in + (i * 6 + j) * a.plane + c);
      backward(m, columns[j]);
    }
    const F16 bias = load(a.bias + c);
    for (int i = 0; i < a.rows; ++i) {
      F16 m[6], s[4];
      for (int j = 0; j < 6; ++j) m[j] = columns[j][i];
      backward(m, s);
      for (int j = 0; j < a.cols; ++j) {
        F16 y = s[j] + bias;
        if (a.slope) y = pick(less(y, zero), y * load(a.slope + c), y);
        if (a.residual) y = y + load(a.residual + i * a.residual_row + j * a.residual_pixel + c);
        store(a.out + i * a.out_row + j * a.out_pixel + c, clamp(y, lo, hi), count);
      }
    }
  }
}

}  // namespace
}  // namespace eke::kernels
