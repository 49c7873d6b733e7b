#include "quant/equalize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "quant/channel_histogram.h"
#include "quant/channel_importance.h"
#include "quant/keep.h"
#include "quant/layer_weights.h"
#include "quant/placement.h"

namespace eke {
namespace {

using Kind = QuantRule::Kind;

constexpr double kMaxScale = 1024;    // beyond it lie channels that are all but dead
constexpr double kClipMargin = 2;     // how far below a Clip's bound a channel stays that did not reach it
constexpr double kSeldom = 1.0 / 32;  // of the bound: what a channel may reach that was hardly seen to fire
constexpr double kCutMargin = 1.25;  // and how much larger than seen its values are taken to be where it does
// How much worse a cut is than rounding noise of the same power: it is the same for neighbouring pixels and images
// and does not average out.
constexpr double kCutWeight = 10;
constexpr double kWorthwhile = 0.9;    // of the noise: what gains less is left alone
constexpr double kDeadChannel = 1e-4;  // of the largest: peaks below count as this
constexpr double kMostWeight = 1e30;   // nothing is scaled beyond it
constexpr int kSweeps = 4;             // over all links: each sees what the last sweep left of its neighbours
constexpr double kNone = std::numeric_limits<double>::infinity();

// The values that hold the same channels, the layers that make them and the layers that read them.
struct Link {
  std::vector<std::size_t> makers, readers;
  std::vector<ValueId> values;
  double bound = kNone;  // of the Clips in between
  int clips = 0;
  std::span<const std::uint32_t> histogram = {};  // of what the only Clip reads; empty: not known
};

bool is_zero_clip(const Graph& graph, const Node& node, double& bound) {
  if (!std::holds_alternative<op::Clip>(node.op)) return false;
  const auto given = [&](std::size_t i, double missing) {
    const Tensor* tensor = i < node.in.size() ? graph.constant(node.in[i]) : nullptr;
    return tensor ? element_as_double(tensor->view(), 0) : missing;
  };
  bound = given(2, kNone);
  return given(1, -kNone) == 0 && bound > 0;
}

class Links {
 public:
  Links(const Graph& graph, const Ranges& seen, const RewriteOptions& options)
      : graph_(graph),
        seen_(seen),
        placement_(place(graph, options)),
        producers_(producers(graph)),
        consumers_(consumers(graph)) {
    for (const Node& node : graph.nodes) {
      for (const ValueId id : node.in) {
        if (id != kNoValue) ++uses_[id];
      }
    }
  }

  std::vector<Link> all() {
    std::vector<Link> links;
    std::set<ValueId> done;
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (!is_layer(n) || done.contains(graph_.nodes[n].out[0])) continue;
      std::optional<Link> link = from(graph_.nodes[n].out[0], done);
      if (!link || link->readers.empty()) continue;
      find_histogram(*link);
      links.push_back(std::move(*link));
    }
    return links;
  }

 private:
  bool is_layer(std::size_t n) const {
    const Node& node = graph_.nodes[n];
    if (!placement_.is_integer(n) || rule_of(graph_, node) != Kind::weighted) return false;
    const int rank = graph_[node.in[0]].type.shape.rank();
    return weight_shape(graph_, node) && rank == graph_.constant(node.in[1])->shape().rank() &&
           uses_.at(node.in[1]) == 1;
  }

  // A layer whose outputs can be scaled: its bias, too.
  bool is_maker(std::size_t n) const {
    const Node& node = graph_.nodes[n];
    if (!is_layer(n)) return false;
    if (node.in.size() < 3 || node.in[2] == kNoValue) return true;
    const Tensor* bias = graph_.constant(node.in[2]);
    return bias && bias->count() == weight_shape(graph_, node)->outputs && uses_.at(node.in[2]) == 1;
  }

  // All that shares the channels of a value; none where they go to something that cannot be scaled.
  std::optional<Link> from(ValueId start, std::set<ValueId>& done) const {
    Link link;
    std::vector<ValueId> open{start};
    bool possible = true;
    while (!open.empty()) {
      const ValueId value = open.back();
      open.pop_back();
      if (!done.insert(value).second) continue;
      link.values.push_back(value);
      possible = enter(value, link, open) && possible;
    }
    return possible ? std::optional(std::move(link)) : std::nullopt;
  }

