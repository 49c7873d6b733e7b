#include "learn/fine_tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/hash.h"
#include "data/split.h"
#include "learn/checkpoint.h"
#include "learn/run_images.h"
#include "runtime/plan.h"

namespace eke {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::uint64_t graph_hash(const Graph& graph) { return hash_bytes(to_text(graph, 0)); }

// Everything that decides the bits of the result, a line each.
std::string settings_text(const FineTuneOptions& o, std::int64_t batch, std::uint64_t images) {
  const StepOptions& s = o.step;
  std::string text = fmt::format("precision {}\n", s.floats == Floats::bf16 ? "bf16" : "f32");
  text += fmt::format(
      "epochs {}\nbatch {}\nrate {}\nschedule {}\nwarm-up {}\naugmentation {}\nbalance {}\nseed {}\npatience "
      "{}\n"
      "images {:016x}\n",
      o.epochs, batch, o.rate, to_string(o.decay), o.warm_up_epochs, to_string(o.augmentation), o.balance,
      o.seed, o.patience, images);
  text += fmt::format("loss {} smoothing {} classes {} margin {} scale {} seed {} distillation {} {}\n",
                      static_cast<int>(s.loss.kind), s.loss.label_smoothing, s.loss.classes, s.loss.margin,
                      s.loss.scale, s.loss.seed, s.loss.distill_weight, s.loss.distill_temperature);
  text += fmt::format("optimizer {} momentum {} nesterov {} betas {} {} epsilon {} decay {} clip {}\n",
                      static_cast<int>(s.optimizer.kind), s.optimizer.momentum, s.optimizer.nesterov,
                      s.optimizer.beta1, s.optimizer.beta2, s.optimizer.epsilon, s.optimizer.weight_decay,
                      s.optimizer.clip_norm);
  text += fmt::format("batch norm {} average {}\n", static_cast<int>(s.batch_norm), s.ema_decay);
  if (o.teacher) text += fmt::format("teacher {:016x}\n", graph_hash(*o.teacher));
  if (s.trained) {
    for (const Trained& trained : *s.trained)
      text += fmt::format("train {} {}\n", trained.name, trained.lr_factor);
  }
  return text;
}

std::uint64_t hash_of(const FittedImages& images, std::uint64_t hash) {
  hash = hash_bytes(preprocess_to_json(images.preprocess()), hash);
  for (const Sample& sample : images.dataset().samples()) {
    hash = hash_bytes(fmt::format("{} {}\n", sample.id, sample.label), hash);
  }
  return hash;
}

// The logits of a network that no longer learns.
class Teacher {
 public:
  Teacher(const Graph& graph, const Preprocess& how, const TrainStep& step, const Threads& threads)
      : plan_(compile(bound_to(without_last_softmax(graph), how, step.image_type().shape[0]))),
        scratch_(plan_, threads),
        logits_(step.output_type()) {
    check(plan_.input_types().at(0).shape == step.image_type().shape &&
              plan_.output_types().at(0).dtype == DType::f32 &&
              plan_.output_types()[0].shape.count() == logits_.count(),
          "the teacher makes {} of {}; {} of {} is needed", to_string(plan_.output_types()[0]),
          to_string(plan_.input_types()[0]), to_string(step.output_type()), to_string(step.image_type()));
    for (std::size_t i = 1; i < plan_.output_types().size(); ++i)
      others_.emplace_back(plan_.output_types()[i]);
  }

  TensorView run(const TensorView& images) {
    std::vector<MutTensorView> out{{&plan_.output_types()[0], logits_.mutable_data()}};
    for (Tensor& other : others_) out.push_back(other.mutable_view());
    plan_.run({&images, 1}, out, scratch_);
    return logits_.view();
  }

 private:
  static Graph without_last_softmax(Graph graph) {
    const int producer = producers(graph)[static_cast<std::size_t>(graph.outputs.at(0))];
    if (producer < 0) return graph;
    const Node& last = graph.nodes[static_cast<std::size_t>(producer)];
    if (std::holds_alternative<op::Softmax>(last.op)) graph.outputs[0] = last.in[0];
    return graph;
  }

