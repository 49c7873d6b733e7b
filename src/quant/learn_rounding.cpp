#include "quant/learn_rounding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <random>

#include "base/error.h"
#include "ops/infer.h"
#include "passes/passes.h"
#include "quant/graph_part.h"
#include "quant/keep.h"
#include "quant/layer_weights.h"
#include "quant/refine_row.h"
#include "quant/round_weights.h"

namespace eke {
namespace {

constexpr double kMaxBias = 1 << 30;
// What a sample counts whose sum an activation cuts: such sums still tell what the weights are for.
constexpr float kCut = 0.2f;
constexpr std::int64_t kMostWanted = std::int64_t{448}
                                     << 20;                // bytes of what all layers make at their samples
constexpr std::size_t kMostRead = std::size_t{256} << 20;  // bytes of samples that one layer reads

// The activation that alone reads a layer's sums, and makes all below `least` and above `most` alike.
struct Cuts {
  double least = -std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::infinity();
};

// Where the sums of a layer are formed: the same positions for what it reads and what it makes.
struct Site {
  std::string node;
  WeightShape weights;
  std::optional<op::Conv> conv;                      // else a matrix product
  Shape read, made;                                  // of one batch
  std::vector<std::vector<std::int32_t>> positions;  // per image: within a channel of what it makes
  std::vector<float> wanted;                         // per image, per position: all outputs
  std::optional<Cuts> cuts = {};                     // in the units of the float network

  std::int64_t pixels() const { return made.count(2, made.rank()); }
};

bool is_plain(const Graph& graph, const Node& node) {
  const Shape &read = graph[node.in[0]].type.shape, &weights = graph.constant(node.in[1])->shape();
  if (std::holds_alternative<op::Gemm>(node.op)) return read.rank() == 2;
  const auto* conv = std::get_if<op::Conv>(&node.op);
  return conv && read.rank() == 4 && weights.rank() == 4 &&
         (conv->auto_pad == "NOTSET" || conv->auto_pad.empty()) &&
         (conv->pads.empty() || conv->pads.size() == 4);
}

std::vector<std::int32_t> choose_positions(std::int64_t pixels, std::int64_t wanted, std::uint32_t seed) {
  std::vector<std::int32_t> chosen;
  if (pixels <= wanted) {
    for (std::int64_t p = 0; p < pixels; ++p) chosen.push_back(static_cast<std::int32_t>(p));
    return chosen;
  }
  std::mt19937 random(seed);
  for (std::int64_t i = 0; i < wanted; ++i)
    chosen.push_back(static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(pixels)));
  return chosen;
}

// The elements that output position `at` of group `group` is summed over, in the order of the weights.
void gather(const Site& site, const float* image, std::int64_t group, std::int64_t at,
            std::vector<float>& row) {
  row.clear();
  const std::int64_t inputs = site.weights.inputs, first = group * inputs;
  if (!site.conv) {
    row.assign(image, image + inputs);
    return;
  }
  const op::Conv& conv = *site.conv;
  const auto attribute = [](const op::Ints& values, std::size_t i, std::int64_t missing) {
    return values.empty() ? missing : values[i];
  };
  const std::int64_t height = site.read[2], width = site.read[3], out_width = site.made[3];
  const std::int64_t y0 = at / out_width * attribute(conv.strides, 0, 1) - attribute(conv.pads, 0, 0),
                     x0 = at % out_width * attribute(conv.strides, 1, 1) - attribute(conv.pads, 1, 0);
  const std::int64_t kernel_height = conv.kernel_shape[0], kernel_width = conv.kernel_shape[1];
  for (std::int64_t c = first; c < first + inputs; ++c) {
    const float* channel = image + c * height * width;
    for (std::int64_t ky = 0; ky < kernel_height; ++ky) {
      const std::int64_t y = y0 + ky * attribute(conv.dilations, 0, 1);
      for (std::int64_t kx = 0; kx < kernel_width; ++kx) {
        const std::int64_t x = x0 + kx * attribute(conv.dilations, 1, 1);
        const bool inside = y >= 0 && y < height && x >= 0 && x < width;
        row.push_back(inside ? channel[y * width + x] : 0.0f);
      }
    }
  }
}

std::optional<Cuts> cuts_behind(const Graph& graph, const Node& layer) {
  const Node* reader = nullptr;
  for (const Node& node : graph.nodes) {
    if (std::ranges::find(node.in, layer.out[0]) == node.in.end()) continue;
    if (reader) return std::nullopt;
    reader = &node;
  }
  if (!reader || is_graph_output(graph, layer.out[0])) return std::nullopt;
  if (const auto* unary = std::get_if<op::Unary>(&reader->op); unary && unary->fn == op::UnaryFn::Relu)
    return Cuts{.least = 0};
  if (!std::holds_alternative<op::Clip>(reader->op)) return std::nullopt;
  Cuts cuts;
  const auto bound = [&](std::size_t i, double& to) {
    const Tensor* given = i < reader->in.size() ? graph.constant(reader->in[i]) : nullptr;
    if (given && given->count() == 1) to = element_as_double(given->view(), 0);
  };
  bound(1, cuts.least);
  bound(2, cuts.most);
  return cuts;
}

class Learner {
 public:
  Learner(const Graph& graph, const Ranges& ranges, const RewriteOptions& options,
          const ForEachBatch& for_each, const LearnOptions& learn, const Threads& threads)
      : graph_(graph),
        ranges_(ranges),
        options_(options),
        for_each_(for_each),
        learn_(learn),
        threads_(threads),
        result_{quantize(graph, ranges, options), {}} {}

