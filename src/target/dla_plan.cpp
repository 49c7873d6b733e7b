#include "target/dla_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"

namespace eke {
namespace {

// ResNet-50, 4.09 GMAC, 2037 images/s on both DLAs of a Jetson AGX Orin 64GB in MAXN, int8, JetPack 5.1.1
// (NVIDIA Deep-Learning-Accelerator-SW).
constexpr double kMacsPerSecond = 4.09e9 * 2037 / 2;

std::string label_of(const Graph& graph, const Node& node) {
  return node.name.empty() ? graph[node.out[0]].name : node.name;
}

// Int8 networks compute these in fp16.
bool is_raised(const Op& op) {
  const auto* unary = std::get_if<op::Unary>(&op);
  return std::holds_alternative<op::LRN>(op) || std::holds_alternative<op::Swish>(op) ||
         (unary && (unary->fn == op::UnaryFn::Sigmoid || unary->fn == op::UnaryFn::Tanh));
}

PlacedNode place(const Graph& graph, const DlaJudge& judge, const Node& node, const DlaTarget& target) {
  const DlaVerdict verdict = judge.judge(node);
  PlacedNode placed;
  placed.name = label_of(graph, node);
  placed.op = op_name(node.op);
  placed.output = to_string(graph[node.out[0]].type.shape);
  placed.cost = cost_of(graph, node);
  placed.source = verdict.source;
  if (verdict.support == DlaSupport::folded) {
    placed.engine = Engine::folded;
  } else if (verdict.runs_on_dla()) {
    placed.engine = Engine::dla;
    placed.raised = target.precision == DlaPrecision::int8 && is_raised(node.op);
  } else {
    placed.engine = Engine::gpu;
    placed.remedy = verdict.remedy;
    for (const BrokenLimit& broken : verdict.broken) {
      placed.reasons.push_back(to_string(broken));
      placed.source = broken.source;
    }
    if (verdict.broken.empty())
      placed.reasons.push_back(
          fmt::format("TensorRT {} does not place {} on the DLA", to_string(target.version), placed.op));
  }
  return placed;
}

// Blocks are convex: no path leaves one and comes back. Neighbours on one engine join when the longest path to
// them changes the engine equally often.
class Blocks {
 public:
  Blocks(const Graph& graph, DlaPlan& plan) : graph_(graph), plan_(plan), makers_(producers(graph)) {}

  void assign() {
    depth_.resize(graph_.nodes.size(), 0);
    root_.resize(graph_.nodes.size());
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) root_[n] = n;
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n)
      if (engine(n) != Engine::folded) visit(n);
    number();
    find_transitions();
  }

 private:
  Engine engine(std::size_t n) const { return plan_.nodes[n].engine; }

  // The nodes that make what this one reads, folded ones skipped.
  std::vector<std::size_t> makers_of(const Node& node) const {
    std::vector<std::size_t> result;
    for (const ValueId id : node.in) {
      if (id == kNoValue) continue;
      const int maker = makers_[static_cast<std::size_t>(origin(graph_, makers_, id))];
      if (maker >= 0 && engine(static_cast<std::size_t>(maker)) != Engine::folded)
        result.push_back(static_cast<std::size_t>(maker));
    }
    return result;
  }

  std::size_t find(std::size_t n) {
    while (root_[n] != n) n = root_[n] = root_[root_[n]];
    return n;
  }

  void visit(std::size_t n) {
    const std::vector<std::size_t> makers = makers_of(graph_.nodes[n]);
    for (const std::size_t m : makers)
      depth_[n] = std::max(depth_[n], depth_[m] + (engine(m) != engine(n) ? 1 : 0));
    for (const std::size_t m : makers)
      if (engine(m) == engine(n) && depth_[m] == depth_[n]) root_[find(n)] = find(m);
  }

  void number() {
    std::map<std::size_t, int> numbers;
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (engine(n) == Engine::folded) continue;
      const auto [at, added] = numbers.emplace(find(n), static_cast<int>(plan_.blocks.size()));
      if (added) plan_.blocks.push_back({engine(n)});
      plan_.nodes[n].block = at->second;
      EngineBlock& block = plan_.blocks[static_cast<std::size_t>(at->second)];
      ++block.nodes;
      block.macs += plan_.nodes[n].cost.macs;
    }
  }

  void find_transitions() {
    const std::int64_t element = plan_.target.precision == DlaPrecision::int8 ? 1 : 2;
    std::set<std::pair<ValueId, int>> seen;
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (engine(n) == Engine::folded) continue;
      for (const ValueId in : graph_.nodes[n].in) {
        if (in == kNoValue) continue;
        const ValueId id = origin(graph_, makers_, in);
        const int maker = makers_[static_cast<std::size_t>(id)];
        if (maker < 0 || engine(static_cast<std::size_t>(maker)) == Engine::folded) continue;
        const int from = plan_.nodes[static_cast<std::size_t>(maker)].block, to = plan_.nodes[n].block;
        if (from == to || !seen.emplace(id, to).second) continue;
        plan_.transitions.push_back({graph_[id].name, from, to, element * graph_[id].type.shape.count()});
      }
    }
  }

  const Graph& graph_;
  DlaPlan& plan_;
  std::vector<int> makers_, depth_;
  std::vector<std::size_t> root_;
};

}  // namespace

std::string_view to_string(Engine engine) noexcept {
  switch (engine) {
    case Engine::dla:
      return "DLA";
    case Engine::gpu:
      return "GPU";
    case Engine::folded:
      return "folded";
  }
  return "";
}

int max_loadables(const TensorRtVersion& version) noexcept {
  return version < TensorRtVersion{8, 5} ? 4 : 16;
}

int DlaPlan::count(Engine engine) const {
  return static_cast<int>(std::count_if(nodes.begin(), nodes.end(),
                                        [&](const PlacedNode& node) { return node.engine == engine; }));
}

std::int64_t DlaPlan::transition_bytes() const {
  std::int64_t bytes = 0;
  for (const Transition& transition : transitions) bytes += transition.bytes;
  return bytes;
}

std::int64_t DlaPlan::macs(Engine engine) const {
  std::int64_t macs = 0;
  for (const EngineBlock& block : blocks)
    if (block.engine == engine) macs += block.macs;
  return macs;
}

DlaPlan plan_dla(const Graph& graph, const DlaTarget& target) {
  DlaPlan plan;
  plan.target = target;
  for (const ValueId id : graph.inputs) {
    const Value& input = graph[id];
    check(!input.type.shape.is_dynamic(),
          "input '{}' is {}: the DLA has no dynamic shapes; fix them with --batch, --dim or --input-shape",
          input.name, to_string(input.type));
    if (input.type.shape.rank() > 0) plan.batch = input.type.shape[0];
  }
  const DlaJudge judge(graph, target);
  std::vector<bool> on_dla;
  for (const Node& node : graph.nodes) {
    plan.nodes.push_back(with_context([&] { return describe(graph, node); },
                                      [&] { return place(graph, judge, node, target); }));
    on_dla.push_back(plan.nodes.back().engine == Engine::dla);
  }
  Blocks(graph, plan).assign();
  if (target.precision == DlaPrecision::int8) {
    plan.scale_groups = scale_groups(graph, on_dla);
    plan.estimated_dla_ms = 1e3 * static_cast<double>(plan.macs(Engine::dla)) / kMacsPerSecond;
  }
  return plan;
}

}  // namespace eke