  Plan plan_;
  Scratch scratch_;
  Tensor logits_;
  std::vector<Tensor> others_;
};

class Loop {
 public:
  Loop(Graph&& graph, const FittedImages& train, const FittedImages* validation,
       const FineTuneOptions& options, const Threads& threads, const FineTuneHooks& hooks)
      : train_(train),
        validation_(validation),
        options_(options),
        threads_(threads),
        hooks_(hooks),
        batch_(std::min<std::int64_t>(options.step.batch > 0 ? options.step.batch : usual_batch(train.size()),
                                      static_cast<std::int64_t>(train.size()))),
        step_(graph, with_batch(options.step, batch_), threads),
        images_(step_.image_type()),
        labels_(step_.label_type()),
        network_(graph_hash(graph)),
        settings_(settings_text(
            options, batch_,
            validation ? hash_of(*validation, hash_of(train, kHashStart)) : hash_of(train, kHashStart))) {
    const auto per_epoch = epoch_order(train.dataset(), options.balance, options.seed, 0).size();
    batches_ = static_cast<std::int64_t>((per_epoch + static_cast<std::size_t>(batch_) - 1) /
                                         static_cast<std::size_t>(batch_));
    schedule_ = {options.decay, options.rate, options.epochs * batches_,
                 std::llround(options.warm_up_epochs * static_cast<double>(batches_))};
    result_.planned_bytes = step_.planned_bytes();
    result_.recomputed_share = step_.recomputed_share();
    if (options.teacher) teacher_.emplace(*options.teacher, train.preprocess(), step_, threads);
    const auto classes = static_cast<std::int64_t>(train.dataset().classes().size());
    const Shape& logits = step_.output_type().shape;
    check(logits[logits.rank() - 1] >= classes,
          "the network tells {} classes apart and the images have {}: give it a new head",
          logits[logits.rank() - 1], classes);
    graph = {};
  }

  FineTuned run() {
    if (hooks_.on_plan) hooks_.on_plan(result_.planned_bytes, result_.recomputed_share);
    if (options_.resume) restore();
    saved_ = begin_ = Clock::now();
    while (at_.epoch < options_.epochs && !result_.stopped && !result_.stopped_early) run_epoch();
    if (result_.stopped) {
      save();
    }
    step_.rest();
    result_.graph = best_ && !result_.stopped ? std::move(*best_) : step_.trained_graph(averages());
    result_.best_epoch = at_.best_epoch;
    return std::move(result_);
  }

 private:
  // Where the training stands: what a checkpoint holds besides tensors.
  struct Position {
    std::int64_t epoch = 0, batch = 0;  // finished ones; of the epoch that runs
    std::int64_t correct = 0, best_score = -1, best_epoch = 0;
    double loss_sum = 0;  // over the batches of the epoch that runs
  };

  static StepOptions with_batch(StepOptions options, std::int64_t batch) {
    options.batch = batch;
    return options;
  }
  bool averages() const { return options_.step.ema_decay > 0; }
  bool scores() const { return hooks_.score || validation_; }

  void run_epoch() {
    BatchStream stream(train_,
                       {.batch = static_cast<std::size_t>(batch_),
                        .augmentation = options_.augmentation,
                        .balance = options_.balance,
                        .seed = options_.seed},
                       static_cast<std::uint64_t>(at_.epoch), static_cast<std::size_t>(at_.batch));
    TrainBatch batch;
    for (Clock::time_point begin = Clock::now(); stream.next(batch); begin = Clock::now()) {
      run_step(batch);
      result_.step_seconds.push_back(seconds_since(begin));
      if (hooks_.should_stop && hooks_.should_stop()) {
        result_.stopped = true;
        return;
      }
      if (at_.batch < batches_ && seconds_since(saved_) > options_.checkpoint_seconds) save();
    }
    end_epoch();
  }

  void run_step(const TrainBatch& batch) {
    std::memcpy(images_.mutable_data(), batch.images.data(), images_.bytes());
    std::memcpy(labels_.mutable_data(), batch.labels.data(), labels_.bytes());
    const std::int64_t number = at_.epoch * batches_ + at_.batch;
    const TensorView teacher = teacher_ ? teacher_->run(images_.view()) : TensorView{};
    const StepResult result = step_.run(images_.view(), labels_.view(),
                                        static_cast<float>(learning_rate(schedule_, number)), teacher);
    if (!std::isfinite(result.loss)) fail_diverged(number);
    at_.loss_sum += result.loss;
    at_.correct += result.correct;
    ++at_.batch;
    ++steps_here_;
    if (hooks_.on_step) hooks_.on_step(progress(number + 1));
  }