  Learned run() {
    find_sites();
    record_wanted();
    for (std::size_t i = 0; i < sites_.size(); ++i) {
      learn_layer(sites_[i]);
      if (learn_.progress) learn_.progress(i + 1, sites_.size());
    }
    return std::move(result_);
  }

 private:
  void find_sites() {
    for (const QuantizedLayer& layer : result_.quantized.report.layers) {
      const Node& node = *find_layer(graph_, layer.node);
      if (layer.widened_channels > 0 || !weight_shape(graph_, node) || !is_plain(graph_, node)) continue;
      Site site{.node = layer.node,
                .weights = *weight_shape(graph_, node),
                .conv = {},
                .read = graph_[node.in[0]].type.shape,
                .made = graph_[node.out[0]].type.shape,
                .positions = {},
                .wanted = {}};
      if (const auto* conv = std::get_if<op::Conv>(&node.op)) {
        site.conv = *conv;
        const Shape& shape = graph_.constant(node.in[1])->shape();
        site.conv->kernel_shape = {shape[2], shape[3]};
      }
      sites_.push_back(std::move(site));
    }
  }

  // One run of the float network: what every layer makes at its positions.
  void record_wanted() {
    if (sites_.empty()) return;
    std::vector<ValueId> made;
    const Graph& wanted = learn_.wanted ? *learn_.wanted : graph_;
    for (Site& site : sites_) {
      const Node* node = find_layer(wanted, site.node);
      check(node && wanted[node->out[0]].type.shape == site.made,
            "the wanted network has no layer '{}' of this shape", site.node);
      made.push_back(node->out[0]);
      site.cuts = cuts_behind(wanted, *node);
    }
    GraphRunner float_network(part_for(wanted, made), threads_);
    const std::int64_t each = positions_of_an_image();
    for (Site& site : sites_)
      site.wanted.reserve(
          static_cast<std::size_t>(learn_.images * std::min(each, site.pixels()) * site.weights.outputs));
    for_each_([&](std::span<const float> values, std::int64_t images) {
      const std::vector<Tensor>& outputs = float_network.run(values);
      for (std::size_t s = 0; s < sites_.size(); ++s) record(sites_[s], outputs[s], images, each);
    });
  }

  // Of each layer; as few as the memory of all layers' samples has room for.
  std::int64_t positions_of_an_image() const {
    std::int64_t outputs = 0;
    for (const Site& site : sites_) outputs += site.weights.outputs;
    const std::int64_t images = std::max<std::int64_t>(learn_.images, 1),
                       room = kMostWanted /
                              (static_cast<std::int64_t>(sizeof(float)) * std::max<std::int64_t>(outputs, 1));
    return std::max<std::int64_t>(1, std::min(learn_.samples, room) / images);
  }

  void record(Site& site, const Tensor& made, std::int64_t images, std::int64_t each) const {
    const auto scales = learn_.divided_by.find(site.node);
    const auto values = made.values<float>();
    const std::int64_t outputs = site.weights.outputs, pixels = site.pixels();
    for (std::int64_t image = 0; image < images; ++image) {
      site.positions.push_back(
          choose_positions(pixels, each, static_cast<std::uint32_t>(site.positions.size())));
      for (const std::int32_t at : site.positions.back()) {
        for (std::int64_t o = 0; o < outputs; ++o) {
          const float scale =
              scales == learn_.divided_by.end() ? 1 : scales->second[static_cast<std::size_t>(o)];
          site.wanted.push_back(values[static_cast<std::size_t>((image * outputs + o) * pixels + at)] /
                                scale);
        }
      }
    }
  }

