// From a graph to a plan: lowering, a tactic for each node or block, and the memory plan.
#include <algorithm>
#include <cstring>
#include <map>

#include "runtime/compile.h"

#include "runtime/blocks.h"
#include "runtime/lower.h"
#include "runtime/memory.h"
#include "runtime/plan_state.h"

namespace eke {
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
    choose_blocks();
    find_slices();
    count_readers();
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
    for (const Node& node : graph_.nodes) {
      const Block* const block = block_of(node);
      with_context([&] { return fmt::format("node '{}' ({})", node.name, op_name(node.op)); },
                   [&] { block == nullptr ? add_node(node) : add_block(node, *block); });
      if (block == nullptr) release_constants(node);
    }
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

  void choose_blocks() {
    block_of_.resize(graph_.nodes.size());
    if (options_.reference_only || !options_.fuse) return;
    blocks_ = find_blocks(graph_);
    for (const Block& block : blocks_)
      if (is_fused(block))
        for (const std::size_t node : block.nodes) block_of_[node] = &block;
  }

  bool is_fused(const Block& block) const {
    const Choice* last = given(graph_.nodes[block.nodes.back()]);
    if (last != nullptr) return last->tactic == kFused;
    return fuses_by_rule(graph_, block, isa_, options_.floats) &&
           std::ranges::none_of(block.nodes, [&](std::size_t node) { return given(graph_.nodes[node]); });
  }

  // The block whose step carries out a node of the graph; null: its own.
  const Block* block_of(const Node& node) const {
    return block_of_[static_cast<std::size_t>(&node - graph_.nodes.data())];
  }

  const Choice* given(const Node& node) const {
    const auto found = options_.choices.find(graph_[node.out[0]].name);
    return found == options_.choices.end() ? nullptr : &found->second;
  }

  // How often each constant is still read: one that steps have packed goes with its last reader, since it would double
  // the memory that a large network takes.
  void count_readers() {
    readers_.assign(graph_.values.size(), 0);
    for (const Node& node : graph_.nodes)
      for (ValueId id : node.in)
        if (id != kNoValue) ++readers_[static_cast<std::size_t>(id)];
    for (ValueId id : graph_.outputs) ++readers_[static_cast<std::size_t>(id)];
  }

  void release_constants(const Node& node) {
    for (ValueId id : node.in)
      if (id != kNoValue && --readers_[static_cast<std::size_t>(id)] == 0) graph_[id].constant.reset();
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
    if (given(node) == nullptr) return {first_legal(query_of(node, isa_)), isa_};
    const Choice& choice = *given(node);
    check(is_supported(choice.isa), "the tuning wants the tier {}, which this machine or build does not have",
          to_string(choice.isa));
    if (block_of(node) != nullptr) return {first_legal(query_of(node, choice.isa)), choice.isa, true};
    const Tactic* tactic = find_tactic(node.op, choice.tactic);
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
    if (!node.in.empty() && slices_.contains(node.in[0]) && slices_.at(node.in[0]).whole == node.out[0])
      return;  // a Concat whose operands have been made in their places
    Query query = query_of(node, chosen.isa);
    query.layout = layout_for(tactic, node);
    query.pixel_channels = pixel_channels(node);
    add_prepared(node.in, node, query.layout, tactic.prepare(query), chosen.given, cost_of(graph_, node));
  }

  // At the last node of a block, all of it.
  void add_block(const Node& node, const Block& block) {
    const Node& last = graph_.nodes[block.nodes.back()];
    if (&node != &last) return;
    const Chosen chosen = choose(last);
    check(can_fuse(graph_, block, chosen.isa, options_.floats),
          "the tuning wants this layer fused with those before it, which {} has no kernels for: tune again",
          to_string(chosen.isa));
    std::vector<Query> queries;
    Cost cost{.bytes = -2 * inner_bytes(graph_, block)};
    std::string names;
    for (const std::size_t i : block.nodes) {
      queries.push_back(query_of(graph_.nodes[i], chosen.isa));
      queries.back().layout = Layout::nhwc;
      const Cost own = cost_of(graph_, graph_.nodes[i]);
      cost.macs += own.macs, cost.bytes += own.bytes;
      if (&graph_.nodes[i] != &last) names += (names.empty() ? "" : ", ") + graph_.nodes[i].name;
    }
    queries.back().pixel_channels = pixel_channels(last);
    std::vector<ValueId> in{graph_.nodes[block.nodes.front()].in[0]};
    if (queries.back().has(4)) in.push_back(last.in[4]);
    Prepared prepared = prepare_fused(queries);
    prepared.note = "with " + names;
    add_prepared(in, last, Layout::nhwc, std::move(prepared), chosen.given, cost);
    for (const std::size_t i : block.nodes) release_constants(graph_.nodes[i]);
  }

