// Gradients of elementwise operators, as compositions of others. Where a function has a kink the gradient is that of
// one side, as its comment says.
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "ops/gradient.h"

namespace eke {
namespace {

using Ids = std::vector<ValueId>;
using op::BinaryFn;
using op::UnaryFn;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Where a op b holds, `yes`, else `no`.
ValueId choose(GradientBuilder& b, BinaryFn compare, ValueId p, ValueId q, ValueId yes, ValueId no) {
  return b.add(op::Where{}, {b.binary(compare, p, q), yes, no});
}

ValueId square(GradientBuilder& b, ValueId x) { return b.mul(x, x); }
ValueId number(GradientBuilder& b, double value) { return b.scalar(value, b.type(b.in(0)).dtype); }
// s (1 - s)
ValueId logistic_slope(GradientBuilder& b, ValueId s) { return b.mul(s, b.minus(number(b, 1), s)); }
// exp(-x^2 / divisor)
ValueId bell(GradientBuilder& b, ValueId x, double divisor) {
  return b.unary(UnaryFn::Exp, b.scaled(square(b, x), -1 / divisor));
}

// dy times the derivative at x; y is the function's value. kNoValue: there is no gradient.
ValueId unary_derivative(GradientBuilder& b, UnaryFn fn) {
  const ValueId x = b.in(0), y = b.out(), dy = b.dy();
  const auto one_plus = [&](ValueId v) { return b.plus(number(b, 1), v); };
  const auto one_minus = [&](ValueId v) { return b.minus(number(b, 1), v); };
  const auto root = [&](ValueId v) { return b.unary(UnaryFn::Sqrt, v); };
  switch (fn) {
    case UnaryFn::Abs:  // 0 at 0
      return b.mul(dy, b.unary(UnaryFn::Sign, x));
    case UnaryFn::Neg:
      return b.negative(dy);
    case UnaryFn::Sqrt:
      return b.over(b.scaled(dy, 0.5), y);
    case UnaryFn::Reciprocal:
      return b.negative(b.mul(dy, square(b, y)));
    case UnaryFn::Exp:
      return b.mul(dy, y);
    case UnaryFn::Log:
      return b.over(dy, x);
    case UnaryFn::Sin:
      return b.mul(dy, b.unary(UnaryFn::Cos, x));
    case UnaryFn::Cos:
      return b.negative(b.mul(dy, b.unary(UnaryFn::Sin, x)));
    case UnaryFn::Tan:
      return b.mul(dy, one_plus(square(b, y)));
    case UnaryFn::Asin:
      return b.over(dy, root(one_minus(square(b, x))));
    case UnaryFn::Acos:
      return b.negative(b.over(dy, root(one_minus(square(b, x)))));
    case UnaryFn::Atan:
      return b.over(dy, one_plus(square(b, x)));
    case UnaryFn::Sinh:
      return b.mul(dy, b.unary(UnaryFn::Cosh, x));
    case UnaryFn::Cosh:
      return b.mul(dy, b.unary(UnaryFn::Sinh, x));
    case UnaryFn::Tanh:
      return b.mul(dy, one_minus(square(b, y)));
    case UnaryFn::Asinh:
      return b.over(dy, root(one_plus(square(b, x))));
    case UnaryFn::Acosh:
      return b.over(dy, root(b.minus(square(b, x), number(b, 1))));
    case UnaryFn::Atanh:
      return b.over(dy, one_minus(square(b, x)));
    case UnaryFn::Erf:
      return b.mul(dy, b.scaled(bell(b, x, 1), 2 * std::numbers::inv_sqrtpi));
    case UnaryFn::Relu:  // 0 at 0
      return b.add(op::ClampGrad{{.lo = 0}}, {dy, y});
    case UnaryFn::Sigmoid:
      return b.mul(dy, logistic_slope(b, y));
    case UnaryFn::Softplus:
      return b.mul(dy, b.unary(UnaryFn::Sigmoid, x));
    case UnaryFn::Softsign:
      return b.over(dy, square(b, one_plus(b.unary(UnaryFn::Abs, x))));
    case UnaryFn::HardSwish: {  // x max(0, min(1, x / 6 + 1/2))
      const ValueId gate = b.add(op::HardSigmoid{.alpha = 1.0f / 6, .beta = 0.5f}, {x});
      return b.plus(b.mul(dy, gate), b.add(op::ClampGrad{{-3, 3}}, {b.scaled(b.mul(dy, x), 1.0 / 6), x}));
    }
    case UnaryFn::Mish: {  // x tanh(softplus(x)): t + x (1 - t^2) sigmoid(x)
      const ValueId t = b.unary(UnaryFn::Tanh, b.unary(UnaryFn::Softplus, x));
      const ValueId slope = b.mul(b.mul(x, one_minus(square(b, t))), b.unary(UnaryFn::Sigmoid, x));
      return b.mul(dy, b.plus(t, slope));
    }
    default:  // steps and bits: the derivative is zero wherever there is one
      return kNoValue;
  }
}

Ids unary_gradient(GradientBuilder& b) { return {unary_derivative(b, b.op<op::Unary>().fn)}; }

// A bound of a Clip: its value, or `otherwise` where it is absent.
float bound(GradientBuilder& b, std::size_t i, float otherwise) {
  if (b.in(i) == kNoValue) return otherwise;
  const Tensor* constant = b.constant(b.in(i));
  check(constant != nullptr && constant->count() == 1,
        "the bounds of a Clip must be constants to train below it");
  return static_cast<float>(element_as_double(constant->view(), 0));
}

Ids clip_gradient(GradientBuilder& b) {  // 0 at the bounds
  return {b.add(op::ClampGrad{{bound(b, 1, -kInfinity), bound(b, 2, kInfinity)}}, {b.dy(), b.out()})};
}

// For x < 0 `slope` times dy, else dy.
ValueId leaky(GradientBuilder& b, ValueId slope_times_dy) {
  return choose(b, BinaryFn::Less, b.in(0), number(b, 0), slope_times_dy, b.dy());
}

Ids leaky_gradient(GradientBuilder& b) {
  return {leaky(b, b.scaled(b.dy(), static_cast<double>(b.op<op::LeakyRelu>().alpha)))};
}
// y = alpha (exp(x) - 1) below 0, so its slope is y + alpha.
Ids elu_gradient(GradientBuilder& b) {
  return {leaky(b, b.mul(b.dy(), b.plus(b.out(), number(b, static_cast<double>(b.op<op::Elu>().alpha)))))};
}
Ids celu_gradient(GradientBuilder& b) {
  const double alpha = static_cast<double>(b.op<op::Celu>().alpha);
  return {leaky(b, b.scaled(b.mul(b.dy(), b.plus(b.out(), number(b, alpha))), 1 / alpha))};
}
Ids selu_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::Selu>();
  const double alpha = static_cast<double>(a.alpha), gamma = static_cast<double>(a.gamma);
  const ValueId below = b.mul(b.dy(), b.plus(b.out(), number(b, alpha * gamma)));
  return {choose(b, BinaryFn::Less, b.in(0), number(b, 0), below, b.scaled(b.dy(), gamma))};
}
Ids hard_sigmoid_gradient(GradientBuilder& b) {  // 0 at the kinks
  const double alpha = static_cast<double>(b.op<op::HardSigmoid>().alpha);
  return {b.add(op::ClampGrad{{0, 1}}, {b.scaled(b.dy(), alpha), b.out()})};
}
Ids thresholded_gradient(GradientBuilder& b) {
  return {b.add(op::ClampGrad{{.lo = b.op<op::ThresholdedRelu>().alpha}}, {b.dy(), b.in(0)})};
}
Ids swish_gradient(GradientBuilder& b) {  // s + alpha y (1 - s)
  const double alpha = static_cast<double>(b.op<op::Swish>().alpha);
  const ValueId s = b.unary(UnaryFn::Sigmoid, alpha == 1 ? b.in(0) : b.scaled(b.in(0), alpha));
  return {b.mul(b.dy(), b.plus(s, b.scaled(b.mul(b.out(), b.minus(number(b, 1), s)), alpha)))};
}
Ids gelu_gradient(GradientBuilder& b) {
  const ValueId x = b.in(0);
  if (b.op<op::Gelu>().approximate == "none") {  // Phi(x) + x phi(x)
    const ValueId cdf =
        b.scaled(b.plus(number(b, 1), b.unary(UnaryFn::Erf, b.scaled(x, std::numbers::sqrt2 / 2))), 0.5);
    const ValueId pdf = b.scaled(bell(b, x, 2), std::numbers::inv_sqrtpi / std::numbers::sqrt2);
    return {b.mul(b.dy(), b.plus(cdf, b.mul(x, pdf)))};
  }
  // x s(2u), u = c (x + k x^3): s + 2 x s (1 - s) c (1 + 3 k x^2)
  const double c = std::sqrt(2 / std::numbers::pi), k = 0.044715;
  const ValueId xx = square(b, x);
  const ValueId u = b.scaled(b.mul(x, b.plus(number(b, 1), b.scaled(xx, k))), 2 * c);
  const ValueId s = b.unary(UnaryFn::Sigmoid, u);
  const ValueId slope = b.scaled(b.plus(number(b, 1), b.scaled(xx, 3 * k)), 2 * c);
  return {b.mul(b.dy(), b.plus(s, b.mul(b.mul(x, logistic_slope(b, s)), slope)))};
}
Ids cast_gradient(GradientBuilder& b) {
  const DType from = b.type(b.in(0)).dtype;
  if (!is_float(from) || !is_float(b.type(b.out()).dtype)) return {kNoValue};
  return {b.add(op::Cast{.to = from}, {b.dy()})};
}

// --- several tensors ---------------------------------------------------------------------------------------

struct Pair {
  ValueId p = kNoValue, q = kNoValue;
};

Pair power_gradient(GradientBuilder& b) {
  const ValueId x = b.in(0), e = b.in(1), y = b.out(), dy = b.dy();
  Pair g;
  if (b.wants(0))
    g.p = b.mul(dy, b.mul(e, b.binary(BinaryFn::Pow, x, b.minus(e, b.scalar(1, b.type(e).dtype)))));
  if (b.wants(1)) g.q = b.mul(dy, b.mul(y, b.unary(UnaryFn::Log, x)));
  return g;
}

Pair binary_derivative(GradientBuilder& b, BinaryFn fn) {
  const ValueId p = b.in(0), q = b.in(1), dy = b.dy();
  switch (fn) {
    case BinaryFn::Add:
      return {dy, dy};
    case BinaryFn::Sub:
      return {dy, b.wants(1) ? b.negative(dy) : kNoValue};
    case BinaryFn::Mul:
      return {b.wants(0) ? b.mul(dy, q) : kNoValue, b.wants(1) ? b.mul(dy, p) : kNoValue};
    case BinaryFn::Div:
      return {b.wants(0) ? b.over(dy, q) : kNoValue,
              b.wants(1) ? b.negative(b.over(b.mul(dy, b.out()), q)) : kNoValue};
    case BinaryFn::Pow:
      return power_gradient(b);
    case BinaryFn::PRelu: {
      const ValueId zero = number(b, 0);
      const ValueId negative = b.binary(BinaryFn::Less, p, zero);
      return {b.wants(0) ? b.add(op::Where{}, {negative, b.mul(dy, q), dy}) : kNoValue,
              b.wants(1) ? b.add(op::Where{}, {negative, b.mul(dy, p), zero}) : kNoValue};
    }
    default:
      return {};
  }
}

Ids binary_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::Binary>();
  check(!a.clamp.active(), "a fused addition has no gradient; differentiate the graph before it is lowered");
  const Pair g = binary_derivative(b, a.fn);
  return {g.p != kNoValue && b.wants(0) ? b.unbroadcast(g.p, b.shape(b.in(0))) : kNoValue,
          g.q != kNoValue && b.wants(1) ? b.unbroadcast(g.q, b.shape(b.in(1))) : kNoValue};
}

