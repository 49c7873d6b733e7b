#include "runtime/plan.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/block_memory.h"
#include "runtime/plan_state.h"

namespace eke {
namespace {

constexpr std::size_t kAlign = 64;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

void copy_inputs(const PlanState& state, std::span<const TensorView> inputs, std::byte* arena) noexcept {
  for (std::size_t i = 0; i < state.input_offsets.size(); ++i) {
    if (state.input_offsets[i] == kNowhere) continue;
    const Type& type = state.input_types[i];
    std::memcpy(arena + state.input_offsets[i], inputs[i].data,
                size_of(type.dtype) * static_cast<std::size_t>(type.shape.count()));
  }
}

void run_step(const PlanState& state, std::size_t index, std::span<const TensorView> inputs,
              Scratch& scratch) noexcept {
  const CompiledStep& step = state.steps[index];
  StepArgs args = scratch.args(index);
  const std::byte* direct[1];
  if (step.direct_input != kNowhere) {
    direct[0] = static_cast<const std::byte*>(inputs[step.direct_input].data);
    args.in = direct;
  }
  step.step->run(args);
}

void copy_outputs(const PlanState& state, std::span<const MutTensorView> outputs,
                  const std::byte* arena) noexcept {
  for (std::size_t i = 0; i < state.outputs.size(); ++i) {
    const Type& type = state.output_types[i];
    const Place& place = state.outputs[i];
    const void* from = place.constant != nullptr ? place.constant : arena + place.offset;
    std::memcpy(outputs[i].data, from, size_of(type.dtype) * static_cast<std::size_t>(type.shape.count()));
  }
}

}  // namespace

const std::vector<Type>& Plan::input_types() const noexcept { return state_->input_types; }
const std::vector<Type>& Plan::output_types() const noexcept { return state_->output_types; }
const std::vector<StepInfo>& Plan::steps() const noexcept { return state_->info; }
std::size_t Plan::arena_bytes() const noexcept { return state_->arena_bytes; }
std::size_t Plan::weight_bytes() const noexcept { return state_->weight_bytes; }

void Plan::run(std::span<const TensorView> inputs, std::span<const MutTensorView> outputs,
               Scratch& scratch) const noexcept {
  copy_inputs(*state_, inputs, scratch.arena());
  for (std::size_t i = 0; i < state_->steps.size(); ++i) run_step(*state_, i, inputs, scratch);
  copy_outputs(*state_, outputs, scratch.arena());
}

std::byte* Plan::state_data(std::size_t i, Scratch& scratch) const noexcept {
  return scratch.arena() + state_->states[i].offset;
}

void Plan::discard_all_but_states(Scratch& scratch) const {
  std::vector<PlanState::StatePlace> places = state_->states;
  std::ranges::sort(places, {}, &PlanState::StatePlace::offset);
  std::byte* begin = scratch.arena();
  for (const PlanState::StatePlace& place : places) {
    discard_pages({begin, scratch.arena() + place.offset});
    begin = scratch.arena() + place.offset + place.bytes;
  }
  discard_pages({begin, scratch.end()});
}

void Plan::run_observed(std::span<const TensorView> inputs, std::span<const MutTensorView> outputs,
                        Scratch& scratch, const ObserveFn& observe) const {
  const auto show = [&](std::size_t index) {
    const auto& watched = state_->observed[index];
    if (watched.offset == kNowhere) return;
    observe({index, {&watched.type, scratch.arena() + watched.offset}, watched.layout});
  };
  copy_inputs(*state_, inputs, scratch.arena());
  for (std::size_t index : state_->observed_inputs) show(index);
  for (std::size_t i = 0; i < state_->steps.size(); ++i) {
    run_step(*state_, i, inputs, scratch);
    for (std::size_t index : state_->steps[i].observed) show(index);
  }
  copy_outputs(*state_, outputs, scratch.arena());
}

void Plan::run_timed(std::span<const TensorView> inputs, std::span<const MutTensorView> outputs,
                     Scratch& scratch, std::span<std::int64_t> step_ns) const noexcept {
  using Clock = std::chrono::steady_clock;
  copy_inputs(*state_, inputs, scratch.arena());
  for (std::size_t i = 0; i < state_->steps.size(); ++i) {
    const auto start = Clock::now();
    run_step(*state_, i, inputs, scratch);
    step_ns[i] += std::chrono::nanoseconds(Clock::now() - start).count();
  }
  copy_outputs(*state_, outputs, scratch.arena());
}

std::vector<Tensor> Plan::run(const std::vector<Tensor>& inputs, Scratch& scratch) const {
  check(inputs.size() == input_types().size(), "{} inputs given, the network has {}", inputs.size(),
        input_types().size());
  std::vector<TensorView> in;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Type& want = input_types()[i];
    check(inputs[i].dtype() == want.dtype && inputs[i].shape() == want.shape,
          "input {} is {}, the network takes {}", i, to_string(inputs[i].type()), to_string(want));
    in.push_back(inputs[i].view());
  }
  std::vector<Tensor> results;
  for (const Type& type : output_types()) results.emplace_back(type.dtype, type.shape);
  std::vector<MutTensorView> out;
  for (Tensor& tensor : results) out.push_back(tensor.mutable_view());
  run(in, out, scratch);
  return results;
}

Scratch::Scratch(const Plan& plan, const Threads& threads) : threads_(threads) {
  const PlanState& state = plan.state();
  std::size_t step_scratch = 0;
  for (const CompiledStep& step : state.steps)
    step_scratch = std::max(step_scratch, step.step->scratch_bytes(threads.count()));
  const std::size_t arena = aligned(state.arena_bytes);
  bytes_ = arena + aligned(step_scratch) + 2 * kAlign;
  // Zeros that the system gives page by page: what is not used yet takes no memory.
  memory_.reset(static_cast<std::byte*>(allocate_block(bytes_)));
  std::memcpy(memory_.get(), &bytes_, sizeof bytes_);  // for Free
  arena_ = memory_.get() + kAlign;
  step_scratch_ = arena_ + arena;
  for (const CompiledStep& step : state.steps) {
    first_.push_back(pointers_.size());
    for (const auto* places : {&step.in, &step.out})
      for (const auto& place : *places)
        pointers_.push_back(place.constant != nullptr
                                ? static_cast<std::byte*>(const_cast<void*>(place.constant))
                                : (place.offset == kNowhere ? nullptr : arena_ + place.offset));
    inputs_.push_back(step.in.size());
  }
}

void Scratch::Free::operator()(std::byte* memory) const noexcept {
  std::size_t bytes = 0;
  std::memcpy(&bytes, memory, sizeof bytes);
  free_block(memory, bytes);
}

StepArgs Scratch::args(std::size_t step) noexcept {
  std::byte* const* pointers = pointers_.data() + first_[step];
  return {pointers, pointers + inputs_[step], inputs_[step], step_scratch_, &threads_};
}

}  // namespace eke