  // Of the tensor in which the node's result is a slice; 0: it is none.
  std::int64_t pixel_channels(const Node& node) const {
    const auto slice = slices_.find(node.out[0]);
    return slice == slices_.end() ? 0 : graph_[slice->second.whole].type.shape[1];
  }

  // A step that reads values in a layout and makes a node's outputs in it.
  void add_prepared(const std::vector<ValueId>& operands, const Node& node, Layout layout, Prepared prepared,
                    bool given, Cost cost) {
    // A step with weights of its own reads at most its data where the graph has it.
    const bool packed = prepared.step != nullptr && prepared.step->weight_bytes() > 0;
    Operands in;
    for (ValueId id : operands) {
      const bool constant = id != kNoValue && graph_.constant(id) != nullptr;
      const bool read = constant && (!packed || in.slots.empty());
      in.slots.push_back(id == kNoValue || constant ? kNowhere : locate(id, layout_of(id, layout)));
      in.constants.push_back(read ? graph_.constant(id)->data() : nullptr);
      if (read) state_->constants.push_back(graph_[id].constant);
    }
    if (prepared.step == nullptr) {
      located_[{node.out[0], layout_of(node.out[0], layout)}] = in.slots[0];
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
      const std::size_t state = updated_state(node, index, layout, prepared.in_place);
      out.push_back(state != kNowhere ? state : add_slot(graph_[id].type, next_step()));
      located_[{id, layout_of(id, layout)}] = out.back();
    }
    for (const Prepared::InPlace& share : prepared.in_place)
      if (out[share.output] != kNowhere && in.slots[share.input] != kNowhere)
        shares_.push_back({next_step(), out[share.output], in.slots[share.input]});
    add_step(std::move(prepared.step), in, out,
             {node.name, std::string(op_name(node.op)), std::move(prepared.tactic),
              note(node, given ? "tuned" : prepared.note), graph_[node.out[0]].type, cost,
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
    for (const std::size_t slot : state_slots_) state_->states.push_back({slot, slots_[slot].interval.bytes});
    for (std::size_t& offset : state_->input_offsets) resolve(offset);
    for (auto& place : state_->states) resolve(place.offset);
    for (std::size_t i : direct_inputs_) state_->input_offsets[i] = kNowhere;
    for (std::size_t w = 0; w < state_->observed.size(); ++w) watch(w);
    for (CompiledStep& step : state_->steps) {
      for (Place& place : step.in) resolve(place.offset);
      for (Place& place : step.out) resolve(place.offset, place.shift);
    }
    for (Place& output : state_->outputs) resolve(output.offset);
    for (auto& watched : state_->observed) resolve(watched.offset);
    state_->arena_bytes = placement.bytes;
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
  std::vector<int> readers_;  // of each value, that are still to come
  std::vector<Block> blocks_;
  std::vector<const Block*> block_of_;  // per node of the graph
  struct Slice {
    ValueId whole;
    std::size_t shift;  // bytes
  };
  std::map<ValueId, Slice> slices_;
};

// The types of those `ids` that are no states.
std::vector<Type> types_at(const Graph& graph, const std::vector<ValueId>& ids,
                           const std::vector<PlanStateTensor>& states, std::size_t PlanStateTensor::*member) {
  std::vector<Type> types;
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (std::ranges::find(states, i, member) == states.end()) types.push_back(graph[ids[i]].type);
  return types;
}

}  // namespace

Plan compile(const Graph& graph, const CompileOptions& options) { return compile_and_free(graph, options); }

Plan compile_and_free(Graph graph, const CompileOptions& options) {
  std::vector<Type> inputs = types_at(graph, graph.inputs, options.states, &PlanStateTensor::input);
  std::vector<Type> outputs = types_at(graph, graph.outputs, options.states, &PlanStateTensor::output);
  const std::size_t output_count = graph.outputs.size();
  for (const std::string& name : options.observe) {
    const ValueId id = find_value(graph, name);
    check(id != kNoValue, "there is no value '{}' to observe", name);
    graph.outputs.push_back(id);
  }
  std::vector<LowerNote> notes;
  auto state = Compiler(lower(std::move(graph), &notes), output_count, options, std::move(notes)).run();
  state->input_types = std::move(inputs);
  state->output_types = std::move(outputs);
  return Plan(std::move(state));
}

}  // namespace eke
