#include "train/step_graph.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <utility>

#include "base/error.h"
#include "ops/infer.h"
#include "ops/node_builder.h"
#include "ops/op_def.h"
#include "passes/passes.h"
#include "train/backward.h"
#include "train/loss.h"
#include "train/recompute.h"
#include "train/rewrite.h"

namespace eke {
namespace {

struct Target {
  Parameter parameter;
  float lr_factor = 1;
};

std::vector<Target> targets_of(const Graph& network, const StepOptions& options) {
  const std::vector<Parameter> known = parameters(network);
  std::vector<Target> targets;
  if (!options.trained) {
    for (const Parameter& parameter : known) targets.push_back({parameter});
  } else {
    for (const Trained& trained : *options.trained) {
      const auto it = std::ranges::find(known, trained.name, &Parameter::name);
      if (it == known.end())
        throw UsageError(
            fmt::format("'{}' is no parameter of the network that can be trained", trained.name));
      check(std::ranges::none_of(targets, [&](const Target& t) { return t.parameter.name == trained.name; }),
            "the parameter '{}' is listed twice", trained.name);
      targets.push_back({*it, trained.lr_factor});
    }
  }
  check(!targets.empty(), "there is nothing to train: the network has no float weights, or none were chosen");
  return targets;
}

// Makes a constant a graph input.
Tensor release(Graph& graph, ValueId id) {
  const Tensor value = *graph[id].constant;
  graph[id].constant = nullptr;
  graph.inputs.push_back(id);
  return value;
}

Shape batch_shape(const Graph& network, const StepOptions& options) {
  check(network.inputs.size() == 1, "the network has {} inputs; one of images can be trained",
        network.inputs.size());
  const Value& input = network[network.inputs[0]];
  check(input.type.dtype == DType::f32 && input.type.shape.rank() == 4,
        "the input '{}' is {}; float32 images [N, C, H, W] are needed", input.name, to_string(input.type));
  check(options.batch >= 1, "the batch is {}; it must be at least 1", options.batch);
  Shape shape = input.type.shape;
  shape[0] = options.batch;
  if (options.image) {
    check(options.image->rank() == 3, "the image's shape is {}; [C, H, W] is needed",
          to_string(*options.image));
    for (int i = 0; i < 3; ++i) shape[i + 1] = (*options.image)[i];
  }
  return shape;
}

std::int64_t macs_of(const Graph& graph) {
  std::int64_t sum = 0;
  for (const Node& node : graph.nodes) sum += cost_of(graph, node).macs;
  return sum;
}

class Builder {
 public:
  Builder(const Graph& network, const StepOptions& options)
      : options_(options), targets_(targets_of(network, options)), graph_(network) {
    check(options.ema_decay >= 0 && options.ema_decay < 1,
          "the decay of averages is {}; it must be in [0, 1)", options.ema_decay);
  }

  StepGraph run(int segments) {
    open_network();
    add_inputs();
    add_centres();
    const std::int64_t forward = macs_of(graph_);
    const LossValues loss =
        with_context([] { return std::string("the loss"); },
                     [&] {
                       return add_loss(graph_, options_.loss, {output_, labels_, teacher_, centres_});
                     });
    std::vector<ValueId> wrt;
    for (const std::size_t i : trained_) wrt.push_back(states_[i].in);
    Backward result = backward(std::move(graph_), loss.loss, wrt);
    graph_ = std::move(result.graph);
    add_updates(result.gradients);
    graph_.outputs = {loss.loss, loss.output};
    for (const StepState& state : states_) graph_.outputs.push_back(state.out);
    graph_ = split_batch_norm(std::move(graph_));
    graph_ = fuse_norm_clamps(std::move(graph_));
    const std::int64_t once = macs_of(graph_);
    graph_ = recompute(graph_, segments > 1 ? values_inside(graph_, segments) : cheap_values(graph_));
    StepGraph step = finish();
    step.recomputed_share = static_cast<double>(macs_of(step.graph) - once) /
                            static_cast<double>(std::max<std::int64_t>(forward, 1));
    return step;
  }

 private:
  // The network with fixed shapes, simplified where it stays frozen, with parameters and statistics as inputs.
  void open_network() {
    const Shape shape = batch_shape(graph_, options_);
    graph_.outputs.resize(1);
    drop_last_softmax();
    for (const Target& target : targets_) {
      const ValueId id = find_value(graph_, target.parameter.name);
      add_state(target.parameter.name, target.parameter.name, release(graph_, id));
      trained_.push_back(states_.size() - 1);
    }
    open_statistics();
    const Bindings bindings{.shapes = {{graph_[graph_.inputs[0]].name, shape}}};
    graph_ = optimize(specialize(std::move(graph_), bindings));
    images_ = graph_.inputs[0];
    for (std::size_t i = 0; i < states_.size(); ++i) states_[i].in = graph_.inputs[i + 1];
    graph_.inputs.resize(1);
    output_ = graph_.outputs[0];
    update_statistics();
    flatten_output();
  }

