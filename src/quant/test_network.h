// Small random networks for tests, and how alike two of them are.
#pragma once

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ops/infer.h"
#include "quant/calibrate.h"
#include "quant/learn_rounding.h"
#include "runtime/plan.h"

namespace eke {

// Small networks with weights whose channels differ by orders of magnitude.
class Builder {
 public:
  Builder(std::int64_t channels, std::int64_t size) : channels_(channels) {
    at_ = graph_.add_value("x", {DType::f32, {1, channels, size, size}});
    graph_.inputs = {at_};
  }

  // `spread`: output channel c is made larger by spread^(c / (outputs - 1)).
  Builder& conv(std::int64_t outputs, std::int64_t kernel, double spread = 1, std::int64_t groups = 1) {
    const Shape shape{outputs, channels_ / groups, kernel, kernel};
    Tensor weights(DType::f32, shape), bias(DType::f32, Shape{outputs});
    const std::int64_t each = shape.count() / outputs;
    for (std::int64_t o = 0; o < outputs; ++o) {
      const auto scale =
          static_cast<float>(std::pow(spread, static_cast<double>(o) / static_cast<double>(outputs - 1)));
      for (std::int64_t i = 0; i < each; ++i)
        weights.mutable_values<float>()[static_cast<std::size_t>(o * each + i)] =
            scale * normal_(random_) / std::sqrt(static_cast<float>(each));
      bias.mutable_values<float>()[static_cast<std::size_t>(o)] = 0.1f * scale * normal_(random_);
    }
    const ValueId w = graph_.add_constant("w", weights), b = graph_.add_constant("b", bias);
    op::Conv conv{.kernel_shape = {kernel, kernel}, .pads = {kernel / 2, kernel / 2, kernel / 2, kernel / 2}};
    conv.group = groups;
    channels_ = outputs;
    return then(conv, {at_, w, b});
  }
  // The first layer that reads the channels divides the spread out again, so that no channel prevails.
  Builder& reading(std::int64_t outputs, double spread) {
    const std::int64_t inputs = channels_;
    conv(outputs, 1);
    Tensor weights = *graph_[graph_.nodes.back().in[1]].constant;
    for (std::int64_t i = 0; i < weights.count(); ++i) {
      const double c = static_cast<double>(i % inputs) / static_cast<double>(inputs - 1);
      weights.mutable_values<float>()[static_cast<std::size_t>(i)] *=
          static_cast<float>(std::pow(spread, -c));
    }
    graph_[graph_.nodes.back().in[1]].constant = std::make_shared<const Tensor>(weights);
    return *this;
  }
  Builder& relu() { return then(op::Unary{op::UnaryFn::Relu}, {at_}); }
  Builder& clip(float bound) {
    const ValueId lo = graph_.add_constant("lo", Tensor::scalar(0.0f)),
                  hi = graph_.add_constant("hi", Tensor::scalar(bound));
    return then(op::Clip{}, {at_, lo, hi});
  }
  Builder& prelu() {
    Tensor slope(DType::f32, Shape{channels_, 1, 1});
    for (float& s : slope.mutable_values<float>()) s = 0.1f * normal_(random_);
    return then(op::Binary{op::BinaryFn::PRelu}, {at_, graph_.add_constant("slope", slope)});
  }
  Builder& max_pool() { return then(op::MaxPool{.kernel_shape = {2, 2}, .strides = {2, 2}}, {at_}); }
  Builder& mark() {
    marked_ = at_;
    return *this;
  }
  Builder& add_marked() { return then(op::Binary{op::BinaryFn::Add}, {marked_, at_}); }
  Builder& then(Op op, std::vector<ValueId> in) {
    at_ = graph_.add_node(std::move(op), std::move(in), "n" + std::to_string(graph_.nodes.size()), {"v"});
    return *this;
  }
  Graph done() {
    graph_.outputs = {at_};
    return infer_types(graph_);
  }

 private:
  Graph graph_;
  std::int64_t channels_;
  ValueId at_ = kNoValue, marked_ = kNoValue;
  std::mt19937 random_{7};
  std::normal_distribution<float> normal_;
};

inline std::vector<Tensor> images(const Graph& graph, unsigned seed, int count) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<Tensor> all;
  for (int i = 0; i < count; ++i) {
    all.emplace_back(graph[graph.inputs[0]].type);
    for (float& x : all.back().mutable_values<float>()) x = normal(random);
  }
  return all;
}

inline std::vector<float> outputs(const Graph& graph, const std::vector<Tensor>& inputs) {
  const Plan plan = compile(graph);
  const Threads threads(1);
  Scratch scratch(plan, threads);
  std::vector<float> all;
  for (const Tensor& input : inputs) {
    for (const Tensor& output : plan.run({input}, scratch)) {
      const auto values = output.values<float>();
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  return all;
}

inline Ranges calibrated(const Graph& graph, const RewriteOptions& options,
                         const CalibratorOptions& calibrator, const std::vector<Tensor>& inputs) {
  const Threads threads(1);
  Calibration calibration(graph, options, calibrator, threads);
  for (const Tensor& input : inputs) {
    const TensorView view = input.view();
    const std::string name = "image";
    calibration.observe({&view, 1}, {&name, 1});
  }
  return calibration.ranges();
}

inline ForEachBatch each_of(const std::vector<Tensor>& inputs) {
  return [&inputs](const TakeBatch& take) {
    for (const Tensor& input : inputs) take(input.values<float>(), 1);
  };
}

// Of the second against the first, in dB.
inline double sqnr(const std::vector<float>& reference, const std::vector<float>& other) {
  double signal = 0, noise = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    signal += double{reference[i]} * double{reference[i]};
    noise += (double{reference[i]} - double{other[i]}) * (double{reference[i]} - double{other[i]});
  }
  return 10 * std::log10(signal / noise);
}

}  // namespace eke
