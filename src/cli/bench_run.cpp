#include "cli/bench_run.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "cli/machine_control.h"
#include "cli/progress.h"

namespace eke::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kWindowS = 0.2, kLimitS = 10, kMeteredWindowS = 10, kMeteredLimitS = 120, kLongestIdleS = 10;
constexpr int kLeastRounds = 24, kMeteredLeastRounds = 6, kRefreshesAWindow = 100, kLeastRuns = 3,
              kFixedWindows = 10, kPlateauBlocks = 3;
constexpr double kBlockS = 0.05, kWarmupS = 2, kMeteredWarmupS = 60, kPlateau = 0.02, kPlateauC = 0.5;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double timed_run(Session& session) {
  const auto begin = Clock::now();
  session.run_again();
  return 1e3 * seconds_since(begin);
}

// How often the system took a core away from this process while it wanted to go on.
long involuntary_switches() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

double spread_of_last(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.end() - kPlateauBlocks, values.end());
  return *high - *low;
}

class Bench {
 public:
  Bench(const std::vector<Session*>& sessions, Metering& metering, BenchResult& result)
      : sessions_(sessions), metering_(metering), result_(result) {}

  void run() {
    first_runs();
    between_idles(result_, metering_, [&] {
      for (std::size_t i = 0; i < sessions_.size(); ++i) warm_up(i);
      rounds();
    });
  }

 private:
  void first_runs() {
    for (std::size_t i = 0; i < sessions_.size(); ++i) {
      std::vector<Tensor> inputs;
      for (const Type& type : sessions_[i]->plan().input_types()) inputs.push_back(random_tensor(type, 1));
      apply(i);
      const auto begin = Clock::now();
      sessions_[i]->run(inputs);
      result_.variants[i].first_run_ms = 1e3 * seconds_since(begin);
      std::int64_t bytes = 0;
      for (const StepInfo& step : sessions_[i]->plan().steps()) bytes += step.cost.bytes;
      bytes_.push_back(static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0)));
    }
  }

  void apply(std::size_t i) {
    const Variant& variant = result_.variants[i].variant;
    if (variant.frequency_khz) frequency_.set(*variant.frequency_khz);
    if (variant.power_mode) power_mode_.set(*variant.power_mode);
  }

  // Until three blocks in a row take the same time, at the same temperature where there is a sensor and a meter, for
  // leakage grows with it.
  void warm_up(std::size_t i) {
    VariantResult& result = result_.variants[i];
    apply(i);
    if (result_.plan.warmup) {
      for (; result.warmup_runs < *result_.plan.warmup; ++result.warmup_runs) {
        throw_if_interrupted();
        sessions_[i]->run_again();
      }
      return;
    }
    const double limit = metering_.active() ? kMeteredWarmupS : kWarmupS;
    std::vector<double> medians, temperatures;
    for (const auto begin = Clock::now(); seconds_since(begin) < limit;) {
      std::vector<double> ms;
      for (const auto block = Clock::now(); seconds_since(block) < kBlockS || ms.size() < kLeastRuns;) {
        throw_if_interrupted();
        ms.push_back(timed_run(*sessions_[i]));
      }
      result.warmup_runs += static_cast<int>(ms.size());
      medians.push_back(median(ms));
      temperatures.push_back(metering_.active() ? read_machine(host_).temperature_c.value_or(0) : 0);
      if (medians.size() >= kPlateauBlocks && spread_of_last(medians) <= kPlateau * medians.back() &&
          spread_of_last(temperatures) <= kPlateauC)
        return;
    }
    result.plateau = false;
  }

  void rounds() {
    const BenchPlan& plan = result_.plan;
    const int fixed_rounds = plan.runs > 0 ? std::min(plan.runs, kFixedWindows) : 0;
    const double limit_s = plan.limit_s * static_cast<double>(sessions_.size());
    Progress progress("measuring",
                      fixed_rounds > 0 ? fixed_rounds : static_cast<std::int64_t>(limit_s * 1e3));
    const auto begin = Clock::now();
    for (int round = 0;; ++round) {
      for (std::size_t k = 0; k < sessions_.size(); ++k) {
        const std::size_t i = round % 2 == 0 ? k : sessions_.size() - 1 - k;
        const int runs =
            fixed_rounds > 0 ? plan.runs * (round + 1) / fixed_rounds - plan.runs * round / fixed_rounds : 0;
        window(i, round, runs);
        if (fixed_rounds == 0)
          progress.update(static_cast<std::int64_t>(1e3 * std::min(seconds_since(begin), limit_s)));
      }
      if (fixed_rounds > 0) progress.update(round + 1);
      if (fixed_rounds > 0
              ? round + 1 == fixed_rounds
              : rounds_are_done(result_, metering_.active(), round + 1, seconds_since(begin), limit_s))
        break;
    }
    note_precision(result_);
  }

  void window(std::size_t i, int round, int runs) {
    Session& session = *sessions_[i];
    apply(i);
    session.run_again();  // the caches belong to another variant
    BenchWindow window;
    window.round = round;
    std::optional<energy::Window> metered = metering_.begin("bench");
    const auto begin = Clock::now();
    while (runs > 0 ? static_cast<int>(window.ms.size()) < runs
                    : seconds_since(begin) < result_.plan.window_s || window.ms.size() < kLeastRuns) {
      throw_if_interrupted();
      const long before = involuntary_switches();
      window.ms.push_back(timed_run(session));
      if (involuntary_switches() != before) window.disturbed.push_back(window.ms.size() - 1);
      if (metering_.active()) metering_.session().moved(bytes_[i]);
    }
    window.seconds = seconds_since(begin);
    if (metered) window.gross = metered->result();
    window.machine = read_machine(host_);
    result_.variants[i].windows.push_back(std::move(window));
  }

  const std::vector<Session*>& sessions_;
  Metering& metering_;
  BenchResult& result_;
  energy::RealHost host_;
  FrequencyControl frequency_;
  PowerModeControl power_mode_;
  std::vector<std::uint64_t> bytes_;
};

