// Types for a whole graph, and evaluation of a whole graph by the reference.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace eke {

// Sets the extents of graph inputs (by name; "" stands for the only input), those that are fixed already too,
// or replaces an input by a constant where a tensor is given, then infers every type. A name that the graph
// lacks is a UsageError.
struct Bindings {
  std::map<std::string, Shape> shapes = {};
  std::map<std::string, std::int64_t> dims = {};  // by the name of a dynamic extent
  std::map<std::string, Tensor> constants = {};
};
Graph specialize(Graph graph, const Bindings& bindings);

// Infers the type of every value. Nodes whose inputs are all constants and whose outputs are small (shape
// arithmetic) are evaluated on the way, so that shapes computed in the graph become known; their outputs
// become constants and the nodes go. Throws an Error that names the node and the rule; a graph input that is
// still dynamic is named together with the way to fix it.
Graph infer_types(Graph graph);

// Sets the types of one node's outputs from those of its inputs.
void infer_node(Graph& graph, const Node& node);

// Evaluates by OpDef::eval, node by node. `inputs` in the order of graph.inputs.
std::vector<Tensor> evaluate(const Graph& graph, const std::vector<Tensor>& inputs);

// The outputs of one node whose inputs are all constants, in the order of node.out; an absent one is empty.
std::vector<Tensor> evaluate_constant(const Graph& graph, const Node& node);

}  // namespace eke
