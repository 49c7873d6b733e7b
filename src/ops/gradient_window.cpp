// Gradients of poolings and normalizations.
#include "base/error.h"
#include "ops/gradient.h"

namespace eke {
namespace {

using Ids = std::vector<ValueId>;

op::Ints extents(const Shape& shape) { return {shape.begin(), shape.end()}; }

Ids max_pool_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::MaxPool>();
  check(b.dy(1) == kNoValue, "the indices of a MaxPool have no gradient");
  return {b.add(op::MaxPoolGrad{a.auto_pad, a.kernel_shape, a.strides, a.pads, a.dilations, a.ceil_mode},
                {b.dy(), b.in(0)})};
}

Ids average_pool_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::AveragePool>();
  return {b.add(op::AveragePoolGrad{a.auto_pad, a.kernel_shape, a.strides, a.pads, a.dilations, a.ceil_mode,
                                    a.count_include_pad, extents(b.shape(b.in(0)))},
                {b.dy()})};
}

Ids global_average_pool_gradient(GradientBuilder& b) {
  const Shape x = b.shape(b.in(0));
  return {b.expand(b.scaled(b.dy(), 1 / static_cast<double>(x.count(2, x.rank()))), x)};
}

Ids global_max_pool_gradient(GradientBuilder& b) {
  const Shape x = b.shape(b.in(0));
  op::Ints kernel(x.begin() + 2, x.end());
  return {b.add(op::MaxPoolGrad{.kernel_shape = kernel}, {b.dy(), b.in(0)})};
}

Ids batch_norm_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::BatchNormalization>();
  check(!a.clamp.active(),
        "a fused normalization has no gradient; differentiate the graph before it is lowered");
  const bool training = a.training_mode != 0;
  check(b.dy(1) == kNoValue && b.dy(2) == kNoValue && !b.wants(3) && !b.wants(4),
        "running statistics have no gradient");
  ValueId mean = training ? b.out(3) : b.in(3), variance = training ? b.out(4) : b.in(4);
  if (mean == kNoValue || variance == kNoValue) {
    const Ids statistics = b.add(op::BatchStatistics{}, {b.in(0)}, 2);
    mean = statistics[0];
    variance = statistics[1];
  }
  const Ids all = b.add(op::BatchNormalizationGrad{.epsilon = a.epsilon, .training_mode = a.training_mode},
                        {b.dy(), b.in(0), b.in(1), b.in(2), mean, variance}, 3);
  return {all[0], all[1], all[2], kNoValue, kNoValue};
}

// With h = (x - mean) / deviation over `axes`, and g the gradient of h: dx = (g - mean(g) - h mean(g h)) / deviation.
ValueId normalized_gradient(GradientBuilder& b, ValueId x, ValueId g, ValueId h, ValueId deviation,
                            const std::vector<std::int64_t>& axes) {
  std::int64_t count = 1;
  for (const std::int64_t axis : axes) count *= b.shape(x)[static_cast<int>(axis)];
  const double share = 1 / static_cast<double>(count);
  const ValueId mean = b.scaled(b.sum(g, axes, true), share),
                product = b.scaled(b.sum(b.mul(g, h), axes, true), share);
  return b.over(b.minus(b.minus(g, mean), b.mul(h, product)), deviation);
}

struct Normalized {
  ValueId value, deviation;
};

Normalized normalize(GradientBuilder& b, ValueId x, const std::vector<std::int64_t>& axes, double epsilon) {
  std::int64_t count = 1;
  for (const std::int64_t axis : axes) count *= b.shape(x)[static_cast<int>(axis)];
  const double share = 1 / static_cast<double>(count);
  const ValueId centred = b.minus(x, b.scaled(b.sum(x, axes, true), share));
  const ValueId variance = b.scaled(b.sum(b.mul(centred, centred), axes, true), share);
  const ValueId deviation = b.unary(op::UnaryFn::Sqrt, b.plus(variance, b.scalar(epsilon, b.type(x).dtype)));
  return {b.over(centred, deviation), deviation};
}

Ids instance_norm_gradient(GradientBuilder& b) {
  const ValueId x = b.in(0);
  const Shape shape = b.shape(x);
  std::vector<std::int64_t> axes, others{0};
  Shape channel{shape[1]};
  for (int i = 2; i < shape.rank(); ++i) {
    axes.push_back(i);
    others.push_back(i);
    channel.push_back(1);
  }
  const Normalized n = normalize(b, x, axes, static_cast<double>(b.op<op::InstanceNormalization>().epsilon));
  Ids gradients(3, kNoValue);
  if (b.wants(0))
    gradients[0] =
        normalized_gradient(b, x, b.mul(b.dy(), b.reshape(b.in(1), channel)), n.value, n.deviation, axes);
  if (b.wants(1)) gradients[1] = b.sum(b.mul(b.dy(), n.value), others, false);
  if (b.wants(2)) gradients[2] = b.sum(b.dy(), others, false);
  return gradients;
}

Ids layer_norm_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::LayerNormalization>();
  const ValueId x = b.in(0), dy = b.dy();
  check(b.dy(1) == kNoValue && b.dy(2) == kNoValue,
        "only the first output of a LayerNormalization has a gradient");
  const int rank = b.shape(x).rank();
  std::vector<std::int64_t> axes;
  for (std::int64_t i = a.axis < 0 ? a.axis + rank : a.axis; i < rank; ++i) axes.push_back(i);
  const Normalized n = normalize(b, x, axes, static_cast<double>(a.epsilon));
  Ids gradients(b.node().in.size(), kNoValue);
  if (b.wants(0)) gradients[0] = normalized_gradient(b, x, b.mul(dy, b.in(1)), n.value, n.deviation, axes);
  if (b.wants(1)) gradients[1] = b.unbroadcast(b.mul(dy, n.value), b.shape(b.in(1)));
  if (b.wants(2)) gradients[2] = b.unbroadcast(dy, b.shape(b.in(2)));
  return gradients;
}

constexpr std::string_view kRare = "its gradient is not written; no network that is trained here has one";

}  // namespace

std::vector<Gradient> window_gradients() {
  return {
      {op::MaxPool{}, max_pool_gradient},
      {op::AveragePool{}, average_pool_gradient},
      {op::GlobalAveragePool{}, global_average_pool_gradient},
      {op::GlobalMaxPool{}, global_max_pool_gradient},
      {op::LpPool{}, nullptr, kRare},
      {op::GlobalLpPool{}, nullptr, kRare},
      {op::BatchNormalization{}, batch_norm_gradient},
      {op::InstanceNormalization{}, instance_norm_gradient},
      {op::LayerNormalization{}, layer_norm_gradient},
      {op::GroupNormalization{}, nullptr, kRare},
      {op::LRN{}, nullptr, kRare},
      {op::LpNormalization{}, nullptr, kRare},
      {op::MeanVarianceNormalization{}, nullptr, kRare},
  };
}

}  // namespace eke
