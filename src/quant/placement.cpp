#include "quant/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <variant>

#include "base/error.h"
#include "ops/unary.h"
#include "quant/keep.h"

namespace eke {
namespace {

using Kind = QuantRule::Kind;

template <class A>
const A* as(const Node& node) {
  return std::get_if<A>(&node.op);
}

ValueId input(const Node& node, std::size_t i) { return i < node.in.size() ? node.in[i] : kNoValue; }

bool is_binary(const Node& node, std::initializer_list<op::BinaryFn> fns) {
  const auto* binary = as<op::Binary>(node);
  return binary && std::ranges::find(fns, binary->fn) != fns.end();
}

bool is_arithmetic(const Node& node) {
  return is_binary(node, {op::BinaryFn::Add, op::BinaryFn::Sub, op::BinaryFn::Mul});
}

// A function of one element that a constant number completes: x / 2, 1 - x, x ^ 3.
bool is_function_of_constant(const Graph& graph, const Node& node) {
  if (!is_binary(node, {op::BinaryFn::Add, op::BinaryFn::Sub, op::BinaryFn::Mul, op::BinaryFn::Div,
                        op::BinaryFn::Pow})) {
    return false;
  }
  const auto is_number = [&](ValueId id) { return graph.constant(id) && graph.constant(id)->count() == 1; };
  const bool a = is_number(node.in[0]), b = is_number(node.in[1]);
  // A constant of higher rank would change the shape.
  return a != b && graph[node.in[a ? 1 : 0]].type.shape == graph[node.out[0]].type.shape;
}

// A Relu, or a Clip with constant bounds.
bool is_clamp(const Graph& graph, const Node& node) {
  if (const auto* unary = as<op::Unary>(node)) return unary->fn == op::UnaryFn::Relu;
  const auto constant_or_absent = [&](std::size_t i) {
    return input(node, i) == kNoValue || graph.constant(input(node, i)) != nullptr;
  };
  return as<op::Clip>(node) && constant_or_absent(1) && constant_or_absent(2);
}

bool is_constant_prelu(const Graph& graph, const Node& node) {
  return is_binary(node, {op::BinaryFn::PRelu}) && graph.constant(input(node, 1)) != nullptr;
}

// One slope a channel, or one for all: what rule 4 takes.
bool is_channel_slope(const Shape& slope, const Shape& x) {
  if (slope.count() == 1) return true;
  const int channel_axis = 1, offset = x.rank() - slope.rank();
  if (x.rank() < 2 || offset < 0 || channel_axis < offset) return false;
  return slope.count() == x[channel_axis] && slope[channel_axis - offset] == x[channel_axis];
}

bool is_spatial_mean(const Graph& graph, const Node& node) {
  const auto* reduce = as<op::Reduce>(node);
  const Tensor* axes = graph.constant(input(node, 1));
  if (!reduce || reduce->fn != op::ReduceFn::ReduceMean || !axes) return false;
  const int rank = graph[node.in[0]].type.shape.rank();
  std::vector<std::int64_t> given = as_ints(*axes);
  for (std::int64_t& axis : given) axis += axis < 0 ? rank : 0;
  std::ranges::sort(given);
  return rank == 4 && given == std::vector<std::int64_t>{2, 3};
}

// Like a product it is formed in 32 bits: it knows more than 8 bits keep.
bool is_average(const Graph& graph, const Node& node) {
  return as<op::AveragePool>(node) || as<op::GlobalAveragePool>(node) || is_spatial_mean(graph, node);
}

bool pads_with_zero(const Graph& graph, const Node& node) {
  if (as<op::Pad>(node)->mode != "constant" || input(node, 2) == kNoValue) return true;
  const Tensor* value = graph.constant(input(node, 2));
  return value && value->count() == 1 && element_as_double(value->view(), 0) == 0;
}

Kind kind_of_resize(const op::Resize& resize) {
  if (resize.coordinate_transformation_mode == "tf_crop_and_resize" || resize.antialias != 0)
    return Kind::float_only;
  if (resize.mode == "nearest") return Kind::same_scale;
  return resize.mode == "linear" ? Kind::own_scale : Kind::float_only;
}

bool is_f32(const Graph& graph, ValueId id) { return id != kNoValue && graph[id].type.dtype == DType::f32; }

// Why a weighted node's weights or bias have no integer form; empty when they do.
std::string weights_obstacle(const Graph& graph, const Node& node) {
  const QuantRule& rule = def(node.op).quant;
  const Tensor* weights = graph.constant(input(node, static_cast<std::size_t>(rule.weight)));
  if (!weights) return "its weights are not constant";
  if (weights->dtype() != DType::f32) return fmt::format("its weights are {}", to_string(weights->dtype()));
  if (as<op::MatMul>(node) && weights->shape().rank() != 2) return "its weights are not a matrix";
  if (const auto* gemm = as<op::Gemm>(node); gemm && gemm->transA != 0) return "its data input is transposed";
  if (rule.bias < 0) return "";
  const ValueId bias_id = input(node, static_cast<std::size_t>(rule.bias));
  if (bias_id == kNoValue) return "";
  const Tensor* bias = graph.constant(bias_id);
  if (!bias || bias->dtype() != DType::f32) return "its bias is not a float constant";
  const std::int64_t channels = weights->shape()[weight_axis(node.op)];
  const Shape& shape = bias->shape();
  const bool one_a_channel =
      bias->count() == channels && (shape.rank() == 0 || shape[shape.rank() - 1] == channels);
  if (bias->count() != 1 && !one_a_channel) return "its bias differs from row to row";
  return "";
}

// Why a node cannot be integer whatever its neighbours are; empty when it can.
std::string obstacle(const Graph& graph, const Node& node) {
  const Kind kind = rule_of(graph, node);
  if (kind == Kind::float_only) return fmt::format("{} has no integer form", op_name(node.op));
  for (const std::size_t i : data_inputs(graph, node)) {
    if (!is_f32(graph, input(node, i))) return "its input is not f32";
  }
  if (!is_f32(graph, node.out[0])) return "its output is not f32";
  if (!as<op::Split>(node) && node.out.size() > 1 &&
      std::any_of(node.out.begin() + 1, node.out.end(), [](ValueId id) { return id != kNoValue; })) {
    return "its further outputs are used";
  }
  const auto is_constant = [&](std::size_t i) { return graph.constant(input(node, i)) != nullptr; };
  if (kind == Kind::weighted) {
    if (is_constant(0)) return "its data input is constant";
    return weights_obstacle(graph, node);
  }
  if (std::ranges::all_of(data_inputs(graph, node), is_constant)) return "its inputs are constant";
  return "";
}

class Placer {
 public:
  Placer(const Graph& graph, const RewriteOptions& options)
      : graph_(graph), options_(options), producers_(producers(graph)), consumers_(consumers(graph)) {
    result_.why_float.resize(graph.nodes.size());
    result_.scale_of.assign(graph.values.size(), kNoValue);
    is_output_.resize(graph.values.size());
    for (const ValueId id : graph.outputs) is_output_[index(id)] = true;
  }

