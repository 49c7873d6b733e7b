// Transposes move towards the outputs, through every operator that works alike on transposed data, until they
// meet their inverses: models exported from channels-last frameworks have one around each convolution.
#include <algorithm>
#include <numeric>

#include "ops/unary.h"
#include "passes/pass_list.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

using Perm = op::Ints;  // axis i of the result is axis perm[i] of the operand

// Constants up to this size are transposed along; infer_types evaluates them.
constexpr std::int64_t kMaxConstant = 64 * 1024;

struct Transposed {
  ValueId x;
  Perm perm;
};

std::optional<Transposed> transposed(Rewriter& r, ValueId id) {
  const auto* a = id == kNoValue ? nullptr : r.made_by<op::Transpose>(id);
  if (!a) return std::nullopt;
  Transposed t{r.producer(id)->in[0], a->perm};
  if (t.perm.empty()) {  // ONNX's default turns the axes round
    t.perm.resize(static_cast<std::size_t>(r.type(id).shape.rank()));
    std::iota(t.perm.rbegin(), t.perm.rend(), 0);
  }
  return t;
}

Perm inverse(const Perm& perm) {
  Perm result(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i)
    result[static_cast<std::size_t>(perm[i])] = static_cast<int>(i);
  return result;
}

std::int64_t mapped(std::int64_t axis, const Perm& perm) {
  return perm[static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(perm.size()) : axis)];
}

std::optional<std::vector<std::int64_t>> constant_ints(Rewriter& r, ValueId id) {
  const Tensor* tensor = id == kNoValue ? nullptr : r.constant(id);
  return tensor ? std::optional(as_ints(*tensor)) : std::nullopt;
}

ValueId add_ints(Rewriter& r, ValueId like, const std::vector<std::int64_t>& values) {
  const Shape shape{static_cast<std::int64_t>(values.size())};
  return r.add_constant(r.graph()[like].name, Tensor::from<std::int64_t>(shape, std::span(values)));
}

// The current node's work, done before the transpose: `op` on `in`, then the transpose.
void sink(Rewriter& r, Op op, std::vector<ValueId> in, const Perm& perm) {
  const std::string name = r.node().name.empty() ? r.graph()[r.out()].name : r.node().name;
  const ValueId before = r.insert(std::move(op), std::move(in), name);
  r.replace(op::Transpose{perm}, {before}, name + "_transpose");
}

bool is_per_tensor(Rewriter& r) {
  const auto one = [&](std::size_t i) { return r.in(i) == kNoValue || r.type(r.in(i)).shape.count() == 1; };
  return one(1) && one(2);
}

// Treats each element of input 0 by itself.
bool is_elementwise(Rewriter& r) {
  const Op& op = r.node().op;
  if (is_elementwise_unary(op)) return true;
  if (holds_any<op::Unary, op::Cast, op::Identity>(op)) return true;
  return holds_any<op::Clip, op::QuantizeLinear, op::DequantizeLinear>(op) && is_per_tensor(r);
}

void compose(Rewriter& r, const Transposed& inner) {
  const Transposed outer = *transposed(r, r.out());
  Perm perm(outer.perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i) perm[i] = mapped(outer.perm[i], inner.perm);
  r.replace(op::Transpose{perm}, {inner.x});
  if (std::is_sorted(perm.begin(), perm.end())) r.bypass(inner.x);
}

// A constant operand as it has to be before the transpose.
std::optional<ValueId> constant_before(Rewriter& r, ValueId id, const Perm& perm) {
  const Tensor* tensor = r.constant(id);
  if (!tensor || tensor->count() > kMaxConstant) return std::nullopt;
  const int rank = static_cast<int>(perm.size());
  if (tensor->count() == 1 && tensor->shape().rank() <= rank) return id;
  if (tensor->shape().rank() > rank) return std::nullopt;
  Shape full = Shape::filled(rank - tensor->shape().rank(), 1);
  for (const std::int64_t extent : tensor->shape()) full.push_back(extent);
  const ValueId aligned = r.add_constant(r.graph()[id].name, tensor->reshaped(full));
  return r.insert(op::Transpose{inverse(perm)}, {aligned}, r.graph()[id].name + "_t");
}

// Operators over several tensors: all transposed alike, or constant.
void sink_joint(Rewriter& r, Op op) {
  std::optional<Perm> perm;
  const std::vector<ValueId> operands = r.node().in;
  for (const ValueId id : operands) {
    const auto t = transposed(r, id);
    if (t && perm && t->perm != *perm) return;
    if (t) perm = t->perm;
    const Tensor* constant = id == kNoValue ? nullptr : r.constant(id);
    if (!t && (!constant || constant->count() > kMaxConstant)) return;
  }
  if (!perm || r.type(r.out()).shape.rank() != static_cast<int>(perm->size())) return;
  if (auto* concat = std::get_if<op::Concat>(&op)) concat->axis = mapped(concat->axis, *perm);
  std::vector<ValueId> in;
  for (const ValueId id : operands) {
    const auto t = transposed(r, id);
    in.push_back(t ? t->x : *constant_before(r, id, *perm));
  }
  sink(r, std::move(op), std::move(in), *perm);
}