// Sorted.
std::vector<double> undisturbed_runs(const BenchWindow& window) {
  std::vector<double> ms;
  for (std::size_t i = 0; i < window.ms.size(); ++i) {
    if (!std::binary_search(window.disturbed.begin(), window.disturbed.end(), i)) ms.push_back(window.ms[i]);
  }
  if (ms.empty() || 10 * ms.size() < window.ms.size()) ms = window.ms;
  std::sort(ms.begin(), ms.end());
  return ms;
}

// The energies of one domain, or of the total, over all windows.
template <class Pick>
EnergyFigure figure_of(const VariantResult& result, Pick pick) {
  EnergyFigure figure;
  for (const BenchWindow& window : result.windows) {
    const double inferences =
        static_cast<double>(window.ms.size()) * static_cast<double>(result.variant.batch);
    if (!pick(*window.gross, window, inferences, figure)) {
      figure.gross_j.clear();
      figure.net_j.clear();
      return figure;
    }
  }
  const double count = static_cast<double>(result.windows.size());
  figure.bound_j /= count;
  figure.mean_w /= count;
  return figure;
}

EnergyFigure total_figure(const VariantResult& result) {
  return figure_of(result, [](const energy::WindowResult& gross, const BenchWindow& window, double inferences,
                              EnergyFigure& figure) {
    const std::optional<energy::Total> total = total_of(gross);
    figure.name = "total";
    if (!total) {
      figure.why_not = "a domain of it was not measured";
      return false;
    }
    figure.boundary = total->boundary;
    figure.origin = total->origin;
    figure.meter = total->meter;
    figure.formula = total->formula;
    figure.gross_j.push_back(total->joules / inferences);
    figure.bound_j += total->bound_j / inferences;
    figure.mean_w += total->mean_w;
    double peak = 0;
    for (const energy::DomainEnergy& d : gross.domains) {
      if (d.meter == total->meter && d.domain.in_total) peak += d.peak_w;
    }
    figure.peak_w = std::max(figure.peak_w, peak);
    const std::optional<energy::Total> net = window.net ? total_of(*window.net) : std::nullopt;
    if (net) figure.net_j.push_back(net->joules / inferences);
    return true;
  });
}