  void add_state(std::string name, std::string parameter, Tensor initial) {
    states_.push_back(
        {.name = std::move(name), .parameter = std::move(parameter), .initial = std::move(initial)});
  }

  // The cross entropy takes logits.
  void drop_last_softmax() {
    if (options_.loss.kind != LossKind::cross_entropy) return;
    const int producer = producers(graph_)[static_cast<std::size_t>(graph_.outputs[0])];
    if (producer < 0) return;
    const Node& last = graph_.nodes[static_cast<std::size_t>(producer)];
    if (std::holds_alternative<op::Softmax>(last.op)) graph_.outputs[0] = last.in[0];
  }

  bool is_trained(ValueId id) const {
    return id != kNoValue && std::ranges::any_of(targets_, [&](const Target& target) {
             return target.parameter.name == graph_[id].name;
           });
  }

  // Normalizations whose scale or shift is trained take the statistics of the batch.
  void open_statistics() {
    if (options_.batch_norm == BatchNormMode::frozen) return;
    for (Node& node : graph_.nodes) {
      auto* norm = std::get_if<op::BatchNormalization>(&node.op);
      if (norm == nullptr || node.in.size() < 5 || !(is_trained(node.in[1]) || is_trained(node.in[2])))
        continue;
      check(graph_.constant(node.in[3]) != nullptr && graph_.constant(node.in[4]) != nullptr,
            "{}: its running statistics are no constants of their own; train it with frozen statistics",
            describe(graph_, node));
      for (std::size_t i : {3, 4})
        add_state(graph_[node.in[i]].name, graph_[node.in[i]].name, release(graph_, node.in[i]));
      norm->training_mode = 1;
    }
  }

  StepState& state_of(ValueId in) { return *std::ranges::find(states_, in, &StepState::in); }

  void update_statistics() {
    for (Node& node : graph_.nodes) {
      const auto* norm = std::get_if<op::BatchNormalization>(&node.op);
      if (norm == nullptr || norm->training_mode == 0) continue;
      node.out.resize(1);
      for (const char* what : {"running_mean", "running_var", "batch_mean", "batch_var"})
        node.out.push_back(graph_.add_value(node.name + "_" + what));
      infer_node(graph_, node);
      state_of(node.in[3]).out = node.out[1];
      state_of(node.in[4]).out = node.out[2];
    }
  }

  // [N, C, 1, 1] is [N, C].
  void flatten_output() {
    const Shape shape = graph_[output_].type.shape;
    if (options_.loss.kind == LossKind::mse || shape.rank() <= 2 || shape.count(2, shape.rank()) != 1) return;
    output_ = NodeBuilder(graph_, "logits").reshape(output_, {shape[0], shape[1]});
  }

  ValueId add_input(std::string name, Type type) {
    graph_.inputs.push_back(graph_.add_value(std::move(name), std::move(type)));
    return graph_.inputs.back();
  }

  void add_inputs() {
    const bool mse = options_.loss.kind == LossKind::mse;
    labels_ = add_input("labels", mse ? graph_[output_].type : Type{DType::i64, {options_.batch}});
    rate_ = add_input("R", {DType::f32, {}});
    step_ = add_input("T", {DType::i64, {}});
    if (options_.loss.distill_weight > 0) teacher_ = add_input("teacher", graph_[output_].type);
  }

  // Of arcface: random directions, the same for the same seed everywhere.
  void add_centres() {
    if (options_.loss.kind != LossKind::arcface) return;
    const Shape embedding = graph_[output_].type.shape;
    check(options_.loss.classes >= 2, "arcface needs the number of classes; it is {}", options_.loss.classes);
    Tensor centres(DType::f32, {options_.loss.classes, embedding[embedding.rank() - 1]});
    std::mt19937_64 random(options_.loss.seed);
    for (float& x : centres.mutable_values<float>()) {
      double sum = -6;  // of twelve uniforms: near enough to a normal distribution
      for (int i = 0; i < 12; ++i) sum += static_cast<double>(random() >> 11) * 0x1p-53;
      x = static_cast<float>(sum);
    }
    add_state(":centres", "", std::move(centres));
    StepState& state = states_.back();
    state.in = centres_ = graph_.add_value("centres", state.initial.type());
    targets_.push_back({{state.name, state.initial.shape(), ParameterKind::weight, ""}});
    trained_.push_back(states_.size() - 1);
  }

  ValueId rate_times(float factor) {
    const auto [it, added] = rates_.try_emplace(factor, rate_);
    if (added && factor != 1)
      it->second = NodeBuilder(graph_, "rate").scaled(rate_, static_cast<double>(factor));
    return it->second;
  }

