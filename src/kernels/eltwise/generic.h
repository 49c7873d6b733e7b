// Elementwise work over sixteen lanes. Included after the tier's file, generic.h and math.h of simd/.
#pragma once

#include "kernels/eltwise/eltwise.h"

namespace eke::kernels {
namespace {

inline void quantize(const QuantizeArgs& a) noexcept {
  const F16 scale = set(a.scale), lo = set(a.lo), hi = set(a.hi), none = set(0.0f);
  const I16 zero = seti(a.zero);
  const auto count = static_cast<std::ptrdiff_t>(a.count);
  for (std::ptrdiff_t i = 0; i < count; i += 16) {
    const F16 v = load(a.in + i) / scale;
    store(a.out + i, saturate(pick(is_nan(v), none, v), lo, hi) + zero, at_most_16(count - i));
  }
}

inline void dequantize(const DequantizeArgs& a) noexcept {
  const F16 scale = set(a.scale);
  const I16 zero = seti(a.zero);
  const auto count = static_cast<std::ptrdiff_t>(a.count);
  for (std::ptrdiff_t i = 0; i < count; i += 16)
    store(a.out + i, to_float(load(a.in + i) - zero) * scale, at_most_16(count - i));
}

// f(a - za, b - zb) gives the value before sat().
template <class F>
inline void binary(const BinaryU8Args& g, F f) noexcept {
  const F16 lo = set(g.lo), hi = set(g.hi);
  const I16 za = seti(g.a_zero), zb = seti(g.b_zero), zero = seti(g.out_zero);
  const auto rows = static_cast<std::ptrdiff_t>(g.rows), cols = static_cast<std::ptrdiff_t>(g.cols);
  for (std::ptrdiff_t r = 0; r < rows; ++r) {
    const std::uint8_t *a = g.a + r * g.a_stride, *b = g.b + r * g.b_stride;
    std::uint8_t* out = g.out + r * g.out_stride;
    for (std::ptrdiff_t c = 0; c < cols; c += 16)
      store(out + c, saturate(f(load(a + c) - za, load(b + c) - zb), lo, hi) + zero, at_most_16(cols - c));
  }
}

inline void add(const BinaryU8Args& g) noexcept {
  const F16 ka = set(g.ka), kb = set(g.kb);
  binary(g, [&](I16 a, I16 b) { return fma(to_float(a), ka, to_float(b) * kb); });
}

inline void mul(const BinaryU8Args& g) noexcept {
  const F16 k = set(g.ka);
  binary(g, [&](I16 a, I16 b) { return to_float(a * b) * k; });
}

template <class F>
inline void binary(const BinaryF32Args& g, F f) noexcept {
  const F16 lo = set(g.lo), hi = set(g.hi);
  const auto rows = static_cast<std::ptrdiff_t>(g.rows), cols = static_cast<std::ptrdiff_t>(g.cols);
  for (std::ptrdiff_t r = 0; r < rows; ++r) {
    const float *a = offset_bytes(g.a, r * g.a_stride), *b = offset_bytes(g.b, r * g.b_stride);
    float* out = offset_bytes(g.out, r * g.out_stride);
    const F16 scalar = set(*b);
    for (std::ptrdiff_t c = 0; c < cols; c += 16)
      store(out + c, clamp(f(load(a + c), g.b_scalar ? scalar : load(b + c)), lo, hi), at_most_16(cols - c));
  }
}

inline void binary(const BinaryF32Args& g) noexcept {
  switch (g.op) {
    case BinaryF32Op::add:
      return binary(g, [](F16 a, F16 b) { return a + b; });
    case BinaryF32Op::sub:
      return binary(g, [](F16 a, F16 b) { return a - b; });
    case BinaryF32Op::rsub:
      return binary(g, [](F16 a, F16 b) { return b - a; });
    case BinaryF32Op::mul:
      return binary(g, [](F16 a, F16 b) { return a * b; });
    case BinaryF32Op::div:
      return binary(g, [](F16 a, F16 b) { return a / b; });
    case BinaryF32Op::rdiv:
      return binary(g, [](F16 a, F16 b) { return b / a; });
    case BinaryF32Op::min:
      return binary(g, [](F16 a, F16 b) { return min(b, a); });
    case BinaryF32Op::max:
      return binary(g, [](F16 a, F16 b) { return max(b, a); });
    case BinaryF32Op::prelu:
      return binary(g, [](F16 a, F16 b) { return pick(less(a, set(0.0f)), a * b, a); });
  }
}

template <class F>
inline void unary(const UnaryF32Args& g, F f) noexcept {
  const auto count = static_cast<std::ptrdiff_t>(g.count);
  for (std::ptrdiff_t i = 0; i < count; i += 16) store(g.out + i, f(load(g.in + i)), at_most_16(count - i));
}

inline void unary(const UnaryF32Args& g) noexcept {
  const F16 alpha = set(g.alpha), beta = set(g.beta), zero = set(0.0f), one = set(1.0f), half = set(0.5f);
  const auto hard_sigmoid = [=](F16 x, F16 slope, F16 shift) { return clamp(x * slope + shift, zero, one); };
  switch (g.op) {
    case UnaryF32Op::abs:
      return unary(g, [](F16 x) { return abs(x); });
    case UnaryF32Op::neg:
      return unary(g, [](F16 x) { return neg(x); });
    case UnaryF32Op::sqrt:
      return unary(g, [](F16 x) { return sqrt(x); });
    case UnaryF32Op::reciprocal:
      return unary(g, [=](F16 x) { return one / x; });
    case UnaryF32Op::clamp:
      return unary(g, [=](F16 x) { return clamp(x, alpha, beta); });
    case UnaryF32Op::leaky_relu:
      return unary(g, [=](F16 x) { return pick(less(x, zero), x * alpha, x); });
    case UnaryF32Op::hard_sigmoid:
      return unary(g, [=](F16 x) { return hard_sigmoid(x, alpha, beta); });
    case UnaryF32Op::hard_swish:
      return unary(g, [=](F16 x) { return x * hard_sigmoid(x, set(1.0f / 6), half); });
    case UnaryF32Op::exp:
      return unary(g, [](F16 x) { return exp(x); });
    case UnaryF32Op::sigmoid:
      return unary(g, [](F16 x) { return sigmoid(x); });
    case UnaryF32Op::tanh:
      return unary(g, [](F16 x) { return tanh(x); });
    case UnaryF32Op::swish:
      return unary(g, [=](F16 x) { return x * sigmoid(x * alpha); });
    case UnaryF32Op::gelu:
      return unary(g, [=](F16 x) { return half * x * (one + erf(x * set(0.707106781f))); });
    case UnaryF32Op::gelu_tanh:
      return unary(g, [=](F16 x) {
        const F16 inner = set(0.797884561f) * fma(set(0.044715f) * x * x, x, x);
        return half * x * (one + tanh(inner));
      });
    case UnaryF32Op::erf:
      return unary(g, [](F16 x) { return erf(x); });
    case UnaryF32Op::elu:
      return unary(g, [=](F16 x) { return pick(less(x, zero), alpha * (exp(x) - one), x); });
    case UnaryF32Op::selu:
      return unary(g, [=](F16 x) { return beta * pick(less(x, zero), alpha * (exp(x) - one), x); });
    case UnaryF32Op::celu:
      return unary(g, [=](F16 x) { return pick(less(x, zero), alpha * (exp(x / alpha) - one), x); });
    case UnaryF32Op::softplus:
      return unary(g, [=](F16 x) { return max(zero, x) + log(one + exp(neg(abs(x)))); });
    case UnaryF32Op::mish:  // tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2), e = exp(x); 1 from x = 20 on
      return unary(g, [=](F16 x) {
        const F16 e = exp(min(set(20.0f), x)), n = e * (e + set(2.0f));
        return x * (n / (n + set(2.0f)));
      });
  }
}

}  // namespace
}  // namespace eke::kernels