EnergyFigure domain_figure(const VariantResult& result, std::size_t index) {
  return figure_of(result, [index](const energy::WindowResult& gross, const BenchWindow& window,
                                   double inferences, EnergyFigure& figure) {
    const energy::DomainEnergy& d = gross.domains[index];
    figure.name = d.domain.name;
    figure.boundary = d.domain.boundary;
    figure.origin = d.domain.origin;
    figure.meter = d.meter;
    if (!d.joules) {
      figure.why_not = d.why_not;
      return false;
    }
    figure.gross_j.push_back(*d.joules / inferences);
    figure.bound_j += d.bound_j / inferences;
    figure.mean_w += d.mean_w;
    figure.peak_w = std::max(figure.peak_w, d.peak_w);
    if (window.net && window.net->domains[index].joules)
      figure.net_j.push_back(*window.net->domains[index].joules / inferences);
    return true;
  });
}

}  // namespace

const EnergyFigure* Summary::total() const noexcept {
  return !energy.empty() && energy[0].name == "total" ? &energy[0] : nullptr;
}

Summary summarize(const VariantResult& result) {
  Summary summary;
  std::vector<double> all;
  double seconds = 0;
  for (const BenchWindow& window : result.windows) {
    const std::vector<double> runs = undisturbed_runs(window);
    summary.window_ms.push_back(quantile(runs, 0.5));
    summary.unsteady_ms +=
        (quantile(runs, 0.5) - quantile(runs, 0.1)) / static_cast<double>(result.windows.size());
    summary.disturbed += window.disturbed.size();
    all.insert(all.end(), window.ms.begin(), window.ms.end());
    for (double ms : window.ms) seconds += ms / 1e3;
  }
  std::sort(all.begin(), all.end());
  summary.ms = mean(summary.window_ms);
  summary.sampling = drifting_mean_interval(summary.window_ms);
  summary.interval = {summary.sampling.low - summary.unsteady_ms,
                      summary.sampling.high + summary.unsteady_ms};
  summary.p50 = quantile(all, 0.5);
  summary.p90 = quantile(all, 0.9);
  summary.p99 = quantile(all, 0.99);
  summary.runs = all.size();
  summary.images_per_s =
      static_cast<double>(all.size()) * static_cast<double>(result.variant.batch) / seconds;
  if (!result.windows[0].gross) return summary;
  const energy::WindowResult& first = *result.windows[0].gross;
  const bool has_total = std::any_of(first.domains.begin(), first.domains.end(),
                                     [](const energy::DomainEnergy& d) { return d.domain.in_total; });
  if (has_total) summary.energy.push_back(total_figure(result));
  for (std::size_t i = 0; i < first.domains.size(); ++i) summary.energy.push_back(domain_figure(result, i));
  return summary;
}

namespace {

bool narrow(const Interval& interval, double middle, double precision) {
  return interval.high - interval.low <= 2 * precision * std::abs(middle);
}

// More windows would not narrow the intervals of the means below the precision.
bool is_sampled(const BenchResult& result) {
  return std::all_of(result.variants.begin(), result.variants.end(), [&](const VariantResult& variant) {
    const Summary summary = summarize(variant);
    const EnergyFigure* total = summary.total();
    return narrow(summary.sampling, summary.ms, result.plan.precision) &&
           (!total || total->gross_j.empty() ||
            narrow(drifting_mean_interval(total->gross_j), mean(total->gross_j), result.plan.precision));
  });
}

bool is_steady(const BenchResult& result) {
  return std::all_of(result.variants.begin(), result.variants.end(), [&](const VariantResult& variant) {
    const Summary summary = summarize(variant);
    return narrow(summary.interval, summary.ms, result.plan.precision);
  });
}

}  // namespace

