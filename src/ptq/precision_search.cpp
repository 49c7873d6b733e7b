#include "ptq/precision_search.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "base/statistics.h"
#include "passes/passes.h"
#include "runtime/session.h"
#include "tune/timing.h"

namespace eke {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kF32 = 0, kInt8 = 1, kInt4 = 2;
constexpr std::string_view kCodes = "f84";  // of an assignment in the journal

// The noise of the output against float, as a share of its power: the mean over the images.
double relative_noise(const Judged& judged) {
  double sum = 0;
  for (const double db : judged.sqnr_db) sum += db >= kExactDb ? 0 : std::pow(10, -db / 10);
  return sum / static_cast<double>(std::max<std::size_t>(judged.sqnr_db.size(), 1));
}

Json bits_of(const std::vector<bool>& right) {
  std::string bits;
  for (const bool r : right) bits += r ? '1' : '0';
  return bits;
}

// What each step of a plan takes, by the node that it carries out, in nanoseconds: the median of the rounds, which two
// sessions take in turn.
using StepTimes = std::map<std::string, double>;
std::vector<StepTimes> step_times(std::span<Session* const> sessions, int rounds,
                                  const std::function<void()>& round_done) {
  std::vector<std::vector<std::vector<double>>> seen(sessions.size());
  for (std::size_t s = 0; s < sessions.size(); ++s) {
    std::vector<Tensor> inputs;
    for (const Type& type : sessions[s]->plan().input_types()) inputs.push_back(random_tensor(type, 1));
    sessions[s]->run(inputs);
    seen[s].resize(sessions[s]->plan().steps().size());
  }
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t s = 0; s < sessions.size(); ++s) {
      std::vector<std::int64_t> ns(seen[s].size());
      sessions[s]->run_again(ns);
      for (std::size_t i = 0; i < ns.size(); ++i) seen[s][i].push_back(static_cast<double>(ns[i]));
    }
    round_done();
  }
  std::vector<StepTimes> times(sessions.size());
  for (std::size_t s = 0; s < sessions.size(); ++s) {
    for (std::size_t i = 0; i < seen[s].size(); ++i)
      times[s][sessions[s]->plan().steps()[i].name] += median(seen[s][i]);
  }
  return times;
}

class Searcher {
 public:
  Searcher(const Mixtures& mixtures, Judge& few, Judge& judge, const SearchOptions& options,
           const Threads& threads)
      : mixtures_(mixtures), few_(few), judge_(judge), options_(options), threads_(threads) {}

  SearchResult run() {
    result_.by_labels = judge_.by_labels();
    result_.float_right = std::ranges::count(judge_.float_right(), true);
    measure_noise();
    measure_costs();
    try_mixtures();
    choose();
    return std::move(result_);
  }

 private:
  std::size_t layers() const { return mixtures_.layers().size(); }
  std::size_t precisions() const { return mixtures_.has_four_bits() ? 3 : 2; }
  void tell(std::string_view what, std::size_t done, std::size_t of) const {
    if (options_.progress)
      options_.progress(what, static_cast<std::int64_t>(done), static_cast<std::int64_t>(of));
  }
  Json remembered(const std::vector<std::string>& path, const std::function<Json()>& measure) const {
    return options_.remember ? options_.remember(path, measure) : measure();
  }
  Assignment all(std::size_t precision) const { return Assignment(layers(), precision); }

  void measure_noise() {
    for (std::size_t l = 0; l < layers(); ++l) {
      tell("noise of layers", l, layers());
      const QuantizedLayer& layer = mixtures_.layers()[l];
      SearchedLayer searched{layer.node, layer.op, std::vector<CostAndNoise>(precisions())};
      for (std::size_t p = kInt8; p < precisions(); ++p) {
        Assignment only = all(kF32);
        only[l] = p;
        searched.choices[p].noise = remembered({"noise", layer.node, std::string(1, kCodes[p])}, [&] {
                                      return Json(relative_noise(few_.of(optimize(mixtures_.made(only)))));
                                    }).get<double>();
      }
      result_.layers.push_back(std::move(searched));
    }
  }

  // By size: bytes of the weights. Else the steps in place, of a model all in float and one all in int8; of joules a
  // step has its part of the time.
  void measure_costs() {
    if (options_.objective == SearchObjective::size) {
      for (std::size_t l = 0; l < layers(); ++l) {
        for (std::size_t p = 0; p < precisions(); ++p)
          result_.layers[l].choices[p].cost = mixtures_.weight_bytes(l, static_cast<Precision>(p));
      }
      return;
    }
    const Json costs = remembered({"costs"}, [&] { return measured_costs(); });
    for (std::size_t l = 0; l < layers(); ++l) {
      for (std::size_t p = 0; p < precisions(); ++p)
        result_.layers[l].choices[p].cost = costs.at(l).at(std::min(p, kInt8)).get<double>();
    }
  }