  Placement run() {
    choose_nodes();
    free_the_tail();
    choose_values();
    join_scales();
    share_scales();
    return std::move(result_);
  }

 private:
  static std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }
  bool integer(int node) const { return node >= 0 && result_.is_integer(static_cast<std::size_t>(node)); }
  int producer(ValueId id) const { return producers_[index(id)]; }
  const Node& node(int n) const { return graph_.nodes[static_cast<std::size_t>(n)]; }
  Kind kind(const Node& n) const { return rule_of(graph_, n); }

  // The only reader of a value that nothing else sees; null otherwise.
  const Node* only_reader(ValueId id) const {
    const auto& readers = consumers_[index(id)];
    return readers.size() == 1 && !is_output_[index(id)] ? &node(readers[0]) : nullptr;
  }

  bool is_graph_input(ValueId id) const { return producer(id) < 0 && graph_.constant(id) == nullptr; }

  void choose_nodes() {
    const std::vector<std::string> kept = match_nodes(graph_, options_.keep);
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      result_.why_float[n] =
          kept[n].empty() ? why_float(node) : fmt::format("kept in float by '{}'", kept[n]);
    }
  }

  std::string why_float(const Node& node) const {
    if (std::string why = obstacle(graph_, node); !why.empty()) return why;
    if (kind(node) == Kind::weighted) return "";
    const auto is_source = [&](std::size_t i) {
      const ValueId id = node.in[i];
      return is_graph_input(id) || integer(producer(id));
    };
    const auto inputs = data_inputs(graph_, node);
    if (std::ranges::none_of(inputs, is_source)) return "its inputs are made in float";
    if (is_constant_prelu(graph_, node) && graph_.constant(node.in[1])->count() != 1 &&
        !is_fused_activation(node)) {
      return "a PRelu with many slopes has an integer form only right after a convolution";
    }
    return "";
  }

