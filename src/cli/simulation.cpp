#include "cli/simulation.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/quantization_options.h"
#include "data/dataset.h"
#include "passes/passes.h"

namespace eke::cli {

namespace {

bool is_quantized(const Graph& graph) {
  return std::ranges::any_of(
      graph.nodes, [](const Node& node) { return std::holds_alternative<op::QuantizeLinear>(node.op); });
}

// As eke quantize --for does.
Graph quantized(const Graph& graph, const SimulationOptions& options, const Preprocess& preprocess,
                const std::vector<std::string>& labels, const Threads& threads, std::size_t& count) {
  QuantizationOptions quantization;
  quantization.engine = options.as == "tensorrt" ? kForTensorRt : kForDla;
  const Dataset all = open_dataset(options.calibration, {labels, ""});
  const auto wanted = static_cast<std::size_t>(options.count);
  const Dataset data = all.size() > wanted ? all.split(wanted).chosen : all;
  count = data.size();
  CalibrationImages images(data, preprocess, threads);
  const CalibratedGraph calibrated = calibrate_on(graph, images, threads, quantization);
  return quantize(calibrated.graph, calibrated.ranges, rewrite_options(quantization)).graph;
}

}  // namespace

void declare_simulation(App& app, SimulationOptions& options) {
  const std::string group = "Simulation of other engines";
  app.add_option("--as", options.as,
                 "compute as what 'eke export' writes does on: tensorrt (the GPU) or dla-orin")
      ->check(one_of({"tensorrt", "dla-orin"}))
      ->group(group);
  app.add_option("--tensorrt", options.tensorrt,
                 fmt::format("with --as: whose rules (default: {})", to_string(kDefaultTensorRt)))
      ->type_name("VERSION")
      ->group(group);
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
  if (options.as.empty()) {
    if (!options.tensorrt.empty() || !options.calibration.empty())
      throw UsageError("--tensorrt and --calibration belong to --as, which is not given");
    return {prepare(model.graph, shapes, &preprocess), "", {}, 0};
  }
  DlaTarget target;
  if (!options.tensorrt.empty()) target.version = parse_tensorrt_version(options.tensorrt);
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
  Simulated simulated = with_context(
      [&] { return "file '" + model.path + "'"; },
      [&] { return options.as == "tensorrt" ? simulate_gpu(graph) : simulate_dla(graph, target); });
  result.graph = optimize(simulated.graph);
  result.notes = std::move(simulated.notes);
  result.engine = fmt::format("{} of TensorRT {}", options.as, to_string(target.version));
  return result;
}

Json to_json(const std::vector<ExportNote>& notes) {
  Json json = Json::array();
  for (const ExportNote& note : notes) json.push_back({{"place", note.place}, {"what", note.what}});
  return json;
}

}  // namespace eke::cli
