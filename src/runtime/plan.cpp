#include "runtime/plan.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>

#include "runtime/lower.h"
#include "runtime/memory.h"
#include "runtime/tactic.h"

namespace eke {
namespace {

constexpr std::size_t kAlign = 64;
constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

// Where an operand of a step lies: in the arena, in a constant, or nowhere (absent).
struct Place {
  std::size_t offset = kNowhere;
  const void* constant = nullptr;
  std::size_t shift = 0;  // bytes into the slot
};

}  // namespace

struct CompiledStep {
  std::unique_ptr<Step> step;
  std::vector<Place> in, out;
  std::vector<std::size_t> observed;  // indexes into PlanState::observed that are ready after this step
  std::size_t direct_input =
      kNowhere;  // the plan's input that is read where the caller has it, as its only operand
};

struct PlanState {
  std::vector<CompiledStep> steps;
  std::vector<StepInfo> info;
  std::vector<Type> input_types, output_types;
  std::vector<std::size_t> input_offsets;  // kNowhere: read where the caller has it
  std::vector<Place> outputs;
  std::vector<std::size_t> states;  // offsets
  struct Watch {
    Type type;
    std::size_t offset = kNowhere;
    Layout layout = Layout::plain;
  };
  std::vector<Watch> observed;
  std::vector<std::size_t> observed_inputs;  // those that are there before the first step
  std::vector<std::shared_ptr<const Tensor>> constants;
  std::size_t arena_bytes = 0, weight_bytes = 0;
};

namespace {

class CopyStep : public Step {
 public:
  explicit CopyStep(std::size_t bytes) : bytes_(bytes) {}
  void run(const StepArgs& args) const noexcept override { std::memcpy(args.out[0], args.in[0], bytes_); }

 private:
  std::size_t bytes_;
};

std::unique_ptr<Step> copy_step(const Type& type) {
  return std::make_unique<CopyStep>(byte_size(type.dtype, type.shape));
}

class Compiler {
 public:
  Compiler(Graph graph, std::size_t outputs, const CompileOptions& options, std::vector<LowerNote> notes)
      : graph_(std::move(graph)),
        output_count_(outputs),
        options_(options),
        notes_(std::move(notes)),
        isa_(options.isa ? *options.isa : selected_isa()),
        state_(std::make_shared<PlanState>()) {}

  std::shared_ptr<PlanState> run() {
    find_slices();
    for (std::size_t i = 0; i < graph_.inputs.size(); ++i) {
      const ValueId id = graph_.inputs[i];
      const PlanStateTensor* state = state_at(&PlanStateTensor::input, i);
      const std::size_t slot = add_slot(graph_[id].type, -1);
      located_[{id, state == nullptr ? Layout::plain : layout_of(id, state->layout)}] = slot;
      if (state == nullptr) input_slots_.push_back(slot);
    }
    for (const PlanStateTensor& state : options_.states) {
      const ValueId in = graph_.inputs[state.input];
      state_slots_.push_back(located_.at({in, layout_of(in, state.layout)}));
    }
    for (const Node& node : graph_.nodes)
      with_context([&] { return fmt::format("node '{}' ({})", node.name, op_name(node.op)); },
                   [&] { add_node(node); });
    finish_states();
    finish_outputs();
    share_slots();
    place_slots();
    return state_;
  }

 private:
  struct Slot {
    Interval interval;
    std::size_t shared_with = kNowhere;  // the slot whose memory it takes over
  };
  struct Share {
    int step = 0;
    std::size_t out = 0, in = 0;  // slots
  };
  struct Operands {
    std::vector<std::size_t> slots;  // kNowhere: absent or constant
    std::vector<const void*> constants;
  };

  // The state whose input or output stands at `index`.
  const PlanStateTensor* state_at(std::size_t PlanStateTensor::*member, std::size_t index) const {
    const auto it = std::ranges::find(options_.states, index, member);
    return it == options_.states.end() ? nullptr : &*it;
  }

  int next_step() const { return static_cast<int>(state_->steps.size()); }

  std::size_t add_slot(const Type& type, int first) {
    slots_.push_back({{byte_size(type.dtype, type.shape), first, std::max(first, 0)}});
    return slots_.size() - 1;
  }

