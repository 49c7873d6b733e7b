// Graph to ModelProto: the canonical forms, at the opset that they need.
#include <onnx_schema.pb.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "eke/version.h"
#include "onnx/attributes.h"
#include "onnx/onnx.h"
#include "onnx/tensor_proto.h"

#include "ops/infer.h"
#include "ops/op_def.h"

namespace eke {
namespace onnx {
namespace {

// Read by all tools of the last years; LayerNormalization is the newest operator that CNNs need.
constexpr int kOldestWritten = 17;
constexpr int kFourBitOpset = 21;

std::int64_t ir_version_for(int opset) { return opset <= 18 ? 8 : opset <= 20 ? 9 : 10; }

// Fused parts have no ONNX operator: inner fields of any, further inputs of a Conv or Gemm.
void check_portable(const Node& node) {
  const bool weighted =
      std::holds_alternative<op::Conv>(node.op) || std::holds_alternative<op::Gemm>(node.op);
  check(!has_fused_parts(node.op) && !(weighted && node.in.size() > 3),
        "is fused with other operators, as only plans are; save the graph before it is lowered");
}

bool is_coerced(const Op& op) {
  return std::visit(
      [](const auto& alternative) {
        if constexpr (requires { alternative.coerce2d; }) return alternative.coerce2d;
        return false;
      },
      op);
}

class Writer {
 public:
  Writer(const Graph& graph, const SaveOptions& options) : graph_(graph), typed_(with_types(graph)) {
    if (options.pack_weights) choose_packed();
    for (const Value& value : graph.values) names_.insert(value.name);
    for (const Node& node : graph.nodes) names_.insert(node.name);
  }

  schema::ModelProto write() {
    schema::GraphProto& proto = *model_.mutable_graph();
    proto.set_name(graph_.name.empty() ? "graph" : graph_.name);
    write_values(proto);
    for (const Node& node : graph_.nodes) {
      with_context([&] { return fmt::format("node '{}' ({})", node.name, op_name(node.op)); },
                   [&] { write_node(node); });
    }
    write_header();
    return std::move(model_);
  }

 private:
  void write_header() {
    check(opset_ <= newest_,
          "the graph needs opset {}, but GroupNormalization with a scale for each group ends with "
          "opset {}",
          opset_, newest_);
    model_.set_ir_version(ir_version_for(opset_));
    model_.set_producer_name("eke");
    model_.set_producer_version(version());
    for (const std::string& domain : domains_) {
      auto* import = model_.add_opset_import();
      import->set_domain(domain);
      import->set_version(domain.empty() ? opset_ : 1);
    }
    for (const auto& [key, value] : graph_.metadata) {
      auto* entry = model_.add_metadata_props();
      entry->set_key(key);
      entry->set_value(value);
    }
  }

  void write_values(schema::GraphProto& proto) {
    for (const ValueId id : graph_.inputs) write_info(graph_[id], true, *proto.add_input());
    std::size_t bytes = 0;
    for (const Value& value : graph_.values) {
      if (value.constant == nullptr) continue;
      bytes += value.constant->bytes();
      check(bytes < kMaxBytes,
            "the constants have more than 2 GiB, which is more than one ONNX file can hold");
      schema::TensorProto& tensor = *proto.add_initializer();
      tensor.set_name(value.name);
      if (packed_.contains(&value)) {
        write_four_bit(*value.constant, tensor);
      } else {
        write_tensor(*value.constant, tensor);
      }
    }
    for (const ValueId id : graph_.outputs) {
      const Value &value = graph_[id], *typed = with_type(id);
      write_info(typed ? *typed : value, typed != nullptr || value.type.shape.rank() > 0,
                 *proto.add_output());
    }
  }

  bool fits_four_bits(ValueId id, const std::vector<std::vector<int>>& readers) const {
    const Tensor* constant = graph_.constant(id);
    return constant != nullptr && constant->dtype() == DType::i8 &&
           readers[static_cast<std::size_t>(id)].size() == 1 && !is_graph_output(graph_, id) &&
           std::ranges::all_of(constant->values<std::int8_t>(), [](int q) { return q >= -8 && q <= 7; });
  }

  void choose_packed() {
    const auto readers = consumers(graph_);
    for (const Node& node : graph_.nodes) {
      if (!std::holds_alternative<op::DequantizeLinear>(node.op) || !fits_four_bits(node.in[0], readers))
        continue;
      const ValueId zero_point = node.in.size() > 2 ? node.in[2] : kNoValue;
      if (zero_point != kNoValue && !fits_four_bits(zero_point, readers)) continue;
      packed_.insert(&graph_[node.in[0]]);
      if (zero_point != kNoValue) packed_.insert(&graph_[zero_point]);
      opset_ = std::max(opset_, kFourBitOpset);
    }
  }

