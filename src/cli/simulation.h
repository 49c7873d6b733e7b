// The option --as: a model computes as another engine would, after the export to it.
#pragma once

#include <string>
#include <vector>

#include "base/threads.h"
#include "cli/command_line.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "cli/table.h"
#include "target/arithmetic.h"

namespace eke::cli {

struct EngineOptions {
  std::string as, tensorrt;
};
void declare_engine(App& app, EngineOptions& options, const std::string& help);
Arithmetic resolve_engine(const EngineOptions& options);  // throws UsageError; without --as: of the processor

struct SimulationOptions {
  EngineOptions engine;
  std::string calibration;
  std::int64_t count = 100;
};
void declare_simulation(App& app, SimulationOptions& options);

// Shapes bound and simplified: what a Session compiles. With --as it is the arithmetic of that engine; a float model is
// quantized to symmetric int8 first, on the calibration data. Throws UsageError where flags contradict each other or
// the model.
struct Simulation {
  Graph graph;
  std::string engine;  // "dla-orin of TensorRT 10.3"; empty without --as
  std::vector<ExportNote> notes;
  std::size_t calibration_images = 0;
};
Simulation simulation_of(const Model& model, const ShapeOptions& shapes, const Preprocess& preprocess,
                         const std::vector<std::string>& labels, const Threads& threads,
                         const SimulationOptions& options);

Json to_json(const std::vector<ExportNote>& notes);

}  // namespace eke::cli
