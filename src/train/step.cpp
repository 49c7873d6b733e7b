#include "train/step.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <utility>

#include "base/error.h"
#include "runtime/tactic.h"
#include "train/step_graph.h"

namespace eke {
namespace {

constexpr std::string_view kSteps = ":steps";

// A rank-4 tensor with its channels second, from one with its channels last; the shape is that of the result.
void from_nhwc(const std::byte* from, const Type& type, std::byte* to) {
  const std::size_t element = size_of(type.dtype);
  const Shape& s = type.shape;
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t c = 0; c < s[1]; ++c)
      for (std::int64_t p = 0; p < s[2] * s[3]; ++p) {
        const auto source = static_cast<std::size_t>((n * s[2] * s[3] + p) * s[1] + c);
        std::memcpy(to, from + source * element, element);
        to += element;
      }
}

Layout layout_of(const Type& type) { return type.shape.rank() == 4 ? Layout::nhwc : Layout::plain; }

std::vector<PlanStateTensor> plan_states(const StepGraph& step) {
  std::vector<PlanStateTensor> states;
  const std::size_t first = step.graph.inputs.size() - step.states.size();
  for (std::size_t i = 0; i < step.states.size(); ++i)
    states.push_back({first + i, 2 + i, layout_of(step.states[i].initial.type())});
  return states;
}

bool is_finite(const Tensor& tensor) {
  return std::ranges::all_of(tensor.values<float>(), [](float x) { return std::isfinite(x); });
}

// A step with its memory.
struct Compiled {
  Compiled(StepGraph made, const StepOptions& options, const Threads& threads)
      : step(std::move(made)),
        plan(compile(step.graph, {.isa = options.isa,
                                  .reference_only = options.reference_only,
                                  .states = plan_states(step),
                                  .floats = options.floats})),
        scratch(plan, threads) {}
  std::size_t bytes() const noexcept { return scratch.bytes() + plan.weight_bytes(); }

  StepGraph step;
  Plan plan;
  Scratch scratch;
};

// The first of these numbers of segments whose step fits is taken; more of them hardly need less memory.
constexpr int kSegments[] = {1, 2, 3, 4, 6, 8, 12, 16};

Compiled fit(const Graph& graph, const StepOptions& options, const Threads& threads) {
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (const int segments : kSegments) {
    Compiled compiled(make_step_graph(graph, options, segments), options, threads);
    if (options.memory_bytes == 0 || compiled.bytes() <= options.memory_bytes) return compiled;
    least = std::min(least, compiled.bytes());
  }
  constexpr double kMegabyte = 1e6;
  // Rounded up, so that the size that is named is enough.
  fail(
      "a step on {} images needs {:.1f} MB at least, {:.1f} MB are allowed; give a smaller batch or smaller "
      "images",
      options.batch, std::ceil(static_cast<double>(least) / kMegabyte * 10) / 10,
      static_cast<double>(options.memory_bytes) / kMegabyte);
}

}  // namespace

struct TrainStep::Impl {
  Graph network;
  LossKind loss;
  Compiled compiled;
  StepGraph& step = compiled.step;
  Plan& plan = compiled.plan;
  Scratch& scratch = compiled.scratch;
  std::int64_t steps = 0;
  Type image_type, label_type;
  Tensor output;

  Impl(const Graph& graph, const StepOptions& options, const Threads& threads)
      : network(graph),
        loss(options.loss.kind),
        compiled(fit(graph, options, threads)),
        image_type(plan.input_types()[0]),
        label_type(plan.input_types()[1]),
        output(plan.output_types()[1]) {
    for (std::size_t i = 0; i < step.states.size(); ++i) {
      write(i, std::exchange(step.states[i].initial, Tensor()));
      const ValueId id = find_value(network, step.states[i].parameter);
      if (id != kNoValue) network[id].constant = nullptr;
    }
  }

  const Type& type_of(std::size_t i) const { return step.graph[step.states[i].in].type; }

  void write(std::size_t i, const Tensor& value) {
    const Tensor inner = layout_of(value.type()) == Layout::nhwc ? to_nhwc(value) : value;
    std::memcpy(plan.state_data(i, scratch), inner.data(), inner.bytes());
  }

  Tensor read(std::size_t i) {
    Tensor value(type_of(i));
    auto* to = static_cast<std::byte*>(value.mutable_data());
    const std::byte* from = plan.state_data(i, scratch);
    if (layout_of(value.type()) == Layout::nhwc)
      from_nhwc(from, value.type(), to);
    else
      std::memcpy(to, from, value.bytes());
    return value;
  }

  std::int64_t check_labels(const TensorView& labels) const {
    const std::int64_t classes = output.shape()[1];
    for (std::int64_t i = 0; i < labels.count(); ++i) {
      const std::int64_t label = labels.as<std::int64_t>()[i];
      check(label >= 0 && label < classes, "label {} of image {} is not one of the {} classes of the network",
            label, i, classes);
    }
    return classes;
  }

  std::int64_t count_correct(const TensorView& labels, std::int64_t classes) const {
    std::int64_t correct = 0;
    const float* row = output.values<float>().data();
    for (std::int64_t i = 0; i < labels.count(); ++i, row += classes)
      correct += std::max_element(row, row + classes) - row == labels.as<std::int64_t>()[i];
    return correct;
  }
};

