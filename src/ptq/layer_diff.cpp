#include "ptq/layer_diff.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "tensor/values.h"

namespace eke {

namespace {

// The QuantizeLinear output that stands for a value, else the value itself.
ValueId rounded(const Graph& graph, const std::vector<std::vector<int>>& readers, ValueId value) {
  for (int reader : readers[static_cast<std::size_t>(value)]) {
    const Node& node = graph.nodes[static_cast<std::size_t>(reader)];
    if (std::holds_alternative<op::QuantizeLinear>(node.op) && node.in[0] == value) return node.out[0];
  }
  return value;
}

// The DequantizeLinear output that gives the integers of `value` their meaning, else the value itself.
ValueId dequantized(const Graph& graph, const std::vector<std::vector<int>>& readers, ValueId value) {
  for (int reader : readers[static_cast<std::size_t>(value)]) {
    const Node& node = graph.nodes[static_cast<std::size_t>(reader)];
    if (std::holds_alternative<op::DequantizeLinear>(node.op) && node.in[0] == value) return node.out[0];
  }
  return value;
}

struct Match {
  ValueId reference, test;
  ValueId observed;  // in the test model: the integers where it rounds the value
  ValueId result;    // in the test model: what the integers stand for
};

bool is_comparable(const Type& a, const Type& b) {
  return a.dtype == DType::f32 && b.dtype == DType::f32 && a.shape == b.shape;
}

std::vector<Match> match_values(const Graph& reference, const Graph& test) {
  const auto readers = consumers(test);
  const auto makers = producers(test);
  std::map<std::string_view, ValueId> names;
  for (const Node& node : reference.nodes) {
    for (ValueId id : node.out) {
      if (id != kNoValue) names[reference[id].name] = id;
    }
  }
  std::vector<Match> all, rounding;
  for (const Node& node : test.nodes) {
    for (ValueId id : node.out) {
      if (id == kNoValue || !names.contains(test[id].name)) continue;
      const ValueId observed = rounded(test, readers, id);
      const Match match{names[test[id].name], id, observed, dequantized(test, readers, observed)};
      if (!is_comparable(reference[match.reference].type, test[id].type)) continue;
      all.push_back(match);
      if (match.observed != id || is_graph_output(test, id)) rounding.push_back(match);
    }
  }
  const bool rounds =
      std::any_of(all.begin(), all.end(), [](const Match& m) { return m.observed != m.test; });
  return rounds ? rounding : all;
}

// The nodes of `graph` that make `target` from the values in `given` and constants.
Graph extract(const Graph& graph, const std::set<ValueId>& given, ValueId target) {
  std::set<ValueId> wanted{target};
  std::vector<Node> nodes;
  std::set<ValueId> inputs;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool makes =
        std::any_of(node->out.begin(), node->out.end(), [&](ValueId id) { return wanted.contains(id); });
    if (!makes) continue;
    nodes.push_back(*node);
    for (ValueId id : node->in) {
      if (id == kNoValue || graph.constant(id)) continue;
      if (given.contains(id)) {
        inputs.insert(id);
      } else {
        wanted.insert(id);
      }
    }
  }
  Graph part;
  part.values = graph.values;
  part.nodes.assign(nodes.rbegin(), nodes.rend());
  part.inputs.assign(inputs.begin(), inputs.end());
  part.outputs = {target};
  return part;
}

}  // namespace

void Noise::add(std::span<const float> reference, std::span<const float> test) {
  check(reference.size() == test.size(), "{} values against {}", reference.size(), test.size());
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double value = static_cast<double>(reference[i]), other = static_cast<double>(test[i]);
    signal += value * value;
    noise += (value - other) * (value - other);
    this->test += other * other;
    dot += value * other;
  }
}

double Noise::db() const {
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / noise);
}

double Noise::cosine() const { return signal > 0 && test > 0 ? dot / std::sqrt(signal * test) : 0; }

LayerDiff::LayerDiff(const Graph& reference, const Graph& test, const Threads& threads) {
  const std::vector<Match> matches = match_values(reference, test);
  check(!matches.empty(),
        "the models have no value of one name, shape and float type: they are not two forms of one network");
  CompileOptions observe_reference, observe_test;
  std::map<ValueId, std::size_t> place;  // of a test value in seen_
  for (std::size_t i = 0; i < matches.size(); ++i) {
    observe_reference.observe.push_back(reference[matches[i].reference].name);
    observe_test.observe.push_back(test[matches[i].observed].name);
    place[matches[i].test] = i;
  }
  seen_.resize(matches.size() + 1);
  if (!test.inputs.empty()) place[test.inputs[0]] = matches.size();
  std::set<ValueId> given(test.inputs.begin(), test.inputs.end());
  const auto makers = producers(test);
  for (const Match& match : matches) {
    layers_.push_back(
        {test[match.test].name,
         std::string(
             op_name(test.nodes[static_cast<std::size_t>(makers[static_cast<std::size_t>(match.test)])].op)),
         {},
         {}});
    Graph part = extract(test, given, match.result);
    part_inputs_.emplace_back();
    for (ValueId id : part.inputs) part_inputs_.back().push_back(place.at(id));
    compact(part);
    parts_.push_back(std::make_unique<Session>(part, threads));
    given.insert(match.test);
  }
  reference_ = std::make_unique<Session>(reference, threads, observe_reference);
  test_ = std::make_unique<Session>(test, threads, observe_test);
  check(reference_->batch() == test_->batch() && reference_->row_size() == test_->row_size(),
        "the models take inputs of different size");
}

std::int64_t LayerDiff::batch() const noexcept { return reference_->batch(); }
std::int64_t LayerDiff::row_size() const noexcept { return reference_->row_size(); }

void LayerDiff::check_values(const std::vector<float>& values, std::size_t index, const char* model) const {
  const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  check(bad == values.end(),
        "value '{}' of the {} model is {}: check the preprocessing (--mean, --scale), then the weights "
        "before it",
        layers_[index].value, model, bad != values.end() && std::isnan(*bad) ? "NaN" : "infinite");
}

void LayerDiff::add(std::span<const float> rows) {
  seen_.back().assign(rows.begin(), rows.end());
  seen_.back().resize(static_cast<std::size_t>(batch() * row_size()));
  reference_->run_rows_observed(rows, [&](std::size_t index, std::vector<float> values) {
    check_values(values, index, "first");
    seen_[index] = std::move(values);
  });
  test_->run_rows_observed(rows, [&](std::size_t index, std::vector<float> values) {
    check_values(values, index, "second");
    layers_[index].accumulated.add(seen_[index], values);
  });
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    std::vector<Tensor> inputs;
    for (std::size_t k = 0; k < part_inputs_[i].size(); ++k) {
      Tensor tensor(parts_[i]->plan().input_types()[k]);
      assign(tensor, seen_[part_inputs_[i][k]]);
      inputs.push_back(std::move(tensor));
    }
    parts_[i]->run(inputs);
    layers_[i].isolated.add(seen_[i], parts_[i]->output_values(0));
  }
}

}  // namespace eke
