#include "learn/reconstruct.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <optional>
#include <random>
#include <set>

#include "base/error.h"
#include "learn/network_blocks.h"
#include "learn/soft_weights.h"
#include "ops/infer.h"
#include "ops/node_builder.h"
#include "passes/pass_list.h"
#include "quant/graph_part.h"
#include "quant/keep.h"
#include "quant/layer_weights.h"
#include "train/backward.h"

namespace eke {
namespace {

constexpr std::size_t kFewestLayers = 3;  // of a block
constexpr float kRate = 0.02f;  // of a step at first, in steps of a weight; falls to 0 along a cosine
constexpr double kFixFrom = 0.3, kFixUntil = 0.9;  // of the steps: in between, weights are fixed
constexpr double kLeastImportance = 1e-3;          // of the mean channel

using Values = std::vector<float>;

// The value of the quantized network that a value of the float one of this name is rounded to; kNoValue: it is not.
ValueId rounded(const Graph& quantized, const std::string& name) {
  const ValueId raw = find_value(quantized, name);
  const std::vector<int> makers = producers(quantized);
  for (const Node& node : quantized.nodes) {
    if (raw == kNoValue || !std::holds_alternative<op::DequantizeLinear>(node.op)) continue;
    if (node.out[0] == raw) return raw;  // a graph output
    const int maker = makers[static_cast<std::size_t>(node.in[0])];
    if (maker >= 0 && quantized.nodes[static_cast<std::size_t>(maker)].in[0] == raw) return node.out[0];
  }
  return kNoValue;
}

// As others read it; images are not rounded yet.
ValueId value_in(const Graph& quantized, const std::string& name) {
  const ValueId raw = find_value(quantized, name);
  if (std::ranges::find(quantized.inputs, raw) != quantized.inputs.end()) return raw;
  const ValueId read = rounded(quantized, name);
  return read == kNoValue ? raw : read;
}

std::size_t channels_of(const Shape& shape) {
  return shape.rank() < 2 ? 1 : static_cast<std::size_t>(shape[1]);
}
std::size_t inner_of(const Shape& shape) {
  return shape.rank() < 2 ? static_cast<std::size_t>(shape.count())
                          : static_cast<std::size_t>(shape.count(2, shape.rank()));
}

// What each channel of a value is divided by, from the scales of the layers that make it.
Values scales_of(const Graph& graph, const std::vector<int>& makers, ValueId id,
                 const ChannelScales& divided_by) {
  const int maker = makers[static_cast<std::size_t>(id)];
  const Values none(channels_of(graph[id].type.shape), 1);
  if (maker < 0 || divided_by.empty()) return none;
  const Node& node = graph.nodes[static_cast<std::size_t>(maker)];
  const auto found = divided_by.find(std::string(label(graph, node)));
  if (found != divided_by.end()) return found->second;
  if (weight_shape(graph, node)) return none;
  Values scales;
  const bool joins = std::holds_alternative<op::Concat>(node.op);
  for (std::size_t i = 0; i < (joins ? node.in.size() : 1); ++i) {
    const Values of_part = scales_of(graph, makers, node.in[i], divided_by);
    scales.insert(scales.end(), of_part.begin(), of_part.end());
  }
  return scales.size() == none.size() ? scales : none;
}

// What an error in each channel does to the network's output: for each element on its own, and beyond that where all
// elements of the channel have it in common, which pooling does not average out.
struct Importance {
  Values each, shared;
};

// A block with its loss and the gradients of that. Its inputs: what it reads, what it should make, then the weights and,
// where there is one, the bias of each layer.
struct BlockGraph {
  Graph graph;
  std::vector<bool> has_bias;
};

class BlockGraphBuilder {
 public:
  BlockGraphBuilder(const Graph& quantized, const NetworkBlock& block) : graph_(quantized), block_(block) {}

  // `importance` has one number a channel of what the block makes.
  BlockGraph build(const Importance& importance) {
    cut_out();
    const ValueId made = graph_.outputs[0];
    const ValueId wanted = graph_.add_value("wanted", graph_[made].type);
    graph_.inputs.push_back(wanted);
    std::vector<ValueId> learned;
    BlockGraph result;
    for (const std::string& layer : block_.layers) {
      Node& node = *const_cast<Node*>(find_layer(graph_, layer));
      learned.push_back(make_input(node, 1));
      result.has_bias.push_back(node.in.size() > 2 && node.in[2] != kNoValue);
      if (result.has_bias.back()) learned.push_back(make_input(node, 2));
    }
    graph_ = infer_types(eliminate_dead(std::move(graph_)));
    // Dead values are gone, and the ids with them.
    result.graph = with_loss(importance, learned.size());
    return result;
  }

