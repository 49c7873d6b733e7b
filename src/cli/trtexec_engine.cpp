#include "cli/trtexec_engine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "base/file.h"
#include "cli/accelerator.h"
#include "cli/process.h"
#include "cli/progress.h"
#include "cli/simulation.h"
#include "onnx/onnx.h"

namespace eke::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFile = std::size_t{1} << 28;
constexpr const char* kWhere = "/usr/src/tensorrt/bin/trtexec";
constexpr double kProfileS = 1;

std::string locate(const std::string& asked) {
  const char* variable = std::getenv("TRTEXEC");
  const std::string wanted = !asked.empty() ? asked : variable ? variable : "";
  if (!wanted.empty()) {
    const std::string found = find_program(wanted);
    check(!found.empty(), "'{}' is no program that can be run", wanted);
    return found;
  }
  for (const char* name : {kWhere, "trtexec"})
    if (const std::string found = find_program(name); !found.empty()) return found;
  fail(
      "there is no trtexec, neither in {} nor in PATH: on a Jetson install it with 'apt install "
      "libnvinfer-bin' "
      "(JetPack has it), elsewhere with TensorRT; or name it with --trtexec",
      kWhere);
}

bool is_engine_file(const std::string& path) {
  const std::string extension = fs::path(path).extension().string();
  return extension == ".engine" || extension == ".plan" || extension == ".trt";
}

bool is_quantized(const Graph& graph) {
  return std::ranges::any_of(
      graph.nodes, [](const Node& node) { return std::holds_alternative<op::QuantizeLinear>(node.op); });
}

// Writes what trtexec reads, and says how it is built.
class Exporter {
 public:
  Exporter(const Trtexec& trtexec, BuiltEngine& engine) : trtexec_(trtexec), engine_(engine) {}

  TrtexecBuild write(const Graph& graph) {
    build_.dla_core = engine_.dla_core;
    build_.fallback = !trtexec_.options().no_fallback;
    build_.inputs = graph.inputs.size();
    build_.outputs = graph.outputs.size();
    build_.engine = (engine_.folder / "engine").string();
    if (is_quantized(graph))
      quantized(graph);
    else
      floating(graph);
    engine_.precision = build_.int8 ? "int8" : "fp16";
    return std::move(build_);
  }

 private:
  DlaTarget target() const {
    return {trtexec_.version(), build_.int8 ? DlaPrecision::int8 : DlaPrecision::fp16};
  }

  void quantized(const Graph& graph) {
    check(trtexec_.options().cache.empty(), "--cache is for float models: this one has scales of its own");
    build_.int8 = true;
    if (engine_.dla_core && !is_strongly_typed(trtexec_.version())) {
      DlaExport made = export_dla(graph, target());
      build_.cache = file("calibration.cache", to_text(made.cache));
      build_.fp16_layers = std::move(made.fp16_layers);
      engine_.notes = std::move(made.notes);
      return model(made.graph);
    }
    QdqExport made = export_qdq(graph, engine_.dla_core.has_value());
    engine_.notes = std::move(made.notes);
    model(made.graph);
  }

  void floating(const Graph& graph) {
    const std::string& path = trtexec_.options().cache;
    if (!path.empty()) {
      check(!is_strongly_typed(trtexec_.version()),
            "TensorRT {} has no calibration caches: give a model with Q/DQ nodes",
            to_string(trtexec_.version()));
      const std::string text = read_file(path, kMostFile);
      with_context([&] { return "file '" + path + "'"; },
                   [&] { check_cache(parse_calibration_cache(text), graph, trtexec_.version()); });
      build_.cache = file("calibration.cache", text);
      build_.int8 = true;
    }
    model(graph);
  }

  void model(const Graph& graph) {
    build_.onnx = file("model.onnx", to_onnx(graph));
    if (!engine_.dla_core) return;
    engine_.predicted = plan_dla(graph, target());
    check(engine_.predicted->count(Engine::dla) > 0,
          "no layer of it would run on the DLA: 'eke plan' says why, 'eke fit' may help, and --device gpu "
          "measures it");
  }

  std::string file(const char* name, std::string_view bytes) {
    const std::string path = (engine_.folder / name).string();
    write_file_atomically(path, bytes);
    return path;
  }

  const Trtexec& trtexec_;
  BuiltEngine& engine_;
  TrtexecBuild build_;
};

TrtexecRun run_of(const BuiltEngine& engine) {
  TrtexecRun run;
  run.engine = (engine.folder / "engine").string();
  run.dla_core = engine.dla_core;
  return run;
}

}  // namespace

