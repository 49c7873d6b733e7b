#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/broadcast.h"
#include "ops/element.h"
#include "ops/families.h"
#include "ops/operands.h"
#include "ops/quantized.h"
#include "ops/unary.h"

namespace eke {
namespace {

using op::BinaryFn;
using op::VariadicFn;

bool is_logical(BinaryFn fn) noexcept {
  return fn == BinaryFn::And || fn == BinaryFn::Or || fn == BinaryFn::Xor;
}

bool is_bitwise(BinaryFn fn) noexcept {
  return fn == BinaryFn::BitwiseAnd || fn == BinaryFn::BitwiseOr || fn == BinaryFn::BitwiseXor;
}

bool is_comparison(BinaryFn fn) noexcept {
  switch (fn) {
    case BinaryFn::Equal:
    case BinaryFn::Less:
    case BinaryFn::LessOrEqual:
    case BinaryFn::Greater:
    case BinaryFn::GreaterOrEqual:
      return true;
    default:
      return false;
  }
}

// --- functions of two values -------------------------------------------------------------------------------

// Wraps modulo 2^64. A negative exponent gives what the truncated real power is.
std::uint64_t integer_power(std::int64_t base, std::int64_t exponent) noexcept {
  if (exponent < 0) {
    if (base == 1) return 1;
    if (base == -1) return exponent % 2 == 0 ? 1 : ~std::uint64_t{0};
    return 0;
  }
  std::uint64_t power = 1, square = static_cast<std::uint64_t>(base);
  for (; exponent > 0; exponent >>= 1, square *= square) {
    if (exponent & 1) power *= square;
  }
  return power;
}

// Integers wrap; division truncates and gives 0 for a divisor of 0, which ONNX leaves open.
template <class T>
T divide(T a, T b) noexcept {
  if constexpr (std::is_floating_point_v<T>) {
    return a / b;
  } else {
    if (b == T{0}) return T{0};
    if constexpr (std::is_signed_v<T>) {
      if (b == T{-1}) return static_cast<T>(0 - static_cast<std::uint64_t>(a));
    }
    return static_cast<T>(a / b);
  }
}

// In the type to compute in (element.h).
template <class T>
T arithmetic(BinaryFn fn, T a, T b) noexcept {
  using Wide =
      std::conditional_t<std::is_floating_point_v<T>, T, std::uint64_t>;  // unsigned: overflow is defined
  switch (fn) {
    case BinaryFn::Add:
      return static_cast<T>(static_cast<Wide>(a) + static_cast<Wide>(b));
    case BinaryFn::Sub:
      return static_cast<T>(static_cast<Wide>(a) - static_cast<Wide>(b));
    case BinaryFn::Mul:
      return static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(b));
    case BinaryFn::PRelu:
      return a < T{0} ? static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(b)) : a;
    case BinaryFn::Div:
      return divide(a, b);
    default:
      break;
  }
  if constexpr (std::is_floating_point_v<T>) {
    return fn == BinaryFn::Pow ? static_cast<T>(std::pow(static_cast<double>(a), static_cast<double>(b))) : a;
  } else {
    switch (fn) {
      case BinaryFn::BitwiseAnd:
        return static_cast<T>(a & b);
      case BinaryFn::BitwiseOr:
        return static_cast<T>(a | b);
      case BinaryFn::BitwiseXor:
        return static_cast<T>(a ^ b);
      default:
        return a;
    }
  }
}

template <class T>
bool compare(BinaryFn fn, T a, T b) noexcept {
  switch (fn) {
    case BinaryFn::Equal:
      return a == b;
    case BinaryFn::Less:
      return a < b;
    case BinaryFn::LessOrEqual:
      return a <= b;
    case BinaryFn::Greater:
      return a > b;
    case BinaryFn::GreaterOrEqual:
      return a >= b;
    case BinaryFn::And:
      return a && b;
    case BinaryFn::Or:
      return a || b;
    case BinaryFn::Xor:
      return static_cast<bool>(a) != static_cast<bool>(b);
    default:
      return false;
  }
}

