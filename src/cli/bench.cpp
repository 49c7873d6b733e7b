// eke bench: time and energy of a model, or of several models or settings whose windows alternate.
#include "cli/bench_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/bench_report.h"
#include "cli/bench_trtexec.h"
#include "cli/command.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/peak.h"
#include "cli/progress.h"
#include "cli/provenance.h"
#include "cli/timing.h"
#include "cli/tuned.h"
#include "runtime/session.h"

namespace eke::cli {

namespace {

struct Options {
  std::vector<std::string> models;
  std::string tuning;
  std::vector<int> threads = {1};
  std::vector<std::int64_t> batches = {1};
  std::vector<std::string> isas;
  std::vector<std::string> precisions = {"f32"};
  std::vector<double> frequencies_mhz;
  std::vector<int> power_modes;
  ShapeOptions shapes;
  MeterOptions meters;
  int runs = 0;
  std::optional<int> warmup;
  double window_s = 0, limit_s = 0, interval_percent = 1;
  bool layers = false, json = false, csv = false;
  std::string engine = "eke";
  TrtexecBench trtexec;  // with --engine trtexec
};

// Times of a step over many runs: the least says what it can do, the median what it does here and now.
struct LayerTime {
  const StepInfo* step;
  double least_ms, median_ms;
  double peak;  // multiply-adds a ns of all threads, of the step's own kind of arithmetic

