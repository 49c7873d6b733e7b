// Reshapes in the form that says least about the batch, so that a graph that was typed for one batch serves
// others: a constant target repeats the extent of axis 0 as 0, and what only joins the axes after 0 is a
// Flatten.
#include "passes/pass_list.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

bool has_elements(const Type& type) { return type.shape.count() > 0; }

void simplify(Rewriter& r) {
  const auto* reshape = r.current<op::Reshape>();
  if (!reshape) return;
  const Type &in = r.type(r.in(0)), &out = r.type(r.out());
  if (!has_elements(in) || in.shape.rank() == 0 || out.shape.rank() == 0) return;
  if (out.shape.rank() == 2 && out.shape[0] == in.shape[0]) return r.replace(op::Flatten{}, {r.in(0)});
  const Tensor* target = r.constant(r.in(1));
  if (!target || in.shape[0] != out.shape[0] || target->shape().rank() != 1) return;
  const std::vector<std::int64_t> given = as_ints(*target);
  if (given[0] == 0 || given[0] == -1) return;
  Tensor free(DType::i64, target->shape());
  const auto extents = free.mutable_values<std::int64_t>();
  for (std::size_t i = 0; i < given.size(); ++i) extents[i] = i == 0 ? 0 : given[i];
  r.replace(op::Reshape{}, {r.in(0), r.replace_constant(r.in(1), std::move(free))});
}

}  // namespace

Graph reshape_to_flatten(Graph graph) {
  Rewriter r(std::move(graph));
  r.for_each_node([&] { simplify(r); });
  return std::move(r).finish();
}

}  // namespace eke