  // The value with the type that inference gives it; null where it is not known.
  const Value* with_type(ValueId id) const {
    const ValueId same = find_value(typed_, graph_[id].name);
    return same == kNoValue ? nullptr : &typed_[same];
  }

  // With the types of outputs, or an empty graph where they depend on extents that are not known yet: then
  // those that were declared must do.
  static Graph with_types(const Graph& graph) {
    for (const ValueId id : graph.inputs)
      if (graph[id].type.shape.is_dynamic()) return {};
    try {
      return infer_types(graph);
    } catch (const Error&) {
      return {};
    }
  }

  static void write_info(const Value& value, bool has_shape, schema::ValueInfoProto& info) {
    info.set_name(value.name);
    auto& type = *info.mutable_type()->mutable_tensor_type();
    type.set_elem_type(static_cast<std::int32_t>(dtype_to_onnx(value.type.dtype)));
    if (!has_shape) return;
    type.mutable_shape();
    for (int i = 0; i < value.type.shape.rank(); ++i) {
      auto& dim = *type.mutable_shape()->add_dim();
      if (value.type.shape[i] != kDynamic)
        dim.set_dim_value(value.type.shape[i]);
      else if (i < static_cast<int>(value.dim_names.size()) &&
               !value.dim_names[static_cast<std::size_t>(i)].empty())
        dim.set_dim_param(value.dim_names[static_cast<std::size_t>(i)]);
    }
  }

  std::string name_of(ValueId id) const { return id == kNoValue ? "" : graph_[id].name; }

  std::string unique_name(const std::string& base) {
    std::string name = base;
    for (int i = 2; !names_.insert(name).second; ++i) name = fmt::format("{}_{}", base, i);
    return name;
  }

  void need(const OpDef& def, const OnnxName& name, const Op& op) {
    domains_.insert(std::string(name.domain));
    if (name.domain.empty()) opset_ = std::max(opset_, def.opset != nullptr ? def.opset(op) : name.since);
  }

  schema::NodeProto& add_node(std::string_view type, const std::string& name) {
    schema::NodeProto& proto = *model_.mutable_graph()->add_node();
    proto.set_op_type(std::string(type));
    proto.set_name(name);
    return proto;
  }

  // A further node with one new output; returns the output's name.
  std::string add_step(std::string_view type, const std::string& base,
                       const std::vector<std::string>& inputs) {
    std::string output = unique_name(base);
    schema::NodeProto& proto = add_node(type, unique_name(base));
    for (const std::string& input : inputs) proto.add_input(input);
    proto.add_output(output);
    return output;
  }

  void write_node(const Node& node) {
    check_portable(node);
    if (const auto* swish = std::get_if<op::Swish>(&node.op)) return write_swish(node, *swish);
    if (is_coerced(node.op) && !runs_over_last_axis(node)) return write_coerced(node);
    const OnnxName* name = onnx_name(node.op);
    check(name != nullptr, "has no ONNX operator; save the graph before it is lowered");
    need(def(node.op), *name, node.op);
    if (const auto* norm = std::get_if<op::GroupNormalization>(&node.op); norm != nullptr && norm->per_group)
      newest_ = std::min(newest_, 20);
    schema::NodeProto& proto = add_node(name->type, node.name);
    if (!name->domain.empty()) proto.set_domain(std::string(name->domain));
    for (const ValueId id : node.in) proto.add_input(name_of(id));
    for (const ValueId id : node.out) proto.add_output(name_of(id));
    write_attributes(node, *name, proto);
  }

  // Attributes at their defaults are left out, which keeps older opsets valid.
  void write_attributes(const Node& node, const OnnxName& name, schema::NodeProto& proto) {
    const auto attributes = attributes_of(node.op), defaults = attributes_of(name.prototype);
    for (std::size_t i = 0; i < attributes.size(); ++i) {
      const auto& [key, value] = attributes[i];
      if (value == defaults[i].second && !is_required(node.op, key)) continue;
      if (key == "dilations" && is_undilated_average(node.op)) continue;
      write_attribute(key, value, *proto.add_attribute());
    }
  }

  // Written out, dilations of 1 would need the opset that first had dilations.
  static bool is_undilated_average(const Op& op) {
    const auto* pool = std::get_if<op::AveragePool>(&op);
    return pool != nullptr && std::ranges::all_of(pool->dilations, [](std::int64_t d) { return d == 1; });
  }

