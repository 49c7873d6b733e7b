// Functions of one tensor, element by element: tables on uint8, vectors of float.
#include "ops/unary.h"

#include <array>
#include <memory>
#include <optional>

#include "kernels/eltwise/registry.h"
#include "ops/op_def.h"
#include "runtime/tactics/spread.h"
#include "runtime/tactics/table.h"

namespace eke {
namespace {

// A function that a float kernel computes.
struct FloatFunction {
  kernels::UnaryF32Op op;
  float alpha = 0, beta = 0;
};

std::optional<FloatFunction> float_function(op::UnaryFn fn) {
  using kernels::UnaryF32Op;
  using op::UnaryFn;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  switch (fn) {
    case UnaryFn::Abs:
      return FloatFunction{UnaryF32Op::abs};
    case UnaryFn::Neg:
      return FloatFunction{UnaryF32Op::neg};
    case UnaryFn::Sqrt:
      return FloatFunction{UnaryF32Op::sqrt};
    case UnaryFn::Reciprocal:
      return FloatFunction{UnaryF32Op::reciprocal};
    case UnaryFn::Exp:
      return FloatFunction{UnaryF32Op::exp};
    case UnaryFn::Sigmoid:
      return FloatFunction{UnaryF32Op::sigmoid};
    case UnaryFn::Tanh:
      return FloatFunction{UnaryF32Op::tanh};
    case UnaryFn::Erf:
      return FloatFunction{UnaryF32Op::erf};
    case UnaryFn::Softplus:
      return FloatFunction{UnaryF32Op::softplus};
    case UnaryFn::Mish:
      return FloatFunction{UnaryF32Op::mish};
    case UnaryFn::HardSwish:
      return FloatFunction{UnaryF32Op::hard_swish};
    case UnaryFn::Relu:
      return FloatFunction{UnaryF32Op::clamp, 0, kInfinity};
    default:
      return std::nullopt;
  }
}

std::optional<FloatFunction> clip_function(const Query& query) {
  FloatFunction clamp{kernels::UnaryF32Op::clamp, -std::numeric_limits<float>::infinity(),
                      std::numeric_limits<float>::infinity()};
  for (std::size_t i = 1; i < query.inputs(); ++i) {
    if (!query.has(i)) continue;
    if (query.constant(i) == nullptr || query.constant(i)->count() != 1) return std::nullopt;
    (i == 1 ? clamp.alpha : clamp.beta) = static_cast<float>(element_as_double(query.constant(i)->view(), 0));
  }
  return clamp;
}

std::optional<FloatFunction> float_function(const Query& query) {
  using kernels::UnaryF32Op;
  const Op& op = query.node.op;
  if (const auto* unary = std::get_if<op::Unary>(&op)) return float_function(unary->fn);
  if (const auto* leaky = std::get_if<op::LeakyRelu>(&op))
    return FloatFunction{UnaryF32Op::leaky_relu, leaky->alpha};
  if (const auto* elu = std::get_if<op::Elu>(&op)) return FloatFunction{UnaryF32Op::elu, elu->alpha};
  if (const auto* celu = std::get_if<op::Celu>(&op)) return FloatFunction{UnaryF32Op::celu, celu->alpha};
  if (const auto* selu = std::get_if<op::Selu>(&op))
    return FloatFunction{UnaryF32Op::selu, selu->alpha, selu->gamma};
  if (const auto* hard = std::get_if<op::HardSigmoid>(&op))
    return FloatFunction{UnaryF32Op::hard_sigmoid, hard->alpha, hard->beta};
  if (const auto* swish = std::get_if<op::Swish>(&op)) return FloatFunction{UnaryF32Op::swish, swish->alpha};
  if (const auto* gelu = std::get_if<op::Gelu>(&op); gelu != nullptr && gelu->approximate == "none")
    return FloatFunction{UnaryF32Op::gelu};
  if (std::holds_alternative<op::Clip>(op)) return clip_function(query);
  return std::nullopt;
}

class FloatStep : public Step {
 public:
  FloatStep(const Query& query, FloatFunction function)
      : function_(function),
        count_(static_cast<std::size_t>(query.out().shape.count())),
        kernel_(kernels::select_unary_f32(query.isa)) {}

  void run(const StepArgs& args) const noexcept override {
    const auto* in = reinterpret_cast<const float*>(args.in[0]);
    auto* out = reinterpret_cast<float*>(args.out[0]);
    spread(*args.threads, count_, [&](std::size_t first, std::size_t count) {
      kernel_({function_.op, in + first, out + first, count, function_.alpha, function_.beta});
    });
  }

 private:
  FloatFunction function_;
  std::size_t count_;
  kernels::UnaryF32Fn kernel_;
};

bool is_float(const Query& query) {
  return query.in(0).dtype == DType::f32 && query.out().dtype == DType::f32 &&
         float_function(query).has_value();
}

bool constant_parameters(const Query& query) {
  for (std::size_t i = 1; i < query.inputs(); ++i)
    if (query.has(i) && query.constant(i) == nullptr) return false;
  return true;
}

bool is_table(const Query& query) {
  return is_stored_u8(query.in(0)) && is_stored_u8(query.out()) && constant_parameters(query);
}

}  // namespace

std::span<const Tactic> unary_tactics() {
  static const Tactic list[] = {
      {"table_u8", LayoutNeed::any, is_table, prepare_table},
      {"unary_f32", LayoutNeed::any, is_float,
       [](const Query& q) {
         return Prepared{std::make_unique<FloatStep>(q, *float_function(q)), "unary_f32", {}, {{0, 0}}};
       }},
  };
  return list;
}

}  // namespace eke
