// What the gradient functions of OpDefs build with, and where they are. Gradients are nodes like any other, so that
// training is lowered, planned and timed as inference is.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "ops/node_builder.h"
#include "ops/op_def.h"

namespace eke {

class GradientBuilder : public NodeBuilder {
 public:
  // `dy`: the gradient of each output of `node`, kNoValue where nothing depends on the output; `wanted`: for which
  // inputs a gradient is asked.
  GradientBuilder(Graph& graph, Node node, std::vector<ValueId> dy, std::vector<bool> wanted)
      : NodeBuilder(graph, (node.name.empty() ? graph[node.out[0]].name : node.name) + "_grad"),
        node_(std::move(node)),
        dy_(std::move(dy)),
        wanted_(std::move(wanted)) {}

  const Node& node() const noexcept { return node_; }
  template <class A>
  const A& op() const noexcept {
    return *std::get_if<A>(&node_.op);
  }
  ValueId in(std::size_t i) const noexcept { return i < node_.in.size() ? node_.in[i] : kNoValue; }
  ValueId out(std::size_t i = 0) const noexcept { return i < node_.out.size() ? node_.out[i] : kNoValue; }
  ValueId dy(std::size_t i = 0) const noexcept { return i < dy_.size() ? dy_[i] : kNoValue; }
  bool wants(std::size_t i) const noexcept { return i < wanted_.size() && wanted_[i]; }

 private:
  Node node_;
  std::vector<ValueId> dy_;
  std::vector<bool> wanted_;
};

// The gradient functions of one file, joined to the OpDefs by op_def.cpp; all_gradients is in training_only.cpp.
struct Gradient {
  Op kind;
  GradientFn grad = nullptr;
  std::string_view none = {};  // why there is no gradient
};
std::vector<Gradient> all_gradients();
std::vector<Gradient> product_gradients();      // gradient_product.cpp: Conv, ConvTranspose, Gemm, MatMul
std::vector<Gradient> window_gradients();       // gradient_window.cpp: poolings, normalizations
std::vector<Gradient> elementwise_gradients();  // gradient_elementwise.cpp
std::vector<Gradient> layout_gradients();       // gradient_layout.cpp: shapes and reductions
std::vector<Gradient> loss_gradients();         // gradient_loss.cpp: softmaxes and losses
std::vector<Gradient> quantize_gradients();     // gradient_quantize.cpp: rounding, straight through

}  // namespace eke
