#include "ptq/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>

#include "base/statistics.h"
#include "passes/passes.h"
#include "ptq/explain.h"
#include "ptq/tune_ranges.h"
#include "quant/repair.h"
#include "target/arithmetic.h"

namespace eke {

namespace {

constexpr std::int64_t kRankingImages = 4, kTuningImages = 24;
constexpr double kSmall = 0.05;

struct Candidate {
  QuantizationOptions settings;
  std::shared_ptr<const CalibratedGraph> calibrated;
  Quantized quantized;
  std::vector<LearnedLayer> learned;
  std::vector<ReconstructedBlock> blocks;
};

class Walker {
 public:
  Walker(const Graph& graph, CalibrationImages& images, HeldBack* held, const WalkOptions& options,
         const Threads& threads)
      : graph_(graph), images_(images), held_(held), options_(options), threads_(threads) {}

  Walk run() {
    if (!held_) {
      kept_ = made(resolved(options_.quantization));
    } else {
      take_steps();
    }
    walk_.settings = std::move(kept_.settings);
    walk_.calibrated = std::move(kept_.calibrated);
    walk_.quantized = std::move(kept_.quantized);
    walk_.learned = std::move(kept_.learned);
    walk_.blocks = std::move(kept_.blocks);
    return std::move(walk_);
  }

 private:
  void take_steps() {
    const QuantizationOptions& wanted = options_.quantization;
    QuantizationOptions plain = resolved(wanted);
    if (wanted.effort != "fast") {
      plain.keep_biases = true;
      plain.equalize = wanted.equalize == "on" ? "on" : "off";
      plain.learn = false;
    }
    try_step("plain calibration", [&] { return made(plain); });
    if (wanted.effort != "fast") try_settings();
    if (wanted.effort == "best") {
      if (try_step("ranges by the output", [&] { return with_tuned_ranges(); }))
        calibrated_[key_of(kept_.settings)] = kept_.calibrated;
      try_setting("learned rounding", [](auto& s) { s.learn = true; });
      // Blocks take minutes where the others take seconds, and have yet to gain on a network that was measured.
      if (options_.max_drop) {
        try_step("block reconstruction", [&] { return with_blocks(); });
        keep_layers_in_float();
      }
    }
    if (walk_.ended.empty())
      walk_.ended = options_.max_drop
                        ? "all steps of this effort were tried, and the drop may still be more than the bound"
                        : "all steps of this effort were tried";
  }

  using Change = std::function<void(QuantizationOptions&)>;

  // One after the other; where one was kept, those before it that were not get a second try: biases, say, cannot be
  // corrected by much in a network that one step for all weights has ruined.
  void try_settings() {
    const QuantizationOptions& wanted = options_.quantization;
    std::vector<std::pair<std::string, Change>> left;
    if (wanted.weight_bits < 8)
      left.emplace_back("small layers in 8 bits",
                        [bits = bits_of_small_layers()](auto& s) { s.layer_bits = bits; });
    if (!wanted.keep_biases) left.emplace_back("bias correction", [](auto& s) { s.keep_biases = false; });
    if (wanted.equalize == "auto") left.emplace_back("equalization", [](auto& s) { s.equalize = "on"; });
    const RewriteOptions rewrite = rewrite_options(wanted, graph_);
    const Ranges& seen = kept_.calibrated->ranges;
    if (!absorb_biases(graph_, seen, rewrite).layers.empty())
      left.emplace_back("bias absorption", [](auto& s) { s.absorb_biases = true; });
    if (!split_channels(graph_, seen, rewrite).layers.empty())
      left.emplace_back("channel splitting", [](auto& s) { s.split_channels = true; });
    if (wanted.weight_range == "auto" && wanted.weight_bits == 8)
      left.emplace_back("clipped weights", [](auto& s) { s.weight_range = "mse"; });
    for (int round = 0; round < 2; ++round) {
      const std::size_t before = left.size();
      std::erase_if(left, [&](const auto& step) { return try_setting(step.first, step.second); });
      if (left.size() == before) return;
    }
  }