TrainStep::TrainStep(const Graph& graph, const StepOptions& options, const Threads& threads)
    : impl_(std::make_unique<Impl>(graph, options, threads)) {}
TrainStep::TrainStep(TrainStep&&) noexcept = default;
TrainStep& TrainStep::operator=(TrainStep&&) noexcept = default;
TrainStep::~TrainStep() = default;

const Type& TrainStep::image_type() const noexcept { return impl_->image_type; }
const Type& TrainStep::label_type() const noexcept { return impl_->label_type; }
const Type& TrainStep::output_type() const noexcept { return impl_->output.type(); }
std::size_t TrainStep::planned_bytes() const noexcept { return impl_->compiled.bytes(); }
double TrainStep::recomputed_share() const noexcept { return impl_->step.recomputed_share; }
const Plan& TrainStep::plan() const noexcept { return impl_->plan; }
const Tensor& TrainStep::output() const noexcept { return impl_->output; }
std::int64_t TrainStep::steps_run() const noexcept { return impl_->steps; }
const Graph& TrainStep::network() const noexcept { return impl_->network; }

void TrainStep::rest() { impl_->plan.discard_all_but_states(impl_->scratch); }

StepResult TrainStep::run(const TensorView& images, const TensorView& labels, float lr,
                          const TensorView& teacher) {
  const auto check_type = [](const TensorView& view, const Type& type, std::string_view name) {
    check(view && *view.type == type, "{} are {}; the step takes {}", name,
          view ? to_string(*view.type) : "missing", to_string(type));
  };
  check_type(images, image_type(), "images");
  check_type(labels, label_type(), "labels");
  const std::int64_t classes = impl_->loss == LossKind::mse ? 0 : impl_->check_labels(labels);
  const std::vector<Type>& types = impl_->plan.input_types();
  // Adam counts from 1; Momentum and Adagrad ask only whether it is the first.
  const std::int64_t step = impl_->steps + 1;
  std::vector<TensorView> in{images, labels, {&types[2], &lr}, {&types[3], &step}};
  if (impl_->step.distills) {
    check_type(teacher, output_type(), "the teacher's logits");
    in.push_back(teacher);
  }
  float loss = 0;
  const std::vector<MutTensorView> out{{&impl_->plan.output_types()[0], &loss}, impl_->output.mutable_view()};
  impl_->plan.run(in, out, impl_->scratch);
  ++impl_->steps;
  return {static_cast<double>(loss), classes == 0 ? 0 : impl_->count_correct(labels, classes)};
}

std::vector<NamedTensor> TrainStep::state() const {
  std::vector<NamedTensor> all;
  for_each_state([&](const std::string& name, const Tensor& tensor) { all.push_back({name, tensor}); });
  return all;
}

void TrainStep::for_each_state(
    const std::function<void(const std::string& name, const Tensor& tensor)>& take) const {
  for (std::size_t i = 0; i < impl_->step.states.size(); ++i)
    take(impl_->step.states[i].name, impl_->read(i));
  take(std::string(kSteps), Tensor::scalar(impl_->steps));
}

void TrainStep::set_state(const std::vector<NamedTensor>& state) {
  const auto find = [&](std::string_view name, const Type& type) -> const Tensor& {
    const auto it = std::ranges::find(state, name, &NamedTensor::name);
    if (it == state.end()) throw UsageError(fmt::format("the state lacks '{}'", name));
    if (it->tensor.type() != type)
      throw UsageError(fmt::format("'{}' is {} in the state; this step needs {}", name,
                                   to_string(it->tensor.type()), to_string(type)));
    return it->tensor;
  };
  const std::vector<StepState>& states = impl_->step.states;
  std::vector<const Tensor*> tensors;
  for (std::size_t i = 0; i < states.size(); ++i) tensors.push_back(&find(states[i].name, impl_->type_of(i)));
  const std::int64_t steps = find(kSteps, {DType::i64, {}}).values<std::int64_t>()[0];
  if (steps < 0) throw UsageError(fmt::format("the state counts {} steps", steps));
  for (const NamedTensor& given : state)
    if (given.name != kSteps && std::ranges::find(states, given.name, &StepState::name) == states.end())
      throw UsageError(fmt::format("the state has '{}', which this step does not know", given.name));
  for (std::size_t i = 0; i < states.size(); ++i) impl_->write(i, *tensors[i]);
  impl_->steps = steps;
}

Graph TrainStep::trained_graph(bool averaged) const {
  Graph graph = impl_->network;
  const std::vector<StepState>& states = impl_->step.states;
  const bool has_averages =
      std::ranges::any_of(states, [](const StepState& s) { return !s.average_of.empty(); });
  check(!averaged || has_averages, "there are no averages: give ema_decay");
  for (std::size_t i = 0; i < states.size(); ++i) {
    // Averages come after their parameters, and replace them.
    const std::string& name =
        averaged && !states[i].average_of.empty() ? states[i].average_of : states[i].parameter;
    if (name.empty()) continue;
    const ValueId id = find_value(graph, name);
    graph[id].constant = std::make_shared<const Tensor>(impl_->read(i));
  }
  return graph;
}

std::string TrainStep::first_not_finite() const {
  for (std::size_t i = 0; i < impl_->step.states.size(); ++i)
    if (!is_finite(impl_->read(i))) return impl_->step.states[i].name;
  return {};
}

}  // namespace eke
