// eke tune: which tactics, threads and clock cost a model least on this machine, by time or by joules.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/energy_objective.h"
#include "cli/energy_report.h"
#include "cli/machine_control.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/provenance.h"
#include "cli/tuned.h"
#include "runtime/session.h"
#include "tune/tune.h"

namespace eke::cli {

namespace {

struct Options {
  std::string model, output, objective = "latency", domain;
  std::vector<int> threads;
  std::vector<double> frequencies_mhz;
  ShapeOptions shapes;
  MeterOptions meters;
  double window_s = 0;
  int rounds = 10;
  bool again = false, json = false;

  bool by_energy() const { return objective == "energy"; }
  std::string file() const { return output.empty() ? model + ".tuning.json" : output; }
};

constexpr double kWindowS = 0.1;

// What the file holds already, or a new start.
Tuning begin_tuning(const Options& options, const Model& model) {
  const std::string file = options.file();
  std::error_code ignored;
  Tuning tuning;
  if (!options.again && std::filesystem::exists(file, ignored)) {
    tuning = open_tuning(file, model);
    check(tuning.objective == options.objective,
          "'{}' was tuned for {}: choose another --output, or --again to replace it", file, tuning.objective);
    return tuning;
  }
  tuning = new_tuning(model);
  tuning.objective = options.objective;
  tuning.unit = options.by_energy() ? "J" : "ms";
  return tuning;
}

std::vector<int> thread_counts(const Options& options) {
  if (!options.threads.empty()) return options.threads;
  std::vector<int> counts = {1};
  if (usable_cores() > 1) counts.push_back(usable_cores());
  return counts;
}

std::vector<Tensor> random_inputs(const Graph& graph) {
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs) inputs.push_back(random_tensor(graph[id].type, 1));
  return inputs;
}

class Tune {
 public:
  Tune(const Options& options, const Model& model, Metering& metering)
      : options_(options),
        graph_(with_context([&] { return "file '" + model.path + "'"; },
                            [&] { return prepare(model.graph, options.shapes); })),
        objective_(options.by_energy()
                       ? energy_objective(metering, options.domain, options.window_s)
                       : latency_objective(options.window_s > 0 ? options.window_s : kWindowS)),
        tuning_(begin_tuning(options, model)) {
    for (const ValueId id : graph_.inputs) check_has_elements(graph_[id].type.shape);
    for (const int count : thread_counts(options)) threads_.push_back(std::make_unique<Threads>(count));
  }

  Tuning run() {
    save();
    for (const auto& threads : threads_) tune_plan_of(*threads);
    choose_setting();
    save();
    return std::move(tuning_);
  }

  std::string inputs() const { return inputs_text(graph_); }

 private:
  void save() const { write_file_atomically(options_.file(), tuning_to_json(tuning_)); }

  TunedPlan& plan_of(int threads) { return tuning_.plan(inputs(), threads); }

  void tune_plan_of(const Threads& threads) {
    std::unique_ptr<Progress> progress;
    TuneOptions how;
    how.rounds = options_.rounds;
    how.window = [&](int done, int total) {
      if (!progress)
        progress = std::make_unique<Progress>(
            fmt::format("windows, {} thread{},", threads.count(), threads.count() == 1 ? "" : "s"), total);
      progress->update(done);
    };
    how.measured = [&] { save(); };
    tune_plan(graph_, random_inputs(graph_), threads, objective_, how, plan_of(threads.count()));
  }