void declare_trtexec(App& app, TrtexecOptions& options) {
  const std::string group = "With --engine trtexec";
  app.add_option("--device", options.devices, "gpu or dla, or both, which are compared")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(one_of({"gpu", "dla"}))
      ->group(group)
      ->capture_default_str();
  app.add_option("--tensorrt", options.tensorrt,
                 fmt::format("its version (default: {})", to_string(kDefaultTensorRt)))
      ->type_name("VERSION")
      ->group(group);
  app.add_option("--dla-core", options.dla_core, "which DLA")
      ->check(between(0, 15))
      ->group(group)
      ->capture_default_str();
  app.add_flag("--no-fallback", options.no_fallback, "an engine with a layer that the DLA lacks is not built")
      ->group(group);
  app.add_option("--cache", options.cache, "calibration cache for a float model, which is then built in int8")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--trtexec", options.program,
                 fmt::format("the program (default: $TRTEXEC, {}, or from PATH)", kWhere))
      ->type_name("PROGRAM")
      ->group(group);
  app.add_option("--keep", options.keep, "folder for the engines and all files that trtexec reads and writes")
      ->type_name("FOLDER")
      ->group(group);
}

Trtexec::Trtexec(const TrtexecOptions& options)
    : options_(options),
      program_(locate(options.program)),
      version_(options.tensorrt.empty() ? kDefaultTensorRt : parse_tensorrt_version(options.tensorrt)) {
  if (!options.keep.empty()) {
    folder_ = fs::absolute(options.keep);
    std::error_code error;
    fs::create_directories(folder_, error);
    check(!error && fs::is_directory(folder_), "cannot make the folder '{}'", options.keep);
    return;
  }
  std::string name = (fs::temp_directory_path() / "eke-trtexec-XXXXXX").string();
  check(::mkdtemp(name.data()) != nullptr, "cannot make a folder in '{}'",
        fs::temp_directory_path().string());
  folder_ = name;
}

Trtexec::~Trtexec() {
  std::error_code none;
  if (options_.keep.empty()) fs::remove_all(folder_, none);
}

fs::path Trtexec::folder(const std::string& name) const {
  const fs::path path = folder_ / name;
  std::error_code error;
  fs::create_directories(path, error);
  check(fs::is_directory(path), "cannot make the folder '{}'", path.string());
  return path;
}

