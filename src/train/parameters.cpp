// Which constants of a network are parameters.
#include <algorithm>
#include <set>

#include "train/step.h"

namespace eke {
namespace {

bool is_product(const Graph& graph, int node) {
  if (node < 0) return false;
  const Op& op = graph.nodes[static_cast<std::size_t>(node)].op;
  return std::holds_alternative<op::MatMul>(op) || std::holds_alternative<op::Gemm>(op) ||
         std::holds_alternative<op::Conv>(op) || std::holds_alternative<op::ConvTranspose>(op);
}

class Finder {
 public:
  explicit Finder(const Graph& graph) : graph_(graph), producer_(producers(graph)) {}

  std::vector<Parameter> run() && {
    for (const Node& node : graph_.nodes) visit(node);
    return std::move(found_);
  }

 private:
  void visit(const Node& node) {
    if (std::holds_alternative<op::Conv>(node.op) || std::holds_alternative<op::ConvTranspose>(node.op) ||
        std::holds_alternative<op::Gemm>(node.op)) {
      take(node, 1, ParameterKind::weight);
      take(node, 2, ParameterKind::bias);
    } else if (std::holds_alternative<op::QuantizeLinear>(node.op)) {
      take(node, 0, ParameterKind::weight);
      take_scale(node);
    } else if (std::holds_alternative<op::MatMul>(node.op)) {
      take(node, 0, ParameterKind::weight);
      take(node, 1, ParameterKind::weight);
    } else if (std::holds_alternative<op::BatchNormalization>(node.op) ||
               std::holds_alternative<op::InstanceNormalization>(node.op) ||
               std::holds_alternative<op::LayerNormalization>(node.op) ||
               std::holds_alternative<op::GroupNormalization>(node.op)) {
      take(node, 1, ParameterKind::norm);
      take(node, 2, ParameterKind::norm);
    } else if (const auto* binary = std::get_if<op::Binary>(&node.op)) {
      if (binary->fn == op::BinaryFn::PRelu) take(node, 1, ParameterKind::slope);
      // The bias of a product that has none of its own; other sums are preprocessing.
      for (std::size_t i : {0, 1})
        if (binary->fn == op::BinaryFn::Add && is_product(graph_, producer(node, 1 - i)))
          take(node, i, ParameterKind::bias);
    }
  }

  // A scale that training may carry through zero counts by its size.
  void take_scale(const Node& node) {
    const int source = producer(node, 1);
    if (source < 0) return take(node, 1, ParameterKind::scale);
    const Node& size = graph_.nodes[static_cast<std::size_t>(source)];
    const auto* unary = std::get_if<op::Unary>(&size.op);
    if (unary != nullptr && unary->fn == op::UnaryFn::Abs) take(size, 0, ParameterKind::scale);
  }

  int producer(const Node& node, std::size_t i) const {
    return i < node.in.size() && node.in[i] != kNoValue ? producer_[static_cast<std::size_t>(node.in[i])]
                                                        : -1;
  }

  void take(const Node& node, std::size_t i, ParameterKind kind) {
    if (i >= node.in.size()) return;
    const Tensor* constant = graph_.constant(node.in[i]);
    if (constant == nullptr || constant->dtype() != DType::f32 || !seen_.insert(node.in[i]).second) return;
    found_.push_back({graph_[node.in[i]].name, constant->shape(), kind, node.name});
  }

  const Graph& graph_;
  std::vector<int> producer_;
  std::set<ValueId> seen_;
  std::vector<Parameter> found_;
};

}  // namespace

std::vector<Parameter> parameters(const Graph& graph) { return Finder(graph).run(); }

}  // namespace eke