 private:
  void cut_out() {
    const ValueId reads = value_in(graph_, block_.reads), makes = value_in(graph_, block_.makes);
    std::erase_if(graph_.nodes,
                  [&](const Node& node) { return std::ranges::find(node.out, reads) != node.out.end(); });
    graph_.inputs = {reads};
    graph_.outputs = {makes};
  }

  ValueId make_input(Node& node, std::size_t i) {
    const ValueId id = graph_.add_value("learned", graph_[node.in[i]].type);
    graph_.inputs.push_back(id);
    node.in[i] = id;
    return id;
  }

  // The mean over the elements, each times the number of its channel.
  ValueId weighted_square(NodeBuilder& b, ValueId x, const Values& by_channel) const {
    Shape shape = b.shape(x);
    for (int i = 0; i < shape.rank(); ++i) {
      if (i != 1) shape[i] = 1;
    }
    const ValueId weights = b.constant(Tensor::from<float>(shape, std::span<const float>(by_channel)));
    return b.add(op::Reduce{.fn = op::ReduceFn::ReduceMean, .keepdims = 0}, {b.mul(b.mul(x, x), weights)});
  }

  Graph with_loss(const Importance& importance, std::size_t learned) {
    const ValueId made = graph_.outputs[0], wanted = graph_.inputs[1];
    NodeBuilder b(graph_, "loss");
    const ValueId difference = b.minus(made, wanted);
    ValueId loss = weighted_square(b, difference, importance.each);
    const Shape shape = graph_[made].type.shape;
    if (shape.rank() == 4 && shape[2] * shape[3] > 1) {
      const ValueId shared =
          b.scaled(b.sum(difference, {2, 3}, true), 1.0 / static_cast<double>(shape[2] * shape[3]));
      loss = b.plus(loss, weighted_square(b, shared, importance.shared));
    }
    const std::vector<ValueId> wrt(graph_.inputs.end() - static_cast<std::ptrdiff_t>(learned),
                                   graph_.inputs.end());
    Backward result = backward(std::move(graph_), loss, wrt);
    check(std::ranges::find(result.gradients, kNoValue) == result.gradients.end(),
          "what the block makes depends on some layers by a way without gradients");
    result.graph.outputs = {loss};
    result.graph.outputs.insert(result.graph.outputs.end(), result.gradients.begin(), result.gradients.end());
    return std::move(result.graph);
  }

  Graph graph_;
  const NetworkBlock& block_;
};

// How much unit noise in each channel of some values changes the network's output: the mean square of the gradients of
// random sums of its elements (the diagonal of Fisher's matrix for squared errors), each about 1 in the mean.
class ChannelGradients {
 public:
  ChannelGradients(const Graph& graph, const std::vector<NetworkBlock>& blocks, const Threads& threads) {
    Graph g = graph;
    for (const NetworkBlock& block : blocks) values_.push_back(find_value(g, block.makes));
    shapes_.reserve(values_.size());
    for (const ValueId id : values_) shapes_.push_back(g[id].type.shape);
    const ValueId output = g.outputs[0];
    outputs_ = static_cast<std::size_t>(g[output].type.shape.count());
    const ValueId signs = g.add_value("signs", g[output].type);
    g.inputs.push_back(signs);
    NodeBuilder b(g, "sum");
    const ValueId sum =
        b.add(op::Reduce{.fn = op::ReduceFn::ReduceSum, .keepdims = 0}, {b.mul(output, signs)});
    Backward result = backward(std::move(g), sum, values_);
    result.graph.outputs.clear();
    for (std::size_t i = 0; i < values_.size(); ++i) {
      if (result.gradients[i] == kNoValue || values_[i] == output) continue;
      position_.push_back(i);
      result.graph.outputs.push_back(result.gradients[i]);
    }
    for (const Shape& shape : shapes_) {
      squares_.emplace_back(channels_of(shape));
      shared_.emplace_back(channels_of(shape));
    }
    if (!position_.empty()) runner_.emplace(eliminate_dead(std::move(result.graph)), threads);
  }

