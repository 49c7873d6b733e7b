#include "cli/bench_trtexec.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/file.h"
#include "cli/bench_report.h"
#include "cli/command.h"
#include "cli/machine_control.h"
#include "cli/model_file.h"
#include "cli/progress.h"
#include "cli/provenance.h"
#include "data/dataset.h"

namespace eke::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostTimes = std::size_t{1} << 28;
constexpr int kFixedWindows = 10;
constexpr double kLeastWindowS = 1;  // of a program that has to start for it

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Engines in the order of the variants.
class TrtexecRounds {
 public:
  TrtexecRounds(const Trtexec& trtexec, const std::vector<BuiltEngine>& engines, Metering& metering,
                BenchResult& result)
      : trtexec_(trtexec), engines_(engines), metering_(metering), result_(result) {}

  void run() {
    between_idles(result_, metering_, [&] {
      for (std::size_t i = 0; i < engines_.size(); ++i) warm_up(i);
      rounds();
    });
  }

 private:
  TrtexecRun settings(std::size_t i, int runs) const {
    TrtexecRun run;
    run.engine = (engines_[i].folder / "engine").string();
    run.times = (engines_[i].folder / "times.json").string();
    run.dla_core = engines_[i].dla_core;
    run.duration_s = runs > 0 ? 0 : result_.plan.window_s;
    run.iterations = std::max(runs, 1);
    return run;
  }

  // Clocks and caches rise with the first run, whose times are not counted.
  void warm_up(std::size_t i) {
    const BenchWindow window = measure(i, 0, result_.plan.warmup.value_or(0));
    result_.variants[i].first_run_ms = window.ms.front();
    result_.variants[i].warmup_runs = static_cast<int>(window.ms.size());
  }

  void rounds() {
    const BenchPlan& plan = result_.plan;
    const int fixed = plan.runs > 0 ? std::min(plan.runs, kFixedWindows) : 0;
    const double limit_s = plan.limit_s * static_cast<double>(engines_.size());
    Progress progress("measuring", fixed > 0 ? fixed : static_cast<std::int64_t>(limit_s * 1e3));
    const auto begin = Clock::now();
    for (int round = 0;; ++round) {
      for (std::size_t k = 0; k < engines_.size(); ++k) {
        const std::size_t i = round % 2 == 0 ? k : engines_.size() - 1 - k;
        const int runs = fixed > 0 ? plan.runs * (round + 1) / fixed - plan.runs * round / fixed : 0;
        result_.variants[i].windows.push_back(measure(i, round, runs));
      }
      if (fixed > 0)
        progress.update(round + 1);
      else
        progress.update(static_cast<std::int64_t>(1e3 * std::min(seconds_since(begin), limit_s)));
      if (fixed > 0 ? round + 1 == fixed
                    : rounds_are_done(result_, metering_.active(), round + 1, seconds_since(begin), limit_s))
        break;
    }
    note_precision(result_);
  }

  BenchWindow measure(std::size_t i, int round, int runs) {
    if (const auto mode = result_.variants[i].variant.power_mode) power_mode_.set(*mode);
    BenchWindow window;
    window.round = round;
    const TrtexecRun run = settings(i, runs);
    std::optional<energy::Window> metered;
    Clock::time_point begin = Clock::now(), end = begin;
    const auto finish = [&] {
      end = Clock::now();
      if (metered) window.gross = metered->result();
      metered.reset();
    };
    bool began = false, ended = false;
    trtexec_.run(trtexec_run(run, trtexec_.version()), [&](std::string_view line) {
      if (!began && begins_inference(line)) {
        began = true;
        begin = Clock::now();
        metered = metering_.begin("trtexec");
      } else if (began && !ended && ends_inference(line)) {
        ended = true;
        finish();
      }
    });
    check(ended,
          "trtexec said neither when inference began nor when it ended, so that no energy belongs to it");
    window.seconds = std::chrono::duration<double>(end - begin).count();
    window.ms = parse_trtexec_times(read_file(run.times, kMostTimes)).latency_ms;
    window.machine = read_machine(host_);
    return window;
  }

  const Trtexec& trtexec_;
  const std::vector<BuiltEngine>& engines_;
  Metering& metering_;
  BenchResult& result_;
  energy::RealHost host_;
  PowerModeControl power_mode_;
};

struct Work {
  std::vector<Variant> variants;
  std::vector<BuiltEngine> engines;
};

Work build_all(const Trtexec& trtexec, const TrtexecBench& options) {
  Work work;
  std::vector<std::optional<int>> modes(options.power_modes.begin(), options.power_modes.end());
  if (modes.empty()) modes.emplace_back();
  for (const std::string& model : options.models) {
    for (const std::int64_t batch : options.batches) {
      for (const std::string& device : options.trtexec.devices) {
        ShapeOptions shapes = options.shapes;
        shapes.batch = batch;
        const BuiltEngine engine =
            build_engine(trtexec, model, device, shapes, static_cast<int>(work.engines.size()));
        for (const auto& mode : modes) {
          Variant variant;
          variant.model = model;
          variant.backend = engine.backend;
          variant.batch = engine.batch;
          variant.power_mode = mode;
          work.variants.push_back(std::move(variant));
          work.engines.push_back(engine);
        }
      }
    }
  }
  return work;
}

