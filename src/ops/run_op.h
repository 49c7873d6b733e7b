// For tests: one operator, applied to constants.
#pragma once

#include <utility>
#include <vector>

#include "ops/op_def.h"

namespace eke::testing {

inline std::vector<Type> infer(const Op& op, const std::vector<Tensor>& inputs) {
  std::vector<Operand> operands;
  for (const Tensor& t : inputs) operands.push_back(t.data() ? Operand{&t.type(), &t} : Operand{});
  return def(op).infer(op, operands);
}

// Evaluates into outputs of the given types; an empty Tensor is an absent input.
inline std::vector<Tensor> eval(const Op& op, const std::vector<Tensor>& inputs, std::vector<Type> types) {
  std::vector<Tensor> outputs;
  for (Type& type : types) outputs.emplace_back(std::move(type));
  std::vector<TensorView> in;
  for (const Tensor& t : inputs) in.push_back(t.data() ? t.view() : TensorView{});
  std::vector<MutTensorView> out;
  for (Tensor& t : outputs) out.push_back(t.mutable_view());
  def(op).eval(op, in, out);
  return outputs;
}

// Infers, then evaluates. `quant` replaces the parameters of the first output.
inline std::vector<Tensor> run_op(const Op& op, const std::vector<Tensor>& inputs,
                                  const std::optional<QParams>& quant = {}) {
  std::vector<Type> types = infer(op, inputs);
  if (quant) types[0].quant = quant;
  return eval(op, inputs, std::move(types));
}

}  // namespace eke::testing
