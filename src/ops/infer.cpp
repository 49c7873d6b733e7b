#include "ops/infer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "ops/op_def.h"

namespace eke {
namespace {

// What is evaluated during inference: enough for shape arithmetic, little enough to cost nothing.
constexpr std::int64_t kSmallElements = 64 * 1024;
constexpr std::int64_t kSmallMacs = std::int64_t{1} << 26;

std::string input_names(const Graph& graph) {
  std::string names;
  for (const ValueId id : graph.inputs) names += (names.empty() ? "'" : ", '") + graph[id].name + "'";
  return names.empty() ? "none" : names;
}

ValueId find_input(const Graph& graph, const std::string& name) {
  if (name.empty()) {
    check(graph.inputs.size() == 1, "an input without a name was given; the graph has {} inputs: {}",
          graph.inputs.size(), input_names(graph));
    return graph.inputs[0];
  }
  for (const ValueId id : graph.inputs)
    if (graph[id].name == name) return id;
  throw UsageError(fmt::format("there is no input '{}'; the graph's inputs: {}", name, input_names(graph)));
}

void bind_shape(Graph& graph, const std::string& name, const Shape& shape) {
  Value& input = graph[find_input(graph, name)];
  check(shape.rank() == input.type.shape.rank(), "input '{}' is {}; the shape {} has another rank",
        input.name, to_string(input.type), to_string(shape));
  input.type.shape = shape;
}

void bind_dim(Graph& graph, const std::string& name, std::int64_t extent) {
  bool found = false;
  for (const ValueId id : graph.inputs) {
    Value& input = graph[id];
    const auto rank = static_cast<std::size_t>(input.type.shape.rank());
    for (std::size_t i = 0; i < std::min(rank, input.dim_names.size()); ++i) {
      if (input.dim_names[i] != name) continue;
      input.type.shape[static_cast<int>(i)] = extent;
      found = true;
    }
  }
  if (!found) throw UsageError(fmt::format("no input has an extent named '{}'", name));
}

void bind_constant(Graph& graph, const std::string& name, const Tensor& tensor) {
  const ValueId id = find_input(graph, name);
  Value& input = graph[id];
  bool fits = tensor.dtype() == input.type.dtype && tensor.shape().rank() == input.type.shape.rank();
  for (int i = 0; fits && i < tensor.shape().rank(); ++i)
    fits = input.type.shape[i] == kDynamic || input.type.shape[i] == tensor.shape()[i];
  check(fits, "input '{}' is {}; a constant of {} does not fit", input.name, to_string(input.type),
        to_string(tensor.type()));
  input.type = tensor.type();
  input.constant = std::make_shared<const Tensor>(tensor);
  input.dim_names.clear();
  std::erase(graph.inputs, id);
}

std::vector<Operand> operands(const Graph& graph, const Node& node) {
  std::vector<Operand> result;
  for (const ValueId id : node.in)
    result.push_back(id == kNoValue ? Operand{} : Operand{&graph[id].type, graph.constant(id)});
  return result;
}

bool depends_on_types_only(const Op& op) {
  return std::holds_alternative<op::Shape>(op) || std::holds_alternative<op::Size>(op);
}

// The quantization of constants is kept: it says on which grid weights lie.
bool is_quantization(const Op& op) {
  return std::holds_alternative<op::QuantizeLinear>(op) || std::holds_alternative<op::DequantizeLinear>(op);
}

bool is_shape_arithmetic(const Graph& graph, const Node& node) {
  if (is_quantization(node.op)) return false;
  const bool known = depends_on_types_only(node.op) ||
                     std::all_of(node.in.begin(), node.in.end(),
                                 [&](ValueId id) { return id == kNoValue || graph.constant(id); });
  const bool small = std::all_of(node.out.begin(), node.out.end(), [&](ValueId id) {
    return id == kNoValue || graph[id].type.shape.count() <= kSmallElements;
  });
  return known && small && cost_of(graph, node).macs <= kSmallMacs;
}

// The values of a graph while it is evaluated.
using Values = std::vector<std::optional<Tensor>>;

// `in` gives the tensor of an input; Shape and Size may get one without data.
template <class F>
std::vector<Tensor> evaluate_node(const Graph& graph, const Node& node, F&& in) {
  std::vector<TensorView> views;
  for (const ValueId id : node.in) views.push_back(id == kNoValue ? TensorView{} : in(id));
  std::vector<Tensor> results(node.out.size());
  std::vector<MutTensorView> out;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (node.out[i] == kNoValue) {
      out.push_back({});
      continue;
    }
    results[i] = Tensor(graph[node.out[i]].type);
    out.push_back(results[i].mutable_view());
  }
  def(node.op).eval(node.op, views, out);
  return results;
}

void become_constants(Graph& graph, const Node& node) {
  std::vector<Tensor> results = evaluate_constant(graph, node);
  for (std::size_t i = 0; i < results.size(); ++i)
    if (node.out[i] != kNoValue)
      graph[node.out[i]].constant = std::make_shared<const Tensor>(std::move(results[i]));
}

void check_inputs(const Graph& graph) {
  for (const ValueId id : graph.inputs) {
    const Value& input = graph[id];
    check(!input.type.shape.is_dynamic(),
          "input '{}' is {}: its extents '?' are not known; give its shape, for example --input-shape "
          "{}:1x3x224x224",
          input.name, to_string(input.type), input.name);
    with_context([&] { return "input '" + input.name + "'"; },
                 [&] { static_cast<void>(byte_size(input.type.dtype, input.type.shape)); });
  }
}

}  // namespace