  bool enter(ValueId value, Link& link, std::vector<ValueId>& open) const {
    const int maker = producers_[static_cast<std::size_t>(value)];
    if (maker < 0 || is_graph_output(graph_, value)) return false;
    bool possible = true;
    if (is_maker(static_cast<std::size_t>(maker))) {
      link.makers.push_back(static_cast<std::size_t>(maker));
    } else {
      possible = pass(graph_.nodes[static_cast<std::size_t>(maker)], link, open);
    }
    for (const int r : consumers_[static_cast<std::size_t>(value)]) {
      const auto n = static_cast<std::size_t>(r);
      const Node& reader = graph_.nodes[n];
      if (is_layer(n) && reader.in[0] == value) {
        if (!has_statistics(value, n)) return false;
        link.readers.push_back(n);
      } else {
        possible = pass(reader, link, open) && possible;
      }
    }
    return possible;
  }

  bool has_statistics(ValueId value, std::size_t reader) const {
    const auto found = seen_.find(graph_[value].name);
    const auto channels = static_cast<std::size_t>(weight_shape(graph_, graph_.nodes[reader])->channels());
    return found != seen_.end() && found->second.channel_peaks.size() == channels &&
           found->second.channel_squares.size() == channels;
  }

  // Goes on to the other values of a node that commutes with the scaling of channels.
  bool pass(const Node& node, Link& link, std::vector<ValueId>& open) const {
    const auto* binary = std::get_if<op::Binary>(&node.op);
    if (binary && binary->fn == op::BinaryFn::Add) {
      const bool same = graph_[node.in[0]].type.shape == graph_[node.in[1]].type.shape;
      if (!same || graph_.constant(node.in[0]) || graph_.constant(node.in[1])) return false;
      open.insert(open.end(), {node.in[0], node.in[1], node.out[0]});
      return true;
    }
    if (!commutes(node, link)) return false;
    open.insert(open.end(), {node.in[0], node.out[0]});
    return true;
  }

  bool commutes(const Node& node, Link& link) const {
    if (node.out.size() != 1) return false;
    if (std::holds_alternative<op::MaxPool>(node.op) || std::holds_alternative<op::AveragePool>(node.op) ||
        std::holds_alternative<op::GlobalAveragePool>(node.op) ||
        std::holds_alternative<op::LeakyRelu>(node.op)) {
      return true;
    }
    if (const auto* unary = std::get_if<op::Unary>(&node.op)) return unary->fn == op::UnaryFn::Relu;
    if (const auto* binary = std::get_if<op::Binary>(&node.op))
      return binary->fn == op::BinaryFn::PRelu && graph_.constant(node.in[1]) != nullptr;
    if (std::holds_alternative<op::Flatten>(node.op)) {
      const Shape& before = graph_[node.in[0]].type.shape;
      return before.rank() >= 2 && before.count(2, before.rank()) == 1 &&
             std::get<op::Flatten>(node.op).axis == 1;
    }
    double bound = kNone;
    if (!is_zero_clip(graph_, node, bound)) return false;
    link.bound = std::min(link.bound, bound);
    ++link.clips;
    return true;
  }

  // What the Clip of a link reads, where that is all that the layer makes.
  void find_histogram(Link& link) const {
    if (link.makers.size() != 1 || link.clips != 2) return;  // entered from both of its sides
    const ValueId made = graph_.nodes[link.makers[0]].out[0];
    const auto& readers = consumers_[static_cast<std::size_t>(made)];
    double bound = 0;
    if (readers.size() != 1 ||
        !is_zero_clip(graph_, graph_.nodes[static_cast<std::size_t>(readers[0])], bound))
      return;
    const auto found = seen_.find(graph_[made].name);
    if (found == seen_.end()) return;
    const auto outputs = weight_shape(graph_, graph_.nodes[link.makers[0]])->outputs;
    const std::vector<std::uint32_t>& counts = found->second.channel_histogram;
    if (static_cast<std::int64_t>(counts.size()) == outputs * ChannelHistogram::kBins)
      link.histogram = counts;
  }