// --- Binary ------------------------------------------------------------------------------------------------

bool is_real(const Type& type) noexcept { return is_float(type.dtype) || type.quant; }

// Quantized and float32 operands mix: all are real numbers.
bool in_reals(const Type& a, const Type& b) noexcept {
  return (a.quant || b.quant) && (a.quant || a.dtype == DType::f32) && (b.quant || b.dtype == DType::f32);
}

void check_per_tensor(const Type& type) {
  check(!type.quant || type.quant->per_tensor(), "an operand is quantized per axis {}; dequantize it first",
        type.quant ? type.quant->axis : -1);
}

void check_types(BinaryFn fn, std::string_view name, const Type& a, const Type& b) {
  check_per_tensor(a);
  check_per_tensor(b);
  const bool mixes = in_reals(a, b) || (fn == BinaryFn::Pow && !a.quant && !b.quant);
  check(mixes || (a.dtype == b.dtype && !a.quant && !b.quant), "{} of {} and {}: the element types differ",
        name, to_string(a), to_string(b));
  const bool fits = is_logical(fn)          ? a.dtype == DType::boolean
                    : is_bitwise(fn)        ? is_integer(a.dtype) && !a.quant && !b.quant
                    : fn == BinaryFn::Equal ? true
                                            : a.dtype != DType::boolean && b.dtype != DType::boolean;
  check(fits, "{} has no form for {} and {}", name, to_string(a), to_string(b));
}

// Where an operand is quantized the output is too; lowering gives it its own parameters.
Type arithmetic_type(const Type& a, const Type& b, const Shape& shape) {
  const Type& like = !a.quant && b.quant ? b : a;
  return checked(Type{like.dtype, shape, like.quant});
}

std::vector<Type> infer_binary(const Op& op, std::span<const Operand> in) {
  const BinaryFn fn = attributes<op::Binary>(op).fn;
  const Type &a = required(in, 0, "a"), &b = required(in, 1, "b");
  check_inputs_at_most(in, 2);
  check_types(fn, op_name(op), a, b);
  const Shape shape = broadcast(a.shape, b.shape);
  check(fn != BinaryFn::PRelu || shape == a.shape,
        "PRelu: slope of shape {} does not broadcast to x of shape {}", to_string(b.shape),
        to_string(a.shape));
  if (is_comparison(fn) || is_logical(fn)) return {checked(DType::boolean, shape)};
  return {arithmetic_type(a, b, shape)};
}

// Rule 8 for tensors, and parameters, of (a, b, y).
struct AddRule {
  quantized::Params a, b, y;
  float ka, kb;
  quantized::Bounds bounds;

  AddRule(const Type& ta, const Type& tb, const Type& ty, bool subtract, const op::Clamp& clamp) noexcept
      : a(quantized::params(ta)),
        b(quantized::params(tb)),
        y(quantized::params(ty)),
        bounds(quantized::clamped(quantized::bounds_of(ty.dtype), clamp, y)) {
    ka = static_cast<float>(static_cast<double>(a.scale) / static_cast<double>(y.scale));
    kb = static_cast<float>(static_cast<double>(b.scale) / static_cast<double>(y.scale));
    if (subtract) kb = -kb;
  }
  std::int32_t operator()(std::int32_t qa, std::int32_t qb) const noexcept {
    const float da = static_cast<float>(qa - a.zero_point), db = static_cast<float>(qb - b.zero_point);
    return quantized::sat(std::fma(da, ka, db * kb), y.zero_point, bounds);
  }
};

// Rule 9.
struct MulRule {
  quantized::Params a, b, y;
  float k;
  quantized::Bounds bounds;

