#include "graph/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <queue>
#include <unordered_set>
#include <utility>

#include "base/error.h"

namespace eke {
namespace {

bool has_name(const Graph& graph, std::string_view name) {
  return std::any_of(graph.values.begin(), graph.values.end(),
                     [&](const Value& value) { return value.name == name; });
}

std::string unique_name(const Graph& graph, std::string name) {
  if (name.empty()) name = "value";
  if (!has_name(graph, name)) return name;
  for (int suffix = 1;; ++suffix) {
    std::string candidate = fmt::format("{}_{}", name, suffix);
    if (!has_name(graph, candidate)) return candidate;
  }
}

bool in_range(const Graph& graph, ValueId id) {
  return id >= 0 && static_cast<std::size_t>(id) < graph.values.size();
}

// Which values have been defined so far, while verify walks the graph.
class Definitions {
 public:
  explicit Definitions(const Graph& graph) : graph_(graph), defined_(graph.values.size(), false) {}

  // `place` makes the text of a message.
  template <class Place>
  void check_range(ValueId id, const Place& place) const {
    if (!in_range(graph_, id))
      fail("{} is value {}; the graph has {} values", place(), id, graph_.values.size());
  }
  template <class Place>
  void define(ValueId id, const Place& place) {
    check_range(id, place);
    if (defined_[static_cast<std::size_t>(id)])
      fail("{} is '{}', which is defined already", place(), graph_[id].name);
    defined_[static_cast<std::size_t>(id)] = true;
  }
  template <class Place>
  void use(ValueId id, const Place& place) const {
    check_range(id, place);
    if (!defined_[static_cast<std::size_t>(id)])
      fail("{} is '{}', which nothing defines before this use", place(), graph_[id].name);
  }

 private:
  const Graph& graph_;
  std::vector<bool> defined_;
};

auto place_of(std::string_view what, std::size_t i) {
  return [what, i] { return fmt::format("{} {}", what, i); };
}

void verify_values(const Graph& graph) {
  std::unordered_set<std::string_view> names;
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    check(!value.name.empty(), "value {} has no name", i);
    check(names.insert(value.name).second, "two values are named '{}'", value.name);
    if (value.constant && value.constant->type() != value.type)
      fail("constant '{}' is {}, its value says {}", value.name, to_string(value.constant->type()),
           to_string(value.type));
  }
}

void verify_node(const Graph& graph, const Node& node, Definitions& definitions) {
  for (std::size_t i = 0; i < node.in.size(); ++i)
    if (node.in[i] != kNoValue) definitions.use(node.in[i], place_of("input", i));
  bool any = false;
  for (std::size_t i = 0; i < node.out.size(); ++i) {
    if (node.out[i] == kNoValue) continue;
    any = true;
    definitions.define(node.out[i], place_of("output", i));
    check(!graph.constant(node.out[i]), "output {} is '{}', which is a constant", i, graph[node.out[i]].name);
  }
  check(any, "has no output");
}

}  // namespace

bool operator==(const Value& a, const Value& b) {
  const bool same_constant =
      a.constant == b.constant || (a.constant && b.constant && *a.constant == *b.constant);
  return same_constant && a.name == b.name && a.type == b.type && a.dim_names == b.dim_names;
}

ValueId Graph::add_value(std::string name, Type type) {
  values.push_back({unique_name(*this, std::move(name)), std::move(type), nullptr, {}});
  return static_cast<ValueId>(values.size() - 1);
}

ValueId Graph::add_constant(std::string name, Tensor tensor) {
  const ValueId id = add_value(std::move(name), tensor.type());
  (*this)[id].constant = std::make_shared<const Tensor>(std::move(tensor));
  return id;
}

ValueId Graph::add_node(Op op, std::vector<ValueId> in, std::string name,
                        std::vector<std::string> out_names) {
  if (out_names.empty()) out_names.push_back(name.empty() ? std::string(op_name(op)) : name);
  Node node{std::move(op), std::move(in), {}, std::move(name)};
  for (std::string& out : out_names) node.out.push_back(add_value(std::move(out)));
  nodes.push_back(std::move(node));
  return nodes.back().out.front();
}

std::string describe(const Graph& graph, const Node& node) {
  if (!node.name.empty()) return fmt::format("node '{}' ({})", node.name, op_name(node.op));
  for (const ValueId id : node.out)
    if (in_range(graph, id)) return fmt::format("node of '{}' ({})", graph[id].name, op_name(node.op));
  return fmt::format("node ({})", op_name(node.op));
}