  const Graph& graph_;
  const Ranges& seen_;
  Placement placement_;
  std::vector<int> producers_;
  std::vector<std::vector<int>> consumers_;
  std::map<ValueId, int> uses_;
};

// What is known of the channels of a link, as they are now.
struct Channels {
  std::vector<double> peak;  // largest magnitude in any value that a reader reads
  std::vector<double> gain;  // sum of the squared weights that read it, each by the importance of its output
  std::vector<double> read;  // largest magnitude of the weights that read it
  std::vector<double> made;  // largest magnitude of the weights that make it
  std::vector<double> inflow;  // sum of the mean squares that meet the weights that make it
};

// What has been done to the channels of a link: they are divided by `scale` where they are made, and multiplied by
// scale * gain where they are read.
struct Applied {
  std::vector<double> scale, gain;
  double noise_ratio = 1;
};

// A channel that a Clip cuts at bound * scale instead of at bound, both in the units that it had at first.
struct Cut {
  double error = 0;  // mean square, after the least squares factor
  double gain = 1;   // that factor
  double peak = 0, square = 0;
};

Cut cut_channel(std::span<const std::uint32_t> counts, double bound, double scale) {
  const double stretch = scale < 1 ? kCutMargin : 1;
  double count = 0, before = 0, both = 0, after = 0;
  Cut cut;
  for (int bin = 0; bin < ChannelHistogram::kBins; ++bin) {
    const double n = counts[static_cast<std::size_t>(bin)];
    if (n == 0) continue;
    const double value = ChannelHistogram::value_of(bin), f = std::min(value, bound),
                 g = std::min(value, bound * scale / stretch);
    count += n;
    before += n * f * f;
    both += n * f * g;
    after += n * g * g;
    cut.peak = std::min(value * stretch, bound * scale);
  }
  if (after == 0) return cut;
  cut.gain = both / after;
  cut.error = std::max(0.0, before - both * cut.gain) / count;
  cut.square = after / count;
  return cut;
}

class Equalizer {
 public:
  // `seen` must outlive the Equalizer.
  Equalizer(const Graph& graph, const Ranges& seen, const RewriteOptions& options)
      : graph_(graph),
        now_(seen),
        options_(options),
        links_(Links(graph, seen, options).all()),
        importance_(channel_importance(graph, seen)) {}

  Equalized run() {
    applied_.resize(links_.size());
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      bool changed = false;
      for (std::size_t i = 0; i < links_.size(); ++i) changed = equalize(links_[i], applied_[i]) || changed;
      if (!changed) break;
    }
    for (std::size_t i = 0; i < links_.size(); ++i) note(links_[i], applied_[i]);
    return {std::move(graph_), std::move(layers_), std::move(divided_by_)};
  }

 private:
  const CalibratedRange* statistics(ValueId id, std::int64_t channels) const {
    const auto found = now_.find(graph_[id].name);
    if (found == now_.end() || static_cast<std::int64_t>(found->second.channel_squares.size()) != channels)
      return nullptr;
    return &found->second;
  }

  const WeightSummary& summary(std::size_t node) {
    const auto found = summaries_.find(node);
    if (found != summaries_.end()) return found->second;
    return summaries_.emplace(node, summarize_weights(graph_, graph_.nodes[node])).first->second;
  }

  const std::vector<double>& importance(std::size_t node) const {
    return importance_[static_cast<std::size_t>(graph_.nodes[node].out[0])];
  }

  Channels channels_of(const Link& link) {
    const auto count = static_cast<std::size_t>(summary(link.makers[0]).shape.outputs);
    Channels result;
    result.peak = result.gain = result.read = result.made = result.inflow = std::vector<double>(count);
    for (const std::size_t reader : link.readers) {
      const WeightSummary& weights = summary(reader);
      const CalibratedRange& range = now_.at(graph_[graph_.nodes[reader].in[0]].name);
      for (std::size_t c = 0; c < count; ++c)
        result.peak[c] = std::max(result.peak[c], double{range.channel_peaks[c]});
      each_input(weights, [&](std::int64_t o, std::size_t c, std::size_t at) {
        result.gain[c] += weights.power[at] * importance(reader)[static_cast<std::size_t>(o)];
        result.read[c] = std::max(result.read[c], weights.peak[at]);
      });
    }
    for (const std::size_t maker : link.makers) add_maker(maker, result);
    return result;
  }

