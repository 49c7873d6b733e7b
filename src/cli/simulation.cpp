#include "cli/simulation.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/progress.h"
#include "data/dataset.h"
#include "passes/passes.h"
#include "ptq/calibrated_graph.h"

namespace eke::cli {

namespace {

constexpr const char* kGroup = "Simulation of other engines";

bool is_quantized(const Graph& graph) {
  return std::ranges::any_of(
      graph.nodes, [](const Node& node) { return std::holds_alternative<op::QuantizeLinear>(node.op); });
}

// As eke quantize --for does.
Graph quantized(const Graph& graph, const SimulationOptions& options, const Preprocess& preprocess,
                const std::vector<std::string>& labels, const Threads& threads, std::size_t& count) {
  QuantizationOptions quantization;
  quantization.engine = options.engine.as;
  const Dataset all = open_dataset(options.calibration, {labels, ""});
  const auto wanted = static_cast<std::size_t>(options.count);
  const Dataset data = all.size() > wanted ? all.split(wanted).chosen : all;
  count = data.size();
  CalibrationImages images(data, preprocess, threads, shown_progress());
  const CalibratedGraph calibrated = calibrate_on(graph, images, threads, quantization);
  return quantize(calibrated.graph, calibrated.ranges, rewrite_options(quantization, calibrated.graph)).graph;
}

}  // namespace

void declare_engine(App& app, EngineOptions& options, const std::string& help) {
  app.add_option("--as", options.as, help)->check(one_of({"tensorrt", "dla-orin"}))->group(kGroup);
  app.add_option("--tensorrt", options.tensorrt,
                 fmt::format("with --as: whose rules (default: {})", to_string(kDefaultTensorRt)))
      ->type_name("VERSION")
      ->group(kGroup);
}

Arithmetic resolve_engine(const EngineOptions& options) {
  if (options.as.empty() && !options.tensorrt.empty())
    throw UsageError("--tensorrt belongs to --as, which is not given");
  Arithmetic result;
  if (!options.as.empty()) result.device = *parse_device(options.as);
  if (!options.tensorrt.empty()) result.version = parse_tensorrt_version(options.tensorrt);
  return result;
}

void declare_simulation(App& app, SimulationOptions& options) {
  const std::string group = kGroup;
  declare_engine(app, options.engine,
                 "compute as what 'eke export' writes does on: tensorrt (the GPU) or dla-orin");
  app.add_option("--calibration", options.calibration,
                 "with --as and a float model: images to quantize it on (symmetric int8)")
      ->type_name("DATA")
      ->group(group);
  app.add_option("--count", options.count, "calibration images, spread evenly over the data")
      ->check(between(1, 1000000))
      ->group(group)
      ->capture_default_str();
}

Simulation simulation_of(const Model& model, const ShapeOptions& shapes, const Preprocess& preprocess,
                         const std::vector<std::string>& labels, const Threads& threads,
                         const SimulationOptions& options) {
  const Arithmetic arithmetic = resolve_engine(options.engine);
  if (arithmetic.device == Device::cpu) {
    if (!options.calibration.empty()) throw UsageError("--calibration belongs to --as, which is not given");
    return {prepare(model.graph, shapes, &preprocess), "", {}, 0};
  }
  const bool is_float = !is_quantized(model.graph);
  if (is_float && options.calibration.empty())
    throw UsageError(fmt::format(
        "'{}' is a float model: give --calibration DATA to quantize it on, or a model of 'eke quantize'",
        model.path));
  if (!is_float && !options.calibration.empty())
    throw UsageError(fmt::format("'{}' is quantized already: --calibration has nothing to do", model.path));
  Simulation result;
  const Graph graph = is_float ? quantized(prepare(model.graph, shapes, &preprocess), options, preprocess,
                                           labels, threads, result.calibration_images)
                               : bind_shapes(model.graph, shapes, &preprocess);
  Simulated simulated =
      with_context([&] { return "file '" + model.path + "'"; }, [&] { return simulate(graph, arithmetic); });
  result.graph = optimize(simulated.graph);
  result.notes = std::move(simulated.notes);
  result.engine = to_string(arithmetic);
  return result;
}

Json to_json(const std::vector<ExportNote>& notes) {
  Json json = Json::array();
  for (const ExportNote& note : notes) json.push_back({{"place", note.place}, {"what", note.what}});
  return json;
}

}  // namespace eke::cli