bool rounds_are_done(const BenchResult& result, bool metered, int rounds, double spent_s, double limit_s) {
  if (rounds % 2 != 0) return false;
  if (rounds >= (metered ? kMeteredLeastRounds : kLeastRounds) && is_sampled(result)) return true;
  return spent_s * (rounds + 2) / rounds > limit_s && rounds >= 2;
}

void note_precision(BenchResult& result) {
  result.sampled = is_sampled(result);
  result.precise = result.sampled && is_steady(result);
}

Comparison compare(const VariantResult& first, const VariantResult& other) {
  const Summary a = summarize(first), b = summarize(other);
  const auto each = [](std::vector<double> ms, std::int64_t batch) {
    for (double& value : ms) value /= static_cast<double>(batch);
    return ms;
  };
  Comparison comparison;
  comparison.time =
      paired_ratio(each(a.window_ms, first.variant.batch), each(b.window_ms, other.variant.batch));
  const EnergyFigure *x = a.total(), *y = b.total();
  const auto positive = [](const EnergyFigure* figure) {
    return figure && !figure->gross_j.empty() &&
           std::all_of(figure->gross_j.begin(), figure->gross_j.end(), [](double j) { return j > 0; });
  };
  if (positive(x) && positive(y) && x->gross_j.size() == y->gross_j.size())
    comparison.energy = paired_ratio(x->gross_j, y->gross_j);
  return comparison;
}

BenchResult start_bench(const std::vector<Variant>& variants, Metering& metering, const BenchPlan& plan) {
  BenchResult result;
  result.plan = plan;
  result.no_meter = metering.why_not();
  const bool metered = metering.active();
  if (result.plan.limit_s <= 0) result.plan.limit_s = metered ? kMeteredLimitS : kLimitS;
  if (result.plan.window_s <= 0) {
    const double refresh_s =
        metered ? std::chrono::duration<double>(metering.session().refresh()).count() : 0;
    result.plan.window_s = metered ? std::max(kMeteredWindowS, kRefreshesAWindow * refresh_s) : kWindowS;
    // At least two windows have to fit.
    result.plan.window_s = std::min(result.plan.window_s, result.plan.limit_s / 2);
  }
  for (const Variant& variant : variants) result.variants.push_back({variant});
  return result;
}

namespace {

void subtract_idle_of(BenchResult& result) {
  for (VariantResult& variant : result.variants) {
    for (BenchWindow& window : variant.windows)
      if (window.gross) window.net = subtract_idle(*window.gross, *result.idle_before, *result.idle_after);
  }
}

energy::WindowResult idle_window(Metering& metering, const char* name, double window_s) {
  energy::Window window = metering.session().begin(name);
  const double seconds = std::min(window_s, kLongestIdleS);
  const auto begin = Clock::now();
  while (seconds_since(begin) < seconds) {
    throw_if_interrupted();
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(0.1, seconds)));
  }
  return window.result();
}

}  // namespace

void between_idles(BenchResult& result, Metering& metering, const std::function<void()>& measure) {
  if (metering.active()) result.idle_before = idle_window(metering, "idle before", result.plan.window_s);
  measure();
  if (!metering.active()) return;
  result.idle_after = idle_window(metering, "idle after", result.plan.window_s);
  subtract_idle_of(result);
  result.samplers = metering.session().costs();
}

BenchResult run_bench(const std::vector<Variant>& variants, const std::vector<Session*>& sessions,
                      Metering& metering, const BenchPlan& plan) {
  BenchResult result = start_bench(variants, metering, plan);
  Bench(sessions, metering, result).run();
  return result;
}

}  // namespace eke::cli
