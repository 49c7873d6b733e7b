// ModelProto to Graph: inputs and constants, then one node after the other through its OpDef.
#include <onnx_schema.pb.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/block_memory.h"
#include "base/error.h"
#include "base/file.h"
#include "onnx/attributes.h"
#include "onnx/model_bytes.h"
#include "onnx/onnx.h"
#include "onnx/opset6.h"
#include "onnx/tensor_proto.h"
#include "ops/op_def.h"

namespace eke {
namespace onnx {
namespace {

using schema::AttributeProto;

std::string_view domain_of(std::string_view domain) { return domain == "ai.onnx" ? "" : domain; }

std::string qualified(std::string_view domain, std::string_view type) {
  return domain.empty() ? std::string(type) : fmt::format("{}.{}", domain, type);
}

// Unnamed nodes are called after their first output.
std::string node_name(const schema::NodeProto& node) {
  if (!node.name().empty()) return node.name();
  for (const std::string& output : node.output())
    if (!output.empty()) return output;
  return node.op_type();
}

class Reader {
 public:
  // `is_file`: the bytes are a file's in memory, whose pages may go when they have been read.
  Reader(const ModelParts& parts, const std::string& folder, const LoadOptions& options, bool is_file)
      : model_(parts.model), raw_(parts.raw), external_(folder), options_(options), is_file_(is_file) {}

  Graph read() {
    check(model_.has_graph(), "the file holds no graph: it is no ONNX model, or is damaged");
    read_opsets();
    check_operators();
    const schema::GraphProto& graph = model_.graph();
    if (graph.sparse_initializer_size() > 0)
      fail("sparse initializer '{}' is not supported; save it as a dense tensor",
           graph.sparse_initializer(0).values().name());
    graph_.name = graph.name();
    for (const auto& entry : model_.metadata_props()) graph_.metadata[entry.key()] = entry.value();
    add_inputs();
    add_initializers();
    for (const auto& node : graph.node()) with_node(node, [&] { add_outputs(node); });
    for (const auto& node : graph.node()) with_node(node, [&] { add_node(node); });
    add_graph_outputs();
    sort_nodes(graph_);
    compact(graph_);
    verify(graph_);
    return std::move(graph_);
  }

 private:
  template <class F>
  void with_node(const schema::NodeProto& node, F&& f) {
    with_context([&] { return fmt::format("node '{}' ({})", node_name(node), node.op_type()); }, f);
  }

  void read_opsets() {
    for (const auto& opset : model_.opset_import()) {
      const std::string domain(domain_of(opset.domain()));
      check(opset.version() >= 1 && opset.version() <= std::numeric_limits<int>::max(),
            "opset {} of domain '{}' does not exist", opset.version(), domain);
      opsets_[domain] = static_cast<int>(opset.version());
    }
    const int opset = opset_of("");
    check(opset >= kMinOpset || !uses_onnx_domain(),
          "opset {} is older than {}, the oldest that is supported; convert the model with "
          "onnx.version_converter",
          opset, kMinOpset);
    check(opset <= kMaxOpset || !uses_onnx_domain(),
          "opset {} is newer than {}, the newest that is supported; export the model with an older opset, or "
          "convert it with onnx.version_converter",
          opset, kMaxOpset);
  }

  bool uses_onnx_domain() const {
    const auto& nodes = model_.graph().node();
    return std::any_of(nodes.begin(), nodes.end(),
                       [](const auto& node) { return domain_of(node.domain()).empty(); });
  }

  // Models older than IR version 3 name no opset, and mean the first.
  int opset_of(const std::string& domain) const {
    const auto it = opsets_.find(domain);
    return it == opsets_.end() ? 1 : it->second;
  }

  static bool is_constant(const schema::NodeProto& node) {
    return node.op_type() == "Constant" && domain_of(node.domain()).empty();
  }