  void learn_layer(const Site& site) {
    const Graph& quantized = result_.quantized.graph;
    const Node& node = *find_layer(quantized, site.node);
    const auto groups = static_cast<std::size_t>(site.weights.groups);
    const auto inputs = static_cast<std::size_t>(site.weights.inputs * site.weights.kernel);
    const auto outputs = static_cast<std::size_t>(site.weights.outputs) / groups;
    std::vector<RoundingSums> sums(groups, RoundingSums(inputs, outputs));
    GraphRunner network(part_for(quantized, {node.in[0]}), threads_);
    std::size_t image = 0, wanted = 0;
    std::optional<ReadSamples> rows = samples_of(site, inputs);
    for_each_([&](std::span<const float> values, std::int64_t images) {
      const Tensor& read = network.run(values)[0];
      const std::int64_t size = read.count() / site.read[0];
      for (std::int64_t i = 0; i < images; ++i, ++image) {
        add_image(site, read.values<float>().data() + i * size, image, wanted, sums, rows);
        wanted += site.positions[image].size() * static_cast<std::size_t>(site.weights.outputs);
      }
    });
    for (RoundingSums& group : sums) group.finish();
    round_layer(site, sums, rows);
  }

  // Where an activation cuts the sums. Layers of groups have few weights for each sum, and many samples to keep.
  static std::optional<ReadSamples> samples_of(const Site& site, std::size_t inputs) {
    const std::size_t samples = site.wanted.size() / static_cast<std::size_t>(site.weights.outputs);
    if (!site.cuts || site.weights.groups > 1 || inputs * samples > kMostRead / sizeof(float))
      return std::nullopt;
    return ReadSamples(inputs, samples);
  }

  void add_image(const Site& site, const float* read, std::size_t image, std::size_t wanted,
                 std::vector<RoundingSums>& sums, std::optional<ReadSamples>& rows) const {
    threads_.for_ranges(sums.size(), [&](std::size_t begin, std::size_t end) {
      std::vector<float> row;
      for (std::size_t g = begin; g < end; ++g) {
        const std::size_t outputs = sums[g].outputs();
        for (std::size_t p = 0; p < site.positions[image].size(); ++p) {
          gather(site, read, static_cast<std::int64_t>(g), site.positions[image][p], row);
          const std::size_t first = wanted + p * static_cast<std::size_t>(site.weights.outputs) + g * outputs;
          sums[g].add(row, std::span(site.wanted).subspan(first, outputs));
          if (rows) rows->add(row);
        }
      }
    });
  }

  void round_layer(const Site& site, const std::vector<RoundingSums>& sums,
                   const std::optional<ReadSamples>& read) {
    QuantizedWeights weights = result_.quantized.weights.at(site.node);
    const double input_scale = scale_read(site.node);
    const std::size_t per_group = sums[0].outputs();
    std::vector<RoundedRow> rows(static_cast<std::size_t>(site.weights.outputs));
    threads_.for_ranges(rows.size(), [&](std::size_t begin, std::size_t end) {
      for (std::size_t o = begin; o < end; ++o)
        rows[o] = round_output(site, sums[o / per_group], read, o, o % per_group, weights);
    });
    LearnedLayer learned{site.node};
    weights.bias.resize(rows.size());
    for (std::size_t o = 0; o < rows.size(); ++o) {
      learned.before += rows[o].before / static_cast<double>(rows.size());
      learned.after += rows[o].after / static_cast<double>(rows.size());
      store(site, rows[o], static_cast<std::int64_t>(o), rows[o].bias / (input_scale * rows[o].scale),
            weights);
    }
    result_.layers.push_back(learned);
    QuantizedWeightsByNode all = std::move(result_.quantized.weights);
    all[site.node] = std::move(weights);
    result_.quantized = quantize(graph_, ranges_, options_, all);
  }

