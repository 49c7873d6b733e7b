// The measurement of eke bench: variants whose windows alternate (A B B A), after a warm-up to a plateau, until the 95 %
// interval of what is measured is narrow enough or the time is over.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/isa.h"
#include "base/statistics.h"
#include "cli/energy_report.h"
#include "energy/machine.h"
#include "runtime/session.h"

namespace eke::cli {

// A model with the settings that it runs under.
struct Variant {
  std::string model;
  std::string backend = "cpu";  // or "tensorrt-gpu" or "dla": measured by trtexec
  int threads = 1;
  std::int64_t batch = 1;
  std::optional<Isa> isa;
  std::optional<std::int64_t> frequency_khz;
  std::optional<int> power_mode;
  bool tuned = false;  // with the tactics of a tuning
  Floats floats = Floats::f32;
};

struct BenchPlan {
  int runs = 0;               // of each variant; 0: as many as the windows take
  std::optional<int> warmup;  // runs; none: until a plateau
  double window_s = 0;        // 0: a fifth of a second; with a meter ten seconds, or a hundred refreshes
  double limit_s = 0;         // of each variant; 0: ten seconds; with a meter two minutes
  double precision = 0.01;    // half of the interval over the mean
};

struct BenchWindow {
  int round = 0;
  double seconds = 0;
  std::vector<double> ms;              // of each run
  std::vector<std::size_t> disturbed;  // the runs in which the system took a core away for something else
  std::optional<energy::WindowResult> gross, net;
  energy::MachineState machine;
};

struct VariantResult {
  Variant variant;
  double first_run_ms = 0;
  int warmup_runs = 0;
  bool plateau = true;  // the warm-up ended because nothing changed any more
  std::vector<BenchWindow> windows;
};

struct BenchResult {
  BenchPlan plan;  // as carried out
  std::vector<VariantResult> variants;
  std::optional<energy::WindowResult> idle_before, idle_after;
  std::vector<energy::SamplerCost> samplers;
  std::string no_meter;  // why, where there is none
  bool sampled =
      true;  // more windows would not narrow the intervals below the precision: the means are known
  bool precise = true;  // the intervals are as narrow as the precision
};

// The parts of a measurement that do not depend on what runs. A result without windows, its plan filled in:
BenchResult start_bench(const std::vector<Variant>& variants, Metering& metering, const BenchPlan& plan);
// Runs `measure`, with a meter between two measurements of the idle machine, which it takes off all windows.
void between_idles(BenchResult& result, Metering& metering, const std::function<void()>& measure);

// One session a variant; `metering` may be without meters.
BenchResult run_bench(const std::vector<Variant>& variants, const std::vector<Session*>& sessions,
                      Metering& metering, const BenchPlan& plan);

// Energy of an inference (one image of a batch) in one domain or in the total, a value a window.
struct EnergyFigure {
  std::string name;  // "total", or the domain
  energy::Boundary boundary = energy::Boundary::package;
  energy::Origin origin = energy::Origin::measured;
  std::string meter, formula;
  std::vector<double> gross_j, net_j;  // a window each; empty: `why_not`
  double bound_j = 0;                  // of the meter, the mean over the windows
  double mean_w = 0, peak_w = 0;
  std::string why_not;
};

struct Summary {
  // The median of the undisturbed runs of each window; of all its runs where fewer than a tenth are undisturbed.
  std::vector<double> window_ms;
  double ms = 0;           // their mean
  Interval sampling;       // of it, drift considered
  double unsteady_ms = 0;  // from the tenth percentile of such runs to their median, mean of the windows
  Interval interval;       // `sampling` and `unsteady_ms` together: where another measurement finds it
  double p50 = 0, p90 = 0, p99 = 0;  // of all runs
  std::size_t runs = 0, disturbed = 0;
  double images_per_s = 0;
  std::vector<EnergyFigure> energy;  // the total first where there is one, then the domains
  // The total, or nothing.
  const EnergyFigure* total() const noexcept;
};
Summary summarize(const VariantResult& result);

// Whole rounds A B B A are enough, or another pair of them does not fit into the time.
bool rounds_are_done(const BenchResult& result, bool metered, int rounds, double spent_s, double limit_s);
// Sets what the result says of its precision.
void note_precision(BenchResult& result);

// The variant against the first one, round by round: time and gross energy of an inference.
struct Comparison {
  PairedRatio time;
  std::optional<PairedRatio> energy;
};
Comparison compare(const VariantResult& first, const VariantResult& other);

}  // namespace eke::cli
