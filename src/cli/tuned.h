// What eke tune found out, as other commands take it: a file that belongs to one model and one machine.
#pragma once

#include <string>

#include "cli/command_line.h"
#include "cli/model_file.h"
#include "cli/options.h"
#include "runtime/plan.h"
#include "tune/tuning.h"

namespace eke::cli {

void declare_tuned(App& app, std::string& file);
// --precision of what is float in a model, f32 or bf16; a tuning is of float32.
Option* declare_precision(App& app, std::string& precision);
Floats floats_of(const std::string& precision);

// An empty tuning of this model on this machine by this build.
Tuning new_tuning(const Model& model);
// The file, if it belongs to this model, machine and build; an Error says what it belongs to otherwise.
Tuning open_tuning(const std::string& file, const Model& model);
// The types of a graph's inputs, by which plans are found.
std::string inputs_text(const Graph& graph);

// A model with its tuning, or without where `file` is empty.
class TunedModel {
 public:
  TunedModel(std::string file, const Model& model);
  // Those of --threads, else those that the tuning found best, else all cores.
  int threads(const CommonOptions& options) const;
  // Throws an Error that lists what was tuned when that was something else than this graph and count.
  CompileOptions compile_options(const Graph& bound, int threads) const;

 private:
  std::string file_;
  Tuning tuning_;
};

}  // namespace eke::cli
