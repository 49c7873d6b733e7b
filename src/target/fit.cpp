#include "target/fit.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/random.h"
#include "ops/infer.h"
#include "passes/passes.h"
#include "runtime/plan.h"
#include "target/fit_rules.h"

namespace eke {
namespace {

void check_float(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    check(!std::holds_alternative<op::QuantizeLinear>(node.op) &&
              !std::holds_alternative<op::DequantizeLinear>(node.op),
          "{}: the model is quantized; fit the float model, then quantize what comes out",
          describe(graph, node));
  }
}

template <class Rule>
Graph apply(Graph graph, const FitOptions& options, std::vector<FitChange>& changes, Rule rule) {
  Rewriter rewriter(std::move(graph));
  FitRun run{rewriter, options, changes};
  rule(run);
  return std::move(rewriter).finish();
}

std::vector<Tensor> random_inputs(const Graph& graph, Random& random) {
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs) {
    const Type& type = graph[id].type;
    check(type.dtype == DType::f32, "input '{}' is {}; only float inputs are compared", graph[id].name,
          to_string(type));
    Tensor tensor(type);
    for (float& value : tensor.mutable_values<float>()) value = static_cast<float>(random.normal());
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

// Cosine of two outputs, and the largest difference in parts of the range of the first.
void compare(const Tensor& a, const Tensor& b, Agreement& result) {
  const std::vector<float> x = as_floats(a), y = as_floats(b);
  double xx = 0, yy = 0, xy = 0, difference = 0, lo = 0, hi = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += static_cast<double>(x[i]) * x[i];
    yy += static_cast<double>(y[i]) * y[i];
    xy += static_cast<double>(x[i]) * y[i];
    lo = std::min(lo, static_cast<double>(x[i]));
    hi = std::max(hi, static_cast<double>(x[i]));
    difference = std::max(difference, std::abs(static_cast<double>(x[i]) - y[i]));
  }
  const double norm = std::sqrt(xx * yy);
  result.elements += static_cast<std::int64_t>(x.size());
  result.largest_difference =
      std::max(result.largest_difference, hi > lo ? difference / (hi - lo) : difference);
  result.cosine = std::min(result.cosine, norm > 0 ? xy / norm : (xx == yy ? 1 : 0));
}

// The fitted network, and the host's part of it behind.
class FittedRunner {
 public:
  FittedRunner(const Fitted& fitted, const Threads& threads)
      : fitted_(fitted), plan_(compile(fitted.graph)), threads_(threads) {
    if (fitted.host) host_ = compile(optimize(*fitted.host));
  }

  // The outputs of the original, in its order.
  std::vector<Tensor> run(const std::vector<Tensor>& inputs, const Graph& original) const {
    Scratch scratch(plan_, threads_);
    std::vector<Tensor> outputs = plan_.run(inputs, scratch);
    if (!host_) return outputs;
    std::map<std::string, Tensor> known;
    for (std::size_t i = 0; i < inputs.size(); ++i) known[original[original.inputs[i]].name] = inputs[i];
    add(fitted_.graph, std::move(outputs), known);
    std::vector<Tensor> crossing;
    for (const ValueId id : fitted_.host->inputs) crossing.push_back(known.at((*fitted_.host)[id].name));
    Scratch host_scratch(*host_, threads_);
    add(*fitted_.host, host_->run(crossing, host_scratch), known);
    std::vector<Tensor> result;
    for (const ValueId id : original.outputs) result.push_back(known.at(original[id].name));
    return result;
  }

 private:
  static void add(const Graph& graph, std::vector<Tensor> outputs, std::map<std::string, Tensor>& known) {
    for (std::size_t i = 0; i < outputs.size(); ++i)
      known[graph[graph.outputs[i]].name] = std::move(outputs[i]);
  }

  const Fitted& fitted_;
  Plan plan_;
  std::optional<Plan> host_;
  const Threads& threads_;
};

}  // namespace

Fitted fit_dla(const Graph& graph, const FitOptions& options) {
  check_float(graph);
  Fitted fitted;
  Graph work = optimize(graph);
  work = apply(std::move(work), options, fitted.changes, fit_vectors);
  work = apply(std::move(work), options, fitted.changes, fit_shapes);
  work = apply(std::move(work), options, fitted.changes, fit_poolings);
  work = apply(std::move(work), options, fitted.changes, fit_activations);
  fit_outputs(work, options, fitted);
  fit_tail(work, options, fitted);
  fitted.graph = infer_types(std::move(work));
  return fitted;
}

Agreement agreement(const Graph& original, const Graph& fitted, const Threads& threads, int inputs,
                    std::uint64_t seed) {
  return agreement(original, Fitted{fitted, {}, {}, {}}, threads, inputs, seed);
}

Agreement agreement(const Graph& original, const Fitted& fitted, const Threads& threads, int inputs,
                    std::uint64_t seed) {
  const Plan before = compile(optimize(original));
  Scratch scratch(before, threads);
  const FittedRunner after(fitted, threads);
  Random random(seed);
  Agreement result;
  for (int i = 0; i < inputs; ++i) {
    const std::vector<Tensor> given = random_inputs(original, random);
    const std::vector<Tensor> a = before.run(given, scratch), b = after.run(given, original);
    check(a.size() == b.size(), "{} outputs became {}", a.size(), b.size());
    for (std::size_t o = 0; o < a.size(); ++o) {
      check(a[o].count() == b[o].count(), "output {} has {} elements, and {} after fitting", o, a[o].count(),
            b[o].count());
      compare(a[o], b[o], result);
    }
  }
  return result;
}

}  // namespace eke
