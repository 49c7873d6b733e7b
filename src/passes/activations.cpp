// Activations that exporters write as several nodes, each made the one operator that it is. Constants in
// files are often rounded, so they need to agree to kTolerance only.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "ops/broadcast.h"
#include "passes/pass_list.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

using op::BinaryFn;
using op::UnaryFn;
using op::VariadicFn;

constexpr double kTolerance = 1e-4;
constexpr double kInf = std::numeric_limits<double>::infinity();

bool near(double value, double wanted) { return std::abs(value - wanted) <= kTolerance * std::abs(wanted); }

// --- parts of patterns, found from the value that they make ------------------------------------------------

const Node* made_by_fn(Rewriter& r, ValueId id, BinaryFn fn) {
  const auto* a = id == kNoValue ? nullptr : r.made_by<op::Binary>(id);
  return a && a->fn == fn ? r.producer(id) : nullptr;
}

// The operand x of the value fn(x).
ValueId operand_of(Rewriter& r, ValueId id, UnaryFn fn) {
  const auto* a = id == kNoValue ? nullptr : r.made_by<op::Unary>(id);
  return a && a->fn == fn ? r.producer(id)->in[0] : kNoValue;
}

// An elementwise node of two operands, one of them a constant with one value: x and that value.
struct WithScalar {
  ValueId x;
  double value;
  bool scalar_first;
};
std::optional<WithScalar> with_scalar(Rewriter& r, const Node& node) {
  if (node.in.size() != 2) return std::nullopt;
  for (const std::size_t i : {0u, 1u}) {
    const ValueId x = node.in[1 - i];
    const auto value = uniform(r.constant(node.in[i]));
    if (value && !r.constant(x) && r.type(x) == r.type(node.out[0]))
      return WithScalar{x, static_cast<double>(*value), i == 0};
  }
  return std::nullopt;
}

// scale * factors[0] * factors[1] * ...
struct Product {
  double scale = 1;
  std::vector<ValueId> factors;
};
constexpr std::size_t kMaxFactors = 4;

// `id` as a product, through nodes that only it reads.
void multiply(Rewriter& r, ValueId id, Product& product, bool outermost) {
  const bool open = (outermost || r.single_use(id)) && product.factors.size() < kMaxFactors;
  if (const ValueId x = operand_of(r, id, UnaryFn::Neg); open && x != kNoValue) {
    product.scale = -product.scale;
    return multiply(r, x, product, false);
  }
  const Node* mul = open ? made_by_fn(r, id, BinaryFn::Mul) : nullptr;
  const Node* div = open ? made_by_fn(r, id, BinaryFn::Div) : nullptr;
  if (!mul && !div) return product.factors.push_back(id);
  const Node node = mul ? *mul : *div;
  if (const auto scaled = with_scalar(r, node);
      scaled && (mul || (!scaled->scalar_first && scaled->value != 0))) {
    product.scale = mul ? product.scale * scaled->value : product.scale / scaled->value;
    return multiply(r, scaled->x, product, false);
  }
  if (div) return product.factors.push_back(id);
  for (const ValueId factor : node.in) multiply(r, factor, product, false);
}
Product product_of(Rewriter& r, ValueId id) {
  Product product;
  multiply(r, id, product, true);
  return product;
}

// The factor beside `x`; nothing where the product is another one.
ValueId other_factor(const Product& product, ValueId x) {
  if (product.factors.size() != 2) return kNoValue;
  if (product.factors[0] == x) return product.factors[1];
  return product.factors[1] == x ? product.factors[0] : kNoValue;
}

// scale * x + offset
struct Linear {
  ValueId x;
  double scale, offset;
};
Linear linear_of(Rewriter& r, ValueId id) {
  double sign = 1, offset = 0;
  ValueId inner = id;
  for (const BinaryFn fn : {BinaryFn::Add, BinaryFn::Sub}) {
    const Node* node = made_by_fn(r, id, fn);
    const auto sum = node ? with_scalar(r, *node) : std::nullopt;
    if (!sum) continue;
    inner = sum->x;
    offset = fn == BinaryFn::Sub && !sum->scalar_first ? -sum->value : sum->value;
    sign = fn == BinaryFn::Sub && sum->scalar_first ? -1 : 1;
  }
  const Product product = product_of(r, inner);
  if (product.factors.size() != 1) return {inner, sign, offset};
  return {product.factors[0], sign * product.scale, offset};
}

// scale * (x + offset), or a plain Linear, with the constants multiplied out.
Linear affine_of(Rewriter& r, ValueId id) {
  const Product product = product_of(r, id);
  if (product.factors.size() != 1) return linear_of(r, id);
  Linear inner = linear_of(r, product.factors[0]);
  return {inner.x, product.scale * inner.scale, product.scale * inner.offset};
}

