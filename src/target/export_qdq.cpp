#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "ops/infer.h"
#include "passes/rewriter.h"
#include "target/export.h"
#include "target/export_scales.h"

namespace eke {
namespace {

class QdqRewrite {
 public:
  QdqRewrite(Rewriter& r, const std::map<std::string, float>& scales, std::vector<ExportNote>& notes)
      : r_(r), scales_(scales), notes_(notes) {}

  void visit() {
    if (r_.current<op::DequantizeLinear>() && r_.constant(r_.in(0))) return constant();
    if (r_.current<op::QuantizeLinear>() || r_.current<op::DequantizeLinear>()) return activation();
    const auto* binary = r_.current<op::Binary>();
    if (binary && binary->fn == op::BinaryFn::Add) residual();
  }

 private:
  // Weights keep their integers; TensorRT reads biases and other constants as floats.
  void constant() {
    const Tensor& stored = *r_.constant(r_.in(0));
    if (stored.dtype() == DType::i8 && stored.shape().rank() >= 2 && is_symmetric()) return;
    std::vector<Tensor> value = evaluate_constant(r_.graph(), r_.node());
    r_.bypass(r_.add_constant(r_.graph()[r_.out()].name + "_float", std::move(value.at(0))));
  }

  bool is_symmetric() const {
    if (r_.in(2) == kNoValue) return true;
    const Tensor* zero = r_.constant(r_.in(2));
    for (std::int64_t i = 0; zero && i < zero->count(); ++i)
      if (element_as_int(zero->view(), i) != 0) return false;
    return zero != nullptr;
  }

  void activation() {
    const std::vector<int> makers = producers(r_.graph());
    const std::string& tensor = r_.graph()[origin(r_.graph(), makers, r_.in(0))].name;
    const auto found = scales_.find(tensor);
    if (found == scales_.end()) return;
    const auto [scale, zero] = parameters(found->second);
    r_.set_input(1, scale);
    r_.set_input(2, zero);
  }

  // Constants for each scale, shared.
  std::pair<ValueId, ValueId> parameters(float scale) {
    const auto [at, added] = constants_.try_emplace(scale);
    if (added) {
      if (zero_ == kNoValue) zero_ = r_.add_constant("int8_zero_point", Tensor::scalar(std::int8_t{0}));
      at->second = r_.add_constant(fmt::format("int8_scale_{}", constants_.size()), Tensor::scalar(scale));
    }
    return {at->second, zero_};
  }

  // The sum is fused with the convolution before it, so that no rounding stands between; the other branch keeps
  // its own.
  void residual() {
    if (is_convolution(r_.in(0)) || is_convolution(r_.in(1))) return;
    for (std::size_t i = 0; i < 2; ++i) {
      const auto* dequantize = r_.made_by<op::DequantizeLinear>(r_.in(i));
      if (!dequantize || r_.constant(r_.producer(r_.in(i))->in[0]) || !r_.single_use(r_.in(i))) continue;
      const ValueId stored = r_.producer(r_.in(i))->in[0];
      if (!r_.made_by<op::QuantizeLinear>(stored) || !r_.single_use(stored)) continue;
      const ValueId value = r_.producer(stored)->in[0];
      if (!is_convolution(value)) continue;
      notes_.push_back(
          {r_.graph()[value].name, "no rounding before the addition, with which TensorRT fuses it"});
      return r_.set_input(i, value);
    }
  }

  bool is_convolution(ValueId id) const { return r_.made_by<op::Conv>(id) && r_.single_use(id); }

  Rewriter& r_;
  const std::map<std::string, float>& scales_;
  std::vector<ExportNote>& notes_;
  std::map<float, ValueId> constants_;
  ValueId zero_ = kNoValue;
};

void check_inputs_are_float(const Graph& graph) {
  for (const ValueId id : graph.inputs)
    check(is_float(graph[id].type.dtype), "input '{}' is {}; float inputs are needed", graph[id].name,
          to_string(graph[id].type));
}

}  // namespace

QdqExport export_qdq(const Graph& graph, bool equal_scales) {
  check_inputs_are_float(graph);
  QdqExport result;
  std::map<std::string, float> scales = symmetric_scales(graph, result.notes);
  if (equal_scales) make_equal(graph, DlaTarget{}, scales, result.notes);
  Rewriter rewriter(graph);
  QdqRewrite rewrite(rewriter, scales, result.notes);
  // Constants first: what follows takes them for what they are.
  rewriter.for_each_node([&] { rewrite.visit(); });
  result.graph = std::move(rewriter).finish();
  return result;
}

}  // namespace eke