  // Node applies an activation to a sum in registers, so that its input is never stored.
  bool is_fused_activation(const Node& activation) const {
    const ValueId in = activation.in[0];
    if (graph_.constant(in) || !integer(producer(in)) || only_reader(in) != &activation) return false;
    const Node& source = node(producer(in));
    if (is_clamp(graph_, activation)) {
      return kind(source) == Kind::weighted || is_binary(source, {op::BinaryFn::Add});
    }
    if (kind(source) != Kind::weighted) return false;
    if (as<op::LeakyRelu>(activation)) return true;
    return is_constant_prelu(graph_, activation) &&
           is_channel_slope(graph_.constant(activation.in[1])->shape(), graph_[in].type.shape);
  }

  bool leaves_in_float(ValueId id) const {
    return id == kNoValue ||
           std::ranges::none_of(consumers_[index(id)], [&](int reader) { return integer(reader); });
  }

  // From the end: a function of one element whose result nothing integer reads gains nothing from integers.
  void free_the_tail() {
    for (std::size_t n = graph_.nodes.size(); n-- > 0;) {
      const Node& node = graph_.nodes[n];
      if (!result_.is_integer(n) ||
          !std::ranges::all_of(node.out, [&](ValueId id) { return leaves_in_float(id); })) {
        continue;
      }
      const bool moves = kind(node) == Kind::same_scale || kind(node) == Kind::joined_scale;
      if (is_function(node) ? !is_fused_activation(node) : moves && options_.float_outputs) {
        result_.why_float[n] = "its result leaves in float";
      }
    }
  }

  // Of one element: a unary operator, or arithmetic with a constant.
  bool is_function(const Node& node) const {
    if (is_clamp(graph_, node) || is_elementwise_unary(node.op) || is_constant_prelu(graph_, node))
      return true;
    return is_arithmetic(node) && (graph_.constant(node.in[0]) || graph_.constant(node.in[1]));
  }

  void choose_values() {
    for (std::size_t v = 0; v < graph_.values.size(); ++v) {
      const auto id = static_cast<ValueId>(v);
      if (needs_scale(id)) result_.scale_of[v] = id;
    }
  }

  bool needs_scale(ValueId id) const {
    if (graph_.constant(id) || !is_f32(graph_, id)) return false;
    const bool read_as_data = std::ranges::any_of(consumers_[index(id)], [&](int reader) {
      const Node& n = node(reader);
      if (!integer(reader)) return false;
      const auto inputs = data_inputs(graph_, n);
      return std::ranges::any_of(inputs, [&](std::size_t i) { return n.in[i] == id; });
    });
    if (!integer(producer(id))) return read_as_data;
    if (const Node* reader = only_reader(id)) {
      if (is_fused_activation(*reader)) return !integer_node(*reader);
      if (is_fused_residual(id, *reader)) return false;
    }
    const bool is_sum = sum_of(id) != nullptr || is_average(graph_, node(producer(id)));
    return !(options_.float_outputs && is_sum && leaves_in_float(id));
  }

  bool integer_node(const Node& n) const {
    return result_.is_integer(static_cast<std::size_t>(&n - graph_.nodes.data()));
  }

  // The convolution or matrix product that makes a value, directly or through a fused activation.
  const Node* sum_of(ValueId id) const {
    const Node& n = node(producer(id));
    if (kind(n) == Kind::weighted) return &n;
    return is_fused_activation(n) && kind(node(producer(n.in[0]))) == Kind::weighted
               ? &node(producer(n.in[0]))
               : nullptr;
  }

  // Under sum_only: of the two operands of a residual addition, the one that is made last is not rounded.
  bool is_fused_residual(ValueId id, const Node& add) const {
    if (options_.residual_rounding != ResidualRounding::sum_only || !is_binary(add, {op::BinaryFn::Add}) ||
        !integer_node(add)) {
      return false;
    }
    const ValueId other = add.in[0] == id ? add.in[1] : add.in[0];
    if (graph_.constant(other) || graph_[id].type.shape != graph_[other].type.shape) return false;
    return is_addend(id) && (producer(other) < producer(id) || !is_addend(other));
  }
  // A sum in registers that no clamp has cut.
  bool is_addend(ValueId id) const {
    return integer(producer(id)) && only_reader(id) && sum_of(id) && !is_clamp(graph_, node(producer(id)));
  }

