// Losses of classification: the input is [N, C] or [N, C, d1, ...], the target [N] or [N, d1, ...] with a class each,
// the optional weight [C]. An element whose class is ignore_index, or outside [0, C), counts for nothing: ONNX leaves
// the latter open.
#include <algorithm>
#include <cmath>

#include "ops/element.h"
#include "ops/families.h"
#include "ops/operands.h"

namespace eke {
namespace {

void check_reduction(const std::string& reduction) {
  check(reduction == "none" || reduction == "mean" || reduction == "sum",
        "reduction is '{}'; it must be none, mean or sum", reduction);
}

// Checks target and weight against an input of shape x.
void check_classes(const Shape& x, std::span<const Operand> in) {
  check(x.rank() >= 2, "the input has shape {}; [N, C, ...] is needed", to_string(x));
  const Type& target = required(in, 1, "target");
  check(target.dtype == DType::i32 || target.dtype == DType::i64,
        "the target is {}; int32 or int64 is needed", to_string(target));
  Shape want{x[0]};
  for (int i = 2; i < x.rank(); ++i) want.push_back(x[i]);
  check(target.shape == want, "the target has shape {}; an input of {} needs {}", to_string(target.shape),
        to_string(x), to_string(want));
  if (const Operand weight = operand(in, 2))
    check(is_float(weight.type->dtype) && weight.type->shape == Shape{x[1]}, "weight is {}; [{}] is needed",
          to_string(*weight.type), x[1]);
}

template <class A>
std::vector<Type> infer_loss(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<A>(op);
  check_inputs_at_most(in, 3);
  check_reduction(a.reduction);
  const Type& x = required(in, 0, "input");
  check(is_float(x.dtype), "the input is {}; floats are needed", to_string(x));
  check_classes(x.shape, in);
  std::vector<Type> types{checked(x.dtype, a.reduction == "none" ? in[1].type->shape : Shape{})};
  if (std::is_same_v<A, op::SoftmaxCrossEntropyLoss>) types.push_back(checked(x.dtype, x.shape));
  return types;
}

// Where the elements of an input lie: class c of target element i is at first(i) + c * inner.
struct Classes {
  explicit Classes(const Shape& x) : inner(x.count(2, x.rank())), channels(x[1]), targets(x[0] * inner) {}
  std::int64_t first(std::int64_t i) const noexcept { return i / inner * channels * inner + i % inner; }
  std::int64_t inner, channels, targets;
};

// The weight of target element i, 0 where it is ignored.
double weight_of(const TensorView& target, const TensorView& weight, std::int64_t i, std::int64_t classes,
                 std::int64_t ignored) {
  const std::int64_t k = element_as_int(target, i);
  if (k == ignored || k < 0 || k >= classes) return 0;
  return weight ? element_as_double(weight, k) : 1;
}

void store(const MutTensorView& tensor, std::int64_t i, double x) {
  visit_dtype(tensor.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (kIsFloat<T>) tensor.as<T>()[i] = static_cast<T>(x);
  });
}

double weight_sum(const TensorView& target, const TensorView& weight, const Classes& classes,
                  std::int64_t ignored) {
  double sum = 0;
  for (std::int64_t i = 0; i < classes.targets; ++i)
    sum += weight_of(target, weight, i, classes.channels, ignored);
  return sum;
}

// log_prob(i) gives the logarithm of target element i's class.
template <class A, class F>
void reduce_loss(const A& a, const Classes& classes, const TensorView& target, const TensorView& weight,
                 const MutTensorView& loss, F&& log_prob) {
  double sum = 0;
  for (std::int64_t i = 0; i < classes.targets; ++i) {
    const double w = weight_of(target, weight, i, classes.channels, a.ignore_index);
    const double one = w == 0 ? 0 : -w * log_prob(i, element_as_int(target, i));
    if (a.reduction == "none" && loss) store(loss, i, one);
    sum += one;
  }
  if (a.reduction == "none" || !loss) return;
  store(loss, 0, a.reduction == "sum" ? sum : sum / weight_sum(target, weight, classes, a.ignore_index));
}

void eval_nll(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const Classes classes(in[0].shape());
  reduce_loss(attributes<op::NegativeLogLikelihoodLoss>(op), classes, in[1], operand(in, 2), result(out, 0),
              [&](std::int64_t i, std::int64_t k) {
                return element_as_double(in[0], classes.first(i) + k * classes.inner);
              });
}

// log(sum of exp(x - peak)) + peak of target element i.
double log_sum(const TensorView& x, const Classes& classes, std::int64_t i) {
  const auto at = [&](std::int64_t c) { return element_as_double(x, classes.first(i) + c * classes.inner); };
  double peak = at(0), sum = 0;
  for (std::int64_t c = 1; c < classes.channels; ++c) peak = std::max(peak, at(c));
  for (std::int64_t c = 0; c < classes.channels; ++c) sum += std::exp(at(c) - peak);
  return std::log(sum) + peak;
}

void eval_cross_entropy(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const Classes classes(in[0].shape());
  if (classes.channels == 0) return;
  reduce_loss(attributes<op::SoftmaxCrossEntropyLoss>(op), classes, in[1], operand(in, 2), result(out, 0),
              [&](std::int64_t i, std::int64_t k) {
                return element_as_double(in[0], classes.first(i) + k * classes.inner) -
                       log_sum(in[0], classes, i);
              });
  const MutTensorView log_prob = result(out, 1);
  if (!log_prob) return;
  for (std::int64_t i = 0; i < classes.targets; ++i) {
    const double sum = log_sum(in[0], classes, i);
    for (std::int64_t c = 0; c < classes.channels; ++c) {
      const std::int64_t e = classes.first(i) + c * classes.inner;
      store(log_prob, e, element_as_double(in[0], e) - sum);
    }
  }
}

// --- the gradient ------------------------------------------------------------------------------------------

Shape shape_of(const op::Ints& extents) { return Shape(std::span<const std::int64_t>(extents)); }

std::vector<Type> infer_nll_grad(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::NegativeLogLikelihoodLossGrad>(op);
  check_inputs_at_most(in, 3);
  check_reduction(a.reduction);
  const Type& dloss = required(in, 0, "dloss");
  const Shape x = shape_of(a.x_shape);
  check_classes(x, in);
  check(is_float(dloss.dtype) && dloss.shape == (a.reduction == "none" ? in[1].type->shape : Shape{}),
        "dloss is {}, which does not fit the reduction '{}'", to_string(dloss), a.reduction);
  return {checked(dloss.dtype, x)};
}

void eval_nll_grad(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::NegativeLogLikelihoodLossGrad>(op);
  const Classes classes(out[0].shape());
  const TensorView weight = operand(in, 2);
  const double total = a.reduction == "mean" ? weight_sum(in[1], weight, classes, a.ignore_index) : 1;
  for (std::int64_t e = 0; e < out[0].count(); ++e) store(out[0], e, 0);
  for (std::int64_t i = 0; i < classes.targets; ++i) {
    const double w = weight_of(in[1], weight, i, classes.channels, a.ignore_index);
    if (w == 0) continue;
    store(out[0], classes.first(i) + element_as_int(in[1], i) * classes.inner,
          -w * element_as_double(in[0], a.reduction == "none" ? i : 0) / total);
  }
}

}  // namespace

std::vector<OpDef> loss_ops() {
  return {
      {.kind = op::NegativeLogLikelihoodLoss{},
       .onnx = {{"NegativeLogLikelihoodLoss", op::NegativeLogLikelihoodLoss{}, 12}},
       .infer = infer_loss<op::NegativeLogLikelihoodLoss>,
       .eval = eval_nll},
      {.kind = op::SoftmaxCrossEntropyLoss{},
       .onnx = {{"SoftmaxCrossEntropyLoss", op::SoftmaxCrossEntropyLoss{}, 12}},
       .infer = infer_loss<op::SoftmaxCrossEntropyLoss>,
       .eval = eval_cross_entropy},
      {.kind = op::NegativeLogLikelihoodLossGrad{}, .infer = infer_nll_grad, .eval = eval_nll_grad},
  };
}

}  // namespace eke