std::vector<std::string> Trtexec::command(const std::vector<std::string>& arguments) const {
  std::vector<std::string> words{program_};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

TrtexecLog Trtexec::run(const std::vector<std::string>& arguments,
                        const std::function<void(std::string_view)>& line) const {
  const ProcessResult result = run_process(command(arguments), line);
  write_file_atomically((folder_ / "trtexec.log").string(), result.output);
  TrtexecLog log = parse_trtexec_log(result.output);
  if (log.version) {
    check(log.version->major == version_.major && log.version->minor == version_.minor,
          "'{}' is TensorRT {}.{}: give --tensorrt {}.{} (its rules are not those of {})", program_,
          log.version->major, log.version->minor, log.version->major, log.version->minor,
          to_string(version_));
  }
  check(log.passed && result.exit_code == 0, "{}", failure_of(log));
  return log;
}

BuiltEngine build_engine(const Trtexec& trtexec, const std::string& model, const std::string& device,
                         const ShapeOptions& shapes, int number) {
  BuiltEngine engine;
  engine.model = model;
  engine.backend = device == "dla" ? "dla" : "tensorrt-gpu";
  if (device == "dla") engine.dla_core = trtexec.options().dla_core;
  engine.folder = trtexec.folder(std::to_string(number));
  if (is_engine_file(model)) {
    std::error_code error;
    fs::copy_file(model, engine.folder / "engine", fs::copy_options::overwrite_existing, error);
    check(!error, "cannot read '{}': {}", model, error.message());
    return engine;
  }
  const Model loaded = load_model(model);
  with_context([&] { return "file '" + model + "'"; },
               [&] {
                 const Graph graph = bind_shapes(loaded.graph, shapes);
                 check(!graph.inputs.empty(), "the model has no input");
                 const Value& input = graph[graph.inputs[0]];
                 engine.input = input.name;
                 engine.input_shape = input.type.shape;
                 engine.batch = input.type.shape.rank() > 0 ? input.type.shape[0] : 1;
                 const TrtexecBuild build = Exporter(trtexec, engine).write(graph);
                 const std::vector<std::string> arguments = trtexec_build(build, trtexec.version());
                 engine.build_command = trtexec.command(arguments);
                 Progress progress("building an engine", 0);
                 engine.log =
                     trtexec.run(arguments, [&](std::string_view) { progress.show("building an engine"); });
               });
  return engine;
}

EngineProfile profile_engine(const Trtexec& trtexec, const BuiltEngine& engine) {
  TrtexecRun run = run_of(engine);
  run.duration_s = kProfileS;
  run.profile = (engine.folder / "profile.json").string();
  run.layers = (engine.folder / "layers.json").string();
  trtexec.run(trtexec_run(run, trtexec.version()));
  return {parse_trtexec_profile(read_file(run.profile, kMostFile)),
          parse_trtexec_layers(read_file(run.layers, kMostFile))};
}

Scores score_engine(const Trtexec& trtexec, const BuiltEngine& engine, const Dataset& data,
                    const Preprocess& preprocess, const Threads& threads, int class_offset) {
  check(!trtexec.options().no_fallback,
        "with --no-fallback the engine reads the DLA's own formats: leave it out to measure the accuracy");
  const DatasetRows rows(data, preprocess, threads);
  Scorer scorer(data, class_offset);
  TrtexecRun run = run_of(engine);
  run.duration_s = 0;
  run.iterations = 1;
  run.output = (engine.folder / "output.json").string();
  run.inputs = {{engine.input, (engine.folder / "input.bin").string()}};
  const std::vector<std::string> arguments = trtexec_run(run, trtexec.version());
  std::vector<float> values(static_cast<std::size_t>(engine.input_shape.count()));
  const std::size_t row_size = values.size() / static_cast<std::size_t>(engine.batch);
  Progress progress("evaluating on the engine", rows.count());
  for (std::int64_t begin = 0; begin < rows.count(); begin += engine.batch) {
    const std::int64_t end = std::min(begin + engine.batch, rows.count());
    std::ranges::fill(values, 0.f);
    rows.read(begin, end, std::span(values).first(static_cast<std::size_t>(end - begin) * row_size));
    write_file_atomically(run.inputs[0].second,
                          {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
    trtexec.run(arguments);
    const std::vector<TrtexecOutput> outputs = parse_trtexec_output(read_file(run.output, kMostFile));
    const std::vector<float>& all = outputs[0].values;
    check(all.size() % static_cast<std::size_t>(engine.batch) == 0,
          "the output '{}' has {} values for a batch of {}", outputs[0].name, all.size(), engine.batch);
    const auto size = static_cast<std::ptrdiff_t>(all.size()) / engine.batch;
    for (std::int64_t i = 0; i < end - begin; ++i)
      scorer.add(begin + i, std::vector<float>(all.begin() + i * size, all.begin() + (i + 1) * size));
    progress.update(end);
  }
  return scorer.finish();
}

Json engine_json(const Trtexec& trtexec, const BuiltEngine& engine) {
  Json json{{"tensorrt", to_string(trtexec.version())},
            {"precision", engine.precision},
            {"dla_core", engine.dla_core ? Json(*engine.dla_core) : Json(nullptr)},
            {"build_command", engine.build_command},
            {"build_s", engine.log.build_s ? Json(*engine.log.build_s) : Json(nullptr)},
            {"notes", to_json(engine.notes)},
            {"predicted", engine.predicted ? placement_json(*engine.predicted) : Json(nullptr)},
            {"layers_on_dla", engine.log.on_dla},
            {"layers_on_gpu", engine.log.on_gpu}};
  json["fallbacks"] = Json::array();
  for (const TrtexecFallback& fallback : engine.log.fallbacks)
    json["fallbacks"].push_back({{"layer", fallback.layer}, {"line", fallback.line}});
  json["misplaced"] = Json::array();
  if (engine.predicted) {
    for (const Misplaced& node : misplaced(*engine.predicted, engine.log))
      json["misplaced"].push_back({{"node", node.node},
                                   {"predicted", to_string(node.predicted)},
                                   {"actual", to_string(node.actual)}});
  }
  return json;
}

std::string engine_text(const BuiltEngine& engine) {
  std::string text = fmt::format("{} on {}", engine.model, engine.backend);
  if (engine.dla_core) text += fmt::format(" {}", *engine.dla_core);
  if (!engine.precision.empty()) text += ", " + engine.precision;
  if (engine.log.build_s) text += fmt::format(", built in {:.1f} s", *engine.log.build_s);
  text += "\n";
  if (!engine.predicted) return text;
  text += fmt::format("  predicted  {}\n", placement_text(*engine.predicted));
  if (engine.log.on_dla.empty() && engine.log.on_gpu.empty())
    return text + "  actual     not listed by this trtexec\n";
  text += fmt::format("  actual     loadables on the DLA: {}, layers on the GPU: {}\n",
                      engine.log.on_dla.size(), engine.log.on_gpu.size());
  for (const Misplaced& node : misplaced(*engine.predicted, engine.log))
    text += fmt::format("  {} runs on the {}, and was predicted on the {}\n", node.node,
                        to_string(node.actual), to_string(node.predicted));
  for (const TrtexecFallback& fallback : engine.log.fallbacks)
    text += fmt::format("  trtexec: {}\n", fallback.line);
  return text;
}

}  // namespace eke::cli
