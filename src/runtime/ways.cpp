// The ways to carry out the nodes of a graph, told apart by the kernels that they end in.
#include <algorithm>
#include <set>

#include "kernels/registry.h"
#include "runtime/lower.h"
#include "runtime/plan.h"
#include "runtime/tactic.h"

namespace eke {
namespace {

// Best first; scalar kernels only where there is no other tier.
std::vector<Isa> tiers_up_to(Isa best) {
  std::vector<Isa> tiers;
  for (const Isa tier : supported_isas())
    if (kernels::runs_on(tier, best) && tier != Isa::scalar) tiers.push_back(tier);
  std::ranges::reverse(tiers);
  if (tiers.empty()) tiers.push_back(Isa::scalar);
  return tiers;
}

std::string kernel_of(const Tactic& tactic, const Query& query) {
  Query prepared = query;
  prepared.layout = tactic.layout == LayoutNeed::nhwc ? Layout::nhwc : Layout::plain;
  return tactic.prepare(prepared).tactic;
}

Ways ways_of(const Graph& graph, const Node& node, const std::vector<Isa>& tiers, Floats floats) {
  Ways result{graph[node.out[0]].name, {}};
  std::set<std::pair<std::string_view, std::string>> kernels;
  for (const Isa tier : tiers) {
    Query query{graph, node, tier};
    query.floats = floats;
    for (const Tactic& tactic : tactics(node.op)) {
      if (tactic.id == reference_tactic().id || !tactic.legal(query)) continue;
      if (kernels.insert({tactic.id, kernel_of(tactic, query)}).second)
        result.choices.push_back({std::string(tactic.id), tier});
    }
  }
  if (result.choices.empty()) result.choices.push_back({std::string(reference_tactic().id), tiers.front()});
  return result;
}

}  // namespace

std::vector<Ways> ways(const Graph& graph, const CompileOptions& options) {
  const Graph lowered = lower(graph);
  const std::vector<Isa> tiers = tiers_up_to(options.isa ? *options.isa : selected_isa());
  std::vector<Ways> result;
  for (const Node& node : lowered.nodes) result.push_back(ways_of(lowered, node, tiers, options.floats));
  return result;
}

}  // namespace eke
