#include "passes/passes.h"

#include <array>
#include <chrono>
#include <string>
#include <utility>

#include "base/error.h"
#include "passes/pass_list.h"

namespace eke {
namespace {

// Activations are recognised before constants move into weights, since that takes the patterns apart.
constexpr std::array kSimplify = {
    Pass{"fold_constants", fold_constants},  // shapes and weights computed in the graph
    Pass{"normalize_attributes", normalize_attributes},
    Pass{"remove_identity", remove_identity},
    Pass{"recognize_activations", recognize_activations},
    Pass{"cancel_transposes", cancel_transposes},
    Pass{"reduce_to_pool", reduce_to_pool},
    Pass{"reshape_to_flatten", reshape_to_flatten},
    Pass{"matmul_to_gemm", matmul_to_gemm},
    Pass{"fold_pad", fold_pad},
    Pass{"fold_batchnorm", fold_batchnorm},
    Pass{"eliminate_common", eliminate_common},
    Pass{"eliminate_dead", eliminate_dead},
};

// The slope and clamp of a lone convolution first: the residual is added behind a slope, never behind a
// clamp.
constexpr std::array kLowering = {
    Pass{"fuse_activation", fuse_activation},
    Pass{"fuse_residual", fuse_residual},
};

constexpr int kMaxRounds = 8;

}  // namespace

std::span<const Pass> simplify_passes() noexcept { return kSimplify; }
std::span<const Pass> lowering_passes() noexcept { return kLowering; }

Graph run_passes(Graph graph, std::span<const Pass> passes, const PassObserver& observe) {
  Graph before;  // copied to again and again, in the same memory
  for (const Pass& pass : passes) {
    with_context([&] { return "pass '" + std::string(pass.name) + "'"; },
                 [&] {
                   PassReport report{.pass = pass.name, .nodes_before = graph.nodes.size()};
                   if (observe) before = graph;
                   const auto begin = std::chrono::steady_clock::now();
                   graph = pass.run(std::move(graph));
                   report.time_ns =
                       std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
                   verify(graph);
                   report.nodes_after = graph.nodes.size();
                   if (!observe) return;
                   report.changed = !(graph == before);
                   observe(report);
                 });
  }
  return graph;
}

Graph optimize(Graph graph, std::vector<PassReport>* reports) {
  for (int round = 0; round < kMaxRounds; ++round) {
    bool changed = false;
    graph = run_passes(std::move(graph), simplify_passes(), [&](const PassReport& report) {
      changed |= report.changed;
      if (reports && (round == 0 || report.changed)) reports->push_back(report);
    });
    if (!changed) break;
  }
  return graph;
}

}  // namespace eke
