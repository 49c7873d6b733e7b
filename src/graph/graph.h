// The intermediate representation: a plain value that can be copied, compared, printed and parsed. It knows
// nothing of files, machines or kernels. Nodes stand in execution order.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.h"
#include "tensor/tensor.h"

namespace eke {

using ValueId = std::int32_t;
inline constexpr ValueId kNoValue = -1;  // an optional input or output that is absent

// A value is exactly one of: a graph input, a constant, the output of one node.
struct Value {
  std::string name;
  Type type;                               // of a node's output: meaningful after infer_types (ops/infer.h)
  std::shared_ptr<const Tensor> constant;  // shared between copies of a graph
  std::vector<std::string> dim_names;      // of a graph input: names of its dynamic extents ("" where fixed)
};
bool operator==(const Value& a, const Value& b);  // compares the bytes of constants

struct Node {
  Op op;
  std::vector<ValueId> in, out;
  std::string name;
  friend bool operator==(const Node&, const Node&) = default;
};

struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<ValueId> inputs, outputs;
  std::map<std::string, std::string> metadata;  // ONNX metadata_props
  friend bool operator==(const Graph&, const Graph&) = default;

  const Value& operator[](ValueId id) const { return values[static_cast<std::size_t>(id)]; }
  Value& operator[](ValueId id) { return values[static_cast<std::size_t>(id)]; }
  const Tensor* constant(ValueId id) const { return id == kNoValue ? nullptr : (*this)[id].constant.get(); }

  // Value names are unique: a taken one gets a suffix.
  ValueId add_value(std::string name, Type type = {});
  ValueId add_constant(std::string name, Tensor tensor);
  // Appends a node with one new output per name; returns the first output.
  ValueId add_node(Op op, std::vector<ValueId> in, std::string name, std::vector<std::string> out_names = {});
};

// Throws an Error that names the node and the rule when the graph is not well formed: ids in range, each
// value defined once and before its use, names unique, inputs and outputs valid, constants agreeing with
// their types.
void verify(const Graph& graph);

// How messages name a node: "node 'conv1' (Conv)"; one without a name by what it makes.
std::string describe(const Graph& graph, const Node& node);

// Indexes that many passes need; they go stale when the graph changes.
std::vector<int> producers(const Graph& graph);               // per value: index of its node, or -1
std::vector<std::vector<int>> consumers(const Graph& graph);  // per value: indexes of the nodes that read it
                                                              // (once per use); graph outputs are not counted
bool is_graph_output(const Graph& graph, ValueId id);
ValueId find_value(const Graph& graph, std::string_view name);  // kNoValue when there is none

// Makes every reader of `from`, and the graph's outputs, read `to` instead.
void replace_uses(Graph& graph, ValueId from, ValueId to);
// Drops values that nothing refers to and renumbers the rest: inputs, constants, then what the nodes make, in
// order. Equal graphs made in different ways become equal values.
void compact(Graph& graph);
// Puts nodes into an order in which each value is defined before its use; throws and names a node of a cycle.
void sort_nodes(Graph& graph);

// The text form (grammar in graph/text.cpp): to_text(parse_text(t)) == t for printed text, and
// parse_text(to_text(g)) == g. Constants of more than `max_elements` elements are printed as a digest, which
// parse_text refuses.
std::string to_text(const Graph& graph, std::int64_t max_elements = -1);
Graph parse_text(std::string_view text);

}  // namespace eke