Ids variadic_gradient(GradientBuilder& b) {
  const op::VariadicFn fn = b.op<op::Variadic>().fn;
  const std::size_t count = b.node().in.size();
  Ids gradients(count, kNoValue);
  ValueId dy = b.dy(), free = kNoValue;
  if (fn == op::VariadicFn::Mean) dy = b.scaled(dy, 1 / static_cast<double>(count));
  const bool selects = fn == op::VariadicFn::Max || fn == op::VariadicFn::Min;
  // The first input that equals the result gets it all.
  for (std::size_t i = 0; i < count; ++i) {
    ValueId g = dy;
    if (selects) {
      ValueId chosen = b.binary(BinaryFn::Equal, b.in(i), b.out());
      if (free != kNoValue) chosen = b.binary(BinaryFn::And, chosen, free);
      if (i + 1 < count) {
        const ValueId rest = b.add(op::Unary{UnaryFn::Not}, {b.binary(BinaryFn::Equal, b.in(i), b.out())});
        free = free == kNoValue ? rest : b.binary(BinaryFn::And, free, rest);
      }
      g = b.add(op::Where{}, {chosen, dy, number(b, 0)});
    }
    if (b.wants(i)) gradients[i] = b.unbroadcast(g, b.shape(b.in(i)));
  }
  return gradients;
}