  // All missing operators at once, each with its nodes.
  void check_operators() const {
    constexpr std::size_t kMostNodes = 16;
    std::map<std::string, std::vector<std::string>> missing;
    for (const auto& node : model_.graph().node()) {
      const std::string_view domain = domain_of(node.domain());
      if (!is_constant(node) && find_onnx(node.op_type(), domain).def == nullptr)
        missing[qualified(domain, node.op_type())].push_back(node_name(node));
    }
    if (missing.empty()) return;
    std::string list;
    for (const auto& [type, nodes] : missing) {
      list += fmt::format("{}{} (", list.empty() ? "" : "; ", type);
      for (std::size_t i = 0; i < std::min(nodes.size(), kMostNodes); ++i)
        list += fmt::format("{}'{}'", i == 0 ? "" : ", ", nodes[i]);
      list += nodes.size() > kMostNodes ? fmt::format(", and {} more)", nodes.size() - kMostNodes) : ")";
    }
    fail("not supported: {}{}", list,
         model_.functions_size() == 0 ? "" : "; functions within a model are not supported: inline them");
  }

  DType graph_dtype(DType dtype) const { return options_.to_float32 && is_float(dtype) ? DType::f32 : dtype; }

  Tensor read(const schema::TensorProto& proto, std::optional<std::span<const std::byte>> raw = {}) {
    Tensor tensor = read_tensor(proto, external_, raw);
    const DType dtype = graph_dtype(tensor.dtype());
    return dtype == tensor.dtype() ? tensor : converted(tensor, dtype);
  }

  ValueId define(const std::string& name, Value value) {
    check(!name.empty(), "a value has no name");
    const auto [it, is_new] = ids_.emplace(name, static_cast<ValueId>(graph_.values.size()));
    check(is_new, "value '{}' is defined twice", name);
    value.name = name;
    graph_.values.push_back(std::move(value));
    return it->second;
  }

  ValueId define_constant(const std::string& name, Tensor tensor) {
    Value value;
    value.type = tensor.type();
    value.constant = std::make_shared<const Tensor>(std::move(tensor));
    return define(name, std::move(value));
  }

  // The declared type of a graph input or output; `what` names it. Throws for what is not a tensor.
  Value declared(const schema::ValueInfoProto& info) const {
    using Type = schema::TypeProto;
    check(info.has_type() && info.type().value_case() != Type::VALUE_NOT_SET, "has no type");
    check(info.type().value_case() == Type::kTensorType,
          "is no dense tensor: sequences, maps, optionals and sparse tensors are not supported");
    const auto& tensor = info.type().tensor_type();
    const auto dtype = expanded_from_onnx(tensor.elem_type());
    check(dtype.has_value(), "holds {}, which is not supported", data_type_name(tensor.elem_type()));
    Value value;
    value.type.dtype = graph_dtype(*dtype);
    std::vector<std::string> names;
    for (const auto& dim : tensor.shape().dim()) {
      // Some exporters write -1 for an extent that is not known.
      const std::int64_t extent = dim.has_dim_value() ? dim.dim_value() : kDynamic;
      check(extent >= kDynamic, "has a negative extent, {}", extent);
      value.type.shape.push_back(extent);
      names.push_back(extent == kDynamic ? dim.dim_param() : "");
    }
    if (std::any_of(names.begin(), names.end(), [](const auto& name) { return !name.empty(); }))
      value.dim_names = std::move(names);
    return value;
  }

  // Up to IR version 3, initializers are listed among the inputs, too.
  void add_inputs() {
    std::unordered_set<std::string_view> initialized;
    for (const auto& tensor : model_.graph().initializer()) initialized.insert(tensor.name());
    for (const auto& input : model_.graph().input()) {
      if (initialized.contains(input.name())) continue;
      with_context([&] { return fmt::format("graph input '{}'", input.name()); },
                   [&] {
                     Value value = declared(input);
                     check(input.type().tensor_type().has_shape(),
                           "has no shape; set one when exporting (names of dynamic extents will do)");
                     if (is_four_bit(input.type().tensor_type().elem_type())) four_bit_.insert(input.name());
                     graph_.inputs.push_back(define(input.name(), std::move(value)));
                   });
    }
  }

  void add_initializers() {
    for (int i = 0; i < model_.graph().initializer_size(); ++i) {
      const schema::TensorProto& proto = model_.graph().initializer(i);
      const auto raw = raw_[static_cast<std::size_t>(i)];
      with_context([&] { return fmt::format("initializer '{}'", proto.name()); },
                   [&] { define_constant(proto.name(), read(proto, raw)); });
      if (raw && is_file_) forget_pages(*raw);
      if (is_four_bit(proto.data_type())) four_bit_.insert(proto.name());
    }
  }