  // The slot that holds a value in a layout; a step is added that converts it if need be. Alive until the
  // next step at least.
  std::size_t locate(ValueId id, Layout layout) {
    const Type& type = graph_[id].type;
    const Layout other = layout == Layout::plain ? Layout::nhwc : Layout::plain;
    auto found = located_.find({id, layout});
    if (found == located_.end() && layouts_agree(type.shape)) found = located_.find({id, other});
    if (found == located_.end()) {
      const std::size_t source = located_.at({id, other});
      Prepared prepared = layout_step(type, other, isa_);
      StepInfo info{graph_[id].name, prepared.tactic, "transpose", "", type, {}};
      const std::size_t target = add_slot(type, next_step());
      add_step(std::move(prepared.step), {{source}, {nullptr}}, {target}, std::move(info));
      found = located_.emplace(std::pair{id, layout}, target).first;
    }
    touch(found->second, next_step());
    return found->second;
  }

  void touch(std::size_t slot, int step) {
    slots_[slot].interval.last = std::max(slots_[slot].interval.last, step);
  }

  void add_step(std::unique_ptr<Step> step, const Operands& in, const std::vector<std::size_t>& out,
                StepInfo info) {
    const int index = next_step();
    CompiledStep compiled;
    compiled.step = std::move(step);
    for (std::size_t i = 0; i < in.slots.size(); ++i) {
      compiled.in.push_back({in.slots[i], in.constants[i]});
      if (in.slots[i] != kNowhere) touch(in.slots[i], index);
    }
    for (std::size_t slot : out) {
      compiled.out.push_back({slot, nullptr});
      if (slot != kNowhere) touch(slot, index);
    }
    state_->weight_bytes += compiled.step->weight_bytes();
    state_->steps.push_back(std::move(compiled));
    state_->info.push_back(std::move(info));
  }

  // Values that are made in their place in the result of a Concat of channels, by that result.
  void find_slices() {
    const auto producer = producers(graph_);
    const auto readers = consumers(graph_);
    for (const Node& node : graph_.nodes) {
      const auto* concat = std::get_if<op::Concat>(&node.op);
      const Type& y = graph_[node.out[0]].type;
      if (concat == nullptr || y.shape.rank() != 4 || (concat->axis != 1 && concat->axis != -3)) continue;
      const auto fits = [&](ValueId id) {
        const int index = producer[static_cast<std::size_t>(id)];
        if (index < 0 || readers[static_cast<std::size_t>(id)].size() != 1 || is_graph_output(graph_, id))
          return false;
        const Node& source = graph_.nodes[static_cast<std::size_t>(index)];
        return graph_[id].type.quant == y.quant && graph_[id].type.dtype == y.dtype &&
               choose(source).tactic.slices;
      };
      if (is_graph_output(graph_, node.out[0]) || !std::all_of(node.in.begin(), node.in.end(), fits))
        continue;
      std::int64_t channel = 0;
      for (ValueId id : node.in) {
        slices_[id] = {node.out[0], static_cast<std::size_t>(channel) * size_of(y.dtype)};
        channel += graph_[id].type.shape[1];
      }
    }
  }

  struct Chosen {
    const Tactic& tactic;
    Isa isa;
    bool given = false;  // by CompileOptions::choices
  };

  Query query_of(const Node& node, Isa isa) const {
    Query query{graph_, node, isa};
    query.floats = options_.floats;
    return query;
  }

  Chosen choose(const Node& node) const {
    if (options_.reference_only) return {reference_tactic(), isa_};
    const auto given = options_.choices.find(graph_[node.out[0]].name);
    if (given == options_.choices.end()) return {first_legal(query_of(node, isa_)), isa_};
    const Choice& choice = given->second;
    const Tactic* tactic = find_tactic(node.op, choice.tactic);
    check(is_supported(choice.isa), "the tuning wants the tier {}, which this machine or build does not have",
          to_string(choice.isa));
    check(tactic != nullptr && tactic->legal(query_of(node, choice.isa)),
          "the tuning wants the tactic '{}', which {}: tune again", choice.tactic,
          tactic == nullptr ? "is none of this operator" : "cannot take this node");
    return {*tactic, choice.isa, true};
  }