  static void write_attribute(std::string_view name, const OnnxAttribute& value,
                              schema::AttributeProto& proto) {
    using schema::AttributeProto;
    proto.set_name(std::string(name));
    if (const auto* i = std::get_if<std::int64_t>(&value)) {
      proto.set_type(AttributeProto::INT);
      proto.set_i(*i);
    } else if (const auto* f = std::get_if<float>(&value)) {
      proto.set_type(AttributeProto::FLOAT);
      proto.set_f(*f);
    } else if (const auto* s = std::get_if<std::string>(&value)) {
      proto.set_type(AttributeProto::STRING);
      proto.set_s(*s);
    } else if (const auto* ints = std::get_if<op::Ints>(&value)) {
      proto.set_type(AttributeProto::INTS);
      for (const std::int64_t element : *ints) proto.add_ints(element);
    } else if (const auto* floats = std::get_if<op::Floats>(&value)) {
      proto.set_type(AttributeProto::FLOATS);
      for (const float element : *floats) proto.add_floats(element);
    } else if (const auto* tensor = std::get_if<Tensor>(&value)) {
      proto.set_type(AttributeProto::TENSOR);
      write_tensor(*tensor, *proto.mutable_t());
    } else {
      fail("attribute '{}' is a list of strings, which is not supported", name);
    }
  }

  // x * sigmoid(alpha * x), from which it was recognised.
  void write_swish(const Node& node, const op::Swish& swish) {
    domains_.insert("");
    const std::string x = name_of(node.in.at(0));
    std::string scaled = x;
    if (swish.alpha != 1) {
      schema::TensorProto& alpha = *model_.mutable_graph()->add_initializer();
      alpha.set_name(unique_name(node.name + "_alpha"));
      write_tensor(Tensor::scalar(swish.alpha), alpha);
      scaled = add_step("Mul", node.name + "_scaled", {x, alpha.name()});
    }
    const std::string gate = add_step("Sigmoid", node.name + "_sigmoid", {scaled});
    schema::NodeProto& product = add_node("Mul", node.name);
    product.add_input(x);
    product.add_input(gate);
    product.add_output(name_of(node.out.at(0)));
  }

  static std::int64_t axis_of(const Op& op) {
    for (const auto& [key, value] : attributes_of(op))
      if (key == "axis") return std::get<std::int64_t>(value);
    return 0;
  }

  bool runs_over_last_axis(const Node& node) const {
    const std::int64_t axis = axis_of(node.op);
    const Value* x = with_type(node.in.at(0));
    return axis == -1 || (x != nullptr && axis == x->type.shape.rank() - 1);
  }

  // The softmax of opsets before 13, over all axes from one on: flattened, and put into shape again.
  void write_coerced(const Node& node) {
    domains_.insert("");
    const std::string x = name_of(node.in.at(0));
    const std::string shape = add_step("Shape", node.name + "_shape", {x});
    const std::string matrix = add_step("Flatten", node.name + "_matrix", {x});
    auto& flatten = *model_.mutable_graph()->mutable_node(model_.graph().node_size() - 1);
    write_attribute("axis", axis_of(node.op), *flatten.add_attribute());
    const std::string rows = add_step(op_name(node.op), node.name + "_rows", {matrix});
    schema::NodeProto& reshape = add_node("Reshape", node.name);
    reshape.add_input(rows);
    reshape.add_input(shape);
    reshape.add_output(name_of(node.out.at(0)));
  }

  static constexpr std::size_t kMaxBytes = static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max());

  const Graph& graph_;
  const Graph typed_;
  schema::ModelProto model_;
  int opset_ = kOldestWritten, newest_ = std::numeric_limits<int>::max();
  std::set<const Value*> packed_;  // constants that go two a byte
  std::set<std::string> domains_{""};
  std::unordered_set<std::string> names_;
};

}  // namespace
}  // namespace onnx

std::string to_onnx(const Graph& graph, const SaveOptions& options) {
  verify(graph);
  const schema::ModelProto model = onnx::Writer(graph, options).write();
  check(model.ByteSizeLong() < static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()),
        "the model has {} bytes; one ONNX file holds less than 2 GiB", model.ByteSizeLong());
  return model.SerializeAsString();
}

void save_onnx(const Graph& graph, const std::string& path) {
  with_context([&] { return fmt::format("saving '{}'", path); },
               [&] { write_file_atomically(path, to_onnx(graph)); });
}

}  // namespace eke
