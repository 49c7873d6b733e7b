#include "tune/tune.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>

#include "base/error.h"

namespace eke {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLeastRuns = 5, kTimedRuns = 500;
constexpr int kLeastRounds = 3;

// One plan with its memory. The first inferences of a window are timed step by step.
class Runner {
 public:
  Runner(const Graph& graph, const std::vector<Tensor>& inputs, const Threads& threads,
         const Choices& choices)
      : plan_(compile(graph, {.choices = choices})),
        scratch_(plan_, threads),
        step_ns_(plan_.steps().size()) {
    for (const Tensor& input : inputs) input_views_.push_back(input.view());
    for (const Type& type : plan_.output_types()) outputs_.emplace_back(type);
    for (Tensor& output : outputs_) output_views_.push_back(output.mutable_view());
  }

  const std::vector<StepInfo>& steps() const noexcept { return plan_.steps(); }

  // What an inference costs, and what part of it each step takes.
  struct Window {
    double cost = 0;
    std::vector<double> step_costs;
  };
  Window window(const Objective& objective) {
    plan_.run(input_views_, output_views_, scratch_);  // the caches belong to another plan
    std::vector<std::vector<double>> ns(step_ns_.size());
    Window window;
    window.cost = objective([&] { infer(ns); });
    check(window.cost > 0, "the objective says that an inference costs {}", window.cost);
    double sum = 0;
    for (std::vector<double>& times : ns) {
      check(!times.empty(), "the objective measured nothing");
      window.step_costs.push_back(std::max(median(std::move(times)), 1.0));
      sum += window.step_costs.back();
    }
    for (double& step : window.step_costs) step *= window.cost / sum;
    return window;
  }

 private:
  void infer(std::vector<std::vector<double>>& ns) {
    if (!ns.empty() && ns[0].size() == kTimedRuns) return plan_.run(input_views_, output_views_, scratch_);
    std::ranges::fill(step_ns_, 0);
    plan_.run_timed(input_views_, output_views_, scratch_, step_ns_);
    for (std::size_t i = 0; i < ns.size(); ++i) ns[i].push_back(static_cast<double>(step_ns_[i]));
  }

  Plan plan_;
  Scratch scratch_;
  std::vector<std::int64_t> step_ns_;
  std::vector<TensorView> input_views_;
  std::vector<Tensor> outputs_;
  std::vector<MutTensorView> output_views_;
};

// Costs of two plans whose windows alternate A B B A: of an inference, and of each layer by its output.
struct Compared {
  std::vector<double> first, second;
  std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> layers;
};

class Tuner {
 public:
  Tuner(const Graph& graph, const std::vector<Tensor>& inputs, const Threads& threads,
        const Objective& objective, const TuneOptions& options, TunedPlan& plan)
      : graph_(graph),
        inputs_(inputs),
        threads_(threads),
        objective_(objective),
        options_(options),
        plan_(plan),
        by_rule_(graph, inputs, threads, {}) {
    for (Ways& way : ways(graph))
      if (way.choices.size() > 1) ways_.push_back(std::move(way));
    begin();
  }

  void run() {
    std::size_t stages = 1;
    for (const Ways& way : ways_) stages = std::max(stages, way.choices.size());
    total_ = static_cast<int>(stages) * 2 * options_.rounds;
    for (std::size_t stage = 1; stage < stages; ++stage) {
      if (measured(stage)) {
        done_ += 2 * options_.rounds;
        continue;
      }
      measure(stage);
      if (options_.measured) options_.measured();
    }
    finish();
    if (options_.measured) options_.measured();
  }

 private:
  // The layers of a new plan; of one that was begun, that they are these.
  void begin() {
    if (plan_.layers.empty()) {
      for (const Ways& way : ways_) {
        const auto step = std::ranges::find(by_rule_.steps(), way.output, &StepInfo::output);
        const bool known = step != by_rule_.steps().end();
        plan_.layers.push_back(
            {way.output, known ? step->name : "", known ? step->op : "", 0, way.choices[0], {}});
      }
    }
    bool same = plan_.layers.size() == ways_.size();
    for (std::size_t i = 0; same && i < ways_.size(); ++i) {
      const TunedLayer& layer = plan_.layers[i];
      same = layer.output == ways_[i].output && layer.by_rule == ways_[i].choices[0] &&
             layer.others.size() < ways_[i].choices.size();
      for (std::size_t k = 0; same && k < layer.others.size(); ++k)
        same = layer.others[k].choice == ways_[i].choices[k + 1];
    }
    check(same,
          "the tuning that was begun has other layers or tactics than this model and build: start anew");
  }

  bool measured(std::size_t stage) const {
    for (std::size_t i = 0; i < ways_.size(); ++i)
      if (ways_[i].choices.size() > stage && plan_.layers[i].others.size() < stage) return false;
    return true;
  }