  void add_maker(std::size_t maker, Channels& to) {
    const WeightSummary& weights = summary(maker);
    const CalibratedRange* read = statistics(graph_.nodes[maker].in[0], weights.shape.channels());
    each_input(weights, [&](std::int64_t o, std::size_t c, std::size_t at) {
      const auto made = static_cast<std::size_t>(o);
      to.made[made] = std::max(to.made[made], weights.peak[at]);
      to.inflow[made] +=
          static_cast<double>(weights.shape.kernel) * (read ? double{read->channel_squares[c]} : 1);
    });
  }

  // f(output, input channel, index into the summary)
  template <class F>
  static void each_input(const WeightSummary& weights, F&& f) {
    for (std::int64_t o = 0; o < weights.shape.outputs; ++o) {
      for (std::int64_t i = 0; i < weights.shape.inputs; ++i)
        f(o, static_cast<std::size_t>(weights.shape.channel(o, i)), weights.at(o, i));
    }
  }

  // The noise that reaches the sums of the readers, weighted by their importance, of channels divided by `scale`.
  // Rounding to a step d adds d^2 / 12 to an element; the 12 is left out.
  double noise(const Link& link, const Channels& channels, const Applied& applied,
               std::span<const double> scale) {
    double peak = 0, spread = 0, widest = 0, of_made = 0, cut_off = 0;
    for (std::size_t c = 0; c < scale.size(); ++c) {
      const double gain = scale[c] * scale[c] * channels.gain[c];
      widest = std::max(widest, channels.made[c] / scale[c]);
      spread += gain;
      of_made += gain * channels.inflow[c];
      if (link.histogram.empty()) {
        peak = std::max(peak, channels.peak[c] / scale[c]);
        continue;
      }
      const Cut cut = cut_of(link, c, applied.scale[c] * scale[c]);
      const double unit = applied.scale[c] * applied.gain[c];
      peak = std::max(peak, cut.peak / (applied.scale[c] * scale[c]));
      cut_off += 12 * kCutWeight * cut.error * channels.gain[c] / (unit * unit);
    }
    double sum = peak * peak / (255.0 * 255.0) * spread + cut_off;
    if (!options_.weights.per_channel) sum += widest * widest / (127.0 * 127.0) * of_made;
    for (const std::size_t reader : link.readers) sum += weight_noise(reader, scale);
    return sum;
  }

  static Cut cut_of(const Link& link, std::size_t channel, double scale) {
    constexpr auto kBins = static_cast<std::size_t>(ChannelHistogram::kBins);
    return cut_channel(link.histogram.subspan(channel * kBins, kBins), link.bound, scale);
  }

  double weight_noise(std::size_t reader, std::span<const double> scale) {
    const WeightSummary& weights = summary(reader);
    const CalibratedRange& range = now_.at(graph_[graph_.nodes[reader].in[0]].name);
    const auto outputs = static_cast<std::size_t>(weights.shape.outputs);
    std::vector<double> step(outputs), power(outputs);
    each_input(weights, [&](std::int64_t o, std::size_t c, std::size_t at) {
      const auto out = static_cast<std::size_t>(o);
      step[out] = std::max(step[out], weights.peak[at] * scale[c] / 127);
      power[out] += double{range.channel_squares[c]} / (scale[c] * scale[c]);
    });
    if (!options_.weights.per_channel) std::ranges::fill(step, *std::ranges::max_element(step));
    double sum = 0;
    for (std::size_t o = 0; o < outputs; ++o) sum += step[o] * step[o] * power[o] * importance(reader)[o];
    return sum * static_cast<double>(weights.shape.kernel);
  }

  // made^a * peak^b / read^c with a + b + c = 1, their geometric mean being `shift`: the direction in which each of
  // the three ranges is equalized.
  static std::vector<double> direction(const Channels& channels, double a, double b, double shift) {
    const std::size_t count = channels.peak.size();
    const auto floored = [](const std::vector<double>& values) {
      std::vector<double> result = values;
      const double least = kDeadChannel * *std::ranges::max_element(values);
      for (double& x : result) x = std::max({x, least, std::numeric_limits<double>::min()});
      return result;
    };
    const std::vector<double> made = floored(channels.made), peak = floored(channels.peak),
                              read = floored(channels.read);
    std::vector<double> scale(count);
    double log_sum = 0;
    for (std::size_t c = 0; c < count; ++c) {
      scale[c] = a * std::log(made[c]) + b * std::log(peak[c]) - (1 - a - b) * std::log(read[c]);
      log_sum += scale[c];
    }
    for (double& s : scale) s = shift * std::exp(s - log_sum / static_cast<double>(count));
    return scale;
  }