  double rate() const { return static_cast<double>(step->cost.macs) / least_ms / 1e6; }  // GMAC/s
  double share_of_peak() const { return rate() / peak; }
  double traffic() const { return static_cast<double>(step->cost.bytes) / least_ms / 1e6; }  // GB/s
};

// With the input of the last run, each layer in its place, so that caches are as the network leaves them.
std::vector<LayerTime> time_layers(Session& session, int runs, const Variant& variant) {
  const std::vector<StepInfo>& steps = session.plan().steps();
  std::vector<std::vector<double>> ms(steps.size());
  for (int i = 0; i < runs; ++i) {
    throw_if_interrupted();
    std::vector<std::int64_t> ns(steps.size());
    session.run_again(ns);
    for (std::size_t s = 0; s < steps.size(); ++s) ms[s].push_back(static_cast<double>(ns[s]) / 1e6);
  }
  const Peak peak = measure_peak(variant.isa ? *variant.isa : selected_isa());
  std::vector<LayerTime> times;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto is = [&](std::string_view kind) { return steps[i].tactic.find(kind) != std::string::npos; };
    const double rate = is("u8")          ? peak.u8_macs_per_ns
                        : is("gemm_bf16") ? peak.bf16_macs_per_ns
                                          : peak.f32_macs_per_ns;
    constexpr double kLeast = 1e-6;  // of the clock
    times.push_back({&steps[i], std::max(*std::min_element(ms[i].begin(), ms[i].end()), kLeast),
                     std::max(spread_of(ms[i]).median, kLeast), variant.threads * rate});
  }
  return times;
}

std::string layer_table(const std::vector<LayerTime>& layers) {
  double total = 0;
  for (const LayerTime& layer : layers) total += layer.least_ms;
  Table table({{"layer", Align::left, 40},
               {"operator", Align::left},
               {"least"},
               {"median"},
               {"share"},
               {"GMAC/s"},
               {"of peak"},
               {"GB/s"},
               {"tactic", Align::left}});
  for (const LayerTime& layer : layers) {
    const bool multiplies = layer.step->cost.macs > 0;
    table.add({layer.step->name, layer.step->op, ms_text(layer.least_ms), ms_text(layer.median_ms),
               fmt::format("{:.1f} %", 100 * layer.least_ms / total),
               multiplies ? fmt::format("{:.1f}", layer.rate()) : "",
               multiplies ? fmt::format("{:.0f} %", 100 * layer.share_of_peak()) : "",
               layer.step->cost.bytes > 0 ? fmt::format("{:.1f}", layer.traffic()) : "", layer.step->tactic});
  }
  return table.text() + fmt::format("sum of the least times: {}\n", ms_text(total));
}

Json layers_json(const std::vector<LayerTime>& layers) {
  Json json = Json::array();
  for (const LayerTime& layer : layers) {
    json.push_back({{"name", layer.step->name},
                    {"operator", layer.step->op},
                    {"precision", to_string(layer.step->type.dtype)},
                    {"tactic", layer.step->tactic},
                    {"least_ms", layer.least_ms},
                    {"median_ms", layer.median_ms},
                    {"macs", layer.step->cost.macs},
                    {"bytes", layer.step->cost.bytes},
                    {"peak_gmac_per_s", layer.peak}});
  }
  return json;
}

Isa parse_tier(const std::string& name) {
  const std::optional<Isa> isa = parse_isa(name);
  const std::span<const Isa> supported = supported_isas();
  if (isa && std::find(supported.begin(), supported.end(), *isa) != supported.end()) return *isa;
  std::string names;
  for (Isa tier : supported) names += (names.empty() ? "" : ", ") + std::string(to_string(tier));
  throw UsageError(fmt::format("--isa {}: this machine and build have {}", name, names));
}

// Every value of a setting that was not swept is one "as it is".
template <class T, class U, class Convert>
std::vector<std::optional<T>> swept(const std::vector<U>& values, Convert convert) {
  std::vector<std::optional<T>> all;
  for (const U& value : values) all.push_back(convert(value));
  if (all.empty()) all.push_back(std::nullopt);
  return all;
}

std::vector<Variant> variants_of(const Options& options) {
  const auto isas = swept<Isa>(options.isas, parse_tier);
  const auto clocks = swept<std::int64_t>(
      options.frequencies_mhz, [](double mhz) { return static_cast<std::int64_t>(mhz * 1000 + 0.5); });
  const auto modes = swept<int>(options.power_modes, [](int mode) { return mode; });
  std::vector<Variant> variants;
  for (const std::string& model : options.models) {
    for (int threads : options.threads) {
      for (std::int64_t batch : options.batches) {
        for (const auto& isa : isas) {
          for (const auto& clock : clocks) {
            for (const auto& mode : modes) {
              for (const std::string& precision : options.precisions)
                variants.push_back(
                    {model, "cpu", threads, batch, isa, clock, mode, false, floats_of(precision)});
              if (!options.tuning.empty())
                variants.push_back({model, "cpu", threads, batch, isa, clock, mode, true});
            }
          }
        }
      }
    }
  }
  return variants;
}

// Sessions of all variants, and the threads that they run on, one pool a count.
struct Prepared {
  std::map<int, std::unique_ptr<Threads>> threads;
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<Session*> all;
};

Prepared prepare_all(const Options& options, std::vector<Variant>& variants) {
  Prepared prepared;
  std::map<std::string, Model> models;
  for (Variant& variant : variants) {
    if (!models.contains(variant.model)) models.emplace(variant.model, load_model(variant.model));
    with_context(
        [&] { return "file '" + variant.model + "'"; },
        [&] {
          std::unique_ptr<Threads>& threads = prepared.threads[variant.threads];
          if (!threads) threads = std::make_unique<Threads>(variant.threads);
          ShapeOptions shapes = options.shapes;
          shapes.batch = variant.batch;
          const Model& model = models.at(variant.model);
          const Graph graph = prepare(model.graph, shapes);
          CompileOptions how =
              TunedModel(variant.tuned ? options.tuning : "", model).compile_options(graph, variant.threads);
          how.isa = variant.isa;
          how.floats = variant.floats;
          prepared.sessions.push_back(std::make_unique<Session>(graph, *threads, how));
          variant.batch = prepared.sessions.back()->batch();  // the model may fix it
        });
    prepared.all.push_back(prepared.sessions.back().get());
  }
  return prepared;
}

constexpr int kLayerRuns = 50;

BenchPlan plan_of(const Options& options) {
  return {options.runs, options.warmup, options.window_s, options.limit_s, options.interval_percent / 100};
}

int bench_with_trtexec(const Options& options) {
  if (options.threads != std::vector<int>{1} || !options.isas.empty() || !options.frequencies_mhz.empty() ||
      options.precisions != std::vector<std::string>{"f32"})
    throw UsageError(
        "--threads, --isa, --precision and --freq are of the processor; with --engine trtexec there are "
        "--device, "
        "--dla-core and --power-mode");
  TrtexecBench bench = options.trtexec;
  bench.models = options.models;
  bench.batches = options.batches;
  bench.power_modes = options.power_modes;
  bench.shapes = options.shapes;
  bench.meters = options.meters;
  bench.plan = plan_of(options);
  bench.layers = options.layers;
  bench.json = options.json;
  bench.csv = options.csv;
  return bench_trtexec(bench);
}

// Whether the user said what concerns trtexec alone.
bool speaks_of_trtexec(const TrtexecBench& bench) {
  const TrtexecOptions& t = bench.trtexec;
  return t.devices != TrtexecOptions{}.devices || t.dla_core != 0 || t.no_fallback || !t.program.empty() ||
         !t.tensorrt.empty() || !t.cache.empty() || !t.keep.empty() || !bench.data.empty() ||
         bench.limit != 0;
}

int bench(const Options& options) {
  if (!options.tuning.empty() && options.models.size() != 1)
    throw UsageError("--tuning belongs to one model: give no other");
  if (options.engine == "trtexec") return bench_with_trtexec(options);
  if (speaks_of_trtexec(options.trtexec))
    throw UsageError(
        "--device, --tensorrt, --dla-core, --no-fallback, --cache, --trtexec, --keep, --data and --images "
        "belong to --engine trtexec; accuracy of a model here is what eke eval measures");
  std::vector<Variant> variants = variants_of(options);
  const Prepared prepared = prepare_all(options, variants);
  Metering metering(options.meters);
  const BenchResult result = run_bench(variants, prepared.all, metering, plan_of(options));
  const int layer_runs = options.runs > 0 ? options.runs : kLayerRuns;
  if (options.json) {
    Json json = bench_json(result);
    for (std::size_t i = 0; options.layers && i < variants.size(); ++i) {
      json["models"][i]["layer_runs"] = layer_runs;
      json["models"][i]["layers"] = layers_json(time_layers(*prepared.all[i], layer_runs, variants[i]));
    }
    print_json(with_provenance("bench", std::move(json)));
    return kGood;
  }
  print(options.csv ? bench_csv(result) : bench_text(result));
  for (std::size_t i = 0; options.layers && !options.csv && i < variants.size(); ++i)
    print(fmt::format("\n{}\n{}", variants[i].model,
                      layer_table(time_layers(*prepared.all[i], layer_runs, variants[i]))));
  return kGood;
}

void declare_sweeps(App& command, Options& options) {
  const std::string group = "Settings, each one value or several with commas, which are compared";
  command.add_option("--threads", options.threads, "threads to use")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(between(1, 1024))
      ->group(group)
      ->capture_default_str();
  command.add_option("--batch", options.batches, "where the model leaves it open")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(between(1, 65536))
      ->group(group)
      ->capture_default_str();
  command.add_option("--isa", options.isas, "instruction-set tier (default: the best)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(group);
  command
      .add_option("--precision", options.precisions,
                  "factors of float convolutions and matrix products: f32, or bf16 with sums in float32")
      ->type_name("f32|bf16")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(one_of({"f32", "bf16"}))
      ->group(group);
  command
      .add_option("--freq", options.frequencies_mhz,
                  "clock of all cores in MHz, where cpufreq may be written")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(between(1.0, 100000.0))
      ->group(group);
  command.add_option("--power-mode", options.power_modes, "nvpmodel mode of a Jetson")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(between(0, 1000))
      ->group(group);
}

void declare_duration(App& command, Options& options) {
  const std::string group = "How long it measures";
  command
      .add_option("--runs", options.runs, "runs of each, and no more (default: until the interval is narrow)")
      ->check(between(1, 1000000))
      ->group(group);
  command.add_option("--warmup", options.warmup, "runs before them (default: until a plateau)")
      ->check(between(0, 1000000))
      ->group(group);
  command
      .add_option("--window", options.window_s,
                  "seconds of a window (default: 0.2; with a meter 10, or 100 of its refreshes)")
      ->check(between(0.001, 3600.0))
      ->group(group);
  command.add_option("--limit", options.limit_s, "seconds of each at most (default: 10; with a meter 120)")
      ->check(between(0.01, 86400.0))
      ->group(group);
  command
      .add_option("--interval", options.interval_percent,
                  "half of the 95 % interval that is wanted, in percent")
      ->check(between(0.001, 100.0))
      ->group(group)
      ->capture_default_str();
}

void declare_scoring(App& command, TrtexecBench& options) {
  const std::string group = "With --engine trtexec";
  command.add_option("--data", options.data, "labelled images or pairs, to score the engine on")
      ->type_name("DATA")
      ->group(group);
  command.add_option("--images", options.limit, "of them at most (0: all); each batch is a run of trtexec")
      ->check(between(0, 100000000))
      ->group(group)
      ->capture_default_str();
  command.add_option("--class-offset", options.class_offset, "output index of class 0")
      ->check(between(0, 100000))
      ->group(group)
      ->capture_default_str();
  declare_preprocess(command, options.preprocess);
}

}  // namespace

void add_bench(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command =
      app.add_subcommand("bench", "Measure time and energy of a model, or compare models and settings");
  command->add_option("models", options->models, "ONNX files")->required()->type_name("MODEL...");
  declare_sweeps(*command, *options);
  declare_duration(*command, *options);
  command
      ->add_option("--tuning", options->tuning,
                   "compare with the tactics that eke tune found for the model on this machine")
      ->type_name("FILE")
      ->excludes(command->get_option("--isa"))
      ->excludes(command->get_option("--precision"));
  declare_meters(*command, options->meters);
  command
      ->add_option("--engine", options->engine, "what runs the models: eke, or trtexec of NVIDIA's TensorRT")
      ->check(one_of({"eke", "trtexec"}))
      ->capture_default_str();
  declare_trtexec(*command, options->trtexec.trtexec);
  declare_scoring(*command, options->trtexec);
  command->add_flag("--layers", options->layers, "time each layer too");
  Option* json = command->add_flag("--json", options->json, "print the result as JSON, with every run");
  command->add_flag("--csv", options->csv, "print the result as CSV, a line each")->excludes(json);
  declare_shapes(*command, options->shapes);
  command->footer(
      "Windows of all models and settings alternate A B B A. Latency is the mean of the windows' medians "
      "with its 95 %\n"
      "interval; energies are per image, with and without what the idle machine takes; a verdict needs an "
      "interval that\n"
      "leaves out 1.\n"
      "Examples:\n"
      "  eke bench model.onnx --runs 200 --layers\n"
      "  eke bench model.onnx model.int8.onnx --threads 1,2 --json\n"
      "  eke bench model.onnx --precision f32,bf16\n"
      "  eke bench model.int8.onnx --tuning model.int8.onnx.tuning.json\n"
      "  eke bench model.int8.onnx --meter ina3221 --power-mode 0,2 --csv\n"
      "  eke bench model.int8.onnx --engine trtexec --tensorrt 8.6 --device gpu,dla --meter ina3221");
  command->callback([options, &action] { action = [options] { return bench(*options); }; });
}

}  // namespace eke::cli
