#include "cli/tuning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "cli/progress.h"
#include "learn/head.h"

namespace eke::cli {

namespace {

bool is_interrupted() {
  try {
    throw_if_interrupted();
  } catch (const Interrupted&) {
    return true;
  }
  return false;
}

OptimizerOptions optimizer_options(const TuningOptions& options) {
  OptimizerOptions result;
  result.kind = options.optimizer == "adam"    ? OptimizerKind::adam
                : options.optimizer == "adamw" ? OptimizerKind::adamw
                                               : OptimizerKind::sgd;
  result.nesterov = result.kind == OptimizerKind::sgd;
  result.weight_decay = static_cast<float>(options.weight_decay);
  result.clip_norm = static_cast<float>(options.clip);
  return result;
}

std::size_t memory_bytes(const std::string& text) {
  if (text.empty()) return 0;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double factor = unit == "GB" ? 1e9 : unit == "MB" ? 1e6 : unit == "kB" ? 1e3 : 0;
  if (!(value > 0) || factor == 0) throw UsageError(fmt::format("--memory {}: give a size as 64MB", text));
  return static_cast<std::size_t>(value * factor);
}

// Which parameters learn, and how fast: those of the head at the full rate.
std::vector<Trained> trained_parameters(const Graph& graph, const TuningOptions& options) {
  std::vector<std::string> chosen;
  if (!options.unfreeze_from.empty()) chosen = values_from(graph, options.unfreeze_from);
  std::vector<Trained> trained;
  for (const Parameter& parameter : parameters(graph)) {
    const bool of_head = parameter.name == "head.weight" || parameter.name == "head.bias";
    const bool learns =
        of_head || options.unfreeze_from.empty() || std::ranges::find(chosen, parameter.name) != chosen.end();
    if (learns) {
      trained.push_back({parameter.name, of_head ? 1.f : static_cast<float>(options.backbone_rate)});
    }
  }
  return trained;
}

FineTuneOptions fine_tune_options(const Graph& graph, const TuningOptions& options, std::uint64_t seed,
                                  const std::string& output) {
  FineTuneOptions result;
  result.step.loss.label_smoothing = static_cast<float>(options.smoothing);
  result.step.optimizer = optimizer_options(options);
  result.step.trained = trained_parameters(graph, options);
  result.step.batch = options.batch;
  result.step.batch_norm = options.freeze_statistics ? BatchNormMode::frozen : BatchNormMode::batch;
  result.step.ema_decay = static_cast<float>(options.average);
  result.step.memory_bytes = memory_bytes(options.memory);
  result.epochs = options.epochs;
  result.decay = parse_decay(options.schedule);
  const double usual = result.step.optimizer.kind == OptimizerKind::sgd ? 0.05 : 0.001;
  result.rate = options.rate > 0 ? options.rate : usual;
  result.warm_up_epochs = options.warm_up;
  result.augmentation = parse_augmentation(options.augmentation);
  result.balance = options.balance;
  result.seed = seed;
  result.patience = options.patience;
  result.checkpoint = checkpoint_path(output);
  result.checkpoint_seconds = options.checkpoint_seconds;
  result.resume = options.resume;
  return result;
}

// One line while an epoch runs, one that stays for each epoch.
class TrainProgress {
 public:
  explicit TrainProgress(std::size_t validation) : validation_(validation), line_("", 0) {}

  void on_step(const StepProgress& p) {
    last_ = p;
    line_.show(fmt::format("epoch {} of {}: loss {:.4f}, accuracy {:.1f} %, {:.0f} images/s, {} left",
                           p.epoch, p.epochs, p.loss, 100 * p.accuracy, p.images_per_second,
                           remaining_text(p.seconds_left)));
  }
  void on_epoch(const EpochRecord& record) {
    std::string text = fmt::format("epoch {} of {}: loss {:.4f}, accuracy {:.1f} %", record.epoch,
                                   last_.epochs, record.loss, 100 * record.accuracy);
    if (record.validated) {
      text += fmt::format(", validation {:.2f} % ({} of {})",
                          100.0 * static_cast<double>(*record.validated) /
                              static_cast<double>(std::max<std::size_t>(validation_, 1)),
                          *record.validated, validation_);
    }
    text += fmt::format(", {:.0f} images/s, {} left", last_.images_per_second,
                        remaining_text(last_.seconds_left));
    line_.finish(text);
  }

