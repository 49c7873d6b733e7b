#include "quant/channel_importance.h"

#include <algorithm>
#include <numeric>

#include "quant/layer_weights.h"

namespace eke {
namespace {

std::size_t channels_of(const Graph& graph, ValueId id) {
  const Shape& shape = graph[id].type.shape;
  return graph.constant(id) || shape.rank() < 2 || shape[1] <= 0 ? 0 : static_cast<std::size_t>(shape[1]);
}

class Importance {
 public:
  Importance(const Graph& graph, const Ranges& seen) : graph_(graph), seen_(seen), of_(graph.values.size()) {}

  std::vector<std::vector<double>> run() {
    for (const ValueId id : graph_.outputs) of_[index(id)].assign(channels_of(graph_, id), 1);
    for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node) {
      for (const ValueId out : node->out) {
        if (out != kNoValue) close_dead(out);
      }
      for (std::size_t i = 0; i < node->in.size(); ++i) {
        if (node->in[i] != kNoValue && channels_of(graph_, node->in[i]) > 0) pass_back(*node, i);
      }
    }
    return std::move(of_);
  }

 private:
  static std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

  void close_dead(ValueId id) {
    const auto found = seen_.find(graph_[id].name);
    std::vector<double>& own = of_[index(id)];
    if (found == seen_.end() || found->second.channel_peaks.size() != own.size()) return;
    for (std::size_t c = 0; c < own.size(); ++c) {
      if (found->second.channel_peaks[c] == 0) own[c] = 0;
    }
  }

  void pass_back(const Node& node, std::size_t i) {
    const std::vector<double>& from = of_[index(node.out[0])];
    std::vector<double>& to = of_[index(node.in[i])];
    to.resize(channels_of(graph_, node.in[i]));
    if (from.empty()) return add_evenly(1, to);
    if (i == 0 && weight_shape(graph_, node)) return through_weights(node, from, to);
    const auto* concat = std::get_if<op::Concat>(&node.op);
    if (concat && (concat->axis == 1 || concat->axis + graph_[node.in[i]].type.shape.rank() == 1))
      return through_concat(node, i, from, to);
    if (from.size() == to.size()) {
      std::ranges::transform(from, to, to.begin(), std::plus<>());
    } else if (from.size() % to.size() == 0) {  // a Flatten: the elements of a channel lie together
      const std::size_t each = from.size() / to.size();
      for (std::size_t c = 0; c < from.size(); ++c) to[c / each] += from[c] / static_cast<double>(each);
    } else {
      add_evenly(std::accumulate(from.begin(), from.end(), 0.0) / static_cast<double>(from.size()), to);
    }
  }

  void through_weights(const Node& node, const std::vector<double>& from, std::vector<double>& to) const {
    const WeightSummary weights = summarize_weights(graph_, node);
    const WeightShape& shape = weights.shape;
    if (shape.channels() != static_cast<std::int64_t>(to.size()) ||
        shape.outputs != static_cast<std::int64_t>(from.size())) {
      return add_evenly(1, to);
    }
    for (std::int64_t o = 0; o < shape.outputs; ++o) {
      for (std::int64_t c = 0; c < shape.inputs; ++c) {
        to[static_cast<std::size_t>(shape.channel(o, c))] +=
            weights.power[weights.at(o, c)] * from[static_cast<std::size_t>(o)];
      }
    }
  }

  void through_concat(const Node& node, std::size_t i, const std::vector<double>& from,
                      std::vector<double>& to) const {
    std::size_t first = 0;
    for (std::size_t before = 0; before < i; ++before)
      first += static_cast<std::size_t>(graph_[node.in[before]].type.shape[1]);
    for (std::size_t c = 0; c < to.size() && first + c < from.size(); ++c) to[c] += from[first + c];
  }

  static void add_evenly(double value, std::vector<double>& to) {
    for (double& x : to) x += value;
  }

  const Graph& graph_;
  const Ranges& seen_;
  std::vector<std::vector<double>> of_;
};

}  // namespace

std::vector<std::vector<double>> channel_importance(const Graph& graph, const Ranges& seen) {
  return Importance(graph, seen).run();
}

}  // namespace eke
