// Float functions over sixteen lanes: the same operations in the same order, so the same bits, on every tier.
// Included after the tier's own file of this folder. NaN gives NaN.
#pragma once

namespace eke::kernels {
namespace {

// ((y x + c0) x + c1) x + ...
template <class... C>
inline F16 horner(F16 y, F16 x, C... c) noexcept {
  ((y = fma(y, x, set(c))), ...);
  return y;
}
// The coefficients go from the highest power down.
template <class... C>
inline F16 polynomial(F16 x, float first, C... rest) noexcept {
  return horner(set(first), x, rest...);
}

// x = n ln 2 + r, exp(x) = 2^n exp(r); coefficients of Cephes' expf. 2^n in two factors, for results near the
// ends.
inline F16 exp(F16 x) noexcept {
  x = min(set(89.0f), max(set(-104.0f), x));
  const I16 n = to_int(x * set(1.44269504f));
  F16 r = fma(to_float(n), set(-0.693359375f), x);
  r = fma(to_float(n), set(2.12194440e-4f), r);
  F16 y = polynomial(r, 1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                     1.6666665459e-1f, 5.0000001201e-1f);
  y = fma(y, r * r, r) + set(1.0f);
  const I16 half = shift_right(n, 1);
  const auto power = [](I16 k) { return bits_to_float(shift_left(k + seti(127), 23)); };
  return y * power(half) * power(n - half);
}

// The natural logarithm of a positive normal number; coefficients of Cephes' logf.
inline F16 log(F16 x) noexcept {
  const I16 bits = float_to_bits(x);
  const I16 n = shift_right(bits - seti(0x3f3504f3), 23);  // x = 2^n m, m in [sqrt(1/2), sqrt(2))
  const F16 m = bits_to_float(bits - shift_left(n, 23)) - set(1.0f);
  const F16 square = m * m;
  F16 y =
      polynomial(m, 7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f,
                 1.4249322787e-1f, -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f);
  y = y * m * square;
  y = fma(to_float(n), set(-2.12194440e-4f), y);
  y = fma(square, set(-0.5f), y) + m;
  return fma(to_float(n), set(0.693359375f), y);
}

inline F16 sigmoid(F16 x) noexcept { return set(1.0f) / (set(1.0f) + exp(neg(x))); }

// Near 0 an odd polynomial (Cephes' tanhf), else 1 - 2 / (exp(2 |x|) + 1).
inline F16 tanh(F16 x) noexcept {
  const F16 a = abs(x), square = x * x;
  F16 small = polynomial(square, -5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                         -3.33332819422e-1f);
  small = fma(small * square, x, x);
  const F16 large = copysign(set(1.0f) - set(2.0f) / (exp(a + a) + set(1.0f)), x);
  return pick(less(a, set(0.625f)), small, large);
}

// An odd polynomial near 0, else 1 - exp(polynomial), both minimax.
inline F16 erf(F16 x) noexcept {
  const F16 a = abs(x), square = x * x;
  const F16 upper = polynomial(a, -1.72853470e-5f, 3.83197126e-4f),
            lower = polynomial(a, -3.88396438e-3f, 2.42546219e-2f);
  F16 large = fma(upper, square, lower);
  large = horner(large, a, -1.06777877e-1f, -6.34846687e-1f, -1.28717512e-1f);
  large = copysign(set(1.0f) - exp(fma(large, a, neg(a))), x);
  F16 small = polynomial(square, -5.96761703e-4f, 4.99119423e-3f, -2.67681349e-2f, 1.12819925e-1f,
                         -3.76125336e-1f, 1.28379166e-1f);
  small = fma(small, x, x);
  return pick(less(set(0.927734375f), a), large, small);
}

}  // namespace
}  // namespace eke::kernels
