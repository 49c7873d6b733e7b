// Updates of parameters. Adagrad, Adam and Momentum follow ai.onnx.preview.training: inputs R (learning rate), T (the
// count of updates so far), then the n tensors to update, their n gradients, and n tensors of each kind of state;
// outputs the new tensors, then the new states. AdamW is as Adam. All arithmetic is float32 (float64 for doubles), in
// the order written here, so that kernels can give the same bits.
#include <cmath>

#include "ops/element.h"
#include "ops/families.h"
#include "ops/operands.h"

namespace eke {
namespace {

void check_scalars(std::span<const Operand> in) {
  const Type &r = required(in, 0, "R"), &t = required(in, 1, "T");
  check((r.dtype == DType::f32 || r.dtype == DType::f64) && r.shape.count() == 1,
        "R is {}; one float32 or float64 is needed", to_string(r));
  check(t.dtype == DType::i64 && t.shape.count() == 1, "T is {}; one int64 is needed", to_string(t));
}

// `states` tensors of state for each tensor that is updated.
std::vector<Type> infer_update(std::span<const Operand> in, std::size_t states) {
  check_scalars(in);
  const std::size_t kinds = states + 2;
  check(in.size() > 2 && (in.size() - 2) % kinds == 0,
        "has {} inputs; R, T and {} for each tensor to update are needed", in.size(), kinds);
  const std::size_t count = (in.size() - 2) / kinds;
  std::vector<Type> types;
  for (std::size_t i = 0; i < count; ++i) {
    const Type& x = required(in, 2 + i, "X");
    check(x.dtype == DType::f32 || x.dtype == DType::f64, "X is {}; float32 or float64 is needed",
          to_string(x));
    for (std::size_t k = 1; k < kinds; ++k) {
      const Type& other = required(in, 2 + k * count + i, "a gradient or a state");
      check(other.dtype == x.dtype && other.shape == x.shape, "input {} is {}, but belongs to {}",
            2 + k * count + i, to_string(other), to_string(x));
    }
  }
  for (std::size_t k = 0; k <= states; ++k)
    for (std::size_t i = 0; i < count; ++i)
      types.push_back(checked(in[2 + i].type->dtype, in[2 + i].type->shape));
  return types;
}

template <std::size_t kStates>
std::vector<Type> infer_update(const Op&, std::span<const Operand> in) {
  return infer_update(in, kStates);
}

// Calls f(rate, gradient, values) for each element, where values are the tensor's and its states', to be changed. The
// outputs may be the inputs' own memory.
template <std::size_t kStates, class F>
void update(std::span<const TensorView> in, std::span<const MutTensorView> out, F&& f) {
  const std::size_t count = (in.size() - 2) / (kStates + 2);
  const double rate = element_as_double(in[0], 0);
  for (std::size_t i = 0; i < count; ++i) {
    MutTensorView to[kStates + 1];
    for (std::size_t k = 0; k <= kStates; ++k) to[k] = result(out, k * count + i);
    const auto apply = [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* g = in[2 + count + i].as<T>();
      for (std::int64_t e = 0; e < in[2 + i].count(); ++e) {
        T values[kStates + 1];
        for (std::size_t k = 0; k <= kStates; ++k)
          values[k] = in[2 + (k == 0 ? 0 : k + 1) * count + i].template as<T>()[e];
        f(static_cast<T>(rate), g[e], values);
        for (std::size_t k = 0; k <= kStates; ++k)
          if (to[k]) to[k].template as<T>()[e] = values[k];
      }
    };
    if (in[2 + i].dtype() == DType::f64)
      apply(ElementTag<double>{});
    else
      apply(ElementTag<float>{});
  }
}

void eval_adagrad(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::Adagrad>(op);
  const auto steps = static_cast<double>(element_as_int(in[1], 0));
  update<1>(in, out, [&]<class T>(T rate, T g, T* v) {
    const T r = static_cast<T>(static_cast<double>(rate) / (1 + steps * static_cast<double>(a.decay_factor)));
    g = static_cast<T>(a.norm_coefficient) * v[0] + g;
    v[1] = v[1] + g * g;
    v[0] = v[0] - r * g / (std::sqrt(v[1]) + static_cast<T>(a.epsilon));
  });
}

// The learning rate with the bias of both averages taken off.
double unbiased_rate(double rate, double alpha, double beta, std::int64_t step) {
  if (step <= 0) return rate;
  const auto t = static_cast<double>(step);
  return rate * std::sqrt(1 - std::pow(beta, t)) / (1 - std::pow(alpha, t));
}

void eval_adam(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::Adam>(op);
  const double rate = unbiased_rate(element_as_double(in[0], 0), static_cast<double>(a.alpha),
                                    static_cast<double>(a.beta), element_as_int(in[1], 0));
  update<2>(in, out, [&]<class T>(T, T g, T* v) {
    const T alpha = static_cast<T>(a.alpha), beta = static_cast<T>(a.beta), one = T{1};
    g = static_cast<T>(a.norm_coefficient) * v[0] + g;
    v[1] = alpha * v[1] + (one - alpha) * g;
    v[2] = beta * v[2] + (one - beta) * g * g;
    v[0] = v[0] - static_cast<T>(rate) * v[1] / (std::sqrt(v[2]) + static_cast<T>(a.epsilon));
    v[0] = (one - static_cast<T>(a.norm_coefficient_post)) * v[0];
  });
}

void eval_adamw(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::AdamW>(op);
  const double rate = unbiased_rate(element_as_double(in[0], 0), static_cast<double>(a.alpha),
                                    static_cast<double>(a.beta), element_as_int(in[1], 0));
  update<2>(in, out, [&]<class T>(T r, T g, T* v) {
    const T alpha = static_cast<T>(a.alpha), beta = static_cast<T>(a.beta), one = T{1};
    v[1] = alpha * v[1] + (one - alpha) * g;
    v[2] = beta * v[2] + (one - beta) * g * g;
    v[0] = (one - r * static_cast<T>(a.weight_decay)) * v[0];
    v[0] = v[0] - static_cast<T>(rate) * v[1] / (std::sqrt(v[2]) + static_cast<T>(a.epsilon));
  });
}

std::vector<Type> infer_momentum(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::Momentum>(op);
  check(a.mode == "standard" || a.mode == "nesterov", "mode is '{}'; it must be standard or nesterov",
        a.mode);
  return infer_update(in, 1);
}

void eval_momentum(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::Momentum>(op);
  const float first = element_as_int(in[1], 0) > 0 ? a.beta : 1;
  const bool nesterov = a.mode == "nesterov";
  update<1>(in, out, [&]<class T>(T rate, T g, T* v) {
    g = static_cast<T>(a.norm_coefficient) * v[0] + g;
    v[1] = static_cast<T>(a.alpha) * v[1] + static_cast<T>(first) * g;
    const T step = nesterov ? g + static_cast<T>(a.alpha) * v[1] : v[1];
    v[0] = v[0] - rate * step;
  });
}

std::vector<Type> infer_moving_average(const Op&, std::span<const Operand> in) {
  check_inputs_at_most(in, 2);
  const Type &old = required(in, 0, "old"), &value = required(in, 1, "new");
  check((old.dtype == DType::f32 || old.dtype == DType::f64) && value == old,
        "{} and {} must be the same float32 or float64 type", to_string(old), to_string(value));
  return {checked(old.dtype, old.shape)};
}

void eval_moving_average(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::MovingAverage>(op);
  const auto apply = [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T m = static_cast<T>(a.momentum);
    for (std::int64_t i = 0; i < out[0].count(); ++i)
      out[0].as<T>()[i] = m * in[0].as<T>()[i] + (T{1} - m) * in[1].as<T>()[i];
  };
  if (in[0].dtype() == DType::f64)
    apply(ElementTag<double>{});
  else
    apply(ElementTag<float>{});
}

constexpr std::string_view kTraining = "ai.onnx.preview.training";

}  // namespace

std::vector<OpDef> optimizer_ops() {
  return {
      {.kind = op::Adagrad{},
       .onnx = {{"Adagrad", op::Adagrad{}, 1, kTraining}},
       .infer = infer_update<1>,
       .eval = eval_adagrad},
      {.kind = op::Adam{},
       .onnx = {{"Adam", op::Adam{}, 1, kTraining}},
       .infer = infer_update<2>,
       .eval = eval_adam},
      {.kind = op::AdamW{}, .infer = infer_update<2>, .eval = eval_adamw},
      {.kind = op::Momentum{},
       .onnx = {{"Momentum", op::Momentum{}, 1, kTraining}},
       .infer = infer_momentum,
       .eval = eval_momentum},
      {.kind = op::MovingAverage{}, .infer = infer_moving_average, .eval = eval_moving_average},
  };
}

}  // namespace eke
