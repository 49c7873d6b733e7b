// Everything the project knows of an operator is its OpDef: ONNX names, type inference, reference evaluation,
// quantization rule and cost. A family of operators is one file, which returns the OpDefs of its family
// (families.h); op_def.cpp joins them into the table behind def().
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "graph/graph.h"
#include "graph/op.h"
#include "tensor/tensor.h"

namespace eke {

// An input as inference sees it: a type, and the value where it is known.
struct Operand {
  const Type* type = nullptr;        // null: an absent optional input
  const Tensor* constant = nullptr;  // null: known only at run time
  explicit operator bool() const noexcept { return type != nullptr; }
};

// An operator as an ONNX file gives it, before it becomes an Op: plain data, so that ops need no protobuf.
using OnnxAttribute =
    std::variant<std::int64_t, float, std::string, op::Ints, op::Floats, std::vector<std::string>, Tensor>;
struct OnnxNode {
  std::string type, domain, name;
  int opset = 0;  // of the node's domain
  std::map<std::string, OnnxAttribute> attributes;
  std::vector<ValueId> in, out;
};

// One ONNX operator that an Op struct stands for.
struct OnnxName {
  std::string_view type;
  Op prototype;   // attributes at ONNX's defaults, `fn` set
  int since = 7;  // the first opset in which the canonical form is valid: files are written with it
  std::string_view domain = "";
};

// How quantization treats an operator: plain data, applied by quant/rewrite.cpp and the integer lowering.
struct QuantRule {
  enum class Kind {
    float_only,  // no integer form: a float island
    weighted,    // quantized data input 0, weights in `weight` (per channel along `weight_axis`), int32 bias
    same_scale,  // moves or selects elements: output shares the scale of input 0
    joined_scale,  // like same_scale over several data inputs (Concat): integer form requantizes each input
    own_scale,     // computes new values: its output has a range of its own
  };
  Kind kind = Kind::float_only;
  int weight = -1, weight_axis = 0, bias = -1;  // see also weight_axis() below
};

struct Cost {
  std::int64_t macs = 0;   // multiply-adds
  std::int64_t bytes = 0;  // read and written once: inputs, constants, outputs
};

// Appends the nodes that compute gradients of a node's inputs from those of its outputs; returns one value an input,
// kNoValue where the gradient is not wanted or zero (ops/gradient.h).
class GradientBuilder;
using GradientFn = std::vector<ValueId> (*)(GradientBuilder& b);

struct OpDef {
  Op kind;                     // says which struct this defines; its attributes do not matter
  std::vector<OnnxName> onnx;  // the ONNX operators that it stands for; empty for forms made by lowering

  // Rewrites a node of an older opset into the canonical (newest) form, e.g. an attribute into a constant input.
  // May add constants to the graph; throws when the form is unknown. Null: all opsets have the same form.
  void (*upgrade)(OnnxNode& node, Graph& graph) = nullptr;

  // Output types from inputs. Throws an Error that states the broken rule with the offending numbers. Everything
  // that eval relies on is checked here. Trailing absent inputs may be missing from the span.
  std::vector<Type> (*infer)(const Op& op, std::span<const Operand> in) = nullptr;

  // The reference: slow and obvious. Views are dense, row-major, in ONNX's layout; outputs have the types that
  // infer gave; data never aliases. Neither throws nor allocates unless the family's file says why. When types
  // carry QParams it follows docs/integer-semantics.md.
  void (*eval)(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) = nullptr;

  // From the gradient files (ops/gradient.h). Null: `no_grad` says why there is none; where that is empty too, the
  // output does not depend on the inputs smoothly, and passes no gradient on.
  GradientFn grad = nullptr;
  std::string_view no_grad = {};

  QuantRule quant = {};

  // Null: no MACs, bytes of all inputs and outputs.
  Cost (*cost)(const Op& op, std::span<const Type> in, std::span<const Type> out) = nullptr;

  // The opset that these attributes need in a file. Null: OnnxName::since, whatever they are.
  int (*opset)(const Op& op) = nullptr;

  // Bit i: the value of input i decides output types, so inference needs it as a constant.
  std::uint32_t shape_inputs = 0;
};

const OpDef& def(const Op& op);

// The axis of a weighted operator's weights that runs over its output channels: QuantRule::weight_axis, except
// for a Gemm whose weights are stored [N,K].
int weight_axis(const Op& op);

// The definition that reads an ONNX operator, with its prototype; null when the project lacks it.
struct OnnxMatch {
  const OpDef* def = nullptr;
  const OnnxName* name = nullptr;
};
OnnxMatch find_onnx(std::string_view type, std::string_view domain);
// The ONNX name under which an Op is written; null for forms that exist only after lowering.
const OnnxName* onnx_name(const Op& op);

Cost cost_of(const Graph& graph, const Node& node);

}  // namespace eke