  Layout layout_for(const Tactic& tactic, const Node& node) const {
    if (tactic.layout == LayoutNeed::plain) return Layout::plain;
    if (tactic.layout == LayoutNeed::nhwc) return Layout::nhwc;
    for (ValueId id : node.in) {
      if (id == kNoValue || graph_.constant(id) != nullptr || graph_[id].type.shape.rank() != 4) continue;
      return located_.contains({id, Layout::nhwc}) ? Layout::nhwc : Layout::plain;
    }
    return Layout::plain;
  }

  Layout layout_of(ValueId id, Layout layout) const {
    return graph_[id].type.shape.rank() == 4 ? layout : Layout::plain;
  }

  void add_node(const Node& node) {
    const Chosen chosen = choose(node);
    const Tactic& tactic = chosen.tactic;
    Query query = query_of(node, chosen.isa);
    query.layout = layout_for(tactic, node);
    if (const auto slice = slices_.find(node.out[0]); slice != slices_.end())
      query.pixel_channels = graph_[slice->second.whole].type.shape[1];
    else if (!node.in.empty() && slices_.contains(node.in[0]) && slices_.at(node.in[0]).whole == node.out[0])
      return;  // a Concat whose operands have been made in their places
    Prepared prepared = tactic.prepare(query);
    Operands in;
    for (ValueId id : node.in) {
      const bool constant = id != kNoValue && graph_.constant(id) != nullptr;
      in.slots.push_back(id == kNoValue || constant ? kNowhere : locate(id, layout_of(id, query.layout)));
      in.constants.push_back(constant ? graph_.constant(id)->data() : nullptr);
      if (constant) state_->constants.push_back(graph_[id].constant);
    }
    if (prepared.step == nullptr) {
      located_[{node.out[0], layout_of(node.out[0], query.layout)}] = in.slots[0];
      return;
    }
    std::vector<std::size_t> out;
    for (ValueId id : node.out) {
      if (id == kNoValue) {
        out.push_back(kNowhere);
        continue;
      }
      if (slices_.contains(id)) {
        out.push_back(whole_slot(slices_.at(id).whole));
        continue;
      }
      const std::size_t index = out.size();
      const std::size_t state = updated_state(node, index, query.layout, prepared.in_place);
      out.push_back(state != kNowhere ? state : add_slot(graph_[id].type, next_step()));
      located_[{id, layout_of(id, query.layout)}] = out.back();
    }
    for (const Prepared::InPlace& share : prepared.in_place)
      if (out[share.output] != kNowhere && in.slots[share.input] != kNowhere)
        shares_.push_back({next_step(), out[share.output], in.slots[share.input]});
    add_step(std::move(prepared.step), in, out,
             {node.name, std::string(op_name(node.op)), std::move(prepared.tactic),
              note(node, chosen.given ? "tuned" : prepared.note), query.out(), cost_of(graph_, node),
              graph_[node.out[0]].name});
    if (slices_.contains(node.out[0])) state_->steps.back().out[0].shift = slices_.at(node.out[0]).shift;
  }

  // The slot of the result of a Concat, from the first step on that writes into it.
  std::size_t whole_slot(ValueId whole) {
    const auto found = located_.find({whole, Layout::nhwc});
    if (found != located_.end()) return found->second;
    return located_[{whole, Layout::nhwc}] = add_slot(graph_[whole].type, next_step());
  }

  // The slot of the state that output `index` of a node replaces in place.
  std::size_t updated_state(const Node& node, std::size_t index, Layout layout,
                            const std::vector<Prepared::InPlace>& in_place) const {
    for (const Prepared::InPlace& share : in_place) {
      if (share.output != index) continue;
      for (std::size_t i = 0; i < options_.states.size(); ++i) {
        const PlanStateTensor& state = options_.states[i];
        const ValueId in = graph_.inputs[state.input];
        const bool same_layout =
            layouts_agree(graph_[in].type.shape) || layout_of(in, state.layout) == layout_of(in, layout);
        if (graph_.outputs[state.output] == node.out[index] && in == node.in[share.input] && same_layout)
          return state_slots_[i];
      }
    }
    return kNowhere;
  }

