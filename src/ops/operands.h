// Checked access to the operands of an operator, for the infer and eval functions of OpDefs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "ops/broadcast.h"
#include "ops/op_def.h"
#include "tensor/tensor.h"

namespace eke {

// Operand i, empty where it is absent.
inline Operand operand(std::span<const Operand> in, std::size_t i) noexcept {
  return i < in.size() ? in[i] : Operand{};
}
inline TensorView operand(std::span<const TensorView> in, std::size_t i) noexcept {
  return i < in.size() ? in[i] : TensorView{};
}
inline MutTensorView result(std::span<const MutTensorView> out, std::size_t i) noexcept {
  return i < out.size() ? out[i] : MutTensorView{};
}

// The type of a required input; throws when it is absent.
inline const Type& required(std::span<const Operand> in, std::size_t i, std::string_view name) {
  check(static_cast<bool>(operand(in, i)), "input {} ({}) is missing", i, name);
  return *in[i].type;
}

inline void check_inputs_at_most(std::span<const Operand> in, std::size_t most) {
  for (std::size_t i = most; i < in.size(); ++i)
    check(!in[i], "has an input {}; there are at most {}", i, most);
}

// The value of an input that decides shapes: integers of rank 0 or 1. An absent input gives an empty view;
// one that is known only at run time throws.
inline TensorView shape_operand(std::span<const Operand> in, std::size_t i, std::string_view name) {
  const Operand o = operand(in, i);
  if (!o) return {};
  check(o.constant != nullptr, "input {} ({}) decides the output's shape and must be a constant", i, name);
  const TensorView view = o.constant->view();
  check(is_integer(view.dtype()) && view.shape().rank() <= 1,
        "input {} ({}) is {}; integers of rank 1 are needed", i, name, to_string(*view.type));
  return view;
}

// A type whose size has been checked.
inline Type checked(Type type) {
  static_cast<void>(byte_size(type.dtype, type.shape));
  return type;
}
inline Type checked(DType dtype, const Shape& shape) { return checked(Type{dtype, shape}); }

// The type of elements of `in` moved into another shape: quantized alike. Throws where the parameters run
// along an axis, since that axis may have moved.
inline Type moved(const Type& in, const Shape& shape) {
  check(!in.quant || in.quant->per_tensor(), "the input is quantized per axis {}; dequantize it first",
        in.quant ? in.quant->axis : -1);
  return checked(Type{in.dtype, shape, in.quant});
}

inline void copy_bytes(const TensorView& from, const MutTensorView& to) noexcept {
  const std::size_t bytes = size_of(to.dtype()) * static_cast<std::size_t>(to.count());
  if (bytes != 0) std::memcpy(to.data, from.data, bytes);
}

// Replaces an attribute of an older opset by a constant input at `index`; keeps an input that is there
// already.
inline void add_input(OnnxNode& node, Graph& graph, std::size_t index, std::string_view name, Tensor value) {
  if (node.in.size() <= index) node.in.resize(index + 1, kNoValue);
  if (node.in[index] != kNoValue) return;
  node.in[index] = graph.add_constant(node.name + "_" + std::string(name), std::move(value));
}

// Takes an attribute out of the node; null where it is absent. Throws when it has another type.
template <class T>
std::optional<T> take_attribute(OnnxNode& node, const std::string& name) {
  const auto it = node.attributes.find(name);
  if (it == node.attributes.end()) return std::nullopt;
  T* value = std::get_if<T>(&it->second);
  check(value != nullptr, "attribute '{}' of {} has the wrong type", name, node.type);
  std::optional<T> taken = std::move(*value);
  node.attributes.erase(it);
  return taken;
}

// Makes the attribute `name` (integers) the constant input `index`.
inline void attribute_to_input(OnnxNode& node, Graph& graph, const std::string& name, std::size_t index) {
  const auto ints = take_attribute<op::Ints>(node, name);
  if (!ints) return;
  const Shape shape{static_cast<std::int64_t>(ints->size())};
  add_input(node, graph, index, name, Tensor::from<std::int64_t>(shape, std::span(*ints)));
}

// The type of a value before inference: known for constants and graph inputs, null for what nodes compute.
inline const Type* type_before_inference(const Graph& graph, ValueId id) {
  if (id == kNoValue) return nullptr;
  const bool known =
      graph.constant(id) || std::find(graph.inputs.begin(), graph.inputs.end(), id) != graph.inputs.end();
  return known ? &graph[id].type : nullptr;
}

// The arguments of infer and eval, where `op` is known to hold an A.
template <class A>
const A& attributes(const Op& op) noexcept {
  return *std::get_if<A>(&op);
}

}  // namespace eke