  // Scales all gradients by min(1, limit / norm).
  void clip(std::vector<ValueId>& gradients) {
    NodeBuilder b(graph_, "clip");
    std::vector<ValueId> squares;
    for (const ValueId gradient : gradients)
      if (gradient != kNoValue)
        squares.push_back(b.add(op::Reduce{.fn = op::ReduceFn::ReduceSumSquare, .keepdims = 0}, {gradient}));
    const ValueId norm = b.unary(op::UnaryFn::Sqrt, b.add(op::Variadic{op::VariadicFn::Sum}, squares));
    const ValueId limit = b.scalar(static_cast<double>(options_.optimizer.clip_norm));
    const ValueId factor = b.over(limit, b.add(op::Variadic{op::VariadicFn::Max}, {norm, limit}));
    for (ValueId& gradient : gradients)
      if (gradient != kNoValue) gradient = b.mul(gradient, factor);
  }

  void add_updates(std::vector<ValueId> gradients) {
    check(std::ranges::any_of(gradients, [](ValueId id) { return id != kNoValue; }),
          "the loss depends on nothing that is trained");
    check(options_.optimizer.clip_norm >= 0,
          "the limit of the gradients' norm is {}; it must not be negative", options_.optimizer.clip_norm);
    if (options_.optimizer.clip_norm > 0) clip(gradients);
    for (std::size_t i = 0; i < trained_.size(); ++i) {
      if (gradients[i] == kNoValue)
        fail("the loss does not depend on the parameter '{}'; leave it out of what is trained",
             targets_[i].parameter.name);
      update(trained_[i], targets_[i], gradients[i]);
      if (options_.ema_decay > 0) average(trained_[i]);
    }
  }

  // A further state of parameter `owner`, zero at first.
  std::size_t add_companion(std::size_t owner, const std::string& suffix) {
    add_state(states_[owner].name + ":" + suffix, "", Tensor(states_[owner].initial.type()));
    states_.back().in = graph_.add_value(states_.back().name, states_.back().initial.type());
    return states_.size() - 1;
  }

  void update(std::size_t owner, const Target& target, ValueId gradient) {
    const OptimizerOptions& o = options_.optimizer;
    const float decay = target.parameter.kind == ParameterKind::weight ? o.weight_decay : 0;
    const ValueId rate = rate_times(target.lr_factor);
    NodeBuilder b(graph_, target.parameter.name + "_update");
    std::vector<std::size_t> companions;
    for (const char* suffix : o.kind == OptimizerKind::sgd ? std::vector<const char*>{"velocity"}
                                                           : std::vector<const char*>{"mean", "square"})
      companions.push_back(add_companion(owner, suffix));
    std::vector<ValueId> in{rate, step_, states_[owner].in, gradient};
    for (const std::size_t i : companions) in.push_back(states_[i].in);
    const std::vector<ValueId> out = b.add(update_op(decay), in, companions.size() + 1);
    states_[owner].out = out[0];
    for (std::size_t i = 0; i < companions.size(); ++i) states_[companions[i]].out = out[i + 1];
  }

  Op update_op(float decay) const {
    const OptimizerOptions& o = options_.optimizer;
    switch (o.kind) {
      case OptimizerKind::adam:
        return op::Adam{.alpha = o.beta1, .beta = o.beta2, .epsilon = o.epsilon, .norm_coefficient = decay};
      case OptimizerKind::adamw:
        return op::AdamW{.alpha = o.beta1, .beta = o.beta2, .epsilon = o.epsilon, .weight_decay = decay};
      case OptimizerKind::sgd:
        break;
    }
    return op::Momentum{
        .alpha = o.momentum, .mode = o.nesterov ? "nesterov" : "standard", .norm_coefficient = decay};
  }

  void average(std::size_t owner) {
    const std::size_t i = add_companion(owner, "average");
    states_[i].average_of = states_[owner].parameter;
    states_[i].initial = states_[owner].initial;
    states_[i].out =
        NodeBuilder(graph_, states_[i].name + "_update")
            .add(op::MovingAverage{.momentum = options_.ema_decay}, {states_[i].in, states_[owner].out});
  }

  StepGraph finish() {
    for (const StepState& state : states_) graph_.inputs.push_back(state.in);
    graph_.nodes = update_early(graph_, states_);
    // Ids change with the numbers; the order of inputs and outputs stays.
    compact(graph_);
    const std::size_t inputs = graph_.inputs.size() - states_.size();
    for (std::size_t i = 0; i < states_.size(); ++i) {
      states_[i].in = graph_.inputs[inputs + i];
      states_[i].out = graph_.outputs[2 + i];
    }
    verify(graph_);
    return {std::move(graph_), std::move(states_), teacher_ != kNoValue};
  }

  const StepOptions& options_;
  std::vector<Target> targets_;
  Graph graph_;
  std::vector<StepState> states_;
  std::vector<std::size_t> trained_;  // per target: its state
  std::map<float, ValueId> rates_;
  ValueId images_ = kNoValue, output_ = kNoValue, labels_ = kNoValue, rate_ = kNoValue, step_ = kNoValue,
          teacher_ = kNoValue, centres_ = kNoValue;
};

}  // namespace

StepGraph make_step_graph(const Graph& network, const StepOptions& options, int segments) {
  return Builder(network, options).run(segments);
}

}  // namespace eke
