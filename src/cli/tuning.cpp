#include "cli/tuning.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "cli/progress.h"
#include "cli/table.h"
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
  result.clip_norm = static_cast<float>(options.clip.value_or(options.quantized ? kQuantAwareClip : 0));
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

// The highest learning rate by default.
double usual_rate(const TuningOptions& options) {
  const bool sgd = options.optimizer == "sgd";
  if (options.quantized) return sgd ? kQuantAwareSgdRate : kQuantAwareAdamRate;
  return sgd ? 0.05 : 0.001;
}

FineTuneOptions fine_tune_options(const Graph& graph, const TuningOptions& options, std::uint64_t seed,
                                  const std::string& output) {
  FineTuneOptions result;
  result.step.loss.label_smoothing = static_cast<float>(options.smoothing);
  result.step.optimizer = optimizer_options(options);
  if (!options.quantized) result.step.trained = trained_parameters(graph, options);
  result.step.batch = options.batch;
  result.step.batch_norm = options.freeze_statistics ? BatchNormMode::frozen : BatchNormMode::batch;
  result.step.ema_decay = static_cast<float>(options.average);
  result.step.memory_bytes = memory_bytes(options.memory);
  result.step.floats = options.precision == "bf16" ? Floats::bf16 : Floats::f32;
  result.epochs = options.epoch_count();
  result.decay = parse_decay(options.schedule);
  result.rate = options.rate > 0 ? options.rate : usual_rate(options);
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

  void on_plan(std::size_t bytes, double recomputed_share) {
    std::string text = fmt::format("a step needs {} of memory", bytes_text(static_cast<double>(bytes)));
    if (recomputed_share > 0)
      text += fmt::format("; to fit, {:.0f} % of the forward work is done twice", 100 * recomputed_share);
    line_.finish(text);
  }
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

void declare_tuning(App& app, TuningOptions& options) {
  const std::string group = "Fine-tuning";
  const auto add = [&](const char* name, auto& value, const std::string& help) {
    return app.add_option(name, value, help)->group(group)->capture_default_str();
  };
  add("--epochs", options.epochs, "over the training images (default 20; 0: the head alone; with --qat 10)")
      ->check(between(0, 100000));
  add("--freeze", options.freeze, "backbone: the head alone, as --epochs 0; none")
      ->check(one_of({"none", "backbone"}));
  add("--augment", options.augmentation,
      "none, or of flip, crop=, shift=, rotation=, colour=, erase= with strengths");
  app.add_flag("--balance", options.balance, "each class as often as the largest")->group(group);
  add("--unfreeze-from", options.unfreeze_from, "train the nodes from this one on (default: all)")
      ->type_name("NODE");
  add("--batch", options.batch, "images a step (0: 16 of up to 2,000 images, 32 of more)")
      ->check(between(0, 65536));
  add("--optimizer", options.optimizer, "sgd (momentum 0.9, Nesterov), adam or adamw")
      ->check(one_of({"sgd", "adam", "adamw"}));
  add("--rate", options.rate,
      "the highest learning rate (0: 0.05 of sgd, 0.001 of adam; with --qat 0.0002, 0.00005)")
      ->check(not_negative());
  add("--backbone-rate", options.backbone_rate, "factor on the rate of all but the head")
      ->check(not_negative());
  add("--schedule", options.schedule, "cosine, step or constant");
  add("--warm-up", options.warm_up, "epochs in which the rate rises")->check(not_negative());
  add("--weight-decay", options.weight_decay, "of weights, not of biases and normalizations")
      ->check(not_negative());
  add("--label-smoothing", options.smoothing, "in 0 to 1")->check(between(0.0, 0.9));
  add("--clip", options.clip, "longest gradient (0: any, the default; with --qat 1)")->check(not_negative());
  add("--average", options.average, "decay of a moving average of the weights, as 0.999 (0: none)")
      ->check(between(0.0, 0.999999));
  add("--patience", options.patience, "stop after so many epochs without a better validation (0: never)")
      ->check(not_negative());
  app.add_flag("--freeze-statistics", options.freeze_statistics,
               "keep the running statistics of BatchNormalization")
      ->group(group);
  add("--precision", options.precision,
      "factors of convolutions: f32, or bf16 with sums, weights and normalizations in float32")
      ->type_name("f32|bf16")
      ->check(one_of({"f32", "bf16"}));
  app.add_option("--memory", options.memory, "fit the step into this, by computing again, as 64MB")
      ->group(group)
      ->type_name("SIZE");
  app.add_flag("--resume", options.resume, "go on from OUTPUT.checkpoint, where there is one")->group(group);
  add("--checkpoint-every", options.checkpoint_seconds, "seconds between checkpoints, besides one an epoch")
      ->check(not_negative());
}

void check_tuning(const TuningOptions& options) {
  if (options.precision == "bf16" && !options.asked())
    throw UsageError(options.quantized
                         ? "--qat computes in float32 what will be integers: leave out --precision bf16"
                         : "--precision bf16 is of fine-tuning: give it --epochs, or leave it out");
  if (options.quantized) {
    if (options.epoch_count() == 0)
      throw UsageError("--qat with --epochs 0 trains nothing: use eke quantize");
    if (!options.unfreeze_from.empty() || options.freeze != "none")
      throw UsageError("--qat trains all layers: leave out --freeze and --unfreeze-from");
    if (!parse_calibrator(options.calibrator))
      throw UsageError(fmt::format(
          "--calibrator {}: the calibrators are min-max, moving-average, percentile, mse and entropy",
          options.calibrator));
  }
  if (!options.quantized && !options.engine.as.empty())
    throw UsageError("--as is for quantization-aware training: give --qat");
  resolve_engine(options.engine);
  parse_augmentation(options.augmentation);
  parse_decay(options.schedule);
  memory_bytes(options.memory);
}

std::string checkpoint_path(const std::string& output) { return output + ".checkpoint"; }

void declare_quant_aware(App& app, TuningOptions& options) {
  const std::string group = "Quantization-aware training, from a trained float model";
  app.add_flag("--qat", options.quantized,
               "train the quantized form; the output is int8, and never worse than quantization alone")
      ->group(group);
  app.add_flag("--per-tensor", options.per_tensor, "one scale for all weights of a layer")->group(group);
  app.add_option("--calibrator", options.calibrator,
                 "of the start: min-max, moving-average, percentile, mse or entropy")
      ->group(group)
      ->capture_default_str();
  app.add_option("--equalize", options.equalize,
                 "scale channels between layers before it begins: on, off, or auto (with --per-tensor)")
      ->group(group)
      ->check(one_of({"auto", "on", "off"}))
      ->capture_default_str();
  app.add_option("--distill", options.distill,
                 "share of the loss that compares with the float model's answers, in 0 to 1")
      ->group(group)
      ->check(between(0.0, 1.0))
      ->capture_default_str();
  declare_engine(app, options.engine,
                 "with --qat: train and judge the model as what 'eke export' writes computes on: tensorrt "
                 "(the GPU) or dla-orin");
}

namespace {

// What reading images and models has freed goes back to the system: a step needs that memory.
void return_freed_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

// Hooks that show progress on `progress`, make a lap of each epoch, and end at Ctrl-C.
FineTuneHooks hooks_for(TrainProgress& progress, Laps& epochs) {
  FineTuneHooks hooks;
  hooks.on_plan = [&](std::size_t bytes, double share) {
    return_freed_memory();
    progress.on_plan(bytes, share);
    epochs.next();
  };
  hooks.on_step = [&](const StepProgress& p) { progress.on_step(p); };
  hooks.on_epoch = [&](const EpochRecord& record) {
    epochs.next();
    progress.on_epoch(record);
  };
  hooks.should_stop = is_interrupted;
  return hooks;
}

void throw_if_stopped(const FineTuned& tuned, const std::string& output) {
  if (!tuned.stopped) return;
  std::fprintf(stderr, "the state is kept in '%s': the same command with --resume goes on from there\n",
               checkpoint_path(output).c_str());
  throw Interrupted();
}

}  // namespace

FineTuned tune(Graph graph, const FittedImages& train, const FittedImages* validation,
               const TuningOptions& options, std::uint64_t seed, const std::string& output,
               const Threads& threads, Laps& epochs) {
  TrainProgress progress(validation ? validation->size() : 0);
  const FineTuneOptions how = fine_tune_options(graph, options, seed, output);
  FineTuned tuned = fine_tune(std::move(graph), train, validation, how, threads, hooks_for(progress, epochs));
  throw_if_stopped(tuned, output);
  return tuned;
}

QuantAware tune_quantized(const Graph& graph, const FittedImages& train, const FittedImages& validation,
                          const TuningOptions& options, std::uint64_t seed, const std::string& output,
                          const Threads& threads, Laps& epochs) {
  QuantAwareOptions qat;
  qat.tuning = fine_tune_options(graph, options, seed, output);
  qat.quantize.weights.per_channel = !options.per_tensor;
  qat.calibrator = *parse_calibrator(options.calibrator);
  qat.equalize = options.equalize == "on" || (options.equalize == "auto" && options.per_tensor);
  qat.arithmetic = resolve_engine(options.engine);
  qat.tuning.step.loss.distill_weight = static_cast<float>(options.distill);
  if (options.distill > 0) qat.tuning.teacher = graph;
  TrainProgress progress(validation.size());
  QuantAware result = train_quantized(graph, train, validation, qat, threads, hooks_for(progress, epochs));
  throw_if_stopped(result.tuned, output);
  return result;
}

}  // namespace eke::cli
