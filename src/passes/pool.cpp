// Reductions over all spatial axes as the global poolings that they are: those have kernels and an integer
// form.
#include <algorithm>

#include "ops/broadcast.h"
#include "passes/pass_list.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

bool reduces_space(Rewriter& r) {
  const Tensor* axes = r.in(1) == kNoValue ? nullptr : r.constant(r.in(1));
  const int rank = r.type(r.in(0)).shape.rank();
  if (!axes || rank < 3 || axes->count() != rank - 2) return false;
  std::vector<bool> reduced(static_cast<std::size_t>(rank), false);
  for (const std::int64_t axis : as_ints(*axes))
    reduced[static_cast<std::size_t>(normalize_axis(axis, rank))] = true;
  return std::all_of(reduced.begin() + 2, reduced.end(), [](bool is) { return is; });
}

void visit(Rewriter& r) {
  const auto* a = r.current<op::Reduce>();
  if (!a || r.type(r.in(0)).dtype != DType::f32 || !reduces_space(r)) return;
  Op pool;
  if (a->fn == op::ReduceFn::ReduceMean)
    pool = op::GlobalAveragePool{};
  else if (a->fn == op::ReduceFn::ReduceMax)
    pool = op::GlobalMaxPool{};
  else
    return;
  const ValueId x = r.in(0);
  if (a->keepdims != 0) return r.replace(std::move(pool), {x});
  const std::string name = r.node().name.empty() ? r.graph()[r.out()].name : r.node().name;
  const ValueId pooled = r.insert(std::move(pool), {x}, name);
  r.replace(op::Flatten{}, {pooled}, name + "_flatten");
}

}  // namespace

Graph reduce_to_pool(Graph graph) {
  Rewriter r(std::move(graph));
  r.for_each_node([&] { visit(r); });
  return std::move(r).finish();
}

}  // namespace eke