  void add_outputs(const schema::NodeProto& node) {
    if (is_constant(node)) {
      check(node.output_size() == 1, "has {} outputs instead of one", node.output_size());
      define_constant(node.output(0), constant_value(node));
      return;
    }
    for (const std::string& output : node.output())
      if (!output.empty()) define(output, {});
  }

  // Constant has one of several attributes.
  Tensor constant_value(const schema::NodeProto& node) {
    check(node.attribute_size() == 1, "has {} attributes instead of one value", node.attribute_size());
    const AttributeProto& attribute = node.attribute(0);
    const OnnxAttribute value = read_attribute(attribute);
    const auto count = [](const auto& list) { return Shape{static_cast<std::int64_t>(list.size())}; };
    if (const auto* tensor = std::get_if<Tensor>(&value); tensor && attribute.name() == "value")
      return *tensor;
    if (const auto* x = std::get_if<float>(&value); x && attribute.name() == "value_float")
      return Tensor::scalar(*x);
    if (const auto* i = std::get_if<std::int64_t>(&value); i && attribute.name() == "value_int")
      return Tensor::scalar(*i);
    if (const auto* xs = std::get_if<op::Floats>(&value); xs && attribute.name() == "value_floats")
      return Tensor::from<float>(count(*xs), std::span(*xs));
    if (const auto* is = std::get_if<op::Ints>(&value); is && attribute.name() == "value_ints")
      return Tensor::from<std::int64_t>(count(*is), std::span(*is));
    fail("attribute '{}' is not supported; use 'value'", attribute.name());
  }

  OnnxAttribute read_attribute(const AttributeProto& attribute) {
    return with_context([&] { return fmt::format("attribute '{}'", attribute.name()); },
                        [&] { return attribute_value(attribute); });
  }

  // IR version 1 had no `type`: then the field that is there decides.
  static AttributeProto::AttributeType type_of(const AttributeProto& attribute) {
    if (attribute.type() != AttributeProto::UNDEFINED) return attribute.type();
    if (attribute.has_f()) return AttributeProto::FLOAT;
    if (attribute.has_i()) return AttributeProto::INT;
    if (attribute.has_s()) return AttributeProto::STRING;
    if (attribute.has_t()) return AttributeProto::TENSOR;
    if (attribute.floats_size() > 0) return AttributeProto::FLOATS;
    if (attribute.strings_size() > 0) return AttributeProto::STRINGS;
    return AttributeProto::INTS;
  }

  OnnxAttribute attribute_value(const AttributeProto& attribute) {
    check(attribute.ref_attr_name().empty(), "refers to '{}' of a function, which is not supported",
          attribute.ref_attr_name());
    switch (type_of(attribute)) {
      case AttributeProto::FLOAT:
        return attribute.f();
      case AttributeProto::INT:
        return std::int64_t{attribute.i()};
      case AttributeProto::STRING:
        return attribute.s();
      case AttributeProto::TENSOR:
        check(!is_four_bit(attribute.t().data_type()),
              "holds {}, which is supported in initializers that a DequantizeLinear reads",
              data_type_name(attribute.t().data_type()));
        return read(attribute.t());
      case AttributeProto::FLOATS:
        return op::Floats(attribute.floats().begin(), attribute.floats().end());
      case AttributeProto::INTS:
        return op::Ints(attribute.ints().begin(), attribute.ints().end());
      case AttributeProto::STRINGS:
        return std::vector<std::string>(attribute.strings().begin(), attribute.strings().end());
      default:
        fail("holds a graph, a type, or another value that is not supported");
    }
  }

  ValueId value_of(const std::string& name) const {
    if (name.empty()) return kNoValue;
    const auto it = ids_.find(name);
    check(it != ids_.end(), "reads '{}', which nothing defines", name);
    return it->second;
  }

  template <class Names>
  std::vector<ValueId> values_of(const Names& names) const {
    std::vector<ValueId> ids;
    for (const std::string& name : names) ids.push_back(value_of(name));
    return trimmed(std::move(ids));
  }

  static std::vector<ValueId> trimmed(std::vector<ValueId> ids) {
    while (!ids.empty() && ids.back() == kNoValue) ids.pop_back();
    return ids;
  }