  [[noreturn]] void fail_diverged(std::int64_t step) const {
    const std::string culprit = step_.first_not_finite();
    fail(
        "training diverged at step {} (epoch {}): the loss is not a number, {}; {}use a lower learning rate "
        "than {}, "
        "or clip the gradients",
        step + 1, at_.epoch + 1,
        culprit.empty() ? std::string("while all parameters are finite")
                        : fmt::format("and '{}' is the first that is not finite", culprit),
        std::filesystem::exists(options_.checkpoint) ? "the checkpoint holds the last good state; " : "",
        options_.rate);
  }

  StepProgress progress(std::int64_t step) const {
    const double elapsed = seconds_since(begin_), each = elapsed / static_cast<double>(steps_here_);
    return {.epoch = at_.epoch + 1,
            .epochs = options_.epochs,
            .step = step,
            .steps = schedule_.steps,
            .loss = at_.loss_sum / static_cast<double>(at_.batch),
            .accuracy = static_cast<double>(at_.correct) / static_cast<double>(at_.batch * batch_),
            .images_per_second = static_cast<double>(batch_) / each,
            .seconds_left = each * static_cast<double>(schedule_.steps - step)};
  }

  void end_epoch() {
    // Where values are rounded, a parameter that is no number need not show in the loss.
    if (!step_.first_not_finite().empty()) fail_diverged(at_.epoch * batches_ + at_.batch - 1);
    EpochRecord record{at_.epoch + 1,
                       at_.loss_sum / static_cast<double>(batches_),
                       static_cast<double>(at_.correct) / static_cast<double>(batches_ * batch_),
                       {}};
    if (scores()) {
      step_.rest();  // the network that is judged needs memory of its own
      Graph trained = step_.trained_graph(averages());
      record.validated = hooks_.score
                             ? hooks_.score(trained)
                             : static_cast<std::int64_t>(count_correct(trained, *validation_, threads_));
      // Of equals the later one, which has trained longer at a lower rate: where few images validate, many are equal.
      if (*record.validated >= at_.best_score) {
        at_.best_score = *record.validated;
        at_.best_epoch = record.epoch;
        best_ = std::move(trained);
      }
    } else {
      at_.best_epoch = record.epoch;
    }
    result_.epochs.push_back(record);
    ++at_.epoch;
    at_.batch = at_.correct = 0;
    at_.loss_sum = 0;
    result_.stopped_early =
        scores() && options_.patience > 0 && at_.epoch - first_best_epoch() >= options_.patience;
    save();
    if (hooks_.on_epoch) hooks_.on_epoch(record);
  }

  // Since when nothing was better.
  std::int64_t first_best_epoch() const {
    const auto first = std::ranges::find(result_.epochs, at_.best_score, &EpochRecord::validated);
    return first == result_.epochs.end() ? 0 : first->epoch;
  }

  void save() {
    if (options_.checkpoint.empty() || !step_.first_not_finite().empty()) return;
    Checkpoint checkpoint{.network = network_, .settings = settings_};
    checkpoint.counters = {{"epoch", at_.epoch},           {"batch", at_.batch},
                           {"correct", at_.correct},       {"best score", at_.best_score},
                           {"best epoch", at_.best_epoch}, {"stopped early", result_.stopped_early}};
    checkpoint.figures = {{"loss sum", at_.loss_sum}};
    for (const EpochRecord& record : result_.epochs) {
      const std::string name = fmt::format("epoch {:06}", record.epoch);
      checkpoint.figures[name + " loss"] = record.loss;
      checkpoint.figures[name + " accuracy"] = record.accuracy;
      if (record.validated) checkpoint.counters[name + " validated"] = *record.validated;
    }
    save_checkpoint(options_.checkpoint, checkpoint, [&](const TakeTensor& take) {
      step_.for_each_state(
          [&](const std::string& name, const Tensor& tensor) { take("state/" + name, tensor); });
      for (const auto& [name, tensor] : learned_by_best()) take("best/" + name, *tensor);
    });
    saved_ = Clock::now();
  }

