// eke bench: latency of one model, or of several whose runs alternate.
#include <fmt/format.h>

#include <memory>

#include "base/isa.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/timing.h"

namespace eke::cli {

namespace {

struct Options {
  std::vector<std::string> models;
  CommonOptions common;
  ShapeOptions shapes;
  int warmup = 10, runs = 100;
  bool layers = false;
};

struct LayerTime {
  const StepInfo* step;
  double ms;
};

// Mean time of each step over `runs` runs with the input of the last run.
std::vector<LayerTime> time_layers(Session& session, int runs) {
  const std::vector<StepInfo>& steps = session.plan().steps();
  std::vector<std::int64_t> ns(steps.size());
  for (int i = 0; i < runs; ++i) {
    throw_if_interrupted();
    session.run_again(ns);
  }
  std::vector<LayerTime> times;
  for (std::size_t i = 0; i < steps.size(); ++i)
    times.push_back({&steps[i], static_cast<double>(ns[i]) / 1e6 / runs});
  return times;
}

std::string layer_table(const std::vector<LayerTime>& layers) {
  double total = 0;
  for (const LayerTime& layer : layers) total += layer.ms;
  Table table({{"layer", Align::left, 40},
               {"operator", Align::left},
               {"mean"},
               {"share"},
               {"GMAC/s"},
               {"tactic", Align::left}});
  for (const LayerTime& layer : layers) {
    const double rate = layer.ms > 0 ? static_cast<double>(layer.step->cost.macs) / layer.ms / 1e6 : 0;
    table.add({layer.step->name, layer.step->op, ms_text(layer.ms),
               fmt::format("{:.1f} %", 100 * layer.ms / std::max(total, 1e-9)),
               layer.step->cost.macs > 0 ? fmt::format("{:.1f}", rate) : "", layer.step->tactic});
  }
  return table.text();
}

Json layers_json(const std::vector<LayerTime>& layers) {
  Json json = Json::array();
  for (const LayerTime& layer : layers) {
    json.push_back({{"name", layer.step->name},
                    {"operator", layer.step->op},
                    {"tactic", layer.step->tactic},
                    {"mean_ms", layer.ms},
                    {"macs", layer.step->cost.macs}});
  }
  return json;
}

Json report_json(const Options& options, const Timing& timing,
                 std::vector<std::unique_ptr<Session>>& sessions) {
  Json json{{"isa", to_string(selected_isa())},
            {"threads", thread_count(options.common)},
            {"runs", timing.runs},
            {"warmup", timing.warmup},
            {"interleaved", sessions.size() > 1},
            {"models", Json::array()}};
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    Json model{{"model", options.models[i]},
               {"batch", sessions[i]->batch()},
               {"ms", to_json(timing.ms[i])},
               {"first_run_ms", timing.first_run_ms[i]}};
    if (i > 0) model["time_over_first"] = to_json(timing.ratio[i]);
    if (options.layers) model["layers"] = layers_json(time_layers(*sessions[i], options.runs));
    json["models"].push_back(std::move(model));
  }
  return json;
}

void report_text(const Options& options, const Timing& timing,
                 std::vector<std::unique_ptr<Session>>& sessions) {
  print(fmt::format("{} runs{} after {} warm-up, {} thread{}, {}\n", timing.runs,
                    sessions.size() > 1 ? " each, interleaved," : "", timing.warmup,
                    thread_count(options.common), thread_count(options.common) == 1 ? "" : "s",
                    to_string(selected_isa())));
  Table table({{"model", Align::left, 60},
               {"batch"},
               {"median"},
               {"p10"},
               {"p90"},
               {"first run"},
               {"time / first model"}});
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    const Spread& ms = timing.ms[i];
    const Spread& ratio = timing.ratio[i];
    table.add({options.models[i], std::to_string(sessions[i]->batch()), ms_text(ms.median), ms_text(ms.p10),
               ms_text(ms.p90), ms_text(timing.first_run_ms[i]),
               i == 0 ? "" : fmt::format("{:.3f} ({:.3f} to {:.3f})", ratio.median, ratio.p10, ratio.p90)});
  }
  print(table.text());
  if (!options.layers) return;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    print(fmt::format("\n{}\n{}", options.models[i], layer_table(time_layers(*sessions[i], options.runs))));
  }
}

int bench(const Options& options) {
  const Threads threads(thread_count(options.common));
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<Session*> all;
  for (const std::string& path : options.models) {
    with_context([&] { return "file '" + path + "'"; },
                 [&] {
                   sessions.push_back(
                       std::make_unique<Session>(prepare(load_model(path).graph, options.shapes), threads));
                 });
    all.push_back(sessions.back().get());
  }
  const Timing timing = measure(all, options.warmup, options.runs);
  if (options.common.json) {
    print_json(report_json(options, timing, sessions));
  } else {
    report_text(options, timing, sessions);
  }
  return kGood;
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("bench", "Measure the latency of a model, or of several, interleaved");
  command->add_option("models", options->models, "ONNX files")->required()->type_name("MODEL...");
  command->add_option("--runs", options->runs, "measured runs")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--warmup", options->warmup, "runs before them")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  command->add_option("--batch", options->shapes.batch, "where the model leaves it open")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command->add_flag("--layers", options->layers, "time each layer too");
  options->common.threads = 1;
  declare_common(*command, options->common, "1");
  declare_shapes(*command, options->shapes);
  command->footer(
      "Examples:\n"
      "  eke bench model.onnx --runs 200 --layers\n"
      "  eke bench model.onnx model.int8.onnx --threads 2 --json");
  command->callback([options, &action] { action = [options] { return bench(*options); }; });
}

}  // namespace eke::cli
