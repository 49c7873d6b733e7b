// Nodes that give back what they get.
#include <algorithm>

#include "passes/pass_list.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

bool all_are(const Tensor* tensor, double value) {
  if (!tensor) return false;
  for (std::int64_t i = 0; i < tensor->count(); ++i)
    if (element_as_double(tensor->view(), i) != value) return false;
  return true;
}

// Equal shapes say that all elements are there; a negative step would still turn them round.
bool is_whole_slice(Rewriter& r) {
  if (r.in(4) == kNoValue) return true;
  const Tensor* steps = r.constant(r.in(4));
  if (!steps) return false;
  const std::vector<std::int64_t> values = as_ints(*steps);
  return std::all_of(values.begin(), values.end(), [](std::int64_t step) { return step > 0; });
}

bool is_whole_resize(Rewriter& r, const op::Resize& a) {
  if (a.coordinate_transformation_mode == "tf_crop_and_resize" || a.keep_aspect_ratio_policy != "stretch")
    return false;
  return r.in(3) != kNoValue || all_are(r.constant(r.in(2)), 1);
}

bool keeps_order(const op::Transpose& a) {
  return std::is_sorted(a.perm.begin(), a.perm.end()) && !a.perm.empty();
}

// The operand that an elementwise function of two gives back because the other one is neutral.
ValueId neutral_operand(Rewriter& r, op::BinaryFn fn) {
  using op::BinaryFn;
  const auto is = [&](std::size_t i, double value) { return all_are(r.constant(r.in(i)), value); };
  switch (fn) {
    case BinaryFn::Add:
      return is(1, 0) ? r.in(0) : is(0, 0) ? r.in(1) : kNoValue;
    case BinaryFn::Sub:
      return is(1, 0) ? r.in(0) : kNoValue;
    case BinaryFn::Mul:
      return is(1, 1) ? r.in(0) : is(0, 1) ? r.in(1) : kNoValue;
    case BinaryFn::Div:
    case BinaryFn::Pow:
      return is(1, 1) ? r.in(0) : kNoValue;
    default:
      return kNoValue;
  }
}

// The input that the current node gives back, provided that it has the output's type.
ValueId same_as(Rewriter& r) {
  const Op& op = r.node().op;
  if (holds_any<op::Identity, op::Dropout, op::Cast, op::Reshape, op::Flatten, op::Squeeze, op::Unsqueeze,
                op::Expand, op::Tile>(op))
    return r.in(0);
  if (const auto* a = r.current<op::Transpose>()) return keeps_order(*a) ? r.in(0) : kNoValue;
  if (holds_any<op::Slice>(op)) return is_whole_slice(r) ? r.in(0) : kNoValue;
  if (holds_any<op::Pad>(op)) return all_are(r.constant(r.in(1)), 0) ? r.in(0) : kNoValue;
  if (holds_any<op::Concat>(op)) return r.node().in.size() == 1 ? r.in(0) : kNoValue;
  if (holds_any<op::Clip>(op)) return r.in(1) == kNoValue && r.in(2) == kNoValue ? r.in(0) : kNoValue;
  if (const auto* a = r.current<op::Resize>()) return is_whole_resize(r, *a) ? r.in(0) : kNoValue;
  if (const auto* a = r.current<op::Binary>()) return neutral_operand(r, a->fn);
  if (holds_any<op::Variadic>(op)) return r.node().in.size() == 1 ? r.in(0) : kNoValue;
  return kNoValue;
}

// The mask of a Dropout has a meaning of its own.
bool only_first_output_used(Rewriter& r) {
  const std::vector<ValueId>& out = r.node().out;
  return out[0] != kNoValue && std::all_of(out.begin() + 1, out.end(),
                                           [&](ValueId id) { return id == kNoValue || r.uses(id) == 0; });
}

}  // namespace

Graph remove_identity(Graph graph) {
  Rewriter r(std::move(graph));
  r.for_each_node([&] {
    if (!only_first_output_used(r)) return;
    const ValueId same = same_as(r);
    if (same != kNoValue && r.type(same) == r.type(r.out())) r.bypass(same);
  });
  return std::move(r).finish();
}

}  // namespace eke