  // The constants of the best epoch's graph that learn.
  std::vector<std::pair<std::string, const Tensor*>> learned_by_best() const {
    std::vector<std::pair<std::string, const Tensor*>> learned;
    for (std::size_t v = 0; best_ && v < best_->values.size(); ++v) {
      const Value& value = best_->values[v];
      if (value.constant && value.constant != step_.network().values[v].constant)
        learned.emplace_back(value.name, value.constant.get());
    }
    return learned;
  }

  void restore_best(const std::string& name, const Tensor& tensor) {
    if (!best_) best_ = step_.network();
    const ValueId id = find_value(*best_, name);
    check(id != kNoValue && (*best_)[id].type == tensor.type(),
          "'{}' of the best epoch is no parameter of the network", name);
    (*best_)[id].constant = std::make_shared<const Tensor>(tensor);
  }

  void restore() {
    if (!std::filesystem::exists(options_.checkpoint)) return;
    const Checkpoint checkpoint = load_checkpoint(options_.checkpoint, network_, settings_);
    with_context([&] { return fmt::format("checkpoint '{}'", options_.checkpoint); },
                 [&] { restore_from(checkpoint); });
  }

  void restore_from(const Checkpoint& checkpoint) {
    const auto counter = [&](const std::string& name) {
      const auto found = checkpoint.counters.find(name);
      check(found != checkpoint.counters.end() && found->second >= -1, "'{}' is missing or wrong", name);
      return found->second;
    };
    const auto figure = [&](const std::string& name) {
      const auto found = checkpoint.figures.find(name);
      check(found != checkpoint.figures.end(), "'{}' is missing", name);
      return found->second;
    };
    at_ = {counter("epoch"),      counter("batch"),      counter("correct"),
           counter("best score"), counter("best epoch"), figure("loss sum")};
    check(at_.epoch >= 0 && at_.epoch <= options_.epochs && at_.batch >= 0 && at_.batch <= batches_,
          "it stands at epoch {}, batch {}, of {} epochs of {}", at_.epoch, at_.batch, options_.epochs,
          batches_);
    result_.stopped_early = counter("stopped early") > 0;
    for (std::int64_t epoch = 1; epoch <= at_.epoch; ++epoch) {
      const std::string name = fmt::format("epoch {:06}", epoch);
      EpochRecord record{epoch, figure(name + " loss"), figure(name + " accuracy"), {}};
      if (scores()) record.validated = counter(name + " validated");
      result_.epochs.push_back(record);
    }
    std::vector<NamedTensor> state;
    for (const auto& [name, tensor] : checkpoint.tensors) {
      if (name.starts_with("state/")) state.push_back({name.substr(6), tensor});
      if (name.starts_with("best/")) restore_best(name.substr(5), tensor);
    }
    step_.set_state(state);
    result_.resumed_at_step = at_.epoch * batches_ + at_.batch;
  }

  const FittedImages& train_;
  const FittedImages* validation_;
  const FineTuneOptions& options_;
  const Threads& threads_;
  const FineTuneHooks& hooks_;
  std::int64_t batch_, batches_ = 0;
  TrainStep step_;
  std::optional<Teacher> teacher_;
  Tensor images_, labels_;
  std::uint64_t network_;
  std::string settings_;
  Schedule schedule_;
  Position at_;
  std::optional<Graph> best_;  // of the best epoch by validation
  FineTuned result_;
  Clock::time_point begin_, saved_;
  std::int64_t steps_here_ = 0;
};

}  // namespace

std::int64_t usual_batch(std::size_t images) noexcept {
  constexpr std::size_t kSmallSet = 2000;
  return images <= kSmallSet ? 16 : 32;
}

FineTuned fine_tune(Graph graph, const FittedImages& train, const FittedImages* validation,
                    const FineTuneOptions& options, const Threads& threads, const FineTuneHooks& hooks) {
  check(options.epochs > 0 && options.rate > 0 && options.step.batch >= 0,
        "{} epochs of batches of {} at a rate of {}: none may be below 0, and a training needs epochs and a "
        "rate",
        options.epochs, options.step.batch, options.rate);
  check(options.step.loss.kind == LossKind::cross_entropy,
        "the loop trains classifiers by their cross-entropy");
  check(options.teacher.has_value() == (options.step.loss.distill_weight > 0),
        "distillation needs a teacher and a weight above 0");
  Loop loop(std::move(graph), train, validation, options, threads, hooks);
  return loop.run();
}

}  // namespace eke