// min(max(x, lo), hi)
struct Bounds {
  ValueId x;
  double lo, hi;
};
std::optional<double> bound(Rewriter& r, const Node& node, std::size_t i, double absent) {
  if (node.in.size() <= i || node.in[i] == kNoValue) return absent;
  const auto value = uniform(r.constant(node.in[i]));
  return value && !std::isnan(*value) ? std::optional<double>(*value) : std::nullopt;
}
std::optional<Bounds> bounds_of(Rewriter& r, const Node& node) {
  if (node.out.empty() || node.out[0] == kNoValue || r.type(node.out[0]).dtype != DType::f32)
    return std::nullopt;
  if (const auto* a = std::get_if<op::Unary>(&node.op); a && a->fn == UnaryFn::Relu)
    return Bounds{node.in[0], 0, kInf};
  if (const auto* a = std::get_if<op::Variadic>(&node.op);
      a && (a->fn == VariadicFn::Max || a->fn == VariadicFn::Min)) {
    const auto limited = with_scalar(r, node);
    if (!limited || std::isnan(limited->value)) return std::nullopt;
    if (a->fn == VariadicFn::Max) return Bounds{limited->x, limited->value, kInf};
    return Bounds{limited->x, -kInf, limited->value};
  }
  if (!std::holds_alternative<op::Clip>(node.op)) return std::nullopt;
  const auto lo = bound(r, node, 1, -kInf), hi = bound(r, node, 2, kInf);
  if (!lo || !hi || *lo > *hi) return std::nullopt;
  return Bounds{node.in[0], *lo, *hi};
}
std::optional<Bounds> bounds_of(Rewriter& r, ValueId id) {
  const Node* node = r.producer(id);
  return node && node->out[0] == id ? bounds_of(r, *node) : std::nullopt;
}

// The value of 1 + x, as x.
ValueId after_one(Rewriter& r, ValueId id) {
  const Node* add = id == kNoValue ? nullptr : made_by_fn(r, id, BinaryFn::Add);
  const auto sum = add ? with_scalar(r, *add) : std::nullopt;
  return sum && sum->value == 1 ? sum->x : kNoValue;
}

// --- the activations ---------------------------------------------------------------------------------------

// Max and Min with constants, Relu and Clip, alone or one after the other.
bool clamp(Rewriter& r) {
  const auto outer = bounds_of(r, r.node());
  if (!outer) return false;
  Bounds all = *outer;
  if (const auto inner = bounds_of(r, outer->x); inner && r.single_use(outer->x))
    all = {inner->x, std::clamp(inner->lo, outer->lo, outer->hi),
           std::clamp(inner->hi, outer->lo, outer->hi)};
  const bool is_relu = all.lo == 0 && all.hi == kInf;
  const auto* unary = r.current<op::Unary>();
  if (all.x == outer->x && (is_relu ? unary != nullptr : r.current<op::Clip>() != nullptr)) return false;
  if (is_relu) {
    r.replace(op::Unary{UnaryFn::Relu}, {all.x});
    return true;
  }
  const std::string name = r.graph()[r.out()].name;
  const auto constant = [&](double value, const char* suffix) {
    return std::isinf(value) ? kNoValue
                             : r.add_constant(name + suffix, Tensor::scalar(static_cast<float>(value)));
  };
  const ValueId lo = constant(all.lo, "_min"), hi = constant(all.hi, "_max");
  r.replace(op::Clip{}, hi == kNoValue ? std::vector{all.x, lo} : std::vector{all.x, lo, hi});
  return true;
}

// max(0, min(1, alpha * x + beta)): `height` is what the clamp, from 0 to it, is multiplied by to reach 1.
bool hard_sigmoid(Rewriter& r) {
  const Product product = product_of(r, r.out());
  if (product.factors.size() != 1) return false;
  const auto clamped = bounds_of(r, product.factors[0]);
  if (!clamped || clamped->lo != 0 || !near(product.scale * clamped->hi, 1)) return false;
  const Linear linear = affine_of(r, clamped->x);
  const double alpha = product.scale * linear.scale, beta = product.scale * linear.offset;
  if (!(alpha > 0) || !near(beta, 0.5)) return false;
  r.replace(op::HardSigmoid{near(alpha, 1.0 / 6) ? 1.f / 6 : static_cast<float>(alpha), 0.5f}, {linear.x});
  return true;
}

// x * max(0, min(1, x / 6 + 0.5))
bool is_hard_swish_gate(Rewriter& r, ValueId gate, ValueId x, double scale) {
  if (const auto* a = r.made_by<op::HardSigmoid>(gate))
    return r.producer(gate)->in[0] == x && near(scale, 1) && near(static_cast<double>(a->alpha), 1.0 / 6) &&
           near(static_cast<double>(a->beta), 0.5);
  const auto clamped = bounds_of(r, gate);
  if (!clamped || clamped->lo != 0 || !near(clamped->hi, 6) || !near(scale, 1.0 / 6)) return false;
  const Linear linear = linear_of(r, clamped->x);
  return linear.x == x && near(linear.scale, 1) && near(linear.offset, 3);
}