  MulRule(const Type& ta, const Type& tb, const Type& ty) noexcept
      : a(quantized::params(ta)),
        b(quantized::params(tb)),
        y(quantized::params(ty)),
        bounds(quantized::bounds_of(ty.dtype)) {
    k = static_cast<float>(static_cast<double>(a.scale) * static_cast<double>(b.scale) /
                           static_cast<double>(y.scale));
  }
  std::int32_t operator()(std::int32_t qa, std::int32_t qb) const noexcept {
    const auto product = static_cast<std::int64_t>(qa - a.zero_point) * (qb - b.zero_point);
    return quantized::sat(static_cast<float>(product) * k, y.zero_point, bounds);
  }
};

struct Pair {
  TensorView a, b;
  MutTensorView y;

  // f(i, ia, ib): element i of the output comes from elements ia and ib of the inputs.
  template <class F>
  void for_each(F&& f) const {
    const std::array strides{broadcast_strides(a.shape(), y.shape()),
                             broadcast_strides(b.shape(), y.shape())};
    for_each_offset(y.shape(), strides,
                    [&](std::int64_t i, const auto& offsets) { f(i, offsets[0], offsets[1]); });
  }
};

void eval_quantized(BinaryFn fn, const op::Clamp& clamp, const Pair& p) {
  const Type &a = *p.a.type, &b = *p.b.type, &y = *p.y.type;
  const bool integers = a.quant && b.quant && y.quant;
  if (integers && (fn == BinaryFn::Add || fn == BinaryFn::Sub)) {
    const AddRule rule(a, b, y, fn == BinaryFn::Sub, clamp);
    p.for_each([&](std::int64_t i, std::int64_t ia, std::int64_t ib) {
      quantized::store(p.y, i, rule(quantized::load(p.a, ia), quantized::load(p.b, ib)));
    });
  } else if (integers && fn == BinaryFn::Mul) {
    const MulRule rule(a, b, y);
    p.for_each([&](std::int64_t i, std::int64_t ia, std::int64_t ib) {
      quantized::store(p.y, i, rule(quantized::load(p.a, ia), quantized::load(p.b, ib)));
    });
  } else {
    p.for_each([&](std::int64_t i, std::int64_t ia, std::int64_t ib) {
      const float va = quantized::load_real(p.a, ia), vb = quantized::load_real(p.b, ib);
      if (is_comparison(fn))
        p.y.as<bool>()[i] = compare(fn, va, vb);
      else
        quantized::store_real(p.y, i, clip(arithmetic(fn, va, vb), clamp.lo, clamp.hi));
    });
  }
}

// Base and exponent may have different types; the result has the base's.
void eval_pow(const Pair& p) {
  visit_dtype(p.a.dtype(), [&]<class T>(ElementTag<T>) {
    const bool exact = std::is_integral_v<T> && !is_float(p.b.dtype());
    p.for_each([&](std::int64_t i, std::int64_t ia, std::int64_t ib) {
      const auto base = p.a.as<T>()[ia];
      if (exact) {
        p.y.as<T>()[i] =
            static_cast<T>(integer_power(static_cast<std::int64_t>(base), element_as_int(p.b, ib)));
        return;
      }
      const double power = std::pow(static_cast<double>(base), element_as_double(p.b, ib));
      p.y.as<T>()[i] = converted_value<T>(power);
    });
  });
}

void eval_binary(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const BinaryFn fn = attributes<op::Binary>(op).fn;
  const op::Clamp& clamp = attributes<op::Binary>(op).clamp;
  const Pair p{in[0], in[1], out[0]};
  if (p.a.type->quant || p.b.type->quant || p.y.type->quant) return eval_quantized(fn, clamp, p);
  if (fn == BinaryFn::Pow) return eval_pow(p);
  const bool makes_bool = is_comparison(fn) || is_logical(fn);
  visit_dtype(p.a.dtype(), [&]<class T>(ElementTag<T>) {
    using C = Computed<T>;
    const T *a = p.a.as<T>(), *b = p.b.as<T>();
    if (makes_bool) {
      p.for_each([&, y = p.y.as<bool>()](std::int64_t i, std::int64_t ia, std::int64_t ib) {
        y[i] = compare<C>(fn, a[ia], b[ib]);
      });
    } else if constexpr (!std::is_same_v<T, bool>) {
      p.for_each([&, y = p.y.as<T>()](std::int64_t i, std::int64_t ia, std::int64_t ib) {
        y[i] = static_cast<T>(arithmetic<C>(fn, a[ia], b[ib]));
      });
    }
  });
  if (clamp.active() && p.y.dtype() == DType::f32)
    std::transform(p.y.as<float>(), p.y.as<float>() + p.y.count(), p.y.as<float>(),
                   [&clamp](float y) { return clip(y, clamp.lo, clamp.hi); });
}