  Json measured_costs() {
    // Each layer is a step.
    Session in_float(mixtures_.float_graph(), threads_, {.floats = options_.floats, .fuse = false}),
        in_int8(optimize(mixtures_.made(all(kInt8))), threads_, {.fuse = false});
    Session* const sessions[] = {&in_float, &in_int8};
    const std::vector<StepTimes> times = step_times(sessions, options_.rounds, [&] { tell("", 0, 0); });
    double scale[2] = {1e-6, 1e-6};  // to milliseconds
    if (options_.objective == SearchObjective::energy) {
      for (std::size_t s = 0; s < 2; ++s) {
        double whole = 0;
        for (const auto& [name, ns] : times[s]) whole += ns;
        scale[s] = 1e3 * options_.joules([&] { sessions[s]->run_again(); }) / std::max(whole, 1.0);
      }
    }
    Json costs = Json::array();
    for (const QuantizedLayer& layer : mixtures_.layers()) {
      Json of_layer = Json::array();
      for (std::size_t s = 0; s < 2; ++s) {
        const auto found = times[s].find(layer.node);
        of_layer.push_back(found == times[s].end() ? 0 : found->second * scale[s]);
      }
      costs.push_back(std::move(of_layer));
    }
    return costs;
  }

  void try_mixtures() {
    std::vector<TriedMixture> wanted{{.what = "all in float", .assigned = all(kF32)},
                                     {.what = "all in int8", .assigned = all(kInt8)}};
    const auto with_ends = [&](std::size_t ends, std::size_t others) {
      Assignment assigned = all(others);
      if (!assigned.empty()) assigned.front() = assigned.back() = ends;
      return assigned;
    };
    wanted.push_back({.what = "first and last in float", .assigned = with_ends(kF32, kInt8)});
    if (mixtures_.has_four_bits()) {
      wanted.push_back({.what = "all in int4", .assigned = all(kInt4)});
      wanted.push_back({.what = "int4, first and last in int8", .assigned = with_ends(kInt8, kInt4)});
    }
    std::vector<std::vector<CostAndNoise>> choices;
    for (const SearchedLayer& layer : result_.layers) choices.push_back(layer.choices);
    for (const Assignment& assigned : convex_assignments(choices, options_.mixtures)) {
      if (std::ranges::find(wanted, assigned, &TriedMixture::assigned) == wanted.end())
        wanted.push_back({.what = "searched", .assigned = assigned});
    }
    for (TriedMixture& mixture : wanted) {
      tell("mixtures", result_.tried.size(), wanted.size());
      measure(mixture);
      result_.tried.push_back(std::move(mixture));
    }
  }

  void measure(TriedMixture& mixture) {
    const Json measured = remembered({"mixtures", code_of(mixture.assigned)}, [&] {
      const Graph graph = mixtures_.made(mixture.assigned);
      const Judged judged = judge_.of(optimize(graph), options_.floats);
      return Json{{"cost", cost_of_whole(graph)},
                  {"sqnr_db", median(judged.sqnr_db)},
                  {"right", bits_of(judged.right)}};
    });
    mixture.cost = measured.at("cost").get<double>();
    mixture.sqnr_db = measured.at("sqnr_db").get<double>();
    for (const char bit : measured.at("right").get<std::string>()) mixture.right.push_back(bit == '1');
    mixture.drop = compare_paired(judge_.float_right(), mixture.right);
  }

  // Costs of time and energy are measured in turn with the model all in int8, and given as that many times its cost:
  // what the machine does besides is then in both.
  double cost_of_whole(const Graph& graph) {
    if (options_.objective == SearchObjective::size) return static_cast<double>(options_.saved_bytes(graph));
    if (!in_int8_) {
      in_int8_ = std::make_unique<Session>(optimize(mixtures_.made(all(kInt8))), threads_);
      Session* const alone[] = {in_int8_.get()};
      const double ms = measure_ms(alone)[0];
      base_ = remembered({"cost_in_int8"}, [&] {
                return Json(by_energy() ? joules_of(*in_int8_) : ms);
              }).get<double>();
    }
    Session session(optimize(graph), threads_, {.floats = options_.floats});
    Session* const pair[] = {in_int8_.get(), &session};
    if (!by_energy()) {
      const std::vector<double> ms = measure_ms(pair);
      return base_ * ms[1] / ms[0];
    }
    measure_ms(pair);  // warm, with inputs
    std::vector<double> of_int8, of_mixture;
    for (int round = 0; round < kEnergyRounds; ++round) {
      of_int8.push_back(joules_of(*in_int8_));
      of_mixture.push_back(joules_of(session));
    }
    return base_ * paired_ratio(of_int8, of_mixture).ratio;
  }