  std::string unique_name(std::string name) {
    const std::string base = name;
    for (int i = 2; !names_.insert(name).second; ++i) name = fmt::format("{}_{}", base, i);
    return name;
  }

  OnnxNode onnx_node(const schema::NodeProto& proto) {
    OnnxNode node;
    node.type = proto.op_type();
    node.domain = domain_of(proto.domain());
    node.name = unique_name(node_name(proto));
    node.opset = opset_of(node.domain);
    for (const AttributeProto& attribute : proto.attribute()) {
      check(node.attributes.emplace(attribute.name(), read_attribute(attribute)).second,
            "attribute '{}' is given twice", attribute.name());
    }
    node.in = values_of(proto.input());
    node.out = values_of(proto.output());
    return node;
  }

  // Four bits are read as eight, which is the same to what turns them into floats, and to nothing else.
  void check_four_bit(const schema::NodeProto& proto) const {
    if (proto.op_type() == "DequantizeLinear" && domain_of(proto.domain()).empty()) return;
    for (const std::string& input : proto.input())
      check(!four_bit_.contains(input), "reads '{}' of 4 bits, which only DequantizeLinear may", input);
  }

  void add_node(const schema::NodeProto& proto) {
    if (is_constant(proto)) return;
    check_four_bit(proto);
    OnnxNode node = onnx_node(proto);
    check(!node.out.empty(), "has no outputs");
    OnnxMatch match = find_onnx(node.type, node.domain);
    check_no_inner_fields(match.name->prototype, node);
    if (node.domain.empty() && node.opset < 7) upgrade_opset6(node, graph_);
    if (match.def->upgrade != nullptr) {
      match.def->upgrade(node, graph_);
      match = find_onnx(node.type, node.domain);
    }
    Op op = with_attributes(match.name->prototype, node);
    if (auto* cast = std::get_if<eke::op::Cast>(&op)) cast->to = graph_dtype(cast->to);
    graph_.nodes.push_back(
        {std::move(op), trimmed(std::move(node.in)), trimmed(std::move(node.out)), node.name});
  }

  // Their declared types are kept until types are inferred, for a graph that is written again with dynamic
  // extents.
  void add_graph_outputs() {
    for (const auto& output : model_.graph().output()) {
      with_context(
          [&] { return fmt::format("graph output '{}'", output.name()); },
          [&] {
            check(!four_bit_.contains(output.name()) && !is_four_bit(output.type().tensor_type().elem_type()),
                  "holds 4 bits, which is not supported");
            const auto it = ids_.find(output.name());
            check(it != ids_.end(), "nothing defines it");
            graph_.outputs.push_back(it->second);
            Value& value = graph_[it->second];
            const bool computed =
                value.constant == nullptr &&
                std::find(graph_.inputs.begin(), graph_.inputs.end(), it->second) == graph_.inputs.end();
            if (!computed || !output.has_type()) return;
            Value type = declared(output);
            value.type = std::move(type.type);
            value.dim_names = std::move(type.dim_names);
          });
    }
    check(!graph_.outputs.empty(), "the graph has no outputs");
  }

  const schema::ModelProto& model_;
  const std::vector<std::optional<std::span<const std::byte>>>& raw_;
  ExternalData external_;
  LoadOptions options_;
  bool is_file_;
  Graph graph_;
  std::map<std::string, int> opsets_;
  std::set<std::string> four_bit_;  // inputs and initializers of INT4 or UINT4
  std::unordered_map<std::string, ValueId> ids_;
  std::unordered_set<std::string> names_;
};

Graph read(std::span<const std::byte> bytes, const std::string& folder, const LoadOptions& options,
           bool is_file) {
  const ModelParts parts = parse_model(bytes);
  return Reader(parts, folder, options, is_file).read();
}

}  // namespace
}  // namespace onnx

Graph parse_onnx(std::span<const std::byte> bytes, const std::string& folder, const LoadOptions& options) {
  return onnx::read(bytes, folder, options, false);
}

Graph load_onnx(const std::string& path, const LoadOptions& options) {
  const MappedFile file(path);
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  check(!file.bytes().empty(), "'{}' is empty: copy or export the model again", path);
  return with_context([&] { return fmt::format("'{}'", path); },
                      [&] { return onnx::read(file.bytes(), folder, options, true); });
}

}  // namespace eke
