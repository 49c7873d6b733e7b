#include "learn/head.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

constexpr std::int64_t kEmbeddingSizes[] = {64, 128, 256, 512};
constexpr std::string_view kLabelsMetadata = "eke.labels";

bool is_product(const Graph& graph, const Node& node) {
  return holds_any<op::Conv, op::Gemm, op::MatMul>(node.op) && node.in.size() > 1 &&
         graph.constant(node.in[1]) != nullptr;
}

bool is_normalization(const Node& node) {
  if (const auto* reduce = std::get_if<op::Reduce>(&node.op)) return reduce->fn == op::ReduceFn::ReduceL2;
  return holds_any<op::BatchNormalization, op::LpNormalization>(node.op);
}

std::string_view label_of(const Graph& graph, const Node& node) {
  return node.name.empty() ? std::string_view(graph[node.out[0]].name) : std::string_view(node.name);
}

// The nodes on which the first output depends, last first, down to and with the last product.
struct Tail {
  std::vector<std::size_t> nodes;
  const Node* product = nullptr;
};

Tail tail_of(const Graph& graph) {
  check(!graph.outputs.empty(), "the model has no output");
  std::vector<bool> needed(graph.values.size(), false);
  needed[static_cast<std::size_t>(graph.outputs[0])] = true;
  Tail tail;
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    const bool is_needed = std::ranges::any_of(
        node.out, [&](ValueId id) { return id != kNoValue && needed[static_cast<std::size_t>(id)]; });
    if (!is_needed) continue;
    tail.nodes.push_back(n);
    if (is_product(graph, node)) {
      tail.product = &node;
      return tail;
    }
    for (const ValueId id : node.in) {
      if (id != kNoValue) needed[static_cast<std::size_t>(id)] = true;
    }
  }
  return tail;
}

bool ends_in_embedding(const Graph& graph, const Tail& tail) {
  const auto any = [&](auto&& is) {
    return std::ranges::any_of(tail.nodes, [&](std::size_t n) { return is(graph.nodes[n]); });
  };
  if (any([](const Node& node) { return holds_any<op::Softmax, op::LogSoftmax>(node.op); })) return false;
  if (any(is_normalization)) return true;
  const Shape& shape = graph[graph.outputs[0]].type.shape;
  return graph.metadata.count(std::string(kLabelsMetadata)) == 0 && shape.rank() == 2 &&
         std::ranges::find(kEmbeddingSizes, shape[1]) != std::end(kEmbeddingSizes);
}

void keep_only_output(Graph& graph, ValueId output) {
  graph.outputs = {output};
  remove_dead_nodes(graph);
  compact(graph);
}

// [N, D] of whatever the features are.
ValueId flat_features(Graph& graph, const HeadPlace& place) {
  ValueId id = find_value(graph, place.features);
  check(id != kNoValue, "the model has no value '{}' to use as features", place.features);
  const Shape& shape = place.shape;
  check(shape.rank() == 2 || shape.rank() == 4,
        "the features '{}' have shape {}: a head needs [N, D] or a map [N, D, H, W]; name another value",
        place.features, to_string(shape));
  if (shape.rank() == 2) return id;
  if (shape[2] != 1 || shape[3] != 1) {
    id = graph.add_node(op::GlobalAveragePool{}, {id}, "head_pool", {"head_pooled"});
  }
  return graph.add_node(op::Flatten{}, {id}, "head_flatten", {"head_flat"});
}

}  // namespace

HeadPlace find_head(const Graph& graph, const std::string& at) {
  HeadPlace place;
  const Tail tail = tail_of(graph);
  if (!at.empty()) {
    check(find_value(graph, at) != kNoValue,
          "the model has no value '{}' to use as features: eke info lists them", at);
    place.features = at;
    place.shape = graph[find_value(graph, at)].type.shape;
    place.cuts_classifier = at != graph[graph.outputs[0]].name;
    return place;
  }
  check(tail.product != nullptr,
        "the model has no convolution or matrix product with constant weights, so no head can be found: name "
        "the "
        "value to use as features");
  if (ends_in_embedding(graph, tail)) {
    place.features = graph[graph.outputs[0]].name;
    place.shape = graph[graph.outputs[0]].type.shape;
    return place;
  }
  place.features = graph[tail.product->in[0]].name;
  place.shape = graph[tail.product->in[0]].type.shape;
  place.cuts_classifier = true;
  for (const std::size_t n : tail.nodes) place.leaves.emplace_back(label_of(graph, graph.nodes[n]));
  std::ranges::reverse(place.leaves);
  return place;
}

Graph backbone_of(Graph graph, const HeadPlace& place) {
  const ValueId flat = flat_features(graph, place);
  const ValueId named = graph.add_node(op::Identity{}, {flat}, "features", {"features"});
  keep_only_output(graph, named);
  return graph;
}

Graph with_head(Graph graph, const HeadPlace& place, const ClassHead& head) {
  ValueId in = flat_features(graph, place);
  if (head.normalized) {
    in = graph.add_node(op::LpNormalization{.axis = 1, .p = 2}, {in}, "head_normalize", {"head_normalized"});
  }
  std::vector<ValueId> operands{in, graph.add_constant("head.weight", head.weights)};
  if (head.bias.count() > 0 && head.bias.shape().rank() == 1) {
    operands.push_back(graph.add_constant("head.bias", head.bias));
  }
  const ValueId logits = graph.add_node(op::Gemm{.transB = 1}, operands, "head", {"logits"});
  graph[logits].type = {DType::f32, {kDynamic, head.weights.shape()[0]}};
  keep_only_output(graph, logits);
  return graph;
}

std::vector<std::string> values_from(const Graph& graph, const std::string& node) {
  std::size_t first = graph.nodes.size();
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& candidate = graph.nodes[n];
    const bool makes = std::ranges::any_of(
        candidate.out, [&](ValueId id) { return id != kNoValue && graph[id].name == node; });
    if (candidate.name == node || makes) first = n;
  }
  if (first == graph.nodes.size()) {
    throw UsageError(fmt::format("the model has no node or value '{}': eke info lists them", node));
  }
  std::vector<std::string> names;
  for (std::size_t n = first; n < graph.nodes.size(); ++n) {
    for (const ValueId id : graph.nodes[n].in) {
      if (graph.constant(id)) names.push_back(graph[id].name);
    }
  }
  return names;
}

}  // namespace eke
