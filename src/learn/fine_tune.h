// The training loop: epochs of batches through a TrainStep, with validation, early stopping, checkpoints and
// resumption. The same seed gives the same bits, interrupted or not, at any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/threads.h"
#include "data/fitted.h"
#include "data/prefetch.h"
#include "graph/graph.h"
#include "learn/schedule.h"
#include "train/step.h"

namespace eke {

// Images a step by default: small sets need the steps that a large batch would spare.
std::int64_t usual_batch(std::size_t images) noexcept;

struct FineTuneOptions {
  StepOptions step = {};  // its batch is cut to the number of images; 0: usual_batch
  std::int64_t epochs = 20;
  Decay decay = Decay::cosine;
  double rate = 0.05;
  double warm_up_epochs = 1;
  Augmentation augmentation = {};
  bool balance = false;
  std::uint64_t seed = 1;
  std::int64_t patience = 0;        // epochs without a better validation until it stops; 0: never
  std::string checkpoint = {};      // path; empty: none
  double checkpoint_seconds = 120;  // also after each epoch
  bool resume = false;              // from the checkpoint, where there is one
  // What step.loss.distill_weight distils from: a network of the same images and classes.
  std::optional<Graph> teacher = {};
};

struct StepProgress {
  std::int64_t epoch = 0, epochs = 0, step = 0, steps = 0;  // from 1; steps of the whole training
  double loss = 0, accuracy = 0;                            // means of the epoch so far
  double images_per_second = 0, seconds_left = 0;
};

struct EpochRecord {
  std::int64_t epoch = 0;                 // from 1
  double loss = 0, accuracy = 0;          // on the training images, as they were while it trained
  std::optional<std::int64_t> validated;  // validation images that are right
};

struct FineTuneHooks {
  // Before the first step: memory of a step, and the share of the forward work that is done twice to fit it.
  std::function<void(std::size_t planned_bytes, double recomputed_share)> on_plan = {};
  std::function<void(const StepProgress&)> on_step = {};
  std::function<void(const EpochRecord&)> on_epoch = {};
  std::function<bool()> should_stop =
      {};  // asked after each step: then a checkpoint is written and it returns
  // How good a network is: more is better. Absent: the right answers on the validation images.
  std::function<std::int64_t(const Graph&)> score = {};
};

struct FineTuned {
  Graph graph;  // the best epoch by validation, of equals the last; without validation the last
  std::vector<EpochRecord> epochs;
  std::int64_t best_epoch = 0, resumed_at_step = 0;
  std::size_t planned_bytes = 0;
  double recomputed_share = 0;  // of the forward work, what is done twice to fit the memory
  // Of each step of this process, from one batch to the next; validation and checkpoints do not count.
  std::vector<double> step_seconds;
  bool stopped = false;        // by should_stop
  bool stopped_early = false;  // by patience
};

// `graph` is a portable classifier of images as `train` are preprocessed (moved from, it needs no memory of its own); `validation` may be null. Throws an Error when
// the loss is not finite (it names the step and the first parameter that is not; the checkpoint stays at the last good
// state), when a checkpoint does not fit, and as TrainStep does.
FineTuned fine_tune(Graph graph, const FittedImages& train, const FittedImages* validation,
                    const FineTuneOptions& options, const Threads& threads, const FineTuneHooks& hooks = {});

}  // namespace eke