  // States live throughout. What was not updated in place is copied at the end.
  void finish_states() {
    for (std::size_t i = 0; i < options_.states.size(); ++i) {
      const PlanStateTensor& state = options_.states[i];
      const ValueId id = graph_.outputs[state.output];
      check(graph_.constant(id) == nullptr, "the state '{}' is replaced by a constant", graph_[id].name);
      const std::size_t made = locate(id, layout_of(id, state.layout));
      if (made == state_slots_[i]) continue;
      add_step(copy_step(graph_[id].type), {{made}, {nullptr}}, {state_slots_[i]},
               {graph_[id].name, "keep", "copy", "", graph_[id].type, {}});
    }
    for (const std::size_t slot : state_slots_)
      slots_[slot].interval = {slots_[slot].interval.bytes, -1, next_step()};
  }

  // Gives an output the memory of an input that dies with the step, where the step allows it.
  void share_slots() {
    for (const Share& share : shares_) {
      Slot &in = slots_[root(share.in)], &out = slots_[share.out];
      if (share.in == share.out || in.interval.last != share.step ||
          in.interval.bytes != out.interval.bytes || out.interval.first != share.step ||
          out.shared_with != kNowhere)
        continue;
      in.interval.last = out.interval.last;
      out.shared_with = root(share.in);
    }
  }

  std::size_t root(std::size_t slot) const {
    while (slots_[slot].shared_with != kNowhere) slot = slots_[slot].shared_with;
    return slot;
  }

  std::string note(const Node& node, const std::string& own) const {
    for (const LowerNote& note : notes_)
      if (note.node == node.name)
        return own.empty() ? "float: " + note.reason : own + "; float: " + note.reason;
    return own;
  }

  void finish_outputs() {
    for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
      const ValueId id = graph_.outputs[i];
      if (state_at(&PlanStateTensor::output, i) != nullptr) continue;
      if (graph_.constant(id) != nullptr) {
        state_->constants.push_back(graph_[id].constant);
        if (i < output_count_)
          state_->outputs.push_back({kNowhere, graph_.constant(id)->data()});
        else
          state_->observed.push_back({graph_[id].type, kNowhere, Layout::plain});
      } else if (i < output_count_) {
        state_->outputs.push_back({locate(id, Layout::plain), nullptr});
      } else {
        const bool nhwc = !located_.contains({id, Layout::plain});
        const Layout layout = nhwc ? Layout::nhwc : Layout::plain;
        state_->observed.push_back({graph_[id].type, located_.at({id, layout}), layout});
      }
    }
    for (const Place& output : state_->outputs)
      if (output.offset != kNowhere) touch(output.offset, next_step());
  }

  // Inputs that only such steps read as read exactly need no copy in the arena.
  void find_direct_inputs() {
    for (std::size_t i = 0; i < input_slots_.size(); ++i) {
      const std::size_t slot = input_slots_[i];
      std::vector<CompiledStep*> readers;
      bool direct = !is_watched(slot) && !is_shared(slot);
      for (CompiledStep& step : state_->steps) {
        const bool reads =
            std::any_of(step.in.begin(), step.in.end(), [&](const Place& p) { return p.offset == slot; });
        if (!reads) continue;
        direct = direct && step.in.size() == 1 && step.step->reads_exactly();
        readers.push_back(&step);
      }
      if (!direct) continue;
      slots_[slot].interval.bytes = 0;
      direct_inputs_.push_back(i);
      for (CompiledStep* step : readers) step->direct_input = i;
    }
  }

  bool is_shared(std::size_t slot) const {
    return std::any_of(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.shared_with == slot; });
  }

  bool is_watched(std::size_t slot) const {
    const auto is_slot = [&](const auto& place) { return place.offset == slot; };
    return std::any_of(state_->outputs.begin(), state_->outputs.end(), is_slot) ||
           std::any_of(state_->observed.begin(), state_->observed.end(), is_slot);
  }

