// A compiled graph: steps with packed weights and planned memory, for one machine and one set of shapes. All
// that can fail fails in compile(); after it, run neither throws nor allocates. A Plan is immutable and may
// be shared by threads; each thread of control brings its own Scratch.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/isa.h"
#include "base/threads.h"
#include "graph/graph.h"
#include "ops/op_def.h"
#include "tensor/tensor.h"

namespace eke {

// How a rank-4 tensor lies in memory: as its type says, or with the channels innermost.
enum class Layout : std::uint8_t { plain, nhwc };

// A tensor that stays in the plan's memory from run to run: a graph input, and the graph output that replaces it.
struct PlanStateTensor {
  std::size_t input = 0, output = 0;  // indexes into the graph's inputs and outputs
  Layout layout = Layout::plain;      // in which it lies in memory; agrees with plain unless its rank is 4
};

// What carries out a node: a tactic, by its id, with the kernels of a tier.
struct Choice {
  std::string tactic;
  Isa isa = Isa::scalar;
  friend bool operator==(const Choice&, const Choice&) = default;
};
// In what products of float32 tensors by constants are computed: as they are, or of factors rounded to bfloat16 with
// sums in float32. Tensors between layers are float32 in either case.
enum class Floats : std::uint8_t { f32, bf16 };

// By the name of the node's first output.
using Choices = std::map<std::string, Choice>;

struct CompileOptions {
  std::optional<Isa> isa;                    // default: selected_isa()
  bool reference_only = false;               // every step is OpDef::eval: for tests and for comparing
  std::vector<std::string> observe;          // values that must exist in memory for run_observed, by name
  std::vector<PlanStateTensor> states = {};  // these are no inputs and outputs of the plan
  Choices choices = {};                      // in place of the best one by rule; of other nodes: ignored
  Floats floats = Floats::f32;
  bool fuse =
      true;  // blocks of convolutions as one step where that is faster; else every layer is a step of its own
};

// What a step is, for reports.
struct StepInfo {
  std::string name;    // of the node; for steps that the plan adds, of the value that they convert
  std::string op;      // "Conv", "Relu", "to nhwc"
  std::string tactic;  // "gemm_u8s8_6x64c4_avx512vnni", "reference", ...
  std::string note;    // why this tactic and no faster one; empty when there is nothing to say
  Type type;           // of the first output
  Cost cost;
  std::string output = {};  // name of the first output; empty for steps that the plan adds
};

// What run_observed hands out after the step that makes a value: dense data in the given layout, in the
// stored dtype (float32 in a float plan), valid during the call.
struct Observed {
  std::size_t index;  // into CompileOptions::observe
  TensorView view;    // its shape is the graph's (NCHW order); the bytes lie as `layout` says
  Layout layout;
};
using ObserveFn = std::function<void(const Observed&)>;

struct PlanState;
struct StepArgs;
class Scratch;

class Plan {
 public:
  explicit Plan(std::shared_ptr<const PlanState> state) : state_(std::move(state)) {}

  const std::vector<Type>& input_types() const noexcept;
  const std::vector<Type>& output_types() const noexcept;
  const std::vector<StepInfo>& steps() const noexcept;
  std::size_t arena_bytes() const noexcept;   // peak of activations, as planned
  std::size_t weight_bytes() const noexcept;  // packed constants

  // Views must have exactly the types of input_types() and output_types().
  void run(std::span<const TensorView> inputs, std::span<const MutTensorView> outputs,
           Scratch& scratch) const noexcept;

  // The memory of state i, of CompileOptions::states; undefined until it is written.
  std::byte* state_data(std::size_t i, Scratch& scratch) const noexcept;
  // Gives back to the system what holds no state, until the next run.
  void discard_all_but_states(Scratch& scratch) const;

  // As run, and calls `observe` for each observed value when it has been made.
  void run_observed(std::span<const TensorView> inputs, std::span<const MutTensorView> outputs,
                    Scratch& scratch, const ObserveFn& observe) const;

  // As run, and adds the nanoseconds of each step to `step_ns` (one entry a step).
  void run_timed(std::span<const TensorView> inputs, std::span<const MutTensorView> outputs, Scratch& scratch,
                 std::span<std::int64_t> step_ns) const noexcept;

  // Allocates its outputs: for tests and tools.
  std::vector<Tensor> run(const std::vector<Tensor>& inputs, Scratch& scratch) const;

  const PlanState& state() const noexcept { return *state_; }

 private:
  std::shared_ptr<const PlanState> state_;
};

// The memory of one caller: the arena, and the threads that the steps are split over (which must outlive it).
class Scratch {
 public:
  Scratch(const Plan& plan, const Threads& threads);
  std::byte* arena() noexcept { return arena_; }
  std::byte* end() noexcept { return memory_.get() + bytes_; }
  const Threads& threads() const noexcept { return threads_; }
  StepArgs args(std::size_t step) noexcept;  // for Plan
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::byte *arena_, *step_scratch_;
  std::size_t bytes_ = 0;
  std::vector<std::byte*> pointers_;         // of all steps' inputs and outputs, in order
  std::vector<std::size_t> first_, inputs_;  // per step: its first pointer, its count of inputs
  const Threads& threads_;
};

// The ways to carry out a node of the graph that compile() makes of `graph`, one a kernel: first the one that compile()
// takes by itself, then those of other tactics and of the tiers below. The reference and scalar kernels only where
// there is nothing else. Integer results are the same by all of them. The last layer of a block that may be fused has the
// tactic "fused" among its ways, which carries out the whole block: choices of the block's other layers are then ignored,
// and where that is what compile() takes they have only one way.
struct Ways {
  std::string output;  // the key in Choices
  std::vector<Choice> choices;
  std::vector<std::string> block = {};  // outputs of the other layers that a fused step carries out as well
};
std::vector<Ways> ways(const Graph& graph, const CompileOptions& options = {});

// `graph` is specialized (all types known). Runs the lowering passes, then chooses a tactic for each node.
// Throws an Error that names the node when something has no form that can run, or not the chosen one.
Plan compile(const Graph& graph, const CompileOptions& options = {});

}  // namespace eke