Graph specialize(Graph graph, const Bindings& bindings) {
  for (const auto& [name, shape] : bindings.shapes) bind_shape(graph, name, shape);
  for (const auto& [name, extent] : bindings.dims) bind_dim(graph, name, extent);
  for (const auto& [name, tensor] : bindings.constants) bind_constant(graph, name, tensor);
  return infer_types(std::move(graph));
}

void infer_node(Graph& graph, const Node& node) {
  std::vector<Type> types = def(node.op).infer(node.op, operands(graph, node));
  check(node.out.size() <= types.size(), "has {} outputs; the operator gives {}", node.out.size(),
        types.size());
  for (std::size_t i = 0; i < node.out.size(); ++i) {
    if (node.out[i] == kNoValue) continue;
    static_cast<void>(byte_size(types[i].dtype, types[i].shape));
    graph[node.out[i]].type = std::move(types[i]);
  }
}

Graph infer_types(Graph graph) {
  verify(graph);
  check_inputs(graph);
  std::vector<Node> kept;
  for (Node& node : graph.nodes) {
    const bool evaluated = with_context([&] { return describe(graph, node); },
                                        [&] {
                                          infer_node(graph, node);
                                          if (!is_shape_arithmetic(graph, node)) return false;
                                          become_constants(graph, node);
                                          return true;
                                        });
    if (!evaluated) kept.push_back(std::move(node));
  }
  graph.nodes = std::move(kept);
  compact(graph);
  return graph;
}

std::vector<Tensor> evaluate_constant(const Graph& graph, const Node& node) {
  return evaluate_node(graph, node, [&](ValueId id) {
    const Tensor* constant = graph.constant(id);
    return TensorView{&graph[id].type, constant ? constant->data() : nullptr};
  });
}

std::vector<Tensor> evaluate(const Graph& graph, const std::vector<Tensor>& inputs) {
  check(inputs.size() == graph.inputs.size(), "{} inputs given; the graph has {}", inputs.size(),
        graph.inputs.size());
  Values values(graph.values.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Value& input = graph[graph.inputs[i]];
    check(inputs[i].dtype() == input.type.dtype && inputs[i].shape() == input.type.shape,
          "input '{}' is {}; {} was given", input.name, to_string(input.type), to_string(inputs[i].type()));
    values[static_cast<std::size_t>(graph.inputs[i])] = inputs[i].with_quant(input.type.quant);
  }
  std::vector<int> uses(graph.values.size(), 0);
  for (const Node& node : graph.nodes)
    for (const ValueId id : node.in)
      if (id != kNoValue) ++uses[static_cast<std::size_t>(id)];
  for (const ValueId id : graph.outputs) ++uses[static_cast<std::size_t>(id)];

  const auto value = [&](ValueId id) -> const Tensor& {
    const Tensor* constant = graph.constant(id);
    return constant ? *constant : *values[static_cast<std::size_t>(id)];
  };
  for (const Node& node : graph.nodes) {
    std::vector<Tensor> results = with_context(
        [&] { return describe(graph, node); },
        [&] { return evaluate_node(graph, node, [&](ValueId id) { return value(id).view(); }); });
    for (std::size_t i = 0; i < results.size(); ++i)
      if (node.out[i] != kNoValue) values[static_cast<std::size_t>(node.out[i])] = std::move(results[i]);
    for (const ValueId id : node.in)
      if (id != kNoValue && --uses[static_cast<std::size_t>(id)] == 0)
        values[static_cast<std::size_t>(id)].reset();
  }
  std::vector<Tensor> outputs;
  for (const ValueId id : graph.outputs) outputs.push_back(value(id));
  return outputs;
}

}  // namespace eke