// Before opset 7 a PRelu's slope is one per channel: it gets trailing extents of 1 to lie on axis 1 of x.
void upgrade_binary(OnnxNode& node, Graph& graph) {
  if (node.type != "PRelu" || node.opset >= 7 || node.in.size() != 2) return;
  const Tensor* slope = graph.constant(node.in[1]);
  if (slope == nullptr || slope->shape().rank() != 1 || slope->count() == 1) return;
  const Type* x = type_before_inference(graph, node.in[0]);
  check(
      x != nullptr,
      "PRelu of opset {} has a slope per channel of a computed value; convert the model to opset 7 or newer",
      node.opset);
  Shape shape = slope->shape();
  while (shape.rank() + 1 < x->shape.rank()) shape.push_back(1);
  node.in[1] = graph.add_constant(graph[node.in[1]].name, slope->reshaped(shape));
}

OpDef binary_def() {
  OpDef def{.kind = op::Binary{}, .onnx = {}};
  const auto since = [](BinaryFn fn) {
    if (is_bitwise(fn)) return 18;
    if (fn == BinaryFn::LessOrEqual || fn == BinaryFn::GreaterOrEqual) return 12;
    return fn == BinaryFn::Equal || fn == BinaryFn::Less || fn == BinaryFn::Greater ? 9 : 7;
  };
#define EKE_NAME(name) def.onnx.push_back({#name, op::Binary{BinaryFn::name}, since(BinaryFn::name)});
  EKE_BINARY_FNS(EKE_NAME)
#undef EKE_NAME
  def.upgrade = upgrade_binary;
  def.infer = infer_binary;
  def.eval = eval_binary;
  def.quant = {QuantRule::Kind::own_scale};
  return def;
}

// --- Variadic ----------------------------------------------------------------------------------------------

std::vector<Type> infer_variadic(const Op& op, std::span<const Operand> in) {
  Type y = required(in, 0, "first");
  const VariadicFn fn = attributes<op::Variadic>(op).fn;
  check_per_tensor(y);
  for (std::size_t i = 1; i < in.size(); ++i) {
    const Type& x = required(in, i, "next");
    check_per_tensor(x);
    check(in_reals(y, x) || (x.dtype == y.dtype && !x.quant && !y.quant),
          "{} of {} and {}: the element types differ", op_name(op), to_string(y), to_string(x));
    y = arithmetic_type(y, x, broadcast(y.shape, x.shape));
  }
  const bool selects = fn == VariadicFn::Max || fn == VariadicFn::Min;
  check(selects ? y.dtype != DType::boolean : is_real(y), "{} has no form for {}", op_name(op), to_string(y));
  return {checked(std::move(y))};
}

template <class T>
T combine(VariadicFn fn, T a, T b) noexcept {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a)) return a;
    if (std::isnan(b)) return b;
    if (fn == VariadicFn::Sum || fn == VariadicFn::Mean) return a + b;
  }
  return fn == VariadicFn::Max ? (a < b ? b : a) : (b < a ? b : a);
}

// The element of a tensor of shape `in` that broadcasts to element i of `out`.
std::int64_t source_of(std::int64_t i, const Shape& in, const Shape& out) noexcept {
  if (in == out) return i;
  const Strides strides = broadcast_strides(in, out);
  std::int64_t source = 0;
  for (int axis = out.rank() - 1; axis >= 0; --axis) {
    source += strides[static_cast<std::size_t>(axis)] * (i % out[axis]);
    i /= out[axis];
  }
  return source;
}

