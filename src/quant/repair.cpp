#include "quant/repair.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>

#include "ops/infer.h"
#include "quant/keep.h"
#include "quant/layer_weights.h"
#include "quant/placement.h"

namespace eke {
namespace {

// A layer, what stands behind it, and those that read the result.
struct Way {
  std::size_t maker = 0;
  std::vector<std::size_t> between, readers;
  ValueId read = kNoValue;
};

class Ways {
 public:
  Ways(const Graph& graph, const RewriteOptions& options)
      : graph_(graph), placement_(place(graph, options)), readers_(consumers(graph)) {
    for (const Node& node : graph.nodes)
      for (const ValueId id : node.in)
        if (id != kNoValue && graph.constant(id)) ++uses_[id];
  }

  // `passes` says which nodes may stand between.
  template <class F>
  std::vector<Way> all(F&& passes) const {
    std::vector<Way> ways;
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (!is_layer(n) || !has_own_bias(n)) continue;
      if (std::optional<Way> way = from(n, passes)) ways.push_back(std::move(*way));
    }
    return ways;
  }

  bool has_own_bias(std::size_t n) const {
    const Node& node = graph_.nodes[n];
    const Tensor* bias = node.in.size() > 2 ? graph_.constant(node.in[2]) : nullptr;
    return bias && bias->shape().rank() == 1 && uses_.at(node.in[2]) == 1 &&
           bias->count() == weight_shape(graph_, node)->outputs;
  }

 private:
  // All its channels meet all of its weights, which are its own.
  bool is_layer(std::size_t n) const {
    const Node& node = graph_.nodes[n];
    const auto shape = weight_shape(graph_, node);
    return placement_.is_integer(n) && shape && shape->groups == 1 && uses_.at(node.in[1]) == 1 &&
           rule_of(graph_, node) == QuantRule::Kind::weighted &&
           graph_[node.in[0]].type.shape.rank() == graph_.constant(node.in[1])->shape().rank();
  }
  template <class F>
  std::optional<Way> from(std::size_t maker, F&& passes) const {
    Way way{.maker = maker, .between = {}, .readers = {}, .read = graph_.nodes[maker].out[0]};
    for (;;) {
      if (is_graph_output(graph_, way.read)) return std::nullopt;
      const auto& readers = readers_[static_cast<std::size_t>(way.read)];
      const auto reads_it = [&](int n) {
        return is_layer(static_cast<std::size_t>(n)) &&
               graph_.nodes[static_cast<std::size_t>(n)].in[0] == way.read;
      };
      if (!readers.empty() && std::ranges::all_of(readers, reads_it)) {
        way.readers.assign(readers.begin(), readers.end());
        return way;
      }
      if (readers.size() != 1 || !passes(graph_.nodes[static_cast<std::size_t>(readers[0])]))
        return std::nullopt;
      way.between.push_back(static_cast<std::size_t>(readers[0]));
      way.read = graph_.nodes[way.between.back()].out[0];
    }
  }

  const Graph& graph_;
  Placement placement_;
  std::vector<std::vector<int>> readers_;
  std::map<ValueId, int> uses_;
};

bool is_relu(const Node& node) {
  const auto* unary = std::get_if<op::Unary>(&node.op);
  return unary && unary->fn == op::UnaryFn::Relu;
}
bool is_prelu(const Node& node) {
  const auto* binary = std::get_if<op::Binary>(&node.op);
  return binary && binary->fn == op::BinaryFn::PRelu;
}

const CalibratedRange* statistics(const Graph& graph, const Ranges& seen, const Way& way) {
  const auto found = seen.find(graph[way.read].name);
  const auto channels = static_cast<std::size_t>(weight_shape(graph, graph.nodes[way.maker])->outputs);
  return found != seen.end() && found->second.channel_peaks.size() == channels ? &found->second : nullptr;
}

void set_constant(Graph& graph, ValueId id, Tensor tensor) {
  graph[id].type = tensor.type();
  graph[id].constant = std::make_shared<const Tensor>(std::move(tensor));
}

// The entries along `axis` that `from` names, times `factor` (an entry of `from`).
template <class F>
Tensor taken(const Tensor& tensor, int axis, const std::vector<std::size_t>& from, F&& factor) {
  Shape shape = tensor.shape();
  const std::int64_t outer = shape.count(0, axis), count = shape[axis],
                     inner = shape.count(axis + 1, shape.rank());
  shape[axis] = static_cast<std::int64_t>(from.size());
  Tensor result(DType::f32, shape);
  const auto in = tensor.values<float>();
  auto out = result.mutable_values<float>().begin();
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::size_t k = 0; k < from.size(); ++k) {
      const auto first = static_cast<std::size_t>((o * count + static_cast<std::int64_t>(from[k])) * inner);
      for (const float x : in.subspan(first, static_cast<std::size_t>(inner))) *out++ = x * factor(k);
    }
  }
  return result;
}