  // From slots to offsets in the arena.
  void place_slots() {
    find_direct_inputs();
    std::vector<Interval> intervals;
    std::vector<std::size_t> places(slots_.size());  // per slot: its interval
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].shared_with != kNowhere) continue;
      places[i] = intervals.size();
      intervals.push_back(slots_[i].interval);
    }
    const Placement placement = place(intervals);
    const auto resolve = [&](std::size_t& slot, std::size_t shift = 0) {
      if (slot != kNowhere) slot = placement.offsets[places[root(slot)]] + shift;
    };
    state_->input_offsets = input_slots_;
    state_->states = state_slots_;
    for (std::size_t& offset : state_->input_offsets) resolve(offset);
    for (std::size_t& offset : state_->states) resolve(offset);
    for (std::size_t i : direct_inputs_) state_->input_offsets[i] = kNowhere;
    for (std::size_t w = 0; w < state_->observed.size(); ++w) watch(w);
    for (CompiledStep& step : state_->steps) {
      for (Place& place : step.in) resolve(place.offset);
      for (Place& place : step.out) resolve(place.offset, place.shift);
    }
    for (Place& output : state_->outputs) resolve(output.offset);
    for (auto& watched : state_->observed) resolve(watched.offset);
    state_->arena_bytes = placement.bytes;
    drop_unused_constants();
  }

  // Attaches an observed slot to the step that fills it.
  void watch(std::size_t index) {
    const std::size_t slot = state_->observed[index].offset;
    const int first = slot == kNowhere ? -1 : slots_[slot].interval.first;
    if (first < 0)
      state_->observed_inputs.push_back(index);
    else
      state_->steps[static_cast<std::size_t>(first)].observed.push_back(index);
  }

  // Packed constants need not stay: only those that a step reads in place.
  void drop_unused_constants() {
    std::vector<const void*> read;
    for (const CompiledStep& step : state_->steps)
      if (step.step->weight_bytes() == 0)
        for (const Place& place : step.in)
          if (place.constant != nullptr) read.push_back(place.constant);
    for (const Place& output : state_->outputs)
      if (output.constant != nullptr) read.push_back(output.constant);
    for (const auto& watched : state_->observed)
      if (watched.offset == kNowhere) return;
    std::erase_if(state_->constants, [&](const std::shared_ptr<const Tensor>& constant) {
      return std::find(read.begin(), read.end(), constant->data()) == read.end();
    });
  }

  Graph graph_;
  std::size_t output_count_;
  const CompileOptions& options_;
  std::vector<LowerNote> notes_;
  Isa isa_;
  std::shared_ptr<PlanState> state_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> input_slots_, state_slots_;
  std::vector<Share> shares_;
  std::map<std::pair<ValueId, Layout>, std::size_t> located_;
  std::vector<std::size_t> direct_inputs_;
  struct Slice {
    ValueId whole;
    std::size_t shift;  // bytes
  };
  std::map<ValueId, Slice> slices_;
};

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

Plan compile(const Graph& graph, const CompileOptions& options) {
  Graph wanted = graph;
  for (const std::string& name : options.observe) {
    const ValueId id = find_value(wanted, name);
    check(id != kNoValue, "there is no value '{}' to observe", name);
    wanted.outputs.push_back(id);
  }
  std::vector<LowerNote> notes;
  const std::size_t outputs = graph.outputs.size();
  auto state = Compiler(lower(std::move(wanted), &notes), outputs, options, std::move(notes)).run();
  for (std::size_t i = 0; i < graph.inputs.size(); ++i)
    if (std::ranges::find(options.states, i, &PlanStateTensor::input) == options.states.end())
      state->input_types.push_back(graph[graph.inputs[i]].type);
  for (std::size_t i = 0; i < graph.outputs.size(); ++i)
    if (std::ranges::find(options.states, i, &PlanStateTensor::output) == options.states.end())
      state->output_types.push_back(graph[graph.outputs[i]].type);
  return Plan(std::move(state));
}

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
  return scratch.arena() + state_->states[i];
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
  memory_.reset(static_cast<std::byte*>(std::calloc(bytes_, 1)));
  if (memory_ == nullptr) throw std::bad_alloc();
  arena_ = reinterpret_cast<std::byte*>(aligned(reinterpret_cast<std::size_t>(memory_.get())));
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

void Scratch::Free::operator()(std::byte* memory) const noexcept { std::free(memory); }

StepArgs Scratch::args(std::size_t step) noexcept {
  std::byte* const* pointers = pointers_.data() + first_[step];
  return {pointers, pointers + inputs_[step], inputs_[step], step_scratch_, &threads_};
}

}  // namespace eke