// load(k, j): element j of input k.
template <class C, class Load>
C combine_all(VariadicFn fn, std::span<const TensorView> in, const Shape& shape, std::int64_t i,
              Load&& load) {
  C value = load(0, source_of(i, in[0].shape(), shape));
  for (std::size_t k = 1; k < in.size(); ++k)
    value = combine<C>(fn, value, load(k, source_of(i, in[k].shape(), shape)));
  if constexpr (std::is_floating_point_v<C>) {
    if (fn == VariadicFn::Mean) value /= static_cast<C>(in.size());
  }
  return value;
}

bool any_quantized(std::span<const TensorView> in, const MutTensorView& y) noexcept {
  return y.type->quant ||
         std::any_of(in.begin(), in.end(), [](const TensorView& x) { return x.type->quant.has_value(); });
}

void eval_variadic(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const VariadicFn fn = attributes<op::Variadic>(op).fn;
  const MutTensorView y = out[0];
  if (any_quantized(in, y)) {
    if (fn == VariadicFn::Sum && in.size() == 2) return eval_quantized(BinaryFn::Add, {}, {in[0], in[1], y});
    const auto load = [&](std::size_t k, std::int64_t j) { return quantized::load_real(in[k], j); };
    for (std::int64_t i = 0; i < y.count(); ++i) {
      quantized::store_real(y, i, combine_all<float>(fn, in, y.shape(), i, load));
    }
    return;
  }
  visit_dtype(y.dtype(), [&]<class T>(ElementTag<T>) {
    using C = Computed<T>;
    const auto load = [&](std::size_t k, std::int64_t j) { return static_cast<C>(in[k].as<T>()[j]); };
    for (std::int64_t i = 0; i < y.count(); ++i) {
      y.as<T>()[i] = static_cast<T>(combine_all<C>(fn, in, y.shape(), i, load));
    }
  });
}

OpDef variadic_def() {
  OpDef def{.kind = op::Variadic{}, .onnx = {}};
#define EKE_NAME(name) def.onnx.push_back({#name, op::Variadic{VariadicFn::name}, 8});
  EKE_VARIADIC_FNS(EKE_NAME)
#undef EKE_NAME
  def.infer = infer_variadic;
  def.eval = eval_variadic;
  def.quant = {QuantRule::Kind::own_scale};
  return def;
}

// --- Mod, BitShift -----------------------------------------------------------------------------------------

const Shape infer_pair(const Op& op, std::span<const Operand> in) {
  const Type &a = required(in, 0, "a"), &b = required(in, 1, "b");
  check_inputs_at_most(in, 2);
  check(a.dtype == b.dtype && !a.quant && !b.quant, "{} of {} and {}: the element types differ", op_name(op),
        to_string(a), to_string(b));
  return broadcast(a.shape, b.shape);
}

std::vector<Type> infer_mod(const Op& op, std::span<const Operand> in) {
  const Shape shape = infer_pair(op, in);
  const DType dtype = in[0].type->dtype;
  check(is_integer(dtype) || (is_float(dtype) && attributes<op::Mod>(op).fmod != 0),
        "Mod of {}: floats need fmod = 1, booleans have no form", to_string(dtype));
  return {checked(dtype, shape)};
}

// With fmod the sign is the dividend's, as in C; else the divisor's. A divisor of 0 gives 0 for integers.
template <class T>
T modulo(T a, T b, bool fmod) noexcept {
  if constexpr (std::is_floating_point_v<T>) {
    return std::fmod(a, b);
  } else {
    if (b == T{0}) return T{0};
    if constexpr (std::is_signed_v<T>) {
      if (b == T{-1}) return T{0};
    }
    const T rest = static_cast<T>(a % b);
    return !fmod && rest != T{0} && (rest < T{0}) != (b < T{0}) ? static_cast<T>(rest + b) : rest;
  }
}

