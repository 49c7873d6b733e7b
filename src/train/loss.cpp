#include "train/loss.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include "base/error.h"
#include "ops/node_builder.h"

namespace eke {
namespace {

using op::BinaryFn;
using op::UnaryFn;

ValueId mean(NodeBuilder& b, ValueId x) {
  return b.add(op::Reduce{.fn = op::ReduceFn::ReduceMean, .keepdims = 0}, {x});
}

ValueId cross_entropy(NodeBuilder& b, ValueId logits, ValueId labels, double smoothing) {
  const std::vector<ValueId> entropy = b.add(op::SoftmaxCrossEntropyLoss{}, {logits, labels}, 2);
  if (smoothing == 0) return entropy[0];
  // The label keeps 1 - smoothing, and all classes share the rest.
  return b.plus(b.scaled(entropy[0], 1 - smoothing), b.scaled(mean(b, entropy[1]), -smoothing));
}

// The mean over the images of the divergence of softmax(logits / t) from softmax(teacher / t), times t^2.
ValueId divergence(NodeBuilder& b, ValueId logits, ValueId teacher, double temperature) {
  const ValueId wanted = b.add(op::LogSoftmax{.axis = 1}, {b.scaled(teacher, 1 / temperature)});
  const ValueId made = b.add(op::LogSoftmax{.axis = 1}, {b.scaled(logits, 1 / temperature)});
  const ValueId weighted = b.mul(b.unary(UnaryFn::Exp, wanted), b.minus(wanted, made));
  const double images = static_cast<double>(b.shape(logits)[0]);
  return b.scaled(b.add(op::Reduce{.fn = op::ReduceFn::ReduceSum, .keepdims = 0}, {weighted}),
                  temperature * temperature / images);
}

ValueId mean_squared_error(NodeBuilder& b, ValueId output, ValueId targets) {
  const ValueId difference = b.minus(output, targets);
  return mean(b, b.mul(difference, difference));
}

// Rows of length 1.
ValueId normalized(NodeBuilder& b, ValueId x) {
  const ValueId squares = b.sum(b.mul(x, x), {1}, true);
  return b.over(x, b.unary(UnaryFn::Sqrt, b.plus(squares, b.scalar(1e-12))));
}

ValueId cosines(NodeBuilder& b, ValueId embedding, ValueId centres) {
  return b.add(op::Gemm{.transB = 1}, {normalized(b, embedding), normalized(b, centres)});
}

// scale * cos(theta + margin) for the labels' classes, scale * cos(theta) for the others. Past theta = pi - margin,
// where cos(theta + margin) would rise again, a line goes on falling: cos(theta) - margin sin(margin).
ValueId margin_logits(NodeBuilder& b, ValueId cosine, ValueId labels, double margin, double scale) {
  const Shape shape = b.shape(cosine);
  std::vector<std::int64_t> classes(static_cast<std::size_t>(shape[1]));
  std::iota(classes.begin(), classes.end(), std::int64_t{0});
  const ValueId is_label = b.binary(BinaryFn::Equal, b.reshape(labels, {shape[0], 1}), b.ints(classes));
  // Kept off 1, where the sine's slope has no end.
  const ValueId bounded = b.add(op::Clip{}, {b.minus(b.scalar(1), b.mul(cosine, cosine)), b.scalar(1e-6)});
  const ValueId sine = b.unary(UnaryFn::Sqrt, bounded);
  const ValueId turned = b.minus(b.scaled(cosine, std::cos(margin)), b.scaled(sine, std::sin(margin)));
  const ValueId line = b.minus(cosine, b.scalar(margin * std::sin(margin)));
  const ValueId in_reach = b.binary(BinaryFn::Greater, cosine, b.scalar(std::cos(std::numbers::pi - margin)));
  const ValueId label_logit = b.add(op::Where{}, {in_reach, turned, line});
  return b.scaled(b.add(op::Where{}, {is_label, label_logit, cosine}), scale);
}

void check_options(const LossOptions& options) {
  check(options.label_smoothing >= 0 && options.label_smoothing < 1,
        "label smoothing is {}; it must be in [0, 1)", options.label_smoothing);
  check(options.distill_weight >= 0 && options.distill_weight <= 1,
        "the weight of distillation is {}; it must be in [0, 1]", options.distill_weight);
  check(options.distill_weight == 0 || options.kind == LossKind::cross_entropy,
        "distillation goes with the cross entropy only");
  check(options.distill_temperature > 0, "the temperature of distillation is {}; it must be above 0",
        options.distill_temperature);
}

void check_matrix(const Type& type, std::string_view what) {
  check(type.dtype == DType::f32 && type.shape.rank() == 2,
        "the network's output is {}; {} are float32 [N, ...]", to_string(type), what);
}

}  // namespace

LossValues add_loss(Graph& graph, const LossOptions& options, const LossInputs& in) {
  check_options(options);
  NodeBuilder b(graph, "loss");
  if (options.kind == LossKind::mse) return {mean_squared_error(b, in.output, in.labels), in.output};
  if (options.kind == LossKind::arcface) {
    check_matrix(b.type(in.output), "embeddings");
    check(options.margin >= 0 && static_cast<double>(options.margin) < std::numbers::pi / 2,
          "the margin is {}; it must be in [0, pi / 2)", options.margin);
    check(options.scale > 0, "the scale is {}; it must be above 0", options.scale);
    const ValueId cosine = cosines(b, in.output, in.centres);
    const ValueId logits = margin_logits(b, cosine, in.labels, static_cast<double>(options.margin),
                                         static_cast<double>(options.scale));
    return {cross_entropy(b, logits, in.labels, 0), cosine};
  }
  check_matrix(b.type(in.output), "logits");
  ValueId loss = cross_entropy(b, in.output, in.labels, static_cast<double>(options.label_smoothing));
  if (in.teacher != kNoValue) {
    const double weight = static_cast<double>(options.distill_weight);
    const ValueId taught =
        divergence(b, in.output, in.teacher, static_cast<double>(options.distill_temperature));
    loss = b.plus(b.scaled(loss, 1 - weight), b.scaled(taught, weight));
  }
  return {loss, in.output};
}

}  // namespace eke