  RoundedRow round_output(const Site& site, const RoundingSums& sums, const std::optional<ReadSamples>& read,
                          std::size_t o, std::size_t in_group, const QuantizedWeights& weights) const {
    const auto stored = weights.weights.values<std::int8_t>();
    const double scale = double{weights.scale[weights.scale.size() == 1 ? 0 : o]};
    const Node& node = *find_layer(graph_, site.node);
    const auto* gemm = std::get_if<op::Gemm>(&node.op);
    const float alpha = gemm ? gemm->alpha : 1;
    const auto original = graph_.constant(node.in[1])->values<float>();
    std::vector<float> row;
    std::vector<std::int32_t> nearest;
    for (std::int64_t i = 0; i < site.weights.inputs; ++i) {
      for (std::int64_t k = 0; k < site.weights.kernel; ++k) {
        const auto at = static_cast<std::size_t>(site.weights.index(static_cast<std::int64_t>(o), i, k));
        row.push_back(alpha * original[at]);
        nearest.push_back(stored[at]);
      }
    }
    const std::int32_t levels = weight_levels(weights.bits);
    const bool fits_scale = weights.bits < 8 && weights.scale.size() > 1;
    const RoundedRow rounded = fits_scale ? round_row_and_step(sums, in_group, row, scale, levels)
                                          : round_row(sums, in_group, row, nearest, scale, levels);
    if (!read) return rounded;
    RefinedRow refined{
        .weights = row, .nearest = nearest, .scale = scale, .levels = levels, .fits_scale = fits_scale};
    const std::vector<float> wanted = wanted_of(site, o), counts = counts_of(site, o, wanted, rounded.before);
    refined.wanted = wanted;
    refined.counts = counts;
    return refine_row(*read, refined, rounded);
  }

  static std::vector<float> wanted_of(const Site& site, std::size_t o) {
    std::vector<float> wanted;
    for (std::size_t at = o; at < site.wanted.size(); at += static_cast<std::size_t>(site.weights.outputs))
      wanted.push_back(site.wanted[at]);
    return wanted;
  }

  // Sums that are cut by less than what rounding moves them by may yet be seen.
  std::vector<float> counts_of(const Site& site, std::size_t o, std::span<const float> wanted,
                               double noise) const {
    const auto scales = learn_.divided_by.find(site.node);
    const double scale = scales == learn_.divided_by.end() ? 1 : double{scales->second[o]};
    const double least = site.cuts->least / scale - std::sqrt(noise),
                 most = site.cuts->most / scale + std::sqrt(noise);
    std::vector<float> counts;
    for (const float y : wanted) counts.push_back(double{y} < least || double{y} > most ? kCut : 1.0f);
    return counts;
  }

  // A row whose sums could leave 32 bits keeps its rounding.
  static void store(const Site& site, const RoundedRow& row, std::int64_t o, double bias,
                    QuantizedWeights& weights) {
    double most = std::fabs(bias);
    for (const std::int32_t q : row.q) most += 255.0 * std::abs(q);
    if (std::fabs(bias) > kMaxBias || most > double{std::numeric_limits<std::int32_t>::max()}) return;
    if (weights.scale.size() > 1) weights.scale[static_cast<std::size_t>(o)] = static_cast<float>(row.scale);
    weights.bias[static_cast<std::size_t>(o)] = static_cast<std::int32_t>(std::nearbyint(bias));
    const auto stored = weights.weights.mutable_values<std::int8_t>();
    for (std::int64_t i = 0, n = 0; i < site.weights.inputs; ++i) {
      for (std::int64_t k = 0; k < site.weights.kernel; ++k, ++n) {
        stored[static_cast<std::size_t>(site.weights.index(o, i, k))] =
            static_cast<std::int8_t>(row.q[static_cast<std::size_t>(n)]);
      }
    }
  }

  double scale_read(const std::string& name) const {
    const Graph& quantized = result_.quantized.graph;
    const auto makers = producers(quantized);
    const ValueId read = find_layer(quantized, name)->in[0];
    const Node& dequantize =
        quantized.nodes[static_cast<std::size_t>(makers[static_cast<std::size_t>(read)])];
    return element_as_double(quantized.constant(dequantize.in[1])->view(), 0);
  }

  const Graph& graph_;
  const Ranges& ranges_;
  const RewriteOptions& options_;
  const ForEachBatch& for_each_;
  const LearnOptions& learn_;
  const Threads& threads_;
  std::vector<Site> sites_;
  Learned result_;
};

}  // namespace

Learned learn_rounding(const Graph& graph, const Ranges& ranges, const RewriteOptions& options,
                       const ForEachBatch& for_each, const LearnOptions& learn, const Threads& threads) {
  return Learner(graph, ranges, options, for_each, learn, threads).run();
}

}  // namespace eke