  void add(std::span<const float> image) {
    if (!runner_) return;
    Values signs(outputs_);
    for (float& sign : signs) sign = random_() % 2 == 0 ? 1.0f : -1.0f;
    runner_->set(0, image);
    runner_->set(1, signs);
    const std::vector<Tensor>& gradients = runner_->run();
    for (std::size_t k = 0; k < position_.size(); ++k) {
      const Shape& shape = shapes_[position_[k]];
      std::vector<double>& squares = squares_[position_[k]];
      const auto values = gradients[k].values<float>();
      const std::size_t inner = inner_of(shape);
      for (std::size_t i = 0; i < values.size(); i += inner) {
        const std::size_t c = i / inner % squares.size();
        double sum = 0;
        for (const float g : values.subspan(i, inner)) {
          sum += double{g};
          squares[c] += double{g} * double{g};
        }
        shared_[position_[k]][c] += sum * sum;
      }
    }
  }

  Importance importance(std::size_t block) const {
    const std::vector<double>& squares = squares_[block];
    const double mean =
        std::accumulate(squares.begin(), squares.end(), 0.0) / static_cast<double>(squares.size());
    if (!(mean > 0 && std::isfinite(mean))) return unknown(squares.size());
    Importance result;
    for (std::size_t c = 0; c < squares.size(); ++c) {
      result.each.push_back(static_cast<float>(std::max(squares[c] / mean, kLeastImportance)));
      result.shared.push_back(static_cast<float>(std::max((shared_[block][c] - squares[c]) / mean, 0.0)));
    }
    return result;
  }
  static Importance unknown(std::size_t channels) { return {Values(channels, 1), Values(channels, 0)}; }

 private:
  std::vector<ValueId> values_;
  std::vector<Shape> shapes_;
  std::vector<std::size_t> position_;  // of each output of the graph: among the blocks
  std::size_t outputs_ = 0;
  std::vector<std::vector<double>> squares_, shared_;  // of single gradients, of their sums over a channel
  std::optional<GraphRunner> runner_;
  std::mt19937 random_{1};
};

// What a block reads in the quantized network, and what it should make: an entry a batch of images.
struct BlockData {
  std::vector<Values> read, wanted;
  double power = 0;  // of what is wanted, by importance: the mean
};

class Reconstructor {
 public:
  Reconstructor(const Graph& graph, const Ranges& ranges, const RewriteOptions& options, Quantized start,
                const ForEachBatch& for_each, const ReconstructOptions& reconstruct, const Threads& threads)
      : graph_(graph),
        ranges_(ranges),
        options_(options),
        for_each_(for_each),
        reconstruct_(reconstruct),
        threads_(threads),
        wanted_(reconstruct.wanted ? *reconstruct.wanted : graph),
        result_{std::move(start), {}} {}

  Reconstructed run() {
    const std::vector<NetworkBlock> blocks =
        find_network_blocks(graph_, learnable(), kFewestLayers, [&](ValueId id) { return is_border(id); });
    if (blocks.empty()) return std::move(result_);
    const std::vector<Importance> importance = importance_of(blocks);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      with_context([&] { return fmt::format("block '{}'", blocks[i].makes); },
                   [&] { learn_block(blocks[i], importance[i]); });
      if (reconstruct_.progress) reconstruct_.progress(i + 1, blocks.size());
    }
    return std::move(result_);
  }

 private:
  std::set<std::string> learnable() const {
    std::set<std::string> names;
    for (const QuantizedLayer& layer : result_.quantized.report.layers) {
      const Node* node = find_layer(graph_, layer.node);
      if (layer.widened_channels == 0 && node && weight_shape(graph_, *node) &&
          !std::holds_alternative<op::MatMul>(node->op) && find_layer(result_.quantized.graph, layer.node))
        names.insert(layer.node);
    }
    return names;
  }

  // Where the quantized network has the value, too, rounded.
  bool is_border(ValueId id) const {
    return find_value(wanted_, graph_[id].name) != kNoValue &&
           rounded(result_.quantized.graph, graph_[id].name) != kNoValue;
  }

  std::vector<Importance> importance_of(const std::vector<NetworkBlock>& blocks) const {
    std::vector<Importance> result;
    try {
      ChannelGradients gradients(graph_, blocks, threads_);
      for_each_([&](std::span<const float> values, std::int64_t) { gradients.add(values); });
      for (std::size_t i = 0; i < blocks.size(); ++i) result.push_back(gradients.importance(i));
    } catch (const Error&) {  // an operator without a gradient: then all channels are alike
      result.clear();
      for (const NetworkBlock& block : blocks)
        result.push_back(
            ChannelGradients::unknown(channels_of(graph_[find_value(graph_, block.makes)].type.shape)));
    }
    return result;
  }