void eval_mod(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const bool fmod = attributes<op::Mod>(op).fmod != 0;
  visit_dtype(out[0].dtype(), [&]<class T>(ElementTag<T>) {
    if constexpr (!std::is_same_v<T, bool>) {
      Pair{in[0], in[1], out[0]}.for_each([&](std::int64_t i, std::int64_t ia, std::int64_t ib) {
        out[0].as<T>()[i] = static_cast<T>(modulo<Computed<T>>(in[0].as<T>()[ia], in[1].as<T>()[ib], fmod));
      });
    }
  });
}

std::vector<Type> infer_bit_shift(const Op& op, std::span<const Operand> in) {
  const Shape shape = infer_pair(op, in);
  const DType dtype = in[0].type->dtype;
  const std::string& direction = attributes<op::BitShift>(op).direction;
  check(direction == "LEFT" || direction == "RIGHT", "direction is '{}'; 'LEFT' and 'RIGHT' are known",
        direction);
  check(dtype == DType::u8 || dtype == DType::u16 || dtype == DType::u32 || dtype == DType::u64,
        "BitShift of {}: unsigned integers are needed", to_string(dtype));
  return {checked(dtype, shape)};
}

void eval_bit_shift(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const bool left = attributes<op::BitShift>(op).direction == "LEFT";
  visit_dtype(out[0].dtype(), [&]<class T>(ElementTag<T>) {
    if constexpr (std::is_unsigned_v<T> && !std::is_same_v<T, bool>) {
      Pair{in[0], in[1], out[0]}.for_each([&](std::int64_t i, std::int64_t ia, std::int64_t ib) {
        const std::uint64_t x = in[0].as<T>()[ia], bits = in[1].as<T>()[ib];
        out[0].as<T>()[i] = static_cast<T>(bits >= 8 * sizeof(T) ? 0 : left ? x << bits : x >> bits);
      });
    }
  });
}

// --- Where -------------------------------------------------------------------------------------------------

std::vector<Type> infer_where(const Op&, std::span<const Operand> in) {
  const Type &condition = required(in, 0, "condition"), &x = required(in, 1, "x"), &y = required(in, 2, "y");
  check_inputs_at_most(in, 3);
  check(condition.dtype == DType::boolean, "the condition is {}, not bool", to_string(condition));
  check(x.dtype == y.dtype && x.quant == y.quant, "Where of {} and {}: the element types differ",
        to_string(x), to_string(y));
  return {moved(x, broadcast(condition.shape, broadcast(x.shape, y.shape)))};
}

void eval_where(const Op&, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const Shape& shape = out[0].shape();
  const std::array strides{broadcast_strides(in[0].shape(), shape), broadcast_strides(in[1].shape(), shape),
                           broadcast_strides(in[2].shape(), shape)};
  const bool* condition = in[0].as<bool>();
  visit_bytes(size_of(out[0].dtype()), [&]<class T>(ElementTag<T>) {
    for_each_offset(shape, strides, [&, y = out[0].as<T>()](std::int64_t i, const auto& at) {
      y[i] = condition[at[0]] ? in[1].as<T>()[at[1]] : in[2].as<T>()[at[2]];
    });
  });
}

}  // namespace

std::vector<OpDef> binary_ops() {
  return {
      binary_def(),
      variadic_def(),
      {.kind = op::Mod{}, .onnx = {{"Mod", op::Mod{}, 10}}, .infer = infer_mod, .eval = eval_mod},
      {.kind = op::BitShift{},
       .onnx = {{"BitShift", op::BitShift{}, 11}},
       .infer = infer_bit_shift,
       .eval = eval_bit_shift},
      {.kind = op::Where{}, .onnx = {{"Where", op::Where{}, 9}}, .infer = infer_where, .eval = eval_where},
  };
}

}  // namespace eke