  // All settings in turn, forwards and backwards.
  void choose_setting() {
    std::vector<std::unique_ptr<Session>> sessions;
    std::vector<std::vector<double>> costs;
    tuning_.settings.clear();
    for (const auto& threads : threads_) {
      sessions.push_back(std::make_unique<Session>(
          graph_, *threads, CompileOptions{.choices = plan_of(threads->count()).choices()}));
      sessions.back()->run(random_inputs(graph_));
    }
    std::vector<std::optional<std::int64_t>> clocks;
    for (const double mhz : options_.frequencies_mhz) clocks.push_back(std::llround(mhz * 1000));
    if (clocks.empty()) clocks.push_back(std::nullopt);
    for (const auto& clock : clocks)
      for (const auto& threads : threads_) tuning_.settings.push_back({threads->count(), clock});
    costs.resize(tuning_.settings.size());
    FrequencyControl frequency;
    Progress progress("windows of all settings,", static_cast<std::int64_t>(costs.size()) * options_.rounds);
    for (int round = 0; round < options_.rounds; ++round) {
      for (std::size_t k = 0; k < costs.size(); ++k) {
        const std::size_t i = round % 2 == 0 ? k : costs.size() - 1 - k;
        if (tuning_.settings[i].frequency_khz) frequency.set(*tuning_.settings[i].frequency_khz);
        Session& session = *sessions[i % sessions.size()];
        session.run_again();
        costs[i].push_back(objective_([&] { session.run_again(); }));
        progress.update(round * static_cast<std::int64_t>(costs.size()) + static_cast<std::int64_t>(k) + 1);
      }
    }
    for (std::size_t i = 0; i < costs.size(); ++i) {
      tuning_.settings[i].cost = mean(costs[i]);
      tuning_.settings[i].interval = drifting_mean_interval(costs[i]);
      if (!tuning_.best || tuning_.settings[i].cost < tuning_.settings[*tuning_.best].cost) tuning_.best = i;
    }
  }

  const Options& options_;
  Graph graph_;
  Objective objective_;
  Tuning tuning_;
  std::vector<std::unique_ptr<Threads>> threads_;
};

std::string cost_text(const Tuning& tuning, double cost) {
  return tuning.unit == "J" ? joules_text(cost) : ms_text(cost);
}

std::string interval_text(const PairedRatio& ratio) {
  return fmt::format("{:.3f} ({:.3f} to {:.3f})", ratio.ratio, ratio.interval.low, ratio.interval.high);
}

std::string choice_text(const Choice& choice) {
  return fmt::format("{} {}", choice.tactic, to_string(choice.isa));
}

std::string plan_text(const Tuning& tuning, const TunedPlan& plan) {
  std::string text =
      fmt::format("\n{} thread{}: {} of {} layers that have several ways take another than by rule\n",
                  plan.threads, plan.threads == 1 ? "" : "s", plan.best().size(), plan.layers.size());
  Table table({{"layer", Align::left, 40},
               {"operator", Align::left},
               {"share"},
               {"by rule", Align::left},
               {"tuned", Align::left},
               {"cost / by rule", Align::left}});
  for (const TunedLayer& layer : plan.layers) {
    if (const MeasuredWay* best = layer.best())
      table.add({layer.name, layer.op, fmt::format("{:.1f} %", 100 * layer.share), choice_text(layer.by_rule),
                 choice_text(best->choice), interval_text(best->cost)});
  }
  if (!plan.best().empty()) text += table.text();
  text += fmt::format("an inference: {} by rule", cost_text(tuning, plan.cost_by_rule));
  if (plan.best().empty()) return text + ", and nothing is cheaper\n";
  return text + fmt::format(", tuned / by rule {}{}\n", interval_text(plan.ratio),
                            plan.kept ? "" : "; together they gain nothing, so the rules stay");
}

std::string settings_text(const Tuning& tuning) {
  const bool clocks = tuning.settings[0].frequency_khz.has_value();
  std::vector<Column> columns = {{"threads"}, {"an inference"}, {"95 % +-"}};
  if (clocks) columns.insert(columns.begin() + 1, {"clock"});
  Table table(columns);
  for (const TunedSetting& s : tuning.settings) {
    std::vector<std::string> row = {
        std::to_string(s.threads), cost_text(tuning, s.cost),
        fmt::format("{:.2f} %", 50 * (s.interval.high - s.interval.low) / s.cost)};
    if (clocks) row.insert(row.begin() + 1, fmt::format("{} MHz", *s.frequency_khz / 1000));
    table.add(row);
  }
  const TunedSetting& best = tuning.settings[*tuning.best];
  return "\n" + table.text() +
         fmt::format("best by {}: {} thread{}{}\n", tuning.objective, best.threads,
                     best.threads == 1 ? "" : "s",
                     clocks ? fmt::format(" at {} MHz", *best.frequency_khz / 1000) : "");
}

void report(const Options& options, const Tuning& tuning, const std::string& inputs,
            const std::string& origin) {
  if (options.json) {
    Json json = Json::parse(tuning_to_json(tuning));
    json["file"] = options.file();
    if (!origin.empty()) json["origin"] = origin;
    print_json(with_provenance("tune", std::move(json)));
    return;
  }
  print(fmt::format("{}  {}, by {}{}\n", paint(Colour::bold, printable(options.model)), inputs,
                    tuning.objective, origin.empty() ? "" : " (" + origin + ")"));
  for (const TunedPlan& plan : tuning.plans)
    if (plan.inputs == inputs) print(plan_text(tuning, plan));
  print(settings_text(tuning));
  print(paint(Colour::good, "written") +
        fmt::format(" to '{0}': eke run, eval, bench and info take it as --tuning {0}\n", options.file()));
}

int tune(const Options& options) {
  const Model model = load_model(options.model);
  check(!std::filesystem::is_directory(options.file()), "cannot write '{}': it is a folder", options.file());
  MeterOptions meters = options.meters;
  if (!options.by_energy()) meters.meters = {"none"};
  Metering metering(meters);
  check(!options.by_energy() || metering.active(),
        "--objective energy: no meter is there, and a guess is no measurement; eke meters says why");
  std::string origin;
  if (options.by_energy()) {
    energy::Window window = metering.session().begin("domains");
    const energy::WindowResult result = window.result();
    const energy::DomainEnergy& first = result.domains.at(0);
    origin = fmt::format("{} by {}", to_string(first.domain.origin), first.meter);
  }
  try {
    Tune work(options, model, metering);
    const Tuning tuning = work.run();
    report(options, tuning, work.inputs(), origin);
  } catch (const Interrupted&) {
    std::fprintf(stderr, "what was measured is kept in '%s': the same command goes on from there\n",
                 printable(options.file()).c_str());
    throw;
  }
  return kGood;
}

}  // namespace