Ids where_gradient(GradientBuilder& b) {
  const ValueId zero = b.scalar(0, b.type(b.dy()).dtype), dy = b.dy(), condition = b.in(0);
  Ids gradients(3, kNoValue);
  if (b.wants(1)) gradients[1] = b.unbroadcast(b.add(op::Where{}, {condition, dy, zero}), b.shape(b.in(1)));
  if (b.wants(2)) gradients[2] = b.unbroadcast(b.add(op::Where{}, {condition, zero, dy}), b.shape(b.in(2)));
  return gradients;
}

}  // namespace

std::vector<Gradient> elementwise_gradients() {
  return {
      {op::Unary{}, unary_gradient},
      {op::Clip{}, clip_gradient},
      {op::LeakyRelu{}, leaky_gradient},
      {op::Elu{}, elu_gradient},
      {op::Celu{}, celu_gradient},
      {op::Selu{}, selu_gradient},
      {op::HardSigmoid{}, hard_sigmoid_gradient},
      {op::ThresholdedRelu{}, thresholded_gradient},
      {op::Shrink{}, nullptr, "its gradient is not written; no network that is trained here has one"},
      {op::Gelu{}, gelu_gradient},
      {op::Swish{}, swish_gradient},
      {op::Cast{}, cast_gradient},
      {op::Binary{}, binary_gradient},
      {op::Variadic{}, variadic_gradient},
      {op::Where{}, where_gradient},
      {op::Mod{}, nullptr, "a remainder has no useful gradient"},
  };
}

}  // namespace eke