  // The smallest layers, which hold at most kSmall of all weights together: fewer bits there cost accuracy and save
  // next to nothing.
  std::map<std::string, int> bits_of_small_layers() const {
    std::vector<std::pair<std::int64_t, std::string>> sizes;
    std::int64_t all = 0, small = 0;
    for (const auto& [layer, weights] : kept_.quantized.weights) {
      sizes.emplace_back(weights.weights.count(), layer);
      all += weights.weights.count();
    }
    std::ranges::sort(sizes);
    std::map<std::string, int> bits;
    for (const auto& [size, layer] : sizes) {
      small += size;
      if (static_cast<double>(small) > kSmall * static_cast<double>(all)) break;
      bits[layer] = 8;
    }
    return bits;
  }

  bool try_setting(const std::string& name, const Change& change) {
    return try_step(name, [&] {
      QuantizationOptions settings = kept_.settings;
      change(settings);
      return made(settings);
    });
  }

  // With the worst layers in float, one, two, four, ... of them, as long as most of the work stays in integers.
  void keep_layers_in_float() {
    if (!walk_.ended.empty()) return;
    const Explanation explanation = explain_model(*kept_.calibrated, kept_.quantized, kept_.settings, images_,
                                                  kRankingImages, true, threads_);
    std::vector<LayerEffect> layers = explanation.layers;
    std::ranges::stable_sort(layers, std::greater<>(), &LayerEffect::share);
    std::int64_t all = 0, in_float = 0;
    for (const LayerEffect& layer : layers) all += layer.macs;
    std::vector<std::string> names;
    for (std::size_t count = 1; count <= layers.size() && walk_.ended.empty(); count *= 2) {
      while (names.size() < count) {
        in_float += layers[names.size()].macs;
        names.push_back(layers[names.size()].node);
      }
      if (2 * in_float > all) break;
      try_step(fmt::format("{} layer{} in float", count, count == 1 ? "" : "s"),
               [&] { return with_float_layers(names); });
    }
  }

  Candidate with_tuned_ranges() {
    Candidate candidate = kept_;
    TunedRanges tuned =
        tune_ranges(*kept_.calibrated, kept_.quantized, kept_.settings, images_, kTuningImages, threads_);
    candidate.calibrated = std::make_shared<CalibratedGraph>(std::move(tuned.calibrated));
    candidate.quantized = std::move(tuned.quantized);
    return candidate;
  }

  Candidate with_blocks() {
    Candidate candidate = kept_;
    Reconstructed result =
        reconstruct_calibrated(*kept_.calibrated, kept_.quantized, images_, threads_, kept_.settings);
    candidate.quantized = std::move(result.quantized);
    candidate.blocks = std::move(result.blocks);
    return candidate;
  }

  Candidate with_float_layers(const std::vector<std::string>& names) {
    Candidate candidate = kept_;
    candidate.settings.keep = options_.quantization.keep;
    for (const std::string& pattern : as_patterns(names)) candidate.settings.keep.push_back(pattern);
    candidate.quantized =
        quantize(kept_.calibrated->graph, kept_.calibrated->ranges,
                 rewrite_options(candidate.settings, kept_.calibrated->graph), kept_.quantized.weights);
    return candidate;
  }

  // The settings that the effort means where nothing is tried.
  QuantizationOptions resolved(QuantizationOptions settings) const {
    if (settings.equalize == "auto")
      settings.equalize = settings.effort != "fast" && settings.per_tensor ? "on" : "off";
    if (settings.weight_range == "auto") settings.weight_range = settings.weight_bits < 8 ? "mse" : "max";
    settings.learn = settings.effort == "best";
    settings.every_range = options_.every_range || (options_.max_drop && settings.effort == "best");
    return settings;
  }

  Candidate made(const QuantizationOptions& settings) {
    Candidate candidate{
        .settings = settings, .calibrated = nullptr, .quantized = {}, .learned = {}, .blocks = {}};
    candidate.calibrated = calibrated(settings);
    candidate.quantized =
        quantize_calibrated(*candidate.calibrated, images_, threads_, settings, candidate.learned);
    return candidate;
  }

  // What calibration depends on, of what the walk decides.
  using Key = std::array<bool, 3>;
  static Key key_of(const QuantizationOptions& settings) {
    return {settings.absorb_biases, settings.split_channels, settings.equalize == "on"};
  }