void add_tune(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command =
      app.add_subcommand("tune", "Choose tactics, threads and clock by what they cost on this machine");
  command->add_option("model", options->model, "ONNX file")->required()->type_name("MODEL");
  command->add_option("-o,--output", options->output, "the tuning (default: MODEL.tuning.json)")
      ->type_name("FILE");
  command->add_option("--objective", options->objective, "what is to be least: latency or energy")
      ->check(one_of({"latency", "energy"}))
      ->capture_default_str();
  command
      ->add_option("--threads", options->threads,
                   "thread counts to tune for and to compare (default: 1 and all cores of this process)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(between(1, 1024));
  command
      ->add_option("--freq", options->frequencies_mhz,
                   "clocks in MHz to compare, where cpufreq may be written (default: as it is)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(between(1.0, 100000.0));
  command->add_option("--batch", options->shapes.batch, "where the model leaves it open")
      ->check(between(1, 65536))
      ->capture_default_str();
  command
      ->add_option("--window", options->window_s,
                   "seconds of a window (default: 0.1; by energy 1, or 100 refreshes of the meter)")
      ->check(between(0.001, 3600.0));
  command->add_option("--rounds", options->rounds, "windows of each in a comparison")
      ->check(between(3, 1000))
      ->capture_default_str();
  declare_meters(*command, options->meters);
  command->add_option("--domain", options->domain, "by energy: of this domain, where a meter has no total")
      ->type_name("NAME");
  command->add_flag("--again", options->again, "measure anew what the file holds already");
  command->add_flag("--json", options->json, "print the result as JSON");
  declare_shapes(*command, options->shapes);
  command->footer(
      "Each layer is measured in its place: inferences by rule and with other tactics alternate A B B A. A "
      "layer\n"
      "changes only for one that is cheaper beyond its 95 % interval, and all of them together have to be "
      "cheaper "
      "too.\n"
      "Integer results stay equal to the bit. After Ctrl-C the same command goes on where it stopped.\n"
      "Examples:\n"
      "  eke tune model.int8.onnx\n"
      "  eke tune model.onnx --threads 1,2,4 --objective energy --meter rapl -o joules.json\n"
      "  eke bench model.int8.onnx --tuning model.int8.onnx.tuning.json");
  command->callback([options, &action] { action = [options] { return tune(*options); }; });
}

}  // namespace eke::cli