void verify(const Graph& graph) {
  verify_values(graph);
  Definitions definitions(graph);
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    definitions.define(graph.inputs[i], place_of("graph input", i));
    check(!graph.constant(graph.inputs[i]), "graph input '{}' is a constant too",
          graph[graph.inputs[i]].name);
  }
  for (std::size_t i = 0; i < graph.values.size(); ++i)
    if (graph.values[i].constant) definitions.define(static_cast<ValueId>(i), [] { return "a constant"; });
  for (const Node& node : graph.nodes)
    with_context([&] { return describe(graph, node); }, [&] { verify_node(graph, node, definitions); });
  for (std::size_t i = 0; i < graph.outputs.size(); ++i)
    definitions.use(graph.outputs[i], place_of("graph output", i));
}

std::vector<int> producers(const Graph& graph) {
  std::vector<int> result(graph.values.size(), -1);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    for (const ValueId id : graph.nodes[i].out)
      if (id != kNoValue) result[static_cast<std::size_t>(id)] = static_cast<int>(i);
  return result;
}

std::vector<std::vector<int>> consumers(const Graph& graph) {
  std::vector<std::vector<int>> result(graph.values.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    for (const ValueId id : graph.nodes[i].in)
      if (id != kNoValue) result[static_cast<std::size_t>(id)].push_back(static_cast<int>(i));
  return result;
}

bool is_graph_output(const Graph& graph, ValueId id) {
  return std::find(graph.outputs.begin(), graph.outputs.end(), id) != graph.outputs.end();
}

ValueId find_value(const Graph& graph, std::string_view name) {
  for (std::size_t i = 0; i < graph.values.size(); ++i)
    if (graph.values[i].name == name) return static_cast<ValueId>(i);
  return kNoValue;
}

void replace_uses(Graph& graph, ValueId from, ValueId to) {
  for (Node& node : graph.nodes) std::replace(node.in.begin(), node.in.end(), from, to);
  std::replace(graph.outputs.begin(), graph.outputs.end(), from, to);
}

void compact(Graph& graph) {
  std::vector<bool> used(graph.values.size(), false);
  const auto mark = [&](ValueId id) {
    if (id != kNoValue) used[static_cast<std::size_t>(id)] = true;
  };
  for (const Node& node : graph.nodes) std::for_each(node.in.begin(), node.in.end(), mark);
  std::for_each(graph.outputs.begin(), graph.outputs.end(), mark);

  std::vector<ValueId> renumbered(graph.values.size(), kNoValue);
  std::vector<Value> kept;
  const auto keep = [&](ValueId id) {
    if (id == kNoValue || renumbered[static_cast<std::size_t>(id)] != kNoValue) return;
    renumbered[static_cast<std::size_t>(id)] = static_cast<ValueId>(kept.size());
    kept.push_back(std::move(graph[id]));
  };
  std::for_each(graph.inputs.begin(), graph.inputs.end(), keep);
  for (std::size_t i = 0; i < used.size(); ++i)
    if (used[i] && graph.values[i].constant) keep(static_cast<ValueId>(i));
  for (const Node& node : graph.nodes) std::for_each(node.out.begin(), node.out.end(), keep);
  // Used but defined nowhere: verify has to see it.
  for (std::size_t i = 0; i < used.size(); ++i)
    if (used[i]) keep(static_cast<ValueId>(i));

  graph.values = std::move(kept);
  const auto renumber = [&](std::vector<ValueId>& ids) {
    for (ValueId& id : ids)
      if (id != kNoValue) id = renumbered[static_cast<std::size_t>(id)];
  };
  renumber(graph.inputs);
  renumber(graph.outputs);
  for (Node& node : graph.nodes) {
    renumber(node.in);
    renumber(node.out);
  }
}

void sort_nodes(Graph& graph) {
  const std::vector<int> producer = producers(graph);
  const std::vector<std::vector<int>> readers = consumers(graph);
  std::vector<int> waiting(graph.nodes.size(), 0);
  // Among the nodes that are ready the first comes first, so that a sorted graph stays as it is.
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const ValueId id : graph.nodes[i].in)
      if (id != kNoValue && producer[static_cast<std::size_t>(id)] >= 0) ++waiting[i];
    if (waiting[i] == 0) ready.push(static_cast<int>(i));
  }
  std::vector<Node> sorted;
  while (!ready.empty()) {
    const auto index = static_cast<std::size_t>(ready.top());
    ready.pop();
    for (const ValueId id : graph.nodes[index].out) {
      if (id == kNoValue) continue;
      for (const int reader : readers[static_cast<std::size_t>(id)])
        if (--waiting[static_cast<std::size_t>(reader)] == 0) ready.push(reader);
    }
    sorted.push_back(std::move(graph.nodes[index]));
  }
  for (std::size_t i = 0; i < graph.nodes.size() && sorted.size() != graph.nodes.size(); ++i)
    check(waiting[i] == 0, "the graph has a cycle, on which {} depends", describe(graph, graph.nodes[i]));
  graph.nodes = std::move(sorted);
}

}  // namespace eke
