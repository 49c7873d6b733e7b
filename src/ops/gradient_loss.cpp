// Gradients of softmaxes and losses.
#include "base/error.h"
#include "ops/gradient.h"

namespace eke {
namespace {

using Ids = std::vector<ValueId>;

std::vector<std::int64_t> summed_axes(GradientBuilder& b, std::int64_t axis, bool coerce2d) {
  const int rank = b.shape(b.in(0)).rank();
  const std::int64_t first = axis < 0 ? axis + rank : axis;
  std::vector<std::int64_t> axes{first};
  for (std::int64_t i = first + 1; coerce2d && i < rank; ++i) axes.push_back(i);
  check(first < rank, "a softmax over no axis has no gradient");
  return axes;
}

Ids softmax_gradient(GradientBuilder& b) {  // y (dy - sum(dy y))
  const auto& a = b.op<op::Softmax>();
  const ValueId y = b.out();
  const ValueId sum = b.sum(b.mul(b.dy(), y), summed_axes(b, a.axis, a.coerce2d), true);
  return {b.mul(y, b.minus(b.dy(), sum))};
}

// dy - softmax(x) sum(dy), from the logarithms of the softmax.
ValueId through_log_softmax(GradientBuilder& b, ValueId dy, ValueId log_prob,
                            const std::vector<std::int64_t>& axes) {
  return b.minus(dy, b.mul(b.unary(op::UnaryFn::Exp, log_prob), b.sum(dy, axes, true)));
}

Ids log_softmax_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::LogSoftmax>();
  return {through_log_softmax(b, b.dy(), b.out(), summed_axes(b, a.axis, a.coerce2d))};
}

template <class A>
ValueId class_gradient(GradientBuilder& b) {
  const auto& a = b.op<A>();
  const Shape& x = b.shape(b.in(0));
  Ids in{b.dy(), b.in(1)};
  if (b.in(2) != kNoValue) in.push_back(b.in(2));
  return b.add(op::NegativeLogLikelihoodLossGrad{a.ignore_index, a.reduction, {x.begin(), x.end()}}, in);
}

Ids nll_gradient(GradientBuilder& b) {
  Ids gradients(b.node().in.size(), kNoValue);
  gradients[0] = class_gradient<op::NegativeLogLikelihoodLoss>(b);
  return gradients;
}

Ids cross_entropy_gradient(GradientBuilder& b) {
  ValueId dy = b.dy(0) == kNoValue ? kNoValue : class_gradient<op::SoftmaxCrossEntropyLoss>(b);
  if (b.dy(1) != kNoValue) dy = dy == kNoValue ? b.dy(1) : b.plus(dy, b.dy(1));
  const ValueId log_prob = b.out(1) != kNoValue ? b.out(1) : b.add(op::LogSoftmax{.axis = 1}, {b.in(0)});
  Ids gradients(b.node().in.size(), kNoValue);
  gradients[0] = through_log_softmax(b, dy, log_prob, {1});
  return gradients;
}

}  // namespace

std::vector<Gradient> loss_gradients() {
  return {
      {op::Softmax{}, softmax_gradient},
      {op::LogSoftmax{}, log_softmax_gradient},
      {op::NegativeLogLikelihoodLoss{}, nll_gradient},
      {op::SoftmaxCrossEntropyLoss{}, cross_entropy_gradient},
  };
}

}  // namespace eke
