// What passes share: a walk over the nodes in order, during which nodes are replaced, inserted and bypassed,
// with the indexes that patterns need always up to date.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace eke {

class Rewriter {
 public:
  explicit Rewriter(Graph graph) : graph_(std::move(graph)) {}

  // Calls rewrite() for each live node in order; the functions below act on that node.
  template <class F>
  void for_each_node(F&& rewrite) {
    for (at_ = 0; at_ < graph_.nodes.size(); ++at_)
      if (is_live(node())) rewrite();
  }

  const Graph& graph() const noexcept { return graph_; }
  const Node& node() const noexcept { return graph_.nodes[at_]; }
  template <class A>
  const A* current() const noexcept {
    return std::get_if<A>(&node().op);
  }

  // Input i of the current node; kNoValue where it is absent.
  ValueId in(std::size_t i) const noexcept { return i < node().in.size() ? node().in[i] : kNoValue; }
  ValueId out() const noexcept { return node().out[0]; }

  const Type& type(ValueId id) const { return graph_[id].type; }
  const Tensor* constant(ValueId id) const { return graph_.constant(id); }
  // The node that makes a value; null for inputs and constants.
  const Node* producer(ValueId id);
  int producer_index(ValueId id);
  // The attributes of the node that makes a value as its first output, where that is an A; null otherwise.
  template <class A>
  const A* made_by(ValueId id) {
    const Node* maker = producer(id);
    return maker && maker->out[0] == id ? std::get_if<A>(&maker->op) : nullptr;
  }
  int uses(ValueId id);  // reads by nodes, and appearances as a graph output
  bool is_output(ValueId id) const { return is_graph_output(graph_, id); }
  bool single_use(ValueId id) { return uses(id) == 1 && !is_output(id); }

  // The current node becomes another one that makes the same (first) value. It takes over a name where one is
  // given: a layer that grows keeps its own.
  void replace(Op op, std::vector<ValueId> in, const std::string& name = {});
  // The current node keeps its operator and reads another value at `i`.
  void set_input(std::size_t i, ValueId id);
  // A node before the current one; returns its output, whose type is known.
  ValueId insert(Op op, std::vector<ValueId> in, const std::string& name);
  ValueId add_constant(const std::string& name, Tensor tensor);
  // Another value for a constant that one node reads, which is being replaced: in its place where nothing
  // else reads it, beside it otherwise.
  ValueId replace_constant(ValueId id, Tensor tensor);
  // Readers of the current node's first output read `id` instead, and the node goes. A graph output keeps its
  // name: then the maker of `id` makes it. False, and nothing happens, where that is impossible.
  bool bypass(ValueId id);

  // Without dead nodes, typed again; the graph as it came where nothing was rewritten.
  Graph finish() &&;

 private:
  void index();
  void change() noexcept { indexed_ = false, changed_ = true; }
  // Whether somebody needs what it makes: rewrites leave the nodes that they took up behind.
  bool is_live(const Node& node);

  Graph graph_;
  std::size_t at_ = 0;
  bool indexed_ = false, changed_ = false;
  std::vector<int> producers_, uses_;
};

// Removes nodes that nothing needs.
void remove_dead_nodes(Graph& graph);

// --- patterns ----------------------------------------------------------------------------------------------

template <class... A>
bool holds_any(const Op& op) noexcept {
  return (std::holds_alternative<A>(op) || ...);
}

// The one value that all elements of a float32 constant have.
std::optional<float> uniform(const Tensor* tensor);

// The elements of a float32 constant that varies at most along `axis` of a tensor of shape `out` to which it
// broadcasts: one per channel. Nothing where it has another form.
std::optional<std::vector<double>> per_channel(const Tensor* tensor, const Shape& out, int axis);

}  // namespace eke