// The scale a of a gate sigmoid(a * x).
std::optional<double> swish_alpha(Rewriter& r, ValueId gate, ValueId x) {
  const ValueId inside = operand_of(r, gate, UnaryFn::Sigmoid);
  if (inside == kNoValue) return std::nullopt;
  if (inside == x) return 1;
  const Product product = product_of(r, inside);
  return product.factors.size() == 1 && product.factors[0] == x ? std::optional(product.scale) : std::nullopt;
}

// 1 + erf(x / sqrt(2))
bool is_erf_gate(Rewriter& r, ValueId gate, ValueId x) {
  const ValueId inside = operand_of(r, after_one(r, gate), UnaryFn::Erf);
  if (inside == kNoValue) return false;
  const Product product = product_of(r, inside);
  return product.factors.size() == 1 && product.factors[0] == x && near(product.scale, std::sqrt(0.5));
}

// The exponent n of a product that is nothing but x^n; 0 for another one.
double power_of(Rewriter& r, const Product& product, ValueId x) {
  double exponent = 0;
  for (const ValueId factor : product.factors) {
    const Node* pow = made_by_fn(r, factor, BinaryFn::Pow);
    const auto n = pow ? uniform(r.constant(pow->in[1])) : std::nullopt;
    if (factor == x)
      exponent += 1;
    else if (n && pow->in[0] == x)
      exponent += static_cast<double>(*n);
    else
      return 0;
  }
  return exponent;
}

// 0.044715 * x^n
bool is_cubic_term(Rewriter& r, ValueId id, ValueId x, double n) {
  const Product product = product_of(r, id);
  return near(product.scale, 0.044715) && power_of(r, product, x) == n;
}

// 1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)), the cube inside or taken out as x * (1 + 0.044715 * x^2)
bool is_tanh_gate(Rewriter& r, ValueId gate, ValueId x) {
  const ValueId inside = operand_of(r, after_one(r, gate), UnaryFn::Tanh);
  if (inside == kNoValue) return false;
  const Product product = product_of(r, inside);
  if (!near(product.scale, std::sqrt(2 / std::acos(-1.0)))) return false;
  if (product.factors.size() == 1) {
    const Node* sum = made_by_fn(r, product.factors[0], BinaryFn::Add);
    if (!sum) return false;
    const ValueId a = sum->in[0], b = sum->in[1];
    return (a == x && is_cubic_term(r, b, x, 3)) || (b == x && is_cubic_term(r, a, x, 3));
  }
  const ValueId square = after_one(r, other_factor(product, x));
  return square != kNoValue && is_cubic_term(r, square, x, 2);
}

bool is_mish_gate(Rewriter& r, ValueId gate, ValueId x) {
  return operand_of(r, operand_of(r, gate, UnaryFn::Tanh), UnaryFn::Softplus) == x;
}

// x * gate(x)
bool gated(Rewriter& r) {
  const Product product = product_of(r, r.out());
  for (const ValueId x : product.factors) {
    const ValueId gate = other_factor(product, x);
    if (gate == kNoValue || gate == x || r.type(x) != r.type(r.out())) continue;
    const auto become = [&](Op op) {
      r.replace(std::move(op), {x});
      return true;
    };
    if (is_hard_swish_gate(r, gate, x, product.scale)) return become(op::Unary{UnaryFn::HardSwish});
    if (near(product.scale, 0.5) && is_erf_gate(r, gate, x)) return become(op::Gelu{});
    if (near(product.scale, 0.5) && is_tanh_gate(r, gate, x)) return become(op::Gelu{"tanh"});
    if (!near(product.scale, 1)) continue;
    if (is_mish_gate(r, gate, x)) return become(op::Unary{UnaryFn::Mish});
    if (const auto alpha = swish_alpha(r, gate, x)) return become(op::Swish{static_cast<float>(*alpha)});
  }
  return false;
}

// log(1 + exp(x))
bool softplus(Rewriter& r) {
  const ValueId x = operand_of(r, after_one(r, r.in(0)), UnaryFn::Exp);
  if (x == kNoValue) return false;
  r.replace(op::Unary{UnaryFn::Softplus}, {x});
  return true;
}