  BlockData collect(const NetworkBlock& block, const Importance& importance) const {
    const Graph& quantized = result_.quantized.graph;
    const ValueId makes = find_value(wanted_, block.makes);
    const Shape& shape = wanted_[makes].type.shape;
    const bool reads_images = find_value(graph_, block.reads) == graph_.inputs[0];
    std::optional<GraphRunner> before;
    if (!reads_images) before.emplace(part_for(quantized, {value_in(quantized, block.reads)}), threads_);
    GraphRunner in_float(part_for(wanted_, {makes}), threads_);
    const Values divided_by =
        scales_of(graph_, producers(graph_), find_value(graph_, block.makes), reconstruct_.divided_by);
    BlockData data;
    std::size_t bytes = 0;
    for_each_([&](std::span<const float> values, std::int64_t) {
      if (bytes > reconstruct_.memory_bytes) return;
      if (before) before->set(0, values);
      data.read.push_back(before ? copy_of(before->run()[0]) : Values(values.begin(), values.end()));
      in_float.set(0, values);
      data.wanted.push_back(copy_of(in_float.run()[0]));
      Values& wanted = data.wanted.back();
      double power = 0;
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const std::size_t c = i / inner_of(shape) % importance.each.size();
        wanted[i] /= divided_by[c];
        power += double{importance.each[c]} * double{wanted[i]} * double{wanted[i]};
      }
      data.power += power / static_cast<double>(wanted.size());
      bytes += (data.read.back().size() + wanted.size()) * sizeof(float);
    });
    data.power =
        std::max(data.power / static_cast<double>(data.read.size()), std::numeric_limits<double>::min());
    return data;
  }

  static Values copy_of(const Tensor& tensor) {
    const auto values = tensor.values<float>();
    return {values.begin(), values.end()};
  }

  std::vector<SoftWeights> soft_weights(const NetworkBlock& block) const {
    std::vector<SoftWeights> layers;
    for (const std::string& name : block.layers) {
      const QuantizedWeights& weights = result_.quantized.weights.at(name);
      const Node& node = *find_layer(graph_, name);
      Values wanted = copy_of(*graph_.constant(node.in[1]));
      const auto* gemm = std::get_if<op::Gemm>(&node.op);
      if (gemm) {
        for (float& w : wanted) w *= gemm->alpha;
      }
      const bool learn_steps = weights.bits < 8 && !options_.weights.all_levels;
      layers.emplace_back(weights, wanted, output_axis(name), scale_read(name), learn_steps);
    }
    return layers;
  }

  double scale_read(const std::string& name) const {
    const Graph& quantized = result_.quantized.graph;
    const ValueId read = find_layer(quantized, name)->in[0];
    const Node& dequantize =
        quantized.nodes[static_cast<std::size_t>(producers(quantized)[static_cast<std::size_t>(read)])];
    return element_as_double(quantized.constant(dequantize.in[1])->view(), 0);
  }

  void learn_block(const NetworkBlock& block, const Importance& importance) {
    const BlockData data = collect(block, importance);
    if (data.read.empty()) return;
    const std::optional<BlockGraph> built = with_gradients(block, importance);
    if (!built) return;
    const BlockGraph& made = *built;
    GraphRunner runner(made.graph, threads_);
    std::vector<SoftWeights> layers = soft_weights(block);
    QuantizedWeightsByNode all = result_.quantized.weights;
    const auto error = [&] {
      set_layers(made, runner,
                 [&](std::size_t l) { return values_of(block.layers[l], all.at(block.layers[l])); });
      return error_of(runner, data) / data.power;
    };
    ReconstructedBlock report{block.layers, error(), 0};
    descend(made, runner, data, layers);
    for (std::size_t l = 0; l < layers.size(); ++l) all[block.layers[l]] = layers[l].rounded();
    report.after = error();
    if (report.after < report.before) {
      result_.quantized = quantize(graph_, ranges_, options_, all);
    } else {
      report.after = report.before;
    }
    result_.blocks.push_back(std::move(report));
  }

