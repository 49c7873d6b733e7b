#include "ops/op_def.h"

#include <array>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "ops/cost.h"
#include "ops/families.h"
#include "ops/gradient.h"

namespace eke {
namespace {

class Table {
 public:
  Table() {
    for (auto family : {conv_ops, matmul_ops, pool_ops, norm_ops, softmax_ops, quantize_ops, resize_ops,
                        unary_ops, binary_ops, reduce_ops, layout_ops, shape_ops, training_only_ops})
      for (OpDef& definition : family()) add(std::move(definition));
    for (const Gradient& gradient : all_gradients()) {
      definitions_[gradient.kind.index()].grad = gradient.grad;
      definitions_[gradient.kind.index()].no_grad = gradient.none;
    }
  }

  const OpDef& of(const Op& op) const {
    const OpDef& definition = definitions_[op.index()];
    check(definition.infer != nullptr, "operator {} has no definition", struct_name(op));
    return definition;
  }

  OnnxMatch find(std::string_view type, std::string_view domain) const {
    // "ai.onnx" is the full name of the default domain.
    const auto found = names_.find(key(type, domain == "ai.onnx" ? "" : domain));
    return found == names_.end() ? OnnxMatch{} : found->second;
  }

 private:
  static std::string key(std::string_view type, std::string_view domain) {
    return std::string(domain) + '\0' + std::string(type);
  }

  void add(OpDef definition) {
    OpDef& slot = definitions_[definition.kind.index()];
    slot = std::move(definition);
    for (const OnnxName& name : slot.onnx) names_[key(name.type, name.domain)] = {&slot, &name};
  }

  std::array<OpDef, kOpCount> definitions_;
  std::unordered_map<std::string, OnnxMatch> names_;
};

const Table& table() {
  static const Table instance;
  return instance;
}

std::vector<Type> types_of(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<Type> types;
  for (const ValueId id : ids) types.push_back(id == kNoValue ? Type{DType::f32, {0}} : graph[id].type);
  return types;
}

}  // namespace

const OpDef& def(const Op& op) { return table().of(op); }

OnnxMatch find_onnx(std::string_view type, std::string_view domain) { return table().find(type, domain); }

const OnnxName* onnx_name(const Op& op) {
  for (const OnnxName& name : def(op).onnx)
    if (op_name(name.prototype) == op_name(op)) return &name;
  return nullptr;
}

Cost cost_of(const Graph& graph, const Node& node) {
  const std::vector<Type> in = types_of(graph, node.in), out = types_of(graph, node.out);
  const OpDef& definition = def(node.op);
  return definition.cost ? definition.cost(node.op, in, out) : cost_with(0, in, out);
}

}  // namespace eke