int output_axis(const Graph& graph, const Node& node) {
  return weight_shape(graph, node)->inputs_first ? 1 : 0;
}

// The channels to split: those above half of the largest, where they are few.
std::vector<std::size_t> outliers(std::span<const float> peaks, double most) {
  const float largest = peaks.empty() ? 0 : *std::ranges::max_element(peaks);
  std::vector<std::size_t> found;
  for (std::size_t c = 0; c < peaks.size(); ++c) {
    if (peaks[c] > largest / 2) found.push_back(c);
  }
  const double share =
      static_cast<double>(found.size()) / static_cast<double>(std::max<std::size_t>(peaks.size(), 1));
  return share <= most ? found : std::vector<std::size_t>();
}

void split(Graph& graph, const Way& way, const std::vector<std::size_t>& outliers) {
  const Node maker = graph.nodes[way.maker];
  const auto channels = static_cast<std::size_t>(weight_shape(graph, maker)->outputs);
  std::vector<std::size_t> from(channels);
  for (std::size_t c = 0; c < channels; ++c) from[c] = c;
  from.insert(from.end(), outliers.begin(), outliers.end());
  const auto half = [&](std::size_t k) {
    return std::ranges::find(outliers, from[k]) == outliers.end() ? 1.0f : 0.5f;
  };
  const auto whole = [](std::size_t) { return 1.0f; };
  set_constant(graph, maker.in[1],
               taken(*graph.constant(maker.in[1]), output_axis(graph, maker), from, half));
  set_constant(graph, maker.in[2], taken(*graph.constant(maker.in[2]), 0, from, half));
  for (const std::size_t n : way.between) {
    const Node& node = graph.nodes[n];
    if (!is_prelu(node) || graph.constant(node.in[1])->count() == 1) continue;
    const Tensor& slope = *graph.constant(node.in[1]);
    const int axis = slope.shape().rank() - (graph[node.in[0]].type.shape.rank() - 1);
    set_constant(graph, node.in[1], taken(slope, axis, from, whole));
  }
  for (const std::size_t n : way.readers) {
    const Node& reader = graph.nodes[n];
    set_constant(graph, reader.in[1],
                 taken(*graph.constant(reader.in[1]), 1 - output_axis(graph, reader), from, whole));
  }
}

bool pads(const Node& node) {
  const auto* conv = std::get_if<op::Conv>(&node.op);
  return conv && ((!conv->auto_pad.empty() && conv->auto_pad != "NOTSET") ||
                  std::ranges::any_of(conv->pads, [](std::int64_t p) { return p != 0; }));
}

// What of each channel goes into the next biases.
std::vector<float> excess(const CalibratedRange& range) {
  constexpr double kDeviations = 3;
  std::vector<float> result;
  for (std::size_t c = 0; c < range.channel_means.size(); ++c) {
    const double mean = double{range.channel_means[c]};
    const double deviation = std::sqrt(std::max(0.0, double{range.channel_squares[c]} - mean * mean));
    result.push_back(static_cast<float>(std::max(0.0, mean - kDeviations * deviation)));
  }
  return result;
}

