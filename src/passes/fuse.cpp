// Lowering: what follows a convolution or Gemm becomes part of it. A value that somebody else reads, or that
// is an output of the graph, stays.
#include <algorithm>
#include <cmath>

#include "passes/pass_list.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

// Inputs of a Conv beyond x, w and b.
constexpr std::size_t kSlope = 3, kResidual = 4;

ValueId input(const Node& node, std::size_t i) { return i < node.in.size() ? node.in[i] : kNoValue; }

std::vector<ValueId> with_input(std::vector<ValueId> in, std::size_t i, ValueId id) {
  if (in.size() <= i) in.resize(i + 1, kNoValue);
  in[i] = id;
  return in;
}

bool is_scalar_or_absent(Rewriter& r, ValueId id) {
  return id == kNoValue || uniform(r.constant(id)).has_value();
}

// The current node as a clamp of its first input.
std::optional<op::Clamp> clamp_of(Rewriter& r) {
  if (const auto* a = r.current<op::Unary>(); a && a->fn == op::UnaryFn::Relu) return op::Clamp{.lo = 0};
  if (!r.current<op::Clip>() || !is_scalar_or_absent(r, r.in(1)) || !is_scalar_or_absent(r, r.in(2)))
    return std::nullopt;
  op::Clamp clamp;
  if (r.in(1) != kNoValue) clamp.lo = *uniform(r.constant(r.in(1)));
  if (r.in(2) != kNoValue) clamp.hi = *uniform(r.constant(r.in(2)));
  if (std::isnan(clamp.lo) || std::isnan(clamp.hi) || clamp.lo > clamp.hi) return std::nullopt;
  return clamp;
}

op::Clamp both(const op::Clamp& first, const op::Clamp& second) {
  return {std::clamp(first.lo, second.lo, second.hi), std::clamp(first.hi, second.lo, second.hi)};
}

bool is_fusable(Rewriter& r, ValueId id) { return r.single_use(id) && r.type(id).dtype == DType::f32; }

void fuse_clamp(Rewriter& r) {
  const auto clamp = clamp_of(r);
  const ValueId x = r.in(0);
  if (!clamp || !is_fusable(r, x)) return;
  const auto fuse = [&](auto layer) {
    layer.clamp = both(layer.clamp, *clamp);
    const Node producer = *r.producer(x);
    r.replace(layer, producer.in, producer.name);
  };
  if (const auto* conv = r.made_by<op::Conv>(x)) return fuse(*conv);
  if (const auto* gemm = r.made_by<op::Gemm>(x)) return fuse(*gemm);
}

// The slope of each output channel of a convolution, or one for all, that the current node applies.
std::optional<Tensor> slope_of(Rewriter& r) {
  if (const auto* a = r.current<op::LeakyRelu>()) return Tensor::from<float>({1}, {a->alpha});
  const auto* binary = r.current<op::Binary>();
  if (!binary || binary->fn != op::BinaryFn::PRelu) return std::nullopt;
  const Tensor* slope = r.constant(r.in(1));
  if (!slope || slope->dtype() != DType::f32) return std::nullopt;
  if (slope->count() == 1) return slope->reshaped({1});
  if (!per_channel(slope, r.type(r.out()).shape, 1)) return std::nullopt;
  return slope->reshaped({slope->count()});
}

void fuse_slope(Rewriter& r) {
  const ValueId x = r.in(0);
  const auto* conv = r.made_by<op::Conv>(x);
  if (!conv || !is_fusable(r, x) || conv->clamp.active() || conv->mid.active()) return;
  const Node producer = *r.producer(x);
  if (input(producer, kSlope) != kNoValue || input(producer, kResidual) != kNoValue) return;
  std::optional<Tensor> slope = slope_of(r);
  if (!slope) return;
  const ValueId id = r.add_constant(r.node().name + "_slope", std::move(*slope));
  r.replace(producer.op, with_input(producer.in, kSlope, id), producer.name);
}

bool takes_residual(Rewriter& r, ValueId id) {
  const auto* conv = r.made_by<op::Conv>(id);
  return conv && is_fusable(r, id) && !conv->clamp.active() && !conv->mid.active() &&
         input(*r.producer(id), kResidual) == kNoValue;
}

bool is_add(Rewriter& r) {
  if (const auto* a = r.current<op::Binary>()) return a->fn == op::BinaryFn::Add;
  const auto* a = r.current<op::Variadic>();
  return a && a->fn == op::VariadicFn::Sum && r.node().in.size() == 2;
}

void fuse_add(Rewriter& r) {
  if (!is_add(r)) return;
  // Of two convolutions the later one: nothing that is computed before it waits.
  const std::size_t later = r.producer_index(r.in(0)) > r.producer_index(r.in(1)) ? 0 : 1;
  for (const std::size_t i : {later, 1 - later}) {
    const ValueId made = r.in(i), other = r.in(1 - i);
    if (!takes_residual(r, made) || r.type(made) != r.type(other) || r.constant(other)) continue;
    const Node producer = *r.producer(made);
    return r.replace(producer.op, with_input(producer.in, kResidual, other), producer.name);
  }
}

}  // namespace

Graph fuse_activation(Graph graph) {
  Rewriter r(std::move(graph));
  r.for_each_node([&] {
    fuse_slope(r);
    fuse_clamp(r);
  });
  return std::move(r).finish();
}

Graph fuse_residual(Graph graph) {
  Rewriter r(std::move(graph));
  r.for_each_node([&] {
    fuse_add(r);
    fuse_clamp(r);
  });
  return std::move(r).finish();
}

}  // namespace eke
