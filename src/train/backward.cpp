#include "train/backward.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "ops/gradient.h"

namespace eke {
namespace {

bool passes(const OpDef& definition) { return definition.grad != nullptr || !definition.no_grad.empty(); }

// Which values depend on `wrt` by a way that gradients can take.
std::vector<bool> dependent(const Graph& graph, const std::vector<ValueId>& wrt) {
  std::vector<bool> depends(graph.values.size());
  for (const ValueId id : wrt) depends[static_cast<std::size_t>(id)] = true;
  for (const Node& node : graph.nodes) {
    const bool any = std::ranges::any_of(
        node.in, [&](ValueId id) { return id != kNoValue && depends[static_cast<std::size_t>(id)]; });
    if (!any || !passes(def(node.op))) continue;
    const bool rounds = std::holds_alternative<op::QuantizeLinear>(node.op);
    for (const ValueId id : node.out)
      if (id != kNoValue && (rounds || is_float(graph[id].type.dtype)))
        depends[static_cast<std::size_t>(id)] = true;
  }
  return depends;
}

class Differentiator {
 public:
  Differentiator(Graph graph, const std::vector<ValueId>& wrt)
      : graph_(std::move(graph)),
        depends_(dependent(graph_, wrt)),
        gradient_(graph_.values.size(), kNoValue) {}

  void run(ValueId loss) {
    const Type& type = graph_[loss].type;
    check(type.shape.count() == 1 && is_float(type.dtype), "the loss '{}' is {}; one float is needed",
          graph_[loss].name, to_string(type));
    NodeBuilder builder(graph_, graph_[loss].name + "_seed");
    gradient_[static_cast<std::size_t>(loss)] =
        builder.reshape(builder.scalar(1, type.dtype), graph_[loss].type.shape);
    const std::size_t count = graph_.nodes.size();
    for (std::size_t i = count; i-- > 0;) {
      const Node node = graph_.nodes[i];
      with_context([&] { return describe(graph_, node); }, [&] { pass(node); });
    }
  }

  Backward result(const std::vector<ValueId>& wrt) && {
    std::vector<ValueId> gradients;
    for (const ValueId id : wrt) gradients.push_back(gradient_[static_cast<std::size_t>(id)]);
    return {std::move(graph_), std::move(gradients)};
  }

 private:
  bool depends(ValueId id) const { return id != kNoValue && depends_[static_cast<std::size_t>(id)]; }

  void pass(const Node& node) {
    std::vector<ValueId> dy;
    for (const ValueId id : node.out)
      dy.push_back(id == kNoValue ? kNoValue : gradient_[static_cast<std::size_t>(id)]);
    std::vector<bool> wanted;
    for (const ValueId id : node.in) wanted.push_back(depends(id));
    const bool known = std::ranges::any_of(dy, [](ValueId id) { return id != kNoValue; });
    if (!known || std::ranges::find(wanted, true) == wanted.end()) return;
    const OpDef& definition = def(node.op);
    if (definition.grad == nullptr) {
      check(definition.no_grad.empty(), "has no gradient: {}; freeze the layers below it",
            definition.no_grad);
      return;
    }
    GradientBuilder builder(graph_, node, dy, wanted);
    const std::vector<ValueId> gradients = definition.grad(builder);
    for (std::size_t i = 0; i < gradients.size() && i < node.in.size(); ++i)
      if (wanted[i] && gradients[i] != kNoValue) add(node.in[i], gradients[i]);
  }

  // Sums as gradients appear, so that no two of them wait for each other in memory.
  void add(ValueId id, ValueId gradient) {
    ValueId& sum = gradient_[static_cast<std::size_t>(id)];
    sum = sum == kNoValue ? gradient : NodeBuilder(graph_, graph_[id].name + "_grad_sum").plus(sum, gradient);
  }

  Graph graph_;
  std::vector<bool> depends_;
  std::vector<ValueId> gradient_;
};

}  // namespace

Backward backward(Graph graph, ValueId loss, const std::vector<ValueId>& wrt) {
  Differentiator differentiator(std::move(graph), wrt);
  differentiator.run(loss);
  return std::move(differentiator).result(wrt);
}

}  // namespace eke
