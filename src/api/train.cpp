#include "eke/train.h"

#include <optional>

#include "api/preprocess_for.h"
#include "base/error.h"
#include "base/file.h"
#include "data/split.h"
#include "learn/fine_tune.h"
#include "learn/quant_aware.h"
#include "learn/run_images.h"
#include "learn/run_lock.h"
#include "learn/transfer.h"
#include "onnx/onnx.h"
#include "ptq/saved_form.h"

namespace eke {
namespace {

Floats floats_of(const TrainOptions& options) {
  check(options.precision == "f32" || options.precision == "bf16",
        "TrainOptions::precision is '{}': use f32 or bf16", options.precision);
  check(options.precision == "f32" || !options.quantized,
        "TrainOptions::quantized computes in float32 what will be integers: leave precision at f32");
  return options.precision == "bf16" ? Floats::bf16 : Floats::f32;
}

FineTuneOptions tuning_of(const TrainOptions& options) {
  FineTuneOptions tuning;
  tuning.step.floats = floats_of(options);
  tuning.step.loss.label_smoothing = 0.1f;
  tuning.step.optimizer = {.kind = OptimizerKind::sgd, .nesterov = true, .weight_decay = 5e-4f};
  if (options.quantized) tuning.step.optimizer.clip_norm = kQuantAwareClip;
  tuning.step.batch = options.batch;
  tuning.epochs = options.epochs;
  tuning.rate = options.rate > 0 ? options.rate : options.quantized ? kQuantAwareSgdRate : 0.05;
  tuning.augmentation = parse_augmentation(options.augmentation);
  tuning.seed = options.seed;
  tuning.checkpoint = options.checkpoint;
  tuning.resume = options.resume;
  return tuning;
}

FineTuneHooks hooks_of(const TrainOptions& options, bool& stop) {
  FineTuneHooks hooks;
  hooks.on_step = [&](const StepProgress& p) {
    stop = options.progress && !options.progress({p.epoch, p.epochs, p.loss, p.accuracy, p.seconds_left});
  };
  hooks.should_stop = [&] { return stop; };
  return hooks;
}

QuantAwareOptions quant_aware_of(const TrainOptions& options, const Graph& graph) {
  check(options.epochs > 0, "TrainOptions::epochs is 0: without training, use eke quantize");
  const std::optional<Device> device = parse_device(options.engine);
  check(device.has_value(), "TrainOptions::engine is '{}': use cpu, tensorrt or dla-orin", options.engine);
  QuantAwareOptions result{.tuning = tuning_of(options)};
  result.quantize.weights.per_channel = options.per_channel;
  result.equalize = !options.per_channel;
  result.arithmetic.device = *device;
  if (!options.tensorrt.empty()) result.arithmetic.version = parse_tensorrt_version(options.tensorrt);
  result.tuning.step.loss.distill_weight = static_cast<float>(options.distill);
  if (options.distill > 0) result.tuning.teacher = graph;
  return result;
}

// The images of a training, and where its findings go.
struct Work {
  const TrainOptions& options;
  const Threads& threads;
  const FittedImages& train;
  const FittedImages* validation;
  TrainReport& report;
};

// The graph to write; what it is where the training was stopped does not matter.
Graph train_float(Graph graph, const Work& work) {
  const TrainOptions& options = work.options;
  if (options.new_head) {
    const Transferred head = train_head(graph, work.train, work.validation,
                                        {.head = {.kind = parse_head_kind(options.head)}}, work.threads);
    graph = options.epochs > 0 ? ready_to_tune(head) : head.graph;
  }
  if (options.epochs > 0) {
    bool stop = false;
    FineTuned tuned = fine_tune(std::move(graph), work.train, work.validation, tuning_of(options),
                                work.threads, hooks_of(options, stop));
    work.report.finished = !tuned.stopped;
    graph = std::move(tuned.graph);
  }
  if (work.validation && work.report.finished)
    work.report.validation_correct = count_correct(graph, *work.validation, work.threads);
  return graph;
}

Graph train_int8(const Graph& graph, const Work& work) {
  check(work.validation != nullptr,
        "TrainOptions::validation leaves no images to judge the int8 model by: give it a part of each class");
  bool stop = false;
  QuantAware trained =
      train_quantized(graph, work.train, *work.validation, quant_aware_of(work.options, graph), work.threads,
                      hooks_of(work.options, stop));
  work.report.finished = !trained.tuned.stopped;
  work.report.float_correct = trained.float_correct;
  work.report.post_training_correct = trained.start_correct;
  work.report.validation_correct = trained.correct;
  return std::move(trained.graph);
}

// A model that keeps its head keeps its classes, in their order.
Dataset open_classes(const TrainOptions& options, const Graph& graph) {
  Dataset data = without_empty_classes(open_dataset(options.data, {.part = "train"}));
  const auto labels = graph.metadata.find(std::string(kLabelsKey));
  if (!options.quantized || labels == graph.metadata.end()) return data;
  return with_classes(data, labels_from_json(labels->second));
}

}  // namespace

TrainReport train(const std::string& model, const TrainOptions& options) {
  check(!options.output.empty(), "TrainOptions::output names no file");
  Graph graph = load_onnx(model);
  const Preprocess how =
      preprocess_for(graph, options.normalization, options.width, options.height, "TrainOptions");
  graph = opened_for(std::move(graph), how);
  const RunLock lock(options.output + ".lock");
  const Threads threads(options.threads);
  const Dataset data = open_classes(options, graph);
  const FittedImages all(data, how, threads);
  const TrainValidation split = split_by_class(all.dataset(), options.validation, options.seed);
  const FittedImages train = all.select(split.train);
  std::optional<FittedImages> held_out;
  if (!split.validation.empty()) held_out = all.select(split.validation);
  TrainReport report{.classes = data.classes(),
                     .train_images = train.size(),
                     .validation_images = split.validation.size(),
                     .skipped_images = all.unreadable()};
  const Work work{options, threads, train, held_out ? &*held_out : nullptr, report};
  graph = options.quantized ? train_int8(graph, work) : train_float(std::move(graph), work);
  if (!report.finished) return report;
  store_preprocess(graph, how, data.classes());
  save_onnx(graph, options.output);
  return report;
}

}  // namespace eke
