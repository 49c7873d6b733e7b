#include "ops/unary.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "ops/element.h"
#include "ops/families.h"
#include "ops/operands.h"
#include "ops/quantized.h"

namespace eke {
namespace {

using op::UnaryFn;

double sigmoid(double x) noexcept {
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}

double softplus(double x) noexcept { return std::log1p(std::exp(-std::abs(x))) + (x > 0 ? x : 0); }

double sign(double x) noexcept { return std::isnan(x) ? x : static_cast<double>((x > 0) - (x < 0)); }

double apply(const op::Unary& a, double x) noexcept {
  switch (a.fn) {
    case UnaryFn::Abs:
      return std::abs(x);
    case UnaryFn::Neg:
      return -x;
    case UnaryFn::Ceil:
      return std::ceil(x);
    case UnaryFn::Floor:
      return std::floor(x);
    case UnaryFn::Round:
      return std::nearbyint(x);
    case UnaryFn::Sign:
      return sign(x);
    case UnaryFn::Sqrt:
      return std::sqrt(x);
    case UnaryFn::Reciprocal:
      return 1 / x;
    case UnaryFn::Exp:
      return std::exp(x);
    case UnaryFn::Log:
      return std::log(x);
    case UnaryFn::Sin:
      return std::sin(x);
    case UnaryFn::Cos:
      return std::cos(x);
    case UnaryFn::Tan:
      return std::tan(x);
    case UnaryFn::Asin:
      return std::asin(x);
    case UnaryFn::Acos:
      return std::acos(x);
    case UnaryFn::Atan:
      return std::atan(x);
    case UnaryFn::Sinh:
      return std::sinh(x);
    case UnaryFn::Cosh:
      return std::cosh(x);
    case UnaryFn::Tanh:
      return std::tanh(x);
    case UnaryFn::Asinh:
      return std::asinh(x);
    case UnaryFn::Acosh:
      return std::acosh(x);
    case UnaryFn::Atanh:
      return std::atanh(x);
    case UnaryFn::Erf:
      return std::erf(x);
    case UnaryFn::Relu:
      return x < 0 ? 0 : x;
    case UnaryFn::Sigmoid:
      return sigmoid(x);
    case UnaryFn::Softplus:
      return softplus(x);
    case UnaryFn::Softsign:
      return x / (1 + std::abs(x));
    case UnaryFn::HardSwish:
      return x * clip(x / 6 + 0.5, 0.0, 1.0);
    case UnaryFn::Mish:
      return x * std::tanh(softplus(x));
    case UnaryFn::Not:
    case UnaryFn::BitwiseNot:
    case UnaryFn::IsNaN:
      break;
  }
  return x;
}

double apply(const op::LeakyRelu& a, double x) noexcept { return x < 0 ? a.alpha * x : x; }
double apply(const op::Elu& a, double x) noexcept { return x < 0 ? a.alpha * std::expm1(x) : x; }
double apply(const op::Celu& a, double x) noexcept { return x < 0 ? a.alpha * std::expm1(x / a.alpha) : x; }
double apply(const op::Selu& a, double x) noexcept {
  return static_cast<double>(a.gamma) * (x > 0 ? x : a.alpha * std::expm1(x));
}
double apply(const op::HardSigmoid& a, double x) noexcept { return clip(a.alpha * x + a.beta, 0.0, 1.0); }
double apply(const op::ThresholdedRelu& a, double x) noexcept { return x > a.alpha || std::isnan(x) ? x : 0; }
double apply(const op::Shrink& a, double x) noexcept {
  if (x < -static_cast<double>(a.lambd)) return x + a.bias;
  if (x > a.lambd) return x - a.bias;
  return std::isnan(x) ? x : 0;
}
double apply(const op::Gelu& a, double x) noexcept {
  if (a.approximate == "none") return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
  const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return x * sigmoid(2 * inner);  // 0.5 x (1 + tanh(inner)), without cancellation
}
double apply(const op::Swish& a, double x) noexcept { return x * sigmoid(a.alpha * x); }

template <class A>
concept ScalarFunction = requires(const A& a) {
  apply(a, 0.0);
};

bool makes_bool(UnaryFn fn) noexcept { return fn == UnaryFn::Not || fn == UnaryFn::IsNaN; }

// The functions that are also defined on integers, exactly.
bool takes_integers(const Op& op) noexcept {
  const auto* unary = std::get_if<op::Unary>(&op);
  if (!unary) return std::holds_alternative<op::Shrink>(op);
  switch (unary->fn) {
    case UnaryFn::Abs:
    case UnaryFn::Neg:
    case UnaryFn::Sign:
    case UnaryFn::Relu:
    case UnaryFn::BitwiseNot:
      return true;
    default:
      return false;
  }
}

// Integer forms wrap modulo the width of the type.
template <class T>
T apply_integer(UnaryFn fn, T x) noexcept {
  switch (fn) {
    case UnaryFn::Abs:
      return x < T{0} ? static_cast<T>(0 - static_cast<std::uint64_t>(x)) : x;
    case UnaryFn::Neg:
      return static_cast<T>(0 - static_cast<std::uint64_t>(x));
    case UnaryFn::Sign:
      return static_cast<T>((x > T{0}) - (x < T{0}));
    case UnaryFn::Relu:
      return x < T{0} ? T{0} : x;
    case UnaryFn::BitwiseNot:
      return static_cast<T>(~static_cast<std::uint64_t>(x));
    default:
      return x;
  }
}

// --- Unary and the functions with attributes ---------------------------------------------------------------

void check_one_input(std::span<const Operand> in) {
  required(in, 0, "x");
  check_inputs_at_most(in, 1);
}

// Where the input is quantized the output is too; lowering gives it its own parameters.
std::vector<Type> infer_function(const Op& op, std::span<const Operand> in) {
  check_one_input(in);
  const Type& x = *in[0].type;
  if (x.quant) return {moved(x, x.shape)};
  check(is_float(x.dtype) || (takes_integers(op) && is_integer(x.dtype)), "{} has no form for {}",
        op_name(op), to_string(x));
  return {checked(x)};
}

std::vector<Type> infer_unary(const Op& op, std::span<const Operand> in) {
  check_one_input(in);
  const Type& x = *in[0].type;
  const UnaryFn fn = attributes<op::Unary>(op).fn;
  const bool fits = fn == UnaryFn::Not          ? x.dtype == DType::boolean
                    : fn == UnaryFn::BitwiseNot ? is_integer(x.dtype) && !x.quant
                    : fn == UnaryFn::IsNaN      ? is_float(x.dtype)
                                                : true;
  check(fits, "{} has no form for {}", op_name(op), to_string(x));
  if (makes_bool(fn)) return {checked(DType::boolean, x.shape)};
  return infer_function(op, in);
}

bool is_quantized(const TensorView& x, const MutTensorView& y) noexcept {
  return x.type->quant || y.type->quant;
}

void eval_function(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const TensorView x = in[0];
  const MutTensorView y = out[0];
  const std::int64_t count = y.count();
  if (is_quantized(x, y)) {
    for (std::int64_t i = 0; i < count; ++i) {
      quantized::store_real(y, i, apply_unary(op, quantized::load_real(x, i)));
    }
    return;
  }
  const auto* unary = std::get_if<op::Unary>(&op);
  visit_dtype(x.dtype(), [&]<class T>(ElementTag<T>) {
    for (std::int64_t i = 0; i < count; ++i) {
      const T value = x.as<T>()[i];
      if constexpr (std::is_same_v<T, bool>) {
        y.as<T>()[i] = value;
      } else if constexpr (std::is_integral_v<T>) {
        y.as<T>()[i] = unary ? apply_integer(unary->fn, value)
                             : converted_value<T>(apply_unary(op, static_cast<double>(value)));
      } else {
        y.as<T>()[i] = converted_value<T>(apply_unary(op, static_cast<double>(value)));
      }
    }
  });
}

void eval_unary(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const UnaryFn fn = attributes<op::Unary>(op).fn;
  if (!makes_bool(fn)) return eval_function(op, in, out);
  bool* y = out[0].as<bool>();
  visit_dtype(in[0].dtype(), [&]<class T>(ElementTag<T>) {
    for (std::int64_t i = 0; i < out[0].count(); ++i) {
      const auto value = static_cast<Computed<T>>(in[0].as<T>()[i]);
      if constexpr (kIsFloat<T>)
        y[i] = std::isnan(value);
      else
        y[i] = !value;
    }
  });
}

std::vector<Type> infer_gelu(const Op& op, std::span<const Operand> in) {
  const std::string& approximate = attributes<op::Gelu>(op).approximate;
  check(approximate == "none" || approximate == "tanh", "approximate is '{}'; 'none' and 'tanh' are known",
        approximate);
  return infer_function(op, in);
}

// --- IsInf -------------------------------------------------------------------------------------------------

std::vector<Type> infer_is_inf(const Op&, std::span<const Operand> in) {
  check_one_input(in);
  check(is_float(in[0].type->dtype), "IsInf has no form for {}", to_string(*in[0].type));
  return {checked(DType::boolean, in[0].type->shape)};
}

void eval_is_inf(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::IsInf>(op);
  bool* y = out[0].as<bool>();
  visit_dtype(in[0].dtype(), [&]<class T>(ElementTag<T>) {
    for (std::int64_t i = 0; i < out[0].count(); ++i) {
      const auto x = static_cast<double>(in[0].as<T>()[i]);
      y[i] = std::isinf(x) && (x < 0 ? a.detect_negative : a.detect_positive) != 0;
    }
  });
}

// --- Clip --------------------------------------------------------------------------------------------------

void upgrade_clip(OnnxNode& node, Graph& graph) {
  const auto lo = take_attribute<float>(node, "min"), hi = take_attribute<float>(node, "max");
  if (lo) add_input(node, graph, 1, "min", Tensor::scalar(*lo));
  if (hi) add_input(node, graph, 2, "max", Tensor::scalar(*hi));
}

void check_bound(std::span<const Operand> in, std::size_t i, std::string_view name) {
  const Operand bound = operand(in, i);
  if (!bound) return;
  const Type &x = *in[0].type, &b = *bound.type;
  check(b.shape.count() == 1, "{} has shape {}; a scalar is needed", name, to_string(b.shape));
  const bool real = is_float(x.dtype) || x.quant;
  check(b.dtype == x.dtype || (real && (is_float(b.dtype) || b.quant)), "{} is {} but x is {}", name,
        to_string(b.dtype), to_string(x.dtype));
}

std::vector<Type> infer_clip(const Op&, std::span<const Operand> in) {
  const Type& x = required(in, 0, "x");
  check_inputs_at_most(in, 3);
  check(x.dtype != DType::boolean, "Clip has no form for {}", to_string(x));
  check_bound(in, 1, "min");
  check_bound(in, 2, "max");
  return {moved(x, x.shape)};
}

// A bound in the type of x; where it has another, both are real.
template <class T>
Computed<T> bound_or(const TensorView& bound, Computed<T> fallback) noexcept {
  if (!bound) return fallback;
  if (bound.type->quant) return static_cast<Computed<T>>(quantized::load_real(bound, 0));
  if constexpr (!kIsFloat<T>)
    return bound.as<T>()[0];
  else
    return static_cast<Computed<T>>(element_as_double(bound, 0));
}

void eval_clip(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const TensorView x = in[0], min = operand(in, 1), max = operand(in, 2);
  const MutTensorView y = out[0];
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (is_quantized(x, y)) {
    const float lo = bound_or<float>(min, -kInfinity), hi = bound_or<float>(max, kInfinity);
    for (std::int64_t i = 0; i < y.count(); ++i) {
      quantized::store_real(y, i, clip(quantized::load_real(x, i), lo, hi));
    }
    return;
  }
  visit_dtype(x.dtype(), [&]<class T>(ElementTag<T>) {
    using C = Computed<T>;
    constexpr C kLowest = kIsFloat<T> ? static_cast<C>(-kInfinity) : std::numeric_limits<C>::lowest();
    constexpr C kHighest = kIsFloat<T> ? static_cast<C>(kInfinity) : std::numeric_limits<C>::max();
    const C lo = bound_or<T>(min, kLowest), hi = bound_or<T>(max, kHighest);
    for (std::int64_t i = 0; i < y.count(); ++i) y.as<T>()[i] = static_cast<T>(clip<C>(x.as<T>()[i], lo, hi));
  });
}

// --- Cast --------------------------------------------------------------------------------------------------

// TensorProto.DataType, in the order of DType.
constexpr std::int64_t kOnnxDType[] = {1, 11, 10, 16, 3, 2, 5, 4, 6, 12, 7, 13, 9};

// CastLike becomes a Cast: the type that it copies must be known before inference.
void upgrade_cast(OnnxNode& node, Graph& graph) {
  if (node.type != "CastLike") return;
  check(node.in.size() == 2 && node.in[1] != kNoValue, "CastLike takes two inputs");
  const Type* like = type_before_inference(graph, node.in[1]);
  check(like != nullptr,
        "CastLike copies the type of '{}', which is computed; only graph inputs and constants are supported",
        graph[node.in[1]].name);
  node.type = "Cast";
  node.attributes["to"] = kOnnxDType[static_cast<std::size_t>(like->dtype)];
  node.in.resize(1);
}

std::vector<Type> infer_cast(const Op& op, std::span<const Operand> in) {
  check_one_input(in);
  check(!in[0].type->quant, "Cast of a quantized tensor: dequantize it first");
  return {checked(attributes<op::Cast>(op).to, in[0].type->shape)};
}

void eval_cast(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  visit_dtype(in[0].dtype(), [&]<class From>(ElementTag<From>) {
    visit_dtype(out[0].dtype(), [&]<class To>(ElementTag<To>) {
      for (std::int64_t i = 0; i < out[0].count(); ++i)
        out[0].as<To>()[i] = converted_value<To>(in[0].as<From>()[i]);
    });
  });
}

// The first opset that has the function in its newest form.
int since(UnaryFn fn) noexcept {
  switch (fn) {
    case UnaryFn::Sinh:
    case UnaryFn::Cosh:
    case UnaryFn::Asinh:
    case UnaryFn::Acosh:
    case UnaryFn::Atanh:
    case UnaryFn::Erf:
    case UnaryFn::Sign:
    case UnaryFn::IsNaN:
      return 9;
    case UnaryFn::Round:
      return 11;
    case UnaryFn::HardSwish:
      return 14;
    case UnaryFn::Mish:
    case UnaryFn::BitwiseNot:
      return 18;
    default:
      return 7;
  }
}

OpDef unary_def() {
  OpDef def{.kind = op::Unary{}, .onnx = {}};
#define EKE_NAME(name) def.onnx.push_back({#name, op::Unary{UnaryFn::name}, since(UnaryFn::name)});
  EKE_UNARY_FNS(EKE_NAME)
#undef EKE_NAME
  def.infer = infer_unary;
  def.eval = eval_unary;
  def.quant = {QuantRule::Kind::own_scale};
  return def;
}

template <class A>
OpDef function_def(std::vector<OnnxName> names) {
  return {.kind = A{},
          .onnx = std::move(names),
          .infer = infer_function,
          .eval = eval_function,
          .quant = {QuantRule::Kind::own_scale}};
}

}  // namespace

bool is_elementwise_unary(const Op& op) noexcept {
  if (const auto* unary = std::get_if<op::Unary>(&op))
    return !makes_bool(unary->fn) && unary->fn != UnaryFn::BitwiseNot;
  return std::visit([]<class A>(const A&) { return ScalarFunction<A>; }, op);
}

double apply_unary(const Op& op, double x) noexcept {
  return std::visit(
      [x]<class A>(const A& a) {
        if constexpr (ScalarFunction<A>)
          return apply(a, x);
        else
          return x;
      },
      op);
}

std::vector<OpDef> unary_ops() {
  OpDef gelu = function_def<op::Gelu>({{"Gelu", op::Gelu{}, 20}});
  gelu.infer = infer_gelu;
  return {
      unary_def(),
      function_def<op::LeakyRelu>({{"LeakyRelu", op::LeakyRelu{}}}),
      function_def<op::Elu>({{"Elu", op::Elu{}}}),
      function_def<op::Celu>({{"Celu", op::Celu{}, 12}}),
      function_def<op::Selu>({{"Selu", op::Selu{}}}),
      function_def<op::HardSigmoid>({{"HardSigmoid", op::HardSigmoid{}}}),
      function_def<op::ThresholdedRelu>({{"ThresholdedRelu", op::ThresholdedRelu{}, 10}}),
      function_def<op::Shrink>({{"Shrink", op::Shrink{}, 9}}),
      function_def<op::Swish>({}),
      std::move(gelu),
      {.kind = op::IsInf{}, .onnx = {{"IsInf", op::IsInf{}, 10}}, .infer = infer_is_inf, .eval = eval_is_inf},
      {.kind = op::Clip{},
       .onnx = {{"Clip", op::Clip{}, 11}},
       .upgrade = upgrade_clip,
       .infer = infer_clip,
       .eval = eval_clip,
       .quant = {QuantRule::Kind::own_scale}},
      {.kind = op::Cast{},
       .onnx = {{"Cast", op::Cast{}}, {"CastLike", op::Cast{}, 15}},
       .upgrade = upgrade_cast,
       .infer = infer_cast,
       .eval = eval_cast},
  };
}

}  // namespace eke
