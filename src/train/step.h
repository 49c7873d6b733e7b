// A training step of one network, compiled: forward, loss, backward and update as one plan with planned memory. Data,
// schedules and checkpoints are the caller's. The portable graph stays what is saved: trained_graph() writes parameters
// and running statistics back into it. One thread of control uses a TrainStep at a time. The same inputs give the same
// bits at any thread count.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/isa.h"
#include "base/threads.h"
#include "graph/graph.h"
#include "runtime/plan.h"
#include "tensor/tensor.h"

namespace eke {

enum class LossKind : std::uint8_t {
  cross_entropy,  // the output is logits [N, classes] (a Softmax at the end of the network is left out), labels i64 [N]
  mse,            // mean squared error to labels f32 of the output's shape
  arcface,  // the output is an embedding [N, D]; additive angular margin over `classes` learned centres
            // (Deng et al., ArcFace, 2019); labels i64 [N]
};

struct LossOptions {
  LossKind kind = LossKind::cross_entropy;
  float label_smoothing = 0;        // of cross_entropy: in [0, 1)
  std::int64_t classes = 0;         // of arcface
  float margin = 0.5f, scale = 30;  // of arcface
  std::uint64_t seed = 1;           // of arcface's first centres
  // Distillation (Hinton et al., 2015): this share of the loss is the divergence from the teacher's logits, which run()
  // then takes, at this temperature. With cross_entropy only.
  float distill_weight = 0, distill_temperature = 4;
};

enum class OptimizerKind : std::uint8_t { sgd, adam, adamw };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::sgd;
  float momentum = 0.9f;                                // of sgd
  bool nesterov = false;                                // of sgd
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;  // of adam and adamw
  float weight_decay = 0;  // of weights; never of biases and normalizations. adamw: apart from the gradient
  float clip_norm = 0;     // of all gradients together; 0: none
};

enum class ParameterKind : std::uint8_t { weight, bias, norm, slope, scale };

// A constant of a network that training may change.
struct Parameter {
  std::string name;  // of the value in the graph
  Shape shape;
  ParameterKind kind = ParameterKind::weight;
  std::string node;  // the first that reads it
};

// Weights and biases of convolutions and products, scales and shifts of normalizations, slopes of PRelus, scales of
// simulated quantization (and the weights that it rounds); in the order of the nodes. `graph` need not have known types.
std::vector<Parameter> parameters(const Graph& graph);

struct Trained {
  std::string name;     // of a Parameter
  float lr_factor = 1;  // times the learning rate
};

enum class BatchNormMode : std::uint8_t {
  batch,  // statistics of the batch where the scale or shift is trained, and running ones follow by the node's momentum
  frozen,  // running statistics everywhere, unchanged
};

struct StepOptions {
  LossOptions loss = {};
  OptimizerOptions optimizer = {};
  std::optional<std::vector<Trained>> trained =
      {};  // absent: all parameters. Empty lists train nothing: an error
  std::int64_t batch = 16;
  std::optional<Shape> image = {};  // of one image, [C, H, W], where the graph leaves it open
  BatchNormMode batch_norm = BatchNormMode::batch;
  float ema_decay = 0;  // above 0: keeps an exponential moving average of what is trained
  // bf16: convolutions that are not depthwise, and their gradients, take factors rounded to bfloat16. Sums, parameters,
  // statistics and all tensors between layers are float32.
  Floats floats = Floats::f32;
  // What planned_bytes() may be; 0: no limit. To fit, parts of the forward pass are computed again in the backward pass.
  std::size_t memory_bytes = 0;
  std::optional<Isa> isa = {};
  bool reference_only = false;  // every step by the reference: slow, for tests
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

struct StepResult {
  double loss = 0;           // before the update; not finite when training has diverged
  std::int64_t correct = 0;  // images whose largest logit is their label's; 0 for mse
};

class TrainStep {
 public:
  // `graph` is a portable network with one input [N, C, H, W] (float32) whose first output is trained. `threads` must
  // outlive the step. Throws an Error when something cannot be trained or does not fit the memory; it then names
  // what is needed at least.
  TrainStep(const Graph& graph, const StepOptions& options, const Threads& threads);
  TrainStep(TrainStep&&) noexcept;
  TrainStep& operator=(TrainStep&&) noexcept;
  ~TrainStep();

  const Type& image_type() const noexcept;   // f32 [batch, C, H, W]
  const Type& label_type() const noexcept;   // i64 [batch], or of mse f32 as the output
  const Type& output_type() const noexcept;  // logits; of arcface cosines [batch, classes]
  std::size_t planned_bytes()
      const noexcept;                        // activations, gradients, parameters and states, packed weights
  double recomputed_share() const noexcept;  // of the forward pass's multiplications, how many are done twice
  const Plan& plan() const noexcept;

  // Gives back to the system what a step needs beside parameters and states, until the next one.
  void rest();

  // One step with learning rate `lr`. Types must be image_type() and label_type(); `teacher` (f32, as output_type())
  // is needed when distilling.
  StepResult run(const TensorView& images, const TensorView& labels, float lr,
                 const TensorView& teacher = {});
  // Outputs of the network before the last update, as output_type().
  const Tensor& output() const noexcept;
  std::int64_t steps_run() const noexcept;

  // All that a checkpoint needs besides the graph and the options: parameters, running statistics, optimizer states,
  // averages, the count of steps. In ONNX's layout; names are those of the graph with a suffix for what belongs to a
  // parameter ("conv1.w", "conv1.w:velocity", ":steps").
  std::vector<NamedTensor> state() const;
  void for_each_state(const std::function<void(const std::string& name, const Tensor& tensor)>& take) const;
  // Throws a UsageError that names what is missing, unknown or of another shape; then nothing has changed.
  void set_state(const std::vector<NamedTensor>& state);

  // The graph given at first without the constants that learn: their memory is free once the caller's graph is gone.
  const Graph& network() const noexcept;
  // The graph given at first with the trained parameters (or their averages) and running statistics.
  Graph trained_graph(bool averaged = false) const;

  // The first parameter, statistic or state with a value that is not finite; empty when all are.
  std::string first_not_finite() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eke
