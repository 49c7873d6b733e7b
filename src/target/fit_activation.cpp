// Activations and arithmetic with constants, from what the DLA has: scales, clipped ReLU from 0 to 1..127, products.
//
// A scale and shift is written as a depthwise 1x1 convolution: written as Mul and Add, the simplification of a
// later command would make a HardSwish of it again.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "target/fit_rules.h"

namespace eke {
namespace {

using op::BinaryFn;
using op::UnaryFn;

constexpr double kMaxClip = 127,
                 kGeluSlope = 1.702;  // Hendrycks and Gimpel 2016, "Gaussian error linear units"
constexpr float kInfinity = std::numeric_limits<float>::infinity();

ValueId constant(FitRun& run, const std::string& what, float value) {
  return run.r.add_constant(run.name() + "_" + what, Tensor::scalar(value));
}

bool is_map(FitRun& run, ValueId x) { return run.r.type(x).shape.rank() == 4; }

// factor * x + offset, of a map
ValueId scaled(FitRun& run, ValueId x, float factor, float offset) {
  const std::int64_t channels = run.r.type(x).shape[1];
  op::Conv conv;
  conv.kernel_shape = {1, 1};
  conv.strides = {1, 1};
  conv.pads = {0, 0, 0, 0};
  conv.dilations = {1, 1};
  conv.group = channels;
  Tensor weights(DType::f32, {channels, 1, 1, 1}), bias(DType::f32, {channels});
  std::ranges::fill(weights.mutable_values<float>(), factor);
  std::ranges::fill(bias.mutable_values<float>(), offset);
  const ValueId w = run.r.add_constant(run.name() + "_factor", std::move(weights)),
                b = run.r.add_constant(run.name() + "_offset", std::move(bias));
  return run.r.insert(std::move(conv), {x, w, b}, run.name() + "_scale");
}

void hard_sigmoid(FitRun& run, const op::HardSigmoid& a) {
  const ValueId x = run.r.in(0);
  if (!is_map(run, x)) return;
  run.changed("a scale and Clip to 0..1", "TensorRT does not place HardSigmoid");
  const ValueId linear = scaled(run, x, a.alpha, a.beta), lo = constant(run, "min", 0),
                hi = constant(run, "max", 1);
  run.r.replace(op::Clip{}, {linear, lo, hi});
}

void hard_swish(FitRun& run) {
  const ValueId x = run.r.in(0);
  if (!is_map(run, x)) return;
  run.changed("a scale, Clip to 0..1 and Mul", "TensorRT does not place HardSwish");
  const ValueId linear = scaled(run, x, 1.f / 6, 0.5f), lo = constant(run, "min", 0),
                hi = constant(run, "max", 1);
  const ValueId gate = run.r.insert(op::Clip{}, {linear, lo, hi}, run.name() + "_gate");
  run.r.replace(op::Binary{BinaryFn::Mul}, {x, gate});
}

float bound(FitRun& run, std::size_t i, float otherwise) {
  const ValueId id = run.r.in(i);
  if (id == kNoValue) return otherwise;
  const Tensor* value = run.r.constant(id);
  return value && value->count() == 1 ? static_cast<float>(element_as_double(value->view(), 0))
                                      : std::nanf("");
}

// Moved and scaled, by a power of two, so that it runs from 0 to something in 1..127.
void clip(FitRun& run) {
  const ValueId x = run.r.in(0);
  const float lo = bound(run, 1, -kInfinity), hi = bound(run, 2, kInfinity);
  if (!is_map(run, x) || !std::isfinite(lo) || !(hi > lo)) return;
  const std::string why = "a Clip runs from 0 to 1..127";
  if (hi == kInfinity) {
    run.changed("Relu between two shifts", why);
    const ValueId moved = scaled(run, x, 1, -lo),
                  relu = run.r.insert(op::Unary{UnaryFn::Relu}, {moved}, run.name() + "_relu");
    return run.r.replace(op::Binary{BinaryFn::Add}, {relu, constant(run, "min", lo)});
  }
  if (lo == 0 && hi >= 1 && hi <= kMaxClip) return;
  float factor = 1;
  while ((hi - lo) * factor < 1) factor *= 2;
  while ((hi - lo) * factor > kMaxClip) factor /= 2;
  run.changed("Clip between two scales", why);
  const ValueId moved = scaled(run, x, factor, -lo * factor), zero = constant(run, "zero", 0),
                top = constant(run, "top", (hi - lo) * factor);
  const ValueId clipped = run.r.insert(op::Clip{}, {moved, zero, top}, run.name() + "_clip");
  const ValueId back = factor == 1 ? clipped : scaled(run, clipped, 1 / factor, lo);
  if (factor == 1) return run.r.replace(op::Binary{BinaryFn::Add}, {clipped, constant(run, "min", lo)});
  run.r.bypass(back);
}

void gelu(FitRun& run) {
  if (!run.options.approximate) return;
  const ValueId x = run.r.in(0);
  run.changed("x * Sigmoid(1.702 x)", "TensorRT does not place Gelu", false);
  const ValueId steep =
      run.r.insert(op::Binary{BinaryFn::Mul}, {x, constant(run, "slope", static_cast<float>(kGeluSlope))},
                   run.name() + "_steep");
  const ValueId gate = run.r.insert(op::Unary{UnaryFn::Sigmoid}, {steep}, run.name() + "_gate");
  run.r.replace(op::Binary{BinaryFn::Mul}, {x, gate});
}

Tensor mapped(const Tensor& tensor, float (*f)(float)) {
  Tensor result = tensor;
  for (float& value : result.mutable_values<float>()) value = f(value);
  return result;
}

// Additions and products take constants, differences and quotients do not.
void arithmetic(FitRun& run, BinaryFn fn) {
  Rewriter& r = run.r;
  const ValueId a = r.in(0), b = r.in(1);
  const Tensor *left = r.constant(a), *right = r.constant(b);
  const std::string why = "a constant is folded into Add and Mul only";
  if (fn == BinaryFn::Sub && right && right->dtype() == DType::f32) {
    run.changed("Add of the negative", why);
    const ValueId negative =
        r.add_constant(run.name() + "_negative", mapped(*right, [](float v) { return -v; }));
    r.replace(op::Binary{BinaryFn::Add}, {a, negative});
  } else if (fn == BinaryFn::Sub && left && left->dtype() == DType::f32) {
    run.changed("Mul by -1 and Add", why);
    const ValueId negative =
        r.insert(op::Binary{BinaryFn::Mul}, {b, constant(run, "minus", -1)}, run.name() + "_minus");
    r.replace(op::Binary{BinaryFn::Add}, {negative, a});
  } else if (fn == BinaryFn::Div && right && right->dtype() == DType::f32) {
    const auto values = right->values<float>();
    if (std::ranges::any_of(values, [](float v) { return v == 0; })) return;
    run.changed("Mul by the reciprocal", why);
    const ValueId reciprocal =
        r.add_constant(run.name() + "_reciprocal", mapped(*right, [](float v) { return 1 / v; }));
    r.replace(op::Binary{BinaryFn::Mul}, {a, reciprocal});
  }
}

void negate(FitRun& run) {
  run.changed("Mul by -1", "TensorRT does not place Neg");
  run.r.replace(op::Binary{BinaryFn::Mul}, {run.r.in(0), constant(run, "minus", -1)});
}

}  // namespace

void fit_activations(FitRun& run) {
  run.r.for_each_node([&] {
    if (run.r.in(0) == kNoValue || run.r.type(run.r.out()).dtype != DType::f32) return;
    if (const auto* a = run.r.current<op::HardSigmoid>()) return hard_sigmoid(run, op::HardSigmoid(*a));
    if (run.r.current<op::Clip>()) return clip(run);
    if (run.r.current<op::Gelu>()) return gelu(run);
    if (const auto* a = run.r.current<op::Binary>()) return arithmetic(run, a->fn);
    if (const auto* a = run.r.current<op::Unary>()) {
      if (a->fn == UnaryFn::HardSwish) return hard_swish(run);
      if (a->fn == UnaryFn::Neg) return negate(run);
    }
  });
}

}  // namespace eke