  // Outliers alone: no weight that makes or reads a channel is larger than `made` or `read`.
  static std::vector<double> capped(const Channels& channels, double made, double read) {
    std::vector<double> scale(channels.peak.size(), 1);
    for (std::size_t c = 0; c < scale.size(); ++c) {
      if (channels.made[c] > made) scale[c] = channels.made[c] / made;
      if (channels.read[c] * scale[c] > read) scale[c] = read / channels.read[c];
    }
    return scale;
  }

  // What the bound of a Clip and kMaxScale allow of it.
  static void restrict(const Link& link, const Channels& channels, std::vector<double>& scale) {
    for (std::size_t c = 0; c < scale.size(); ++c) {
      scale[c] = std::clamp(scale[c], 1 / kMaxScale, kMaxScale);
      if (link.bound == kNone) continue;
      const double least = kClipMargin * std::max(channels.peak[c] / link.bound, kSeldom);
      scale[c] = least >= 1 ? 1 : std::max(scale[c], least);
    }
  }

  static bool is_safe(const Channels& channels, std::span<const double> scale) {
    for (std::size_t c = 0; c < scale.size(); ++c) {
      if (channels.made[c] / scale[c] > kMostWeight || channels.read[c] * scale[c] > kMostWeight)
        return false;
    }
    return true;
  }

  bool equalize(const Link& link, Applied& applied) {
    const Channels channels = channels_of(link);
    const std::vector<double> none(channels.peak.size(), 1);
    if (applied.scale.empty()) applied = {none, none};
    const double before = noise(link, channels, applied, none);
    double least = kWorthwhile * before;
    std::vector<double> best;
    const auto try_scale = [&](const std::vector<double>& scale) {
      const double cost = noise(link, channels, applied, scale);
      if (!(cost < least) || !is_safe(channels, scale)) return;
      least = cost;
      best = scale;
    };
    const auto consider = [&](std::vector<double> scale) {
      if (!link.histogram.empty()) try_scale(scale);
      restrict(link, channels, scale);
      try_scale(scale);
    };
    for (const double a : {0.0, 0.25, 0.5, 0.75, 1.0}) {
      for (double b = 0; a + b <= 1; b += 0.25) {
        consider(direction(channels, a, b, 1));
        if (link.bound == kNone) continue;
        for (const double shift : {0.125, 0.25, 0.5, 2.0, 4.0, 8.0})
          consider(direction(channels, a, b, shift));
      }
    }
    const double made = *std::ranges::max_element(channels.made),
                 read = *std::ranges::max_element(channels.read);
    for (double cap = 0.75; cap > 1e-4; cap *= 0.75) {
      consider(capped(channels, cap * made, kNone));
      consider(capped(channels, kNone, cap * read));
    }
    if (best.empty()) return false;
    applied.noise_ratio *= least / before;
    apply(link, applied, best);
    return true;
  }

  void apply(const Link& link, Applied& applied, std::span<const double> scale) {
    std::vector<double> gain(scale.size(), 1);  // of the readers, beside the scale
    for (std::size_t c = 0; c < scale.size(); ++c) {
      applied.scale[c] *= scale[c];
      if (link.histogram.empty()) continue;
      const double compensation = cut_of(link, c, applied.scale[c]).gain;
      gain[c] = compensation / applied.gain[c];
      applied.gain[c] = compensation;
    }
    for (const std::size_t maker : link.makers) {
      scale_weights(maker,
                    [&](std::int64_t o, std::int64_t) { return 1 / scale[static_cast<std::size_t>(o)]; });
      scale_bias(graph_.nodes[maker], scale);
    }
    for (const std::size_t reader : link.readers) {
      const WeightShape shape = summary(reader).shape;
      scale_weights(reader, [&](std::int64_t o, std::int64_t i) {
        const auto c = static_cast<std::size_t>(shape.channel(o, i));
        return scale[c] * gain[c];
      });
    }
    for (const ValueId id : link.values) rescale_statistics(link, applied, scale, gain, id);
  }

