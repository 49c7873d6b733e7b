// The options of fine-tuning, and the loop with its progress on standard error.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "base/threads.h"
#include "data/fitted.h"
#include "learn/fine_tune.h"

namespace eke::cli {

struct TuningOptions {
  std::int64_t epochs = 20, batch = 32, patience = 0;
  std::string freeze = "none", unfreeze_from;
  std::string augmentation = "flip,crop,rotation=10,colour=0.2";
  bool balance = false;
  std::string optimizer = "sgd", schedule = "cosine", memory;
  double rate = 0, backbone_rate = 1, warm_up = 1, weight_decay = 5e-4, smoothing = 0.1, clip = 0,
         average = 0;
  bool freeze_statistics = false, resume = false;
  double checkpoint_seconds = 120;

  bool asked() const { return epochs > 0 && freeze != "backbone"; }
};
void declare_tuning(CLI::App& app, TuningOptions& options);
// Throws UsageError for what cannot be understood.
void check_tuning(const TuningOptions& options);

std::string checkpoint_path(const std::string& output);

// Trains `graph`; after Ctrl-C it leaves a checkpoint and throws Interrupted.
FineTuned tune(const Graph& graph, const FittedImages& train, const FittedImages* validation,
               const TuningOptions& options, std::uint64_t seed, const std::string& output,
               const Threads& threads);

}  // namespace eke::cli
