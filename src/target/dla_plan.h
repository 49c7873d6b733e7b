// Where TensorRT will place each node of a network that is built for a Deep Learning Accelerator with fallback to
// the GPU, predicted from the documented limits (dla_limits.h), and what that costs in transitions. A plan
// says nothing of limits that NVIDIA does not document: combinations of layers that exceed the accelerator's
// memory show only when an engine is built.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "ops/op_def.h"
#include "target/dla_rules.h"
#include "target/scale_groups.h"

namespace eke {

enum class Engine : std::uint8_t { dla, gpu, folded };
std::string_view to_string(Engine engine) noexcept;

struct PlacedNode {
  std::string name, op, output;
  Engine engine = Engine::gpu;
  int block = -1;                    // into DlaPlan::blocks; -1: folded
  std::vector<std::string> reasons;  // to leave the DLA; empty otherwise
  std::string source, remedy;
  Cost cost;
  bool raised = false;  // runs in fp16 in an int8 network
};

// Neighbouring nodes on one engine: on the DLA one loadable.
struct EngineBlock {
  Engine engine = Engine::dla;
  int nodes = 0;
  std::int64_t macs = 0;
};

// A tensor that one block makes and another one reads.
struct Transition {
  std::string tensor;
  int from = 0, to = 0;
  std::int64_t bytes = 0;  // one copy, in the precision of the plan
};

struct DlaPlan {
  DlaTarget target;
  std::vector<PlacedNode> nodes;
  std::vector<EngineBlock> blocks;
  std::vector<Transition> transitions;
  std::vector<ScaleGroup> scale_groups;  // of int8
  std::int64_t batch = 1;
  // The time of the DLA's own layers, without fallback and transitions, at the rate at which ResNet-50 runs as
  // NVIDIA published it: an estimate. Nothing with fp16, for which no rate is published.
  std::optional<double> estimated_dla_ms;

  int count(Engine engine) const;
  std::int64_t transition_bytes() const;
  std::int64_t macs(Engine engine) const;
};

// Loadables that one core takes at a time.
int max_loadables(const TensorRtVersion& version) noexcept;

// `graph` has all types known. Throws where an extent is dynamic, which the DLA does not have.
DlaPlan plan_dla(const Graph& graph, const DlaTarget& target);

// A picture of the blocks and what passes between them.
std::string to_svg(const DlaPlan& plan, const std::string& title);

}  // namespace eke
