// What a compiled plan consists of: made by compile.cpp, executed by plan.cpp.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "runtime/plan.h"
#include "runtime/tactic.h"

namespace eke {

inline constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

// Where an operand of a step lies: in the arena, in a constant, or nowhere (absent).
struct Place {
  std::size_t offset = kNowhere;
  const void* constant = nullptr;
  std::size_t shift = 0;  // bytes into the slot
};

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
  struct StatePlace {
    std::size_t offset = 0, bytes = 0;
  };
  std::vector<StatePlace> states;
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

}  // namespace eke
