#include <memory>

#include "kernels/softmax/registry.h"
#include "runtime/tactic.h"

namespace eke {
namespace {

// Columns of the matrix whose rows are normalized; 0 when the axis is not the innermost.
std::int64_t columns(const Query& query) {
  const auto& softmax = std::get<op::Softmax>(query.node.op);
  const Shape& shape = query.in(0).shape;
  const auto axis = static_cast<int>(softmax.axis < 0 ? softmax.axis + shape.rank() : softmax.axis);
  if (softmax.coerce2d) return shape.count(axis, shape.rank());
  return shape.count(axis + 1, shape.rank()) == 1 ? shape[axis] : 0;
}

class SoftmaxStep : public Step {
 public:
  explicit SoftmaxStep(const Query& query)
      : columns_(columns(query)),
        rows_(query.in(0).shape.count() / columns_),
        kernel_(kernels::select_softmax_f32(query.isa)) {}

  void run(const StepArgs& args) const noexcept override {
    const auto stride = columns_ * static_cast<std::ptrdiff_t>(sizeof(float));
    args.threads->for_ranges(static_cast<std::size_t>(rows_), [&](std::size_t begin, std::size_t end) {
      if (begin == end) return;
      const auto offset = static_cast<std::ptrdiff_t>(begin) * columns_;
      kernel_({reinterpret_cast<const float*>(args.in[0]) + offset,
               reinterpret_cast<float*>(args.out[0]) + offset, end - begin,
               static_cast<std::size_t>(columns_), stride, stride});
    });
  }

 private:
  std::int64_t columns_, rows_;
  kernels::SoftmaxFn kernel_;
};

}  // namespace

std::span<const Tactic> softmax_tactics() {
  static const Tactic list[] = {
      {"softmax_f32", LayoutNeed::plain,
       [](const Query& q) {
         return q.in(0).dtype == DType::f32 && q.in(0).shape.count() > 0 && columns(q) > 0;
       },
       [](const Query& q) {
         return Prepared{std::make_unique<SoftmaxStep>(q), "softmax_f32"};
       }},
  };
  return list;
}

}  // namespace eke
