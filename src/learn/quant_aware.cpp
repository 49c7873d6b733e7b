#include "learn/quant_aware.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "learn/calibrated.h"
#include "learn/run_images.h"

namespace eke {
namespace {

class Trainer {
 public:
  Trainer(const Graph& graph, const FittedImages& train, const QuantAwareOptions& options,
          const Threads& threads)
      : how_(train.preprocess()),
        options_(options),
        network_(bound_to(graph, how_, 1)),
        quantize_(quantize_options(options.arithmetic, network_, options.quantize)) {
    if (options.equalize) network_ = equalized_on(network_, train, quantize_, threads);
    ranges_ = ranges_on(network_, train, quantize_, options.calibrator, threads);
    fake_ = fake_quantize(network_, ranges_, quantize_);
  }

  Graph start() const { return opened_for(quantize(network_, ranges_, quantize_).graph, how_); }
  Graph simulation() const { return opened_for(fake_.graph, how_); }

  // The integer form of a simulation after some training.
  Graph integers(const Graph& trained) const {
    Graph network = network_;
    for (const Parameter& parameter : parameters(network)) {
      const ValueId id = find_value(trained, parameter.name);
      if (id != kNoValue && trained.constant(id) != nullptr)
        network[find_value(network, parameter.name)].constant = trained[id].constant;
    }
    RewriteOptions options = quantize_;
    options.correct_biases = false;  // the biases were corrected before training, and have learned since
    options.learned = learned_scales(trained, fake_.scales);
    return opened_for(quantize(network, ranges_, options).graph, how_);
  }

  // What an integer form computes where it will run.
  Graph as_computed(const Graph& integers) const {
    if (options_.arithmetic.device == Device::cpu) return integers;
    return opened_for(simulate(typed_for(integers, how_), options_.arithmetic).graph, how_);
  }

  FineTuneOptions tuning() const {
    FineTuneOptions tuning = options_.tuning;
    tuning.step.batch_norm = BatchNormMode::frozen;
    tuning.step.trained = trained();
    return tuning;
  }

 private:
  bool is_input(const FakeScale& scale) const {
    return !scale.of_weights && scale.of == network_[network_.inputs[0]].name;
  }

  // The learning rate of a scale, so that it moves about as fast as the weights do, relative to its size (LSQ, section
  // 2.2; for Adam, whose steps are as large as the rate, its size itself).
  float scale_factor(const FakeScale& scale) const {
    if (options_.tuning.step.optimizer.kind != OptimizerKind::sgd) {
      const Tensor* value = fake_.graph.constant(find_value(fake_.graph, scale.constant));
      const auto sizes = value->values<float>();
      return *std::ranges::min_element(sizes);
    }
    const double levels = scale.of_weights ? 127 : 255;
    return static_cast<float>(1 / std::sqrt(static_cast<double>(scale.elements) * levels));
  }

  // All parameters, and all scales but that of the images, which stay as they are.
  std::vector<Trained> trained() const {
    std::vector<Trained> result;
    const std::vector<Parameter> own = parameters(network_);
    for (const Parameter& parameter : parameters(fake_.graph))
      if (std::ranges::find(own, parameter.name, &Parameter::name) != own.end())
        result.push_back({parameter.name});
    for (const FakeScale& scale : fake_.scales)
      if (!is_input(scale)) result.push_back({scale.constant, scale_factor(scale)});
    return result;
  }

  const Preprocess& how_;
  const QuantAwareOptions& options_;
  Graph network_;  // folded, for one image
  RewriteOptions quantize_;
  Ranges ranges_;
  FakeQuantized fake_;
};

}  // namespace

QuantAware train_quantized(const Graph& graph, const FittedImages& train, const FittedImages& validation,
                           const QuantAwareOptions& options, const Threads& threads,
                           const FineTuneHooks& given) {
  const Trainer trainer(graph, train, options, threads);
  const auto judge = [&](const Graph& integers) {
    return count_correct(trainer.as_computed(integers), validation, threads);
  };
  QuantAware result;
  const Graph start = trainer.start();
  result.float_correct = count_correct(graph, validation, threads);
  result.start_correct = judge(start);
  FineTuneHooks hooks = given;
  hooks.score = [&](const Graph& trained) {
    return static_cast<std::int64_t>(judge(trainer.integers(trained)));
  };
  result.tuned = fine_tune(trainer.simulation(), train, &validation, trainer.tuning(), threads, hooks);
  if (result.tuned.stopped) return result;
  result.graph = trainer.integers(result.tuned.graph);
  result.correct = judge(result.graph);
  if (result.correct <= result.start_correct) {
    result.tuned.best_epoch = 0;
    result.correct = result.start_correct;
    result.graph = start;
  }
  return result;
}

}  // namespace eke