  void rescale_statistics(const Link& link, const Applied& applied, std::span<const double> scale,
                          std::span<const double> gain, ValueId id) {
    std::vector<double>& weight = importance_[static_cast<std::size_t>(id)];
    for (std::size_t c = 0; c < weight.size(); ++c) weight[c] *= scale[c] * scale[c] * gain[c] * gain[c];
    const auto found = now_.find(graph_[id].name);
    if (found == now_.end() || found->second.channel_peaks.size() != scale.size()) return;
    for (std::size_t c = 0; c < scale.size(); ++c) {
      float &peak = found->second.channel_peaks[c], &square = found->second.channel_squares[c];
      const double total = applied.scale[c];
      if (link.histogram.empty()) {
        peak = static_cast<float>(double{peak} / scale[c]);
        square = static_cast<float>(double{square} / (scale[c] * scale[c]));
      } else {
        const Cut cut = cut_of(link, c, total);
        peak = static_cast<float>(cut.peak / total);
        square = static_cast<float>(cut.square / (total * total));
      }
    }
  }

  // factor(output, input of its group)
  template <class F>
  void scale_weights(std::size_t n, F&& factor) {
    const Node& node = graph_.nodes[n];
    const WeightShape shape = *weight_shape(graph_, node);
    Tensor weights = *graph_.constant(node.in[1]);
    const auto values = weights.mutable_values<float>();
    for (std::int64_t o = 0; o < shape.outputs; ++o) {
      for (std::int64_t i = 0; i < shape.inputs; ++i) {
        for (std::int64_t k = 0; k < shape.kernel; ++k) {
          float& w = values[static_cast<std::size_t>(shape.index(o, i, k))];
          w = static_cast<float>(double{w} * factor(o, i));
        }
      }
    }
    graph_[node.in[1]].constant = std::make_shared<const Tensor>(std::move(weights));
    summaries_.erase(n);
  }

  void scale_bias(const Node& node, std::span<const double> scale) {
    if (node.in.size() < 3 || node.in[2] == kNoValue) return;
    Tensor bias = *graph_.constant(node.in[2]);
    const auto values = bias.mutable_values<float>();
    for (std::size_t c = 0; c < values.size(); ++c)
      values[c] = static_cast<float>(double{values[c]} / scale[c]);
    graph_[node.in[2]].constant = std::make_shared<const Tensor>(std::move(bias));
  }

  void note(const Link& link, const Applied& applied) {
    if (applied.noise_ratio == 1) return;
    EqualizedLayers entry;
    for (const std::size_t maker : link.makers) {
      entry.nodes.emplace_back(label(graph_, graph_.nodes[maker]));
      divided_by_[entry.nodes.back()] = {applied.scale.begin(), applied.scale.end()};
    }
    entry.channels = static_cast<int>(std::ranges::count_if(applied.scale, [](double s) { return s != 1; }));
    entry.cut_channels =
        static_cast<int>(std::ranges::count_if(applied.gain, [](double g) { return g != 1; }));
    const auto [lo, hi] = std::ranges::minmax(applied.scale);
    entry.min_scale = static_cast<float>(lo);
    entry.max_scale = static_cast<float>(hi);
    entry.noise_ratio = applied.noise_ratio;
    layers_.push_back(std::move(entry));
  }

  Graph graph_;
  Ranges now_;
  const RewriteOptions& options_;
  std::vector<Link> links_;
  std::vector<Applied> applied_;
  std::vector<std::vector<double>> importance_;  // per value
  std::map<std::size_t, WeightSummary> summaries_;
  std::vector<EqualizedLayers> layers_;
  ChannelScales divided_by_;
};

}  // namespace

std::vector<std::string> clipped_values(const Graph& graph) {
  const auto readers = consumers(graph);
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) {
    double bound = 0;
    if (!weight_shape(graph, node)) continue;
    const auto& of = readers[static_cast<std::size_t>(node.out[0])];
    if (of.size() == 1 && is_zero_clip(graph, graph.nodes[static_cast<std::size_t>(of[0])], bound))
      names.push_back(graph[node.out[0]].name);
  }
  return names;
}

Equalized equalize(const Graph& graph, const Ranges& seen, const RewriteOptions& options) {
  return Equalizer(graph, seen, options).run();
}

}  // namespace eke
