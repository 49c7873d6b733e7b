// The ways to carry out the nodes of a graph, told apart by the kernels that they end in.
#include <algorithm>
#include <set>

#include "kernels/registry.h"
#include "runtime/blocks.h"
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

// A block that can be fused is one more way for its last layer: the first one where the rule says so.
void add_fused(const Graph& graph, const Block& block, Isa isa, Floats floats, std::vector<Ways>& ways) {
  if (!can_fuse(graph, block, isa, floats)) return;
  const bool by_rule = fuses_by_rule(graph, block, isa, floats);
  Ways& last = ways[block.nodes.back()];
  last.choices.insert(by_rule ? last.choices.begin() : last.choices.end(), {std::string(kFused), isa});
  for (const std::size_t node : block.nodes) {
    if (node == block.nodes.back()) continue;
    last.block.push_back(ways[node].output);
    if (by_rule) ways[node].choices.resize(1);
  }
}

}  // namespace

std::vector<Ways> ways(const Graph& graph, const CompileOptions& options) {
  const Graph lowered = lower(graph);
  const std::vector<Isa> tiers = tiers_up_to(options.isa ? *options.isa : selected_isa());
  std::vector<Ways> result;
  for (const Node& node : lowered.nodes) result.push_back(ways_of(lowered, node, tiers, options.floats));
  if (options.fuse)
    for (const Block& block : find_blocks(lowered))
      add_fused(lowered, block, tiers.front(), options.floats, result);
  return result;
}

}  // namespace eke