  // Ends early, after three rounds at least, where `over` says that more would change nothing.
  Compared compare(Runner& other, const std::function<bool(const Compared&)>& over) {
    Compared compared;
    const int end = done_ + 2 * options_.rounds;
    for (int round = 0; round < options_.rounds; ++round) {
      if (round >= kLeastRounds && over(compared)) break;
      Runner::Window a, b;
      for (const bool second : {round % 2 == 1, round % 2 == 0}) {
        (second ? b : a) = (second ? other : by_rule_).window(objective_);
        if (options_.window) options_.window(++done_, total_);
      }
      compared.first.push_back(a.cost);
      compared.second.push_back(b.cost);
      for (std::size_t i = 0; i < a.step_costs.size(); ++i)
        compared.layers[by_rule_.steps()[i].output].first.push_back(a.step_costs[i]);
      for (std::size_t i = 0; i < b.step_costs.size(); ++i)
        compared.layers[other.steps()[i].output].second.push_back(b.step_costs[i]);
    }
    done_ = end;
    return compared;
  }

  // All layers that have so many ways take that one, at once.
  void measure(std::size_t stage) {
    Choices choices;
    for (const Ways& way : ways_)
      if (way.choices.size() > stage) choices[way.output] = way.choices[stage];
    Runner other(graph_, inputs_, threads_, choices);
    const auto is_open = [&](std::size_t i) {
      return ways_[i].choices.size() > stage && plan_.layers[i].others.size() < stage;
    };
    const Compared compared = compare(other, [&](const Compared& so_far) {
      for (std::size_t i = 0; i < ways_.size(); ++i)
        if (is_open(i) && ratio_of(so_far, i).interval.low <= 1) return false;
      return true;
    });
    for (std::size_t i = 0; i < ways_.size(); ++i) {
      if (!is_open(i)) continue;
      TunedLayer& layer = plan_.layers[i];
      layer.others.push_back({ways_[i].choices[stage], ratio_of(compared, i)});
      if (const auto costs = costs_of(compared, i); !costs.first.empty())
        layer.share = mean(costs.first) / mean(compared.first);
    }
  }

  using Costs = std::pair<std::vector<double>, std::vector<double>>;

  // Of a layer in both plans, window by window. Where only one of them fuses its block, with all of the block.
  Costs costs_of(const Compared& compared, std::size_t layer) const {
    const auto of = [&](const std::string& output) {
      const auto found = compared.layers.find(output);
      return found == compared.layers.end() ? Costs() : found->second;
    };
    Costs costs = of(plan_.layers[layer].output);
    for (const std::string& other : ways_[layer].block) {
      const Costs more = of(other);
      if (more.first.empty() != more.second.empty()) {
        add(costs.first, more.first);
        add(costs.second, more.second);
      }
    }
    return costs;
  }

  static void add(std::vector<double>& sums, const std::vector<double>& addends) {
    for (std::size_t i = 0; i < std::min(sums.size(), addends.size()); ++i) sums[i] += addends[i];
  }

  // Unknown for a layer that one of the plans has no step for: a Concat whose operands are made in their places, or what a
  // block has fused.
  PairedRatio ratio_of(const Compared& compared, std::size_t layer) const {
    const Costs costs = costs_of(compared, layer);
    if (costs.first.empty() || costs.first.size() != costs.second.size()) return {1, {0, 2}, options_.rounds};
    return paired_ratio(costs.first, costs.second);
  }

  void finish() {
    const Choices best = plan_.best();
    Runner other(graph_, inputs_, threads_, best);
    const Compared compared = compare(other, [](const Compared&) { return false; });
    plan_.cost_by_rule = median(compared.first);
    plan_.ratio = best.empty() ? PairedRatio{1, {1, 1}, options_.rounds}
                               : paired_ratio(compared.first, compared.second);
    plan_.kept = !best.empty() && plan_.ratio.ratio < 1;
    plan_.cost = plan_.kept ? median(compared.second) : plan_.cost_by_rule;
    plan_.finished = true;
  }

  const Graph& graph_;
  const std::vector<Tensor>& inputs_;
  const Threads& threads_;
  const Objective& objective_;
  const TuneOptions& options_;
  TunedPlan& plan_;
  Runner by_rule_;
  std::vector<Ways> ways_;
  int done_ = 0, total_ = 0;
};

}  // namespace

Objective latency_objective(double window_s) {
  return [window_s](const std::function<void()>& infer) {
    std::vector<double> ms;
    const auto begin = Clock::now();
    for (auto last = begin;
         ms.size() < kLeastRuns || last - begin < std::chrono::duration<double>(window_s);) {
      infer();
      const auto now = Clock::now();
      ms.push_back(std::chrono::duration<double, std::milli>(now - last).count());
      last = now;
    }
    return median(std::move(ms));
  };
}

void tune_plan(const Graph& graph, const std::vector<Tensor>& inputs, const Threads& threads,
               const Objective& objective, const TuneOptions& options, TunedPlan& plan) {
  if (plan.finished) return;
  check(options.rounds >= 2, "{} rounds: an interval needs two", options.rounds);
  Tuner(graph, inputs, threads, objective, options, plan).run();
}

}  // namespace eke