  bool by_energy() const { return options_.objective == SearchObjective::energy; }
  double joules_of(Session& session) const {
    return 1e3 * options_.joules([&] { session.run_again(); });  // in mJ
  }
  // Medians; the second one from the ratios of pairs of runs.
  std::vector<double> measure_ms(std::span<Session* const> sessions) const {
    const Timing timing = time_in_turn(sessions, 2, options_.rounds, [&](int, int) { tell("", 0, 0); });
    std::vector<double> ms;
    for (const Spread& ratio : timing.ratio) ms.push_back(timing.ms[0].median * ratio.median);
    return ms;
  }

  // The cheapest whose drop is within the bound; where none is, the one that loses least.
  void choose() {
    std::vector<CostAndNoise> points;
    for (const TriedMixture& t : result_.tried) points.push_back({t.cost, std::pow(10, -t.sqnr_db / 10)});
    for (const std::size_t i : pareto_front(points)) result_.tried[i].on_front = true;
    const auto better = [&](const TriedMixture& a, const TriedMixture& b) {
      const bool a_within = a.lost() <= options_.max_drop, b_within = b.lost() <= options_.max_drop;
      if (a_within != b_within) return a_within;
      if (!a_within && a.lost() != b.lost()) return a.lost() < b.lost();
      return a.cost != b.cost ? a.cost < b.cost : a.sqnr_db > b.sqnr_db;
    };
    // What is all in float needs no search; it stays in the table to compare with.
    result_.chosen = 1;
    for (std::size_t i = 1; i < result_.tried.size(); ++i) {
      if (better(result_.tried[i], result_.tried[result_.chosen])) result_.chosen = i;
    }
    result_.within = result_.tried[result_.chosen].lost() <= options_.max_drop;
  }

  static constexpr int kEnergyRounds = 3;

  const Mixtures& mixtures_;
  Judge &few_, &judge_;
  const SearchOptions& options_;
  const Threads& threads_;
  std::unique_ptr<Session> in_int8_;
  double base_ = 0;
  SearchResult result_;
};

}  // namespace

std::string_view to_string(SearchObjective objective) noexcept {
  constexpr std::string_view kNames[] = {"latency", "energy", "size"};
  return kNames[static_cast<std::size_t>(objective)];
}
std::string_view unit_of(SearchObjective objective) noexcept {
  constexpr std::string_view kUnits[] = {"ms", "mJ", "bytes"};
  return kUnits[static_cast<std::size_t>(objective)];
}
std::string_view to_string(Precision precision) noexcept {
  constexpr std::string_view kNames[] = {"float", "int8", "int4"};
  return kNames[static_cast<std::size_t>(precision)];
}

Mixtures::Mixtures(const CalibratedGraph& calibrated, RewriteOptions options, const Quantized& eight,
                   const QuantizedWeightsByNode& four)
    : calibrated_(calibrated),
      options_(std::move(options)),
      layers_(eight.report.layers),
      eight_(eight.weights),
      four_(four) {}

Graph Mixtures::made(const Assignment& assigned) const {
  RewriteOptions options = options_;
  QuantizedWeightsByNode weights;
  std::vector<std::string> in_float;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const std::string& node = layers_[l].node;
    if (assigned[l] == kF32) {
      in_float.push_back(node);
    } else {
      weights[node] = (assigned[l] == kInt4 ? four_ : eight_).at(node);
    }
  }
  if (in_float.size() == layers_.size()) return calibrated_.graph;
  for (const std::string& pattern : as_patterns(in_float)) options.keep.push_back(pattern);
  return quantize(calibrated_.graph, calibrated_.ranges, options, weights).graph;
}

double Mixtures::weight_bytes(std::size_t layer, Precision precision) const {
  const QuantizedWeights& weights = eight_.at(layers_[layer].node);
  const auto count = static_cast<double>(weights.weights.count());
  if (precision == Precision::f32) return 4 * count;
  const double scales = 8.0 * static_cast<double>(weights.scale.size());  // and those of the bias
  return (precision == Precision::int4 ? count / 2 : count) + scales;
}

std::string code_of(const Assignment& assigned) {
  std::string code;
  for (const std::size_t precision : assigned) code += kCodes[precision];
  return code;
}

SearchResult search_precisions(const Mixtures& mixtures, Judge& few, Judge& judge,
                               const SearchOptions& options, const Threads& threads) {
  return Searcher(mixtures, few, judge, options, threads).run();
}

}  // namespace eke