  // None where an operator has no gradient: then the block stays as it is.
  std::optional<BlockGraph> with_gradients(const NetworkBlock& block, const Importance& importance) const {
    try {
      return BlockGraphBuilder(result_.quantized.graph, block).build(importance);
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  struct LayerValues {
    Values weights, bias;
  };
  int output_axis(const std::string& layer) const {
    const auto* gemm = std::get_if<op::Gemm>(&find_layer(graph_, layer)->op);
    return gemm && gemm->transB == 0 ? 1 : 0;
  }
  LayerValues values_of(const std::string& layer, const QuantizedWeights& weights) const {
    const Shape& shape = weights.weights.shape();
    const int axis = output_axis(layer);
    const auto inner = static_cast<std::size_t>(shape.count(axis + 1, shape.rank())),
               outputs = static_cast<std::size_t>(shape[axis]);
    const auto step = [&](std::size_t c) { return weights.scale[weights.scale.size() == 1 ? 0 : c]; };
    LayerValues values;
    const auto stored = weights.weights.values<std::int8_t>();
    for (std::size_t i = 0; i < stored.size(); ++i)
      values.weights.push_back(static_cast<float>(stored[i]) * step(i / inner % outputs));
    const double input_scale = scale_read(layer);
    for (std::size_t c = 0; c < weights.bias.size(); ++c)
      values.bias.push_back(static_cast<float>(weights.bias[c] * input_scale * double{step(c)}));
    return values;
  }

  template <class F>
  static void set_layers(const BlockGraph& made, GraphRunner& runner, F&& of_layer) {
    std::size_t input = 2;
    for (std::size_t l = 0; l < made.has_bias.size(); ++l) {
      const LayerValues values = of_layer(l);
      runner.set(input++, values.weights);
      if (made.has_bias[l]) runner.set(input++, values.bias);
    }
  }

  static const std::vector<Tensor>& run_on(GraphRunner& runner, const BlockData& data, std::size_t image) {
    runner.set(0, data.read[image]);
    runner.set(1, data.wanted[image]);
    return runner.run();
  }

  static double error_of(GraphRunner& runner, const BlockData& data) {
    double sum = 0;
    for (std::size_t i = 0; i < data.read.size(); ++i)
      sum += double{run_on(runner, data, i)[0].values<float>()[0]};
    return sum / static_cast<double>(data.read.size());
  }

  void descend(const BlockGraph& made, GraphRunner& runner, const BlockData& data,
               std::vector<SoftWeights>& layers) const {
    std::vector<std::size_t> order(data.read.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::mt19937 random(1);
    std::size_t next = order.size();
    const double steps = reconstruct_.steps;
    for (int step = 0; step < reconstruct_.steps; ++step) {
      set_layers(made, runner, [&](std::size_t l) {
        return LayerValues{{layers[l].weights().begin(), layers[l].weights().end()},
                           {layers[l].bias().begin(), layers[l].bias().end()}};
      });
      std::vector<Values> gradients;
      for (int image = 0; image < reconstruct_.images; ++image) {
        if (next == order.size()) {
          shuffle(order, random);
          next = 0;
        }
        add_gradients(run_on(runner, data, order[next++]), gradients);
      }
      const auto rate = static_cast<float>(kRate * (1 + std::cos(std::numbers::pi * step / steps)) / 2);
      std::size_t at = 0;
      for (std::size_t l = 0; l < layers.size(); ++l) {
        const Values& of_weights = gradients[at++];
        layers[l].step(of_weights, made.has_bias[l] ? gradients[at++] : Values(), rate);
        layers[l].fix((step / steps - kFixFrom) / (kFixUntil - kFixFrom));
      }
    }
  }

  // Not std::shuffle, whose result is not the same everywhere.
  static void shuffle(std::vector<std::size_t>& order, std::mt19937& random) {
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  }

  static void add_gradients(const std::vector<Tensor>& outputs, std::vector<Values>& sums) {
    sums.resize(outputs.size() - 1);
    for (std::size_t g = 0; g < sums.size(); ++g) {
      const auto values = outputs[g + 1].values<float>();
      sums[g].resize(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) sums[g][i] += values[i];
    }
  }

  const Graph& graph_;
  const Ranges& ranges_;
  const RewriteOptions& options_;
  const ForEachBatch& for_each_;
  const ReconstructOptions& reconstruct_;
  const Threads& threads_;
  const Graph& wanted_;
  Reconstructed result_;
};

}  // namespace

Reconstructed reconstruct_blocks(const Graph& graph, const Ranges& ranges, const RewriteOptions& options,
                                 Quantized start, const ForEachBatch& for_each,
                                 const ReconstructOptions& reconstruct, const Threads& threads) {
  return Reconstructor(graph, ranges, options, std::move(start), for_each, reconstruct, threads).run();
}

}  // namespace eke