 private:
  std::size_t validation_;
  StepProgress last_;
  Progress line_;
};

}  // namespace

void declare_tuning(CLI::App& app, TuningOptions& options) {
  const std::string group = "Fine-tuning";
  const auto add = [&](const char* name, auto& value, const std::string& help) {
    return app.add_option(name, value, help)->group(group)->capture_default_str();
  };
  add("--epochs", options.epochs, "over the training images (0: the head alone)")
      ->check(CLI::Range(0, 100000));
  add("--freeze", options.freeze, "backbone: the head alone, as --epochs 0; none")
      ->check(CLI::IsMember({"none", "backbone"}));
  add("--augment", options.augmentation,
      "none, or of flip, crop=, shift=, rotation=, colour=, erase= with strengths");
  app.add_flag("--balance", options.balance, "each class as often as the largest")->group(group);
  add("--unfreeze-from", options.unfreeze_from, "train the nodes from this one on (default: all)")
      ->type_name("NODE");
  add("--batch", options.batch, "images a step")->check(CLI::Range(1, 65536));
  add("--optimizer", options.optimizer, "sgd (momentum 0.9, Nesterov), adam or adamw")
      ->check(CLI::IsMember({"sgd", "adam", "adamw"}));
  add("--rate", options.rate, "the highest learning rate (0: 0.05 of sgd, 0.001 of adam)")
      ->check(CLI::NonNegativeNumber);
  add("--backbone-rate", options.backbone_rate, "factor on the rate of all but the head")
      ->check(CLI::NonNegativeNumber);
  add("--schedule", options.schedule, "cosine, step or constant");
  add("--warm-up", options.warm_up, "epochs in which the rate rises")->check(CLI::NonNegativeNumber);
  add("--weight-decay", options.weight_decay, "of weights, not of biases and normalizations")
      ->check(CLI::NonNegativeNumber);
  add("--label-smoothing", options.smoothing, "in 0 to 1")->check(CLI::Range(0.0, 0.9));
  add("--clip", options.clip, "longest gradient (0: any)")->check(CLI::NonNegativeNumber);
  add("--average", options.average, "decay of a moving average of the weights, as 0.999 (0: none)")
      ->check(CLI::Range(0.0, 0.999999));
  add("--patience", options.patience, "stop after so many epochs without a better validation (0: never)")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--freeze-statistics", options.freeze_statistics,
               "keep the running statistics of BatchNormalization")
      ->group(group);
  app.add_option("--memory", options.memory, "fit the step into this, by computing again, as 64MB")
      ->group(group)
      ->type_name("SIZE");
  app.add_flag("--resume", options.resume, "go on from OUTPUT.checkpoint, where there is one")->group(group);
  add("--checkpoint-every", options.checkpoint_seconds, "seconds between checkpoints, besides one an epoch")
      ->check(CLI::NonNegativeNumber);
}

void check_tuning(const TuningOptions& options) {
  parse_augmentation(options.augmentation);
  parse_decay(options.schedule);
  memory_bytes(options.memory);
}

std::string checkpoint_path(const std::string& output) { return output + ".checkpoint"; }

FineTuned tune(const Graph& graph, const FittedImages& train, const FittedImages* validation,
               const TuningOptions& options, std::uint64_t seed, const std::string& output,
               const Threads& threads) {
  TrainProgress progress(validation ? validation->size() : 0);
  FineTuneHooks hooks;
  hooks.on_step = [&](const StepProgress& p) { progress.on_step(p); };
  hooks.on_epoch = [&](const EpochRecord& record) { progress.on_epoch(record); };
  hooks.should_stop = is_interrupted;
  FineTuned tuned =
      fine_tune(graph, train, validation, fine_tune_options(graph, options, seed, output), threads, hooks);
  if (tuned.stopped) {
    std::fprintf(stderr, "the state is kept in '%s': the same command with --resume goes on from there\n",
                 checkpoint_path(output).c_str());
    throw Interrupted();
  }
  return tuned;
}

}  // namespace eke::cli
