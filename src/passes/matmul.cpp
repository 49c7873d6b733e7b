// MatMul with constant weights of rank 2, and the bias added after it, as Gemm.
#include "passes/pass_list.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

bool is_float_matrix(const Type& type) { return type.dtype == DType::f32 && type.shape.rank() == 2; }

void matmul(Rewriter& r) {
  if (!r.constant(r.in(1)) || !is_float_matrix(r.type(r.in(0))) || !is_float_matrix(r.type(r.in(1)))) return;
  r.replace(op::Gemm{}, r.node().in);
}

// Gemm, then Add of a constant that is the same for each row.
void bias(Rewriter& r) {
  for (const std::size_t data : {0u, 1u}) {
    const ValueId product = r.in(data), added = r.in(1 - data);
    const auto* gemm = r.made_by<op::Gemm>(product);
    const Tensor* constant = r.constant(added);
    if (!gemm || gemm->clamp.active() || !r.single_use(product) || !constant) continue;
    const std::vector<ValueId> in = r.producer(product)->in;
    const std::string name = r.producer(product)->name;
    const Type& out = r.type(product);
    if ((in.size() > 2 && in[2] != kNoValue) || r.type(r.out()) != out ||
        !per_channel(constant, out.shape, 1))
      continue;
    op::Gemm biased = *gemm;
    biased.beta = 1;
    ValueId c = added;
    if (constant->shape().rank() == 2) c = r.replace_constant(added, constant->reshaped({constant->count()}));
    r.replace(std::move(biased), {in[0], in[1], c}, name);
    return;
  }
}

}  // namespace

Graph matmul_to_gemm(Graph graph) {
  Rewriter r(std::move(graph));
  r.for_each_node([&] {
    const auto* binary = r.current<op::Binary>();
    if (r.current<op::MatMul>())
      matmul(r);
    else if (binary && binary->fn == op::BinaryFn::Add)
      bias(r);
  });
  return std::move(r).finish();
}

}  // namespace eke