// The rail of a Jetson that feeds its DLAs: CV, by itself or with others (facts of the boards are in docs/jetson.md).
std::string dla_rail(const Summary& summary) {
  for (const EnergyFigure& figure : summary.energy)
    if (figure.name == "CV" || figure.name.ends_with("_CV")) return figure.name;
  return "";
}

Json layers_json(const EngineProfile& profile) {
  Json json = Json::array();
  for (const TrtexecLayerTime& layer : profile.times.layers) {
    const auto known = std::ranges::find_if(profile.layers.layers,
                                            [&](const TrtexecLayer& l) { return l.name == layer.name; });
    const bool found = known != profile.layers.layers.end();
    json.push_back({{"name", layer.name},
                    {"operator", found ? known->type : ""},
                    {"tactic", found ? known->tactic : ""},
                    {"average_ms", layer.average_ms},
                    {"median_ms", layer.median_ms ? Json(*layer.median_ms) : Json(nullptr)}});
  }
  return json;
}

std::string layers_text(const EngineProfile& profile) {
  Table table({{"layer", Align::left, 60}, {"average"}, {"median"}});
  for (const TrtexecLayerTime& layer : profile.times.layers)
    table.add({layer.name, ms_text(layer.average_ms), layer.median_ms ? ms_text(*layer.median_ms) : "-"});
  return table.text() + fmt::format("of {} runs of their own\n", profile.times.runs);
}

// Wrong data is said before the long work begins.
Dataset open_scored(const TrtexecBench& options, const std::vector<std::string>& labels) {
  const Dataset all = open_dataset(options.data, {labels, "test"});
  check(all.has_labels() || !all.pairs().empty(),
        "data '{}' has neither labels nor pairs, so there is no accuracy", options.data);
  const auto limit = static_cast<std::size_t>(options.limit);
  return limit > 0 && all.size() > limit ? all.split(limit).chosen : all;
}

std::vector<Scores> score_all(const Trtexec& trtexec, const Work& work, const TrtexecBench& options,
                              std::vector<std::string>& labels) {
  std::vector<Scores> scores;
  for (const BuiltEngine& engine : work.engines) {
    check(!engine.input.empty(), "'{}' is an engine: its inputs are not known; give the ONNX file",
          engine.model);
    const Graph graph = load_model(engine.model).graph;
    const Preprocess preprocess = resolve_preprocess(options.preprocess, graph);
    labels = resolve_labels(options.preprocess, graph);
    const Dataset data = open_scored(options, labels);
    if (labels.empty()) labels = data.classes();
    const Threads threads(1);
    scores.push_back(score_engine(trtexec, engine, data, preprocess, threads, options.class_offset));
  }
  return scores;
}

Json result_json(const BenchResult& result, const Trtexec& trtexec, const Work& work,
                 const std::vector<Scores>& scores, const TrtexecBench& options) {
  Json json = bench_json(result);
  json["engine"] = "trtexec";
  for (std::size_t i = 0; i < work.engines.size(); ++i) {
    Json& model = json["models"][i];
    model["engine"] = engine_json(trtexec, work.engines[i]);
    if (work.engines[i].dla_core) {
      const std::string rail = dla_rail(summarize(result.variants[i]));
      model["engine"]["dla_rail"] = rail.empty() ? Json(nullptr) : Json(rail);
    }
    if (!scores.empty()) model["accuracy"] = to_json(scores[i]);
    if (options.layers) model["layers"] = layers_json(profile_engine(trtexec, work.engines[i]));
  }
  return json;
}

std::string result_text(const BenchResult& result, const Trtexec& trtexec, const Work& work,
                        const std::vector<Scores>& scores, const std::vector<std::string>& labels,
                        const TrtexecBench& options) {
  std::string text = bench_text(result) + "\n";
  for (std::size_t i = 0; i < work.engines.size(); ++i) {
    text += engine_text(work.engines[i]);
    const std::string rail = work.engines[i].dla_core ? dla_rail(summarize(result.variants[i])) : "";
    if (!rail.empty())
      text += fmt::format("  the DLA draws from the rail {}, with whatever else is on it\n", rail);
    if (!scores.empty()) text += scores_text(scores[i], labels);
    if (options.layers) text += layers_text(profile_engine(trtexec, work.engines[i]));
  }
  return text;
}

}  // namespace

int bench_trtexec(const TrtexecBench& options) {
  if (!options.data.empty()) open_scored(options, {});
  const Trtexec trtexec(options.trtexec);
  const Work work = build_all(trtexec, options);
  Metering metering(options.meters);
  BenchPlan plan = options.plan;
  BenchResult result = start_bench(work.variants, metering, plan);
  if (plan.window_s <= 0) result.plan.window_s = std::max(result.plan.window_s, kLeastWindowS);
  TrtexecRounds(trtexec, work.engines, metering, result).run();
  std::vector<std::string> labels;
  const std::vector<Scores> scores =
      options.data.empty() ? std::vector<Scores>() : score_all(trtexec, work, options, labels);
  if (options.json)
    print_json(with_provenance("bench", result_json(result, trtexec, work, scores, options)));
  else
    print(options.csv ? bench_csv(result) : result_text(result, trtexec, work, scores, labels, options));
  return kGood;
}

}  // namespace eke::cli