void sink_reduce(Rewriter& r, const op::Reduce& a, const Transposed& t) {
  auto axes = constant_ints(r, r.in(1));
  if (!axes || axes->empty()) return;
  std::vector<bool> gone(t.perm.size(), false);
  for (std::int64_t& axis : *axes) {
    axis = mapped(axis, t.perm);
    gone[static_cast<std::size_t>(axis)] = true;
  }
  std::sort(axes->begin(), axes->end());
  Perm kept;
  for (const std::int64_t axis : t.perm)
    if (!gone[static_cast<std::size_t>(axis)]) kept.push_back(axis);
  if (a.keepdims == 0 && !std::is_sorted(kept.begin(), kept.end())) return;
  const op::Reduce reduce = a;
  std::vector<ValueId> in{t.x, add_ints(r, r.in(1), *axes)};
  if (reduce.keepdims == 0)
    r.replace(reduce, std::move(in));
  else
    sink(r, reduce, std::move(in), t.perm);
}

void sink_pad(Rewriter& r, const op::Pad& a, const Transposed& t) {
  const auto pads = constant_ints(r, r.in(1));
  if (!pads || r.in(3) != kNoValue) return;
  const std::size_t rank = t.perm.size();
  std::vector<std::int64_t> moved(2 * rank);
  for (std::size_t i = 0; i < rank; ++i) {
    const auto axis = static_cast<std::size_t>(t.perm[i]);
    moved[axis] = (*pads)[i];
    moved[axis + rank] = (*pads)[i + rank];
  }
  std::vector<ValueId> in{t.x, add_ints(r, r.in(1), moved)};
  if (r.in(2) != kNoValue) in.push_back(r.in(2));
  sink(r, op::Pad{a}, std::move(in), t.perm);
}

template <class A>
void sink_along_axis(Rewriter& r, A a, const Transposed& t) {
  if (a.coerce2d) return;
  a.axis = mapped(a.axis, t.perm);
  sink(r, a, {t.x}, t.perm);
}

// True where no element moves in memory: axes of one element are all that changes place. The batch may have
// more than one element another time.
bool moves_nothing(const Shape& x, const Perm& perm) {
  Perm long_axes;
  for (const std::int64_t axis : perm)
    if (axis == 0 || x[static_cast<int>(axis)] != 1) long_axes.push_back(axis);
  return std::is_sorted(long_axes.begin(), long_axes.end()) && perm[0] == 0;
}

// A reshape of a transpose that moves nothing is a reshape.
void skip_for_reshape(Rewriter& r, const Transposed& t) {
  const Shape &x = r.type(t.x).shape, &out = r.type(r.out()).shape;
  if (!moves_nothing(x, t.perm) || out.rank() == 0 || out.count() == 0) return;
  auto given = r.current<op::Reshape>() ? constant_ints(r, r.in(1)) : std::nullopt;
  if (given && std::find(given->begin() + 1, given->end(), 0) == given->end()) return r.set_input(0, t.x);
  std::vector<std::int64_t> target(out.begin(), out.end());
  if (x[0] == out[0]) target[0] = 0;
  const Shape shape{out.rank()};
  const ValueId id = r.add_constant(r.graph()[r.out()].name + "_shape",
                                    Tensor::from<std::int64_t>(shape, std::span<const std::int64_t>(target)));
  r.replace(op::Reshape{}, {t.x, id});
}

void visit(Rewriter& r) {
  const Op op = r.node().op;
  if (holds_any<op::Binary, op::Variadic, op::Concat, op::Where>(op)) return sink_joint(r, op);
  const auto t = transposed(r, r.in(0));
  if (!t) return;
  if (holds_any<op::Transpose>(op)) return compose(r, *t);
  if (holds_any<op::Reshape, op::Flatten, op::Squeeze, op::Unsqueeze>(op)) return skip_for_reshape(r, *t);
  if (const auto* a = std::get_if<op::Reduce>(&op)) return sink_reduce(r, *a, *t);
  if (const auto* a = std::get_if<op::Pad>(&op)) return sink_pad(r, *a, *t);
  if (const auto* a = std::get_if<op::Softmax>(&op)) return sink_along_axis(r, *a, *t);
  if (const auto* a = std::get_if<op::LogSoftmax>(&op)) return sink_along_axis(r, *a, *t);
  if (!is_elementwise(r)) return;
  std::vector<ValueId> in = r.node().in;
  in[0] = t->x;
  sink(r, op, std::move(in), t->perm);
}

}  // namespace

Graph cancel_transposes(Graph graph) {
  Rewriter r(std::move(graph));
  r.for_each_node([&] { visit(r); });
  return std::move(r).finish();
}

}  // namespace eke