  ValueId scale_of(ValueId id) const {
    while (result_.scale_of[index(id)] != id) id = result_.scale_of[index(id)];
    return id;
  }

  void join_scales() {
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (!result_.is_integer(n)) continue;
      if (kind(node) == Kind::same_scale) {
        for (const ValueId out : node.out) {
          if (result_.is_quantized(out)) result_.scale_of[index(out)] = node.in[0];
        }
      } else if (kind(node) == Kind::joined_scale) {
        for (const ValueId in : node.in) {
          if (const ValueId source = private_source(in); source != kNoValue) {
            result_.scale_of[index(source)] = node.out[0];
          }
        }
      }
    }
    for (std::size_t v = 0; v < graph_.values.size(); ++v) {
      if (result_.scale_of[v] != kNoValue) result_.scale_of[v] = scale_of(static_cast<ValueId>(v));
    }
  }

  // Of each group the first value in the order of the graph leads.
  void share_scales() {
    for (const std::vector<std::string>& names : options_.shared_scales) {
      const std::set<std::string> wanted(names.begin(), names.end());
      std::set<ValueId> leaders;
      for (std::size_t v = 0; v < graph_.values.size(); ++v)
        if (result_.scale_of[v] != kNoValue && wanted.contains(graph_.values[v].name))
          leaders.insert(result_.scale_of[v]);
      if (leaders.size() > 1) unite(leaders);
    }
  }

  void unite(const std::set<ValueId>& leaders) {
    std::vector<ValueId> sources;
    for (const ValueId leader : leaders) {
      const std::vector<ValueId> its = result_.ranged(leader);
      sources.insert(sources.end(), its.begin(), its.end());
      result_.united.erase(leader);
    }
    for (ValueId& leader : result_.scale_of)
      if (leaders.contains(leader)) leader = *leaders.begin();
    result_.united[*leaders.begin()] = std::move(sources);
  }

  // The value where the scale of a Concat's input comes from, if nothing but the Concat depends on it.
  ValueId private_source(ValueId id) const {
    for (;;) {
      if (id == kNoValue || graph_.constant(id) || is_graph_input(id) || !only_reader(id)) return kNoValue;
      const Node& maker = node(producer(id));
      if (!integer_node(maker) || kind(maker) != Kind::same_scale) return id;
      if (maker.out.size() > 1) return kNoValue;
      id = maker.in[0];
    }
  }

  const Graph& graph_;
  const RewriteOptions& options_;
  std::vector<int> producers_;
  std::vector<std::vector<int>> consumers_;
  std::vector<bool> is_output_;
  Placement result_;
};

}  // namespace

QuantRule::Kind rule_of(const Graph& graph, const Node& node) {
  const Kind kind = def(node.op).quant.kind;
  if (as<op::Binary>(node))
    return is_arithmetic(node) || is_constant_prelu(graph, node) ? kind : Kind::float_only;
  if (as<op::Variadic>(node)) return Kind::float_only;
  if (as<op::Unary>(node)) return is_elementwise_unary(node.op) ? kind : Kind::float_only;
  if (as<op::Clip>(node)) return is_clamp(graph, node) ? kind : Kind::float_only;
  if (as<op::Reduce>(node)) return is_spatial_mean(graph, node) ? kind : Kind::float_only;
  if (as<op::Pad>(node)) return pads_with_zero(graph, node) ? kind : Kind::float_only;
  if (const auto* resize = as<op::Resize>(node)) return kind_of_resize(*resize);
  return kind;
}

std::vector<std::size_t> data_inputs(const Graph& graph, const Node& node) {
  switch (rule_of(graph, node)) {
    case Kind::float_only:
      return {};
    case Kind::joined_scale: {
      std::vector<std::size_t> all(node.in.size());
      std::iota(all.begin(), all.end(), std::size_t{0});
      return all;
    }
    case Kind::weighted:
    case Kind::same_scale:
    case Kind::own_scale:
      break;
  }
  if (is_function_of_constant(graph, node))
    return {graph.constant(node.in[0]) ? std::size_t{1} : std::size_t{0}};
  return is_arithmetic(node) ? std::vector<std::size_t>{0, 1} : std::vector<std::size_t>{0};
}

Placement place(const Graph& graph, const RewriteOptions& options) { return Placer(graph, options).run(); }

}  // namespace eke