  std::shared_ptr<const CalibratedGraph> calibrated(const QuantizationOptions& settings) {
    std::shared_ptr<const CalibratedGraph>& made = calibrated_[key_of(settings)];
    if (!made)
      made = std::make_shared<CalibratedGraph>(calibrate_on(repaired(settings), images_, threads_, settings));
    return made;
  }

  Graph repaired(const QuantizationOptions& settings) {
    if (!settings.absorb_biases && !settings.split_channels) return graph_;
    QuantizationOptions plain = settings;
    plain.absorb_biases = plain.split_channels = false;
    plain.equalize = "off";
    const Ranges& seen = calibrated(plain)->ranges;
    const RewriteOptions rewrite = rewrite_options(settings, graph_);
    Graph graph = settings.absorb_biases ? absorb_biases(graph_, seen, rewrite).graph : graph_;
    return settings.split_channels ? split_channels(graph, seen, rewrite).graph : graph;
  }

  void begin_to_judge() {
    judge_.emplace(graph_, *held_, threads_);
    walk_.by_labels = judge_->by_labels();
    walk_.float_right = std::ranges::count(judge_->float_right(), true);
  }

  // As the engine computes it that the model is for.
  static Graph as_computed(const Candidate& candidate) {
    const Device device = *parse_device(candidate.settings.engine);
    if (candidate.quantized.report.layers.empty()) return candidate.quantized.graph;
    return simulate(candidate.quantized.graph, {.device = device}).graph;
  }

  // Whether the step was kept.
  template <class F>
  bool try_step(const std::string& name, F&& make) {
    if (!walk_.ended.empty()) return false;
    const auto begin = std::chrono::steady_clock::now();
    Candidate candidate = make();
    if (!judge_) begin_to_judge();  // after calibration, which names what is wrong with weights and values
    Judged judged = judge_->of(optimize(as_computed(candidate)));
    WalkStep step{.name = name, .images = static_cast<std::int64_t>(judged.right.size())};
    step.sqnr_db = median(judged.sqnr_db);
    step.right = std::ranges::count(judged.right, true);
    step.drop = compare_paired(judge_->float_right(), judged.right);
    if (candidate.blocks.size() > kept_.blocks.size()) step.error_left = error_left(candidate.blocks);
    step.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    step.kept = walk_.steps.empty() || gains(judged, step);
    if (step.kept) {
      kept_ = std::move(candidate);
      judged_ = std::move(judged);
      if (options_.max_drop && is_within(step, *options_.max_drop))
        walk_.ended = "the drop on the images held back is within the bound";
    }
    walk_.steps.push_back(std::move(step));
    return walk_.steps.back().kept;
  }

  // Few images show nothing: where none of n differs, up to 3 / n of all may (the rule of three).
  static bool is_within(const WalkStep& step, double max_drop) {
    return -step.drop.interval.low <= max_drop && static_cast<double>(step.images) * max_drop >= 3;
  }

  // The outputs come closer to float for more than chance, and no image speaks against it more than for it.
  bool gains(const Judged& judged, WalkStep& step) const {
    std::vector<double> by;
    for (std::size_t i = 0; i < judged.sqnr_db.size(); ++i)
      by.push_back(judged.sqnr_db[i] - judged_.sqnr_db[i]);
    step.gain_db = mean(by);
    step.gain = mean_interval(by);
    return step.gain->low > 0 && compare_paired(judged_.right, judged.right).verdict() != Verdict::worse;
  }

  const Graph& graph_;
  CalibrationImages& images_;
  HeldBack* held_;
  const WalkOptions& options_;
  const Threads& threads_;
  std::optional<Judge> judge_;
  std::map<Key, std::shared_ptr<const CalibratedGraph>> calibrated_;
  Candidate kept_;
  Judged judged_;
  Walk walk_;
};

}  // namespace

std::optional<PairedComparison> Walk::drop() const {
  const auto last = std::ranges::find_if(steps.rbegin(), steps.rend(), &WalkStep::kept);
  return last == steps.rend() ? std::nullopt : std::optional(last->drop);
}

Walk walk(const Graph& graph, CalibrationImages& images, HeldBack* held, const WalkOptions& options,
          const Threads& threads) {
  verify(options.quantization);
  return Walker(graph, images, held, options, threads).run();
}

}  // namespace eke
