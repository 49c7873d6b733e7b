// The options of fine-tuning, and the loop with its progress on standard error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/threads.h"
#include "cli/command_line.h"
#include "cli/energy_report.h"
#include "cli/simulation.h"
#include "data/fitted.h"
#include "learn/fine_tune.h"
#include "learn/quant_aware.h"

namespace eke::cli {

struct TuningOptions {
  std::optional<std::int64_t> epochs;
  std::optional<double> clip;
  std::int64_t batch = 0, patience = 0;
  std::string freeze = "none", unfreeze_from;
  std::string augmentation = "flip,crop,rotation=10,colour=0.2";
  bool balance = false;
  std::string optimizer = "sgd", schedule = "cosine", memory, precision = "f32";
  double rate = 0, backbone_rate = 1, warm_up = 1, weight_decay = 5e-4, smoothing = 0.1, average = 0;
  bool freeze_statistics = false, resume = false;
  double checkpoint_seconds = 120;

  // Of quantization-aware training.
  bool quantized = false, per_tensor = false;
  std::string calibrator = "mse", equalize = "auto";
  double distill = 0.5;
  EngineOptions engine;

  std::int64_t epoch_count() const { return epochs.value_or(quantized ? 10 : 20); }
  bool asked() const { return !quantized && epoch_count() > 0 && freeze != "backbone"; }
};
void declare_tuning(App& app, TuningOptions& options);
void declare_quant_aware(App& app, TuningOptions& options);
// Throws UsageError for what cannot be understood.
void check_tuning(const TuningOptions& options);

std::string checkpoint_path(const std::string& output);

// Trains `graph`, an epoch a lap; after Ctrl-C it leaves a checkpoint and throws Interrupted.
FineTuned tune(Graph graph, const FittedImages& train, const FittedImages* validation,
               const TuningOptions& options, std::uint64_t seed, const std::string& output,
               const Threads& threads, Laps& epochs);

// The same for the quantized form of `graph`.
QuantAware tune_quantized(const Graph& graph, const FittedImages& train, const FittedImages& validation,
                          const TuningOptions& options, std::uint64_t seed, const std::string& output,
                          const Threads& threads, Laps& epochs);

}  // namespace eke::cli
