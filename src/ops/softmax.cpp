// Softmax, LogSoftmax and Hardmax, along one axis, or (before opset 13) along all axes from one on.
#include <algorithm>
#include <cmath>

#include "ops/element.h"
#include "ops/families.h"
#include "ops/operands.h"

namespace eke {
namespace {

// Before opset 13 the default axis is 1, and the input is seen as a matrix.
void upgrade_softmax(OnnxNode& node, Graph&) {
  if (node.opset >= 13) return;
  node.attributes.try_emplace("axis", std::int64_t{1});
  node.attributes["coerce2d"] = std::int64_t{1};
}

// The input as [outer, extent, inner]; the operator runs over the middle.
struct Lanes {
  std::int64_t outer = 1, extent = 1, inner = 1;
};

Lanes lanes_of(const Shape& x, std::int64_t axis_attribute, bool coerce2d) {
  // The matrix may have all axes as its rows.
  if (coerce2d && axis_attribute == x.rank()) return {x.count(), 1, 1};
  const int axis = normalize_axis(axis_attribute, x.rank());
  if (coerce2d) return {x.count(0, axis), x.count(axis, x.rank()), 1};
  return {x.count(0, axis), x[axis], x.count(axis + 1, x.rank())};
}

template <class A>
std::vector<Type> infer_softmax(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<A>(op);
  check_inputs_at_most(in, 1);
  const Type& x = required(in, 0, "input");
  check(is_float(x.dtype), "the input is {}; floats are needed", to_string(x));
  static_cast<void>(lanes_of(x.shape, a.axis, a.coerce2d));
  return {checked(x.dtype, x.shape)};
}

// Calls f(x, y, step) for each lane; its element k is at k * step.
template <class A, class F>
void for_lanes(const Op& op, const TensorView& in, const MutTensorView& out, F&& f) {
  const auto& a = attributes<A>(op);
  const Lanes lanes = lanes_of(in.shape(), a.axis, a.coerce2d);
  visit_dtype(in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (kIsFloat<T>) {
      if (lanes.extent == 0) return;
      for (std::int64_t o = 0; o < lanes.outer; ++o)
        for (std::int64_t i = 0; i < lanes.inner; ++i) {
          const std::int64_t first = o * lanes.extent * lanes.inner + i;
          f(in.as<T>() + first, out.as<T>() + first, lanes.extent, lanes.inner);
        }
    }
  });
}

struct Peak {
  std::int64_t at = 0;
  double value = 0;
};

template <class T>
Peak peak_of(const T* x, std::int64_t extent, std::int64_t step) {
  Peak peak{0, static_cast<double>(x[0])};
  for (std::int64_t k = 1; k < extent; ++k)
    if (static_cast<double>(x[k * step]) > peak.value) peak = {k, static_cast<double>(x[k * step])};
  return peak;
}

// The sum of exp(x - peak).
template <class T>
double exponentials(const T* x, double peak, std::int64_t extent, std::int64_t step) {
  double sum = 0;
  for (std::int64_t k = 0; k < extent; ++k) sum += std::exp(static_cast<double>(x[k * step]) - peak);
  return sum;
}

void eval_softmax(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  for_lanes<op::Softmax>(
      op, in[0], out[0], []<class T>(const T* x, T* y, std::int64_t extent, std::int64_t step) {
        const double peak = peak_of(x, extent, step).value, sum = exponentials(x, peak, extent, step);
        for (std::int64_t k = 0; k < extent; ++k)
          y[k * step] = static_cast<T>(std::exp(static_cast<double>(x[k * step]) - peak) / sum);
      });
}

void eval_log_softmax(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  for_lanes<op::LogSoftmax>(
      op, in[0], out[0], []<class T>(const T* x, T* y, std::int64_t extent, std::int64_t step) {
        const double peak = peak_of(x, extent, step).value,
                     log_sum = std::log(exponentials(x, peak, extent, step));
        for (std::int64_t k = 0; k < extent; ++k)
          y[k * step] = static_cast<T>(static_cast<double>(x[k * step]) - peak - log_sum);
      });
}

void eval_hardmax(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  for_lanes<op::Hardmax>(op, in[0], out[0],
                         []<class T>(const T* x, T* y, std::int64_t extent, std::int64_t step) {
                           const std::int64_t best = peak_of(x, extent, step).at;
                           for (std::int64_t k = 0; k < extent; ++k) y[k * step] = T(k == best ? 1.f : 0.f);
                         });
}

}  // namespace

std::vector<OpDef> softmax_ops() {
  return {
      {.kind = op::Softmax{},
       .onnx = {{"Softmax", op::Softmax{}, 13}},
       .upgrade = upgrade_softmax,
       .infer = infer_softmax<op::Softmax>,
       .eval = eval_softmax},
      {.kind = op::LogSoftmax{},
       .onnx = {{"LogSoftmax", op::LogSoftmax{}, 13}},
       .upgrade = upgrade_softmax,
       .infer = infer_softmax<op::LogSoftmax>,
       .eval = eval_log_softmax},
      {.kind = op::Hardmax{},
       .onnx = {{"Hardmax", op::Hardmax{}, 13}},
       .upgrade = upgrade_softmax,
       .infer = infer_softmax<op::Hardmax>,
       .eval = eval_hardmax},
  };
}

}  // namespace eke