// What a constant `excess` in each channel adds to each output.
std::vector<float> added(const Graph& graph, const Node& reader, const std::vector<float>& excess) {
  const WeightShape shape = *weight_shape(graph, reader);
  const auto weights = graph.constant(reader.in[1])->values<float>();
  const auto* gemm = std::get_if<op::Gemm>(&reader.op);
  const double alpha = gemm ? double{gemm->alpha} / double{gemm->beta} : 1;
  std::vector<float> result;
  for (std::int64_t o = 0; o < shape.outputs; ++o) {
    double sum = 0;
    for (std::int64_t i = 0; i < shape.inputs; ++i)
      for (std::int64_t k = 0; k < shape.kernel; ++k)
        sum += double{weights[static_cast<std::size_t>(shape.index(o, i, k))]} *
               double{excess[static_cast<std::size_t>(i)]};
    result.push_back(static_cast<float>(alpha * sum));
  }
  return result;
}

void add_to_bias(Graph& graph, const Node& node, const std::vector<float>& by, float sign) {
  Tensor bias = *graph.constant(node.in[2]);
  const auto values = bias.mutable_values<float>();
  for (std::size_t c = 0; c < values.size(); ++c) values[c] += sign * by[c];
  set_constant(graph, node.in[2], std::move(bias));
}

}  // namespace

Repaired split_channels(const Graph& graph, const Ranges& seen, const RewriteOptions& options, double most) {
  Repaired result{graph, {}};
  const auto passes = [&](const Node& node) {
    if (is_prelu(node)) {
      const Tensor* slope = graph.constant(node.in[1]);
      const Shape& shape = graph[node.in[0]].type.shape;
      return slope && (slope->count() == 1 ||
                       (slope->shape().rank() >= shape.rank() - 1 && slope->count() == shape[1]));
    }
    return is_relu(node) || std::holds_alternative<op::LeakyRelu>(node.op) ||
           std::holds_alternative<op::MaxPool>(node.op) || std::holds_alternative<op::AveragePool>(node.op) ||
           std::holds_alternative<op::GlobalAveragePool>(node.op);
  };
  for (const Way& way : Ways(graph, options).all(passes)) {
    const CalibratedRange* range = statistics(graph, seen, way);
    if (!range) continue;
    const std::vector<std::size_t> channels = outliers(range->channel_peaks, most);
    if (channels.empty()) continue;
    split(result.graph, way, channels);
    result.layers.push_back(
        {std::string(label(graph, graph.nodes[way.maker])), static_cast<int>(channels.size())});
  }
  if (!result.layers.empty()) result.graph = infer_types(std::move(result.graph));
  return result;
}

Repaired absorb_biases(const Graph& graph, const Ranges& seen, const RewriteOptions& options) {
  Repaired result{graph, {}};
  const Ways ways(graph, options);
  for (const Way& way : ways.all(is_relu)) {
    const CalibratedRange* range = statistics(graph, seen, way);
    const auto takes_it = [&](std::size_t n) {
      const auto* gemm = std::get_if<op::Gemm>(&graph.nodes[n].op);
      return !pads(graph.nodes[n]) && ways.has_own_bias(n) && (!gemm || gemm->beta != 0);
    };
    if (!range || way.between.empty() || range->channel_means.empty() ||
        !std::ranges::all_of(way.readers, takes_it))
      continue;
    const std::vector<float> by = excess(*range);
    const auto channels = std::ranges::count_if(by, [](float x) { return x > 0; });
    if (channels == 0) continue;
    add_to_bias(result.graph, graph.nodes[way.maker], by, -1);
    for (const std::size_t n : way.readers) {
      const Node& reader = graph.nodes[n];
      add_to_bias(result.graph, reader, added(graph, reader, by), 1);
    }
    result.layers.push_back({std::string(label(graph, graph.nodes[way.maker])), static_cast<int>(channels)});
  }
  return result;
}

}  // namespace eke