// The factor k of a value k * min(x, 0); 0 for another one.
double negative_part(Rewriter& r, ValueId id, ValueId x) {
  if (const ValueId inside = operand_of(r, id, UnaryFn::Relu); inside != kNoValue) {
    const Product product = product_of(r, inside);
    const bool negated = product.factors.size() == 1 && product.factors[0] == x && product.scale < 0;
    return negated ? product.scale : 0;
  }
  if (const Node* difference = made_by_fn(r, id, BinaryFn::Sub)) {
    const ValueId a = difference->in[0], b = difference->in[1];
    if (a == x && operand_of(r, b, UnaryFn::Abs) == x) return 2;
    if (b == x && operand_of(r, a, UnaryFn::Abs) == x) return -2;
    return 0;
  }
  const auto clamped = bounds_of(r, id);
  return clamped && clamped->x == x && clamped->lo == -kInf && clamped->hi == 0 ? 1 : 0;
}

// What multiplies x where it is negative: `scale`, and a constant where there is one.
struct Slope {
  double scale = 1;
  ValueId constant = kNoValue;
};

// scale * constant * x for negative x, 0 otherwise.
std::optional<Slope> slope_of(Rewriter& r, ValueId id, ValueId x) {
  Product product = product_of(r, id);
  Slope slope{product.scale, kNoValue};
  for (const ValueId factor : product.factors) {
    const double k = negative_part(r, factor, x);
    if (k != 0)
      slope.scale *= k;
    else if (r.constant(factor) && slope.constant == kNoValue)
      slope.constant = factor;
    else
      return std::nullopt;
  }
  const std::size_t expected = slope.constant == kNoValue ? 1 : 2;
  return product.factors.size() == expected ? std::optional(slope) : std::nullopt;
}

// One slope for all elements, or a constant of slopes.
bool become_prelu(Rewriter& r, ValueId x, const Slope& slope) {
  if (slope.constant == kNoValue) {
    r.replace(op::LeakyRelu{static_cast<float>(slope.scale)}, {x});
    return true;
  }
  const Tensor* constant = r.constant(slope.constant);
  if (constant->dtype() != DType::f32 || broadcast(constant->shape(), r.type(x).shape) != r.type(x).shape)
    return false;
  Tensor slopes = *constant;
  for (float& value : slopes.mutable_values<float>())
    value = static_cast<float>(static_cast<double>(value) * slope.scale);
  const ValueId id = r.add_constant(r.graph()[slope.constant].name, std::move(slopes));
  r.replace(op::Binary{BinaryFn::PRelu}, {x, id});
  return true;
}

// relu(x) + slope * min(x, 0), in the forms that Keras, TensorFlow and InsightFace's exporter write.
bool prelu(Rewriter& r, BinaryFn fn) {
  const std::array<ValueId, 2> operands{r.in(0), r.in(1)};
  for (const std::size_t i : {0u, 1u}) {
    if (fn == BinaryFn::Sub && i == 1) break;  // slope * min(x, 0) - relu(x) is no PReLU
    const ValueId x = operand_of(r, operands[i], UnaryFn::Relu);
    if (x == kNoValue || r.type(x) != r.type(r.out())) continue;
    auto slope = slope_of(r, operands[1 - i], x);
    if (!slope) continue;
    if (fn == BinaryFn::Sub) slope->scale = -slope->scale;
    return become_prelu(r, x, *slope);
  }
  return false;
}

// max(x, slope * x) for a slope from 0 to 1
bool leaky_relu(Rewriter& r) {
  if (r.node().in.size() != 2) return false;
  for (const std::size_t i : {0u, 1u}) {
    const Product product = product_of(r, r.in(1 - i));
    const bool scaled = product.factors.size() == 1 && product.factors[0] == r.in(i);
    if (!scaled || product.scale < 0 || product.scale >= 1) continue;
    r.replace(op::LeakyRelu{static_cast<float>(product.scale)}, {r.in(i)});
    return true;
  }
  return false;
}

bool recognize(Rewriter& r) {
  if (r.node().out.size() != 1 || r.type(r.out()).dtype != DType::f32) return false;
  if (const auto* a = r.current<op::Binary>()) {
    if (a->fn == BinaryFn::Mul || a->fn == BinaryFn::Div) return gated(r) || hard_sigmoid(r);
    return (a->fn == BinaryFn::Add || a->fn == BinaryFn::Sub) && prelu(r, a->fn);
  }
  if (const auto* a = r.current<op::Unary>(); a && a->fn == UnaryFn::Log) return softplus(r);
  if (clamp(r)) return true;
  if (r.current<op::Clip>()) return hard_sigmoid(r);
  const auto* a = r.current<op::Variadic>();
  return a && a->fn == VariadicFn::Max && leaky_relu(r);
}

}  // namespace

Graph recognize_activations(Graph graph) {
  Rewriter r(std::move(graph));
  r.for_each_node([&] {
    while (recognize(r)) {
    }
  });
  return std::move(r).finish();
}

}  // namespace eke
