#include "eke/train.h"

#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "data/split.h"
#include "learn/fine_tune.h"
#include "learn/run_images.h"
#include "learn/run_lock.h"
#include "learn/transfer.h"
#include "onnx/onnx.h"

namespace eke {
namespace {

Preprocess preprocess_for(const Graph& graph, const TrainOptions& options) {
  const auto stored = graph.metadata.find(std::string(kPreprocessKey));
  Preprocess how;
  check(stored != graph.metadata.end() || !options.normalization.empty(),
        "the model does not say how an image becomes its input: set TrainOptions::normalization");
  if (stored != graph.metadata.end()) how = preprocess_from_json(stored->second);
  const Shape& shape = graph[graph.inputs.at(0)].type.shape;
  if (stored == graph.metadata.end() && shape.rank() == 4) {
    how.height = static_cast<int>(shape[2]);
    how.width = static_cast<int>(shape[3]);
    if (shape[1] == 1) how.order = ChannelOrder::grey;
  }
  if (!options.normalization.empty()) apply_normalization(how, options.normalization);
  if (options.width > 0) how.width = options.width;
  if (options.height > 0) how.height = options.height;
  verify(how);
  return how;
}

FineTuneOptions tuning_of(const TrainOptions& options) {
  FineTuneOptions tuning;
  tuning.step.loss.label_smoothing = 0.1f;
  tuning.step.optimizer = {.kind = OptimizerKind::sgd, .nesterov = true, .weight_decay = 5e-4f};
  tuning.step.batch = options.batch;
  tuning.epochs = options.epochs;
  tuning.rate = options.rate;
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

}  // namespace

TrainReport train(const std::string& model, const TrainOptions& options) {
  check(!options.output.empty(), "TrainOptions::output names no file");
  Graph graph = load_onnx(model);
  const Preprocess how = preprocess_for(graph, options);
  graph = opened_for(std::move(graph), how);
  const RunLock lock(options.output + ".lock");
  const Threads threads(options.threads);
  const Dataset data = without_empty_classes(open_dataset(options.data, {.part = "train"}));
  const FittedImages all(data, how, threads);
  const TrainValidation split = split_by_class(all.dataset(), options.validation, options.seed);
  const FittedImages train = all.select(split.train);
  std::optional<FittedImages> held_out;
  if (!split.validation.empty()) held_out = all.select(split.validation);
  const FittedImages* validation = held_out ? &*held_out : nullptr;
  TrainReport report{.classes = data.classes(),
                     .train_images = train.size(),
                     .validation_images = split.validation.size(),
                     .skipped_images = all.unreadable()};
  if (options.new_head) {
    const Transferred head =
        train_head(graph, train, validation, {.head = {.kind = parse_head_kind(options.head)}}, threads);
    graph = options.epochs > 0 ? ready_to_tune(head) : head.graph;
  }
  if (options.epochs > 0) {
    bool stop = false;
    FineTuned tuned =
        fine_tune(graph, train, validation, tuning_of(options), threads, hooks_of(options, stop));
    report.finished = !tuned.stopped;
    if (tuned.stopped) return report;
    graph = std::move(tuned.graph);
  }
  if (validation) report.validation_correct = count_correct(graph, *validation, threads);
  graph.metadata[std::string(kPreprocessKey)] = preprocess_to_json(how);
  graph.metadata[std::string(kLabelsKey)] = labels_to_json(data.classes());
  save_onnx(graph, options.output);
  return report;
}

}  // namespace eke
