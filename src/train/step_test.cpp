#include "train/step.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>

#include "base/error.h"
#include "onnx/onnx.h"
#include "ops/infer.h"
#include "train/testing/networks.h"

namespace eke {
namespace {

struct Batch {
  Tensor images, labels, teacher;
};

// Images whose mean tells their class, in noise.
Batch batch_for(const TrainStep& step, std::uint64_t seed, std::int64_t classes) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> noise(0, 1);
  Batch batch{Tensor(step.image_type()), Tensor(step.label_type()), Tensor(step.output_type())};
  const std::int64_t count = batch.images.shape()[0], each = batch.images.count() / count;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(classes));
    if (batch.labels.dtype() == DType::i64)
      batch.labels.mutable_values<std::int64_t>()[static_cast<std::size_t>(i)] = label;
    for (std::int64_t k = 0; k < each; ++k)
      batch.images.mutable_values<float>()[static_cast<std::size_t>(i * each + k)] =
          noise(random) + (k % classes == label ? 2.0f : 0.0f);
  }
  if (batch.labels.dtype() == DType::f32)
    for (float& x : batch.labels.mutable_values<float>()) x = noise(random);
  for (float& x : batch.teacher.mutable_values<float>()) x = noise(random);
  return batch;
}

StepResult run(TrainStep& step, const Batch& batch, float lr) {
  return step.run(batch.images.view(), batch.labels.view(), lr, batch.teacher.view());
}

constexpr std::int64_t kClasses = 4;

StepOptions options_of(std::int64_t batch = 6) {
  StepOptions options;
  options.batch = batch;
  return options;
}

struct Variant {
  const char* name;
  void (*change)(StepOptions&);
};
const Variant kVariants[] = {
    {"plain", [](StepOptions&) {}},
    {"nesterov",
     [](StepOptions& o) {
       o.optimizer.nesterov = true;
       o.optimizer.weight_decay = 0.01f;
     }},
    {"adam", [](StepOptions& o) { o.optimizer.kind = OptimizerKind::adam; }},
    {"adamw",
     [](StepOptions& o) {
       o.optimizer.kind = OptimizerKind::adamw;
       o.optimizer.weight_decay = 0.1f;
     }},
    {"clipped", [](StepOptions& o) { o.optimizer.clip_norm = 0.5f; }},
    {"smoothed", [](StepOptions& o) { o.loss.label_smoothing = 0.1f; }},
    {"distilled", [](StepOptions& o) { o.loss.distill_weight = 0.5f; }},
    {"mse", [](StepOptions& o) { o.loss.kind = LossKind::mse; }},
    {"arcface",
     [](StepOptions& o) {
       o.loss.kind = LossKind::arcface;
       o.loss.classes = 5;
     }},
    {"frozen_statistics", [](StepOptions& o) { o.batch_norm = BatchNormMode::frozen; }},
    {"averaged", [](StepOptions& o) { o.ema_decay = 0.5f; }},
    {"head_only",
     [](StepOptions& o) {
       o.trained = std::vector<Trained>{{"head.w"}, {"head.b", 2.0f}};
     }},
};

class StepVariants : public ::testing::TestWithParam<Variant> {
 protected:
  StepOptions options() const {
    StepOptions options = options_of();
    GetParam().change(options);
    return options;
  }
};

// After three steps all tensors are those of the reference, up to the rounding of float32 sums: at most some 300 terms a
// sum and 30 layers, 1e-7 each, amplified by normalization.
TEST_P(StepVariants, EqualsTheReference) {
  const Threads threads(2);
  StepOptions options = this->options();
  const Graph network = testing::small_network(kClasses);
  TrainStep step(network, options, threads);
  options.reference_only = true;
  TrainStep reference(network, options, threads);
  const std::int64_t classes = options.loss.classes != 0 ? options.loss.classes : kClasses;
  for (std::uint64_t i = 0; i < 3; ++i) {
    const Batch batch = batch_for(step, i, classes);
    const StepResult got = run(step, batch, 0.01f), want = run(reference, batch, 0.01f);
    ASSERT_NEAR(got.loss, want.loss, 1e-4 * (1 + std::abs(want.loss)));
  }
  const std::vector<NamedTensor> got = step.state(), want = reference.state();
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].name, want[i].name);
    ASSERT_EQ(got[i].tensor.type(), want[i].tensor.type());
    if (got[i].tensor.dtype() != DType::f32) continue;
    for (std::int64_t e = 0; e < got[i].tensor.count(); ++e) {
      const double a = element_as_double(got[i].tensor.view(), e),
                   b = element_as_double(want[i].tensor.view(), e);
      ASSERT_NEAR(a, b, 2e-3 * (1 + std::abs(b))) << got[i].name << " " << e;
    }
  }
}

TEST_P(StepVariants, LearnsAndGivesAValidGraph) {
  const Threads threads(2);
  const StepOptions options = this->options();
  const Graph network = testing::small_network(kClasses);
  TrainStep step(network, options, threads);
  const Batch batch = batch_for(step, 1, options.loss.classes != 0 ? options.loss.classes : kClasses);
  const double first = run(step, batch, 0.02f).loss;
  double last = first;
  for (int i = 0; i < 40; ++i) last = run(step, batch, 0.02f).loss;
  EXPECT_LT(last, 0.9 * first);
  EXPECT_EQ(step.first_not_finite(), "");
  const Graph trained = step.trained_graph(options.ema_decay > 0);
  verify(trained);
  EXPECT_EQ(trained.nodes.size(), network.nodes.size());
  const ValueId head = find_value(trained, "head.w");
  EXPECT_FALSE(*trained[head].constant == *network[head].constant);
}

INSTANTIATE_TEST_SUITE_P(All, StepVariants, ::testing::ValuesIn(kVariants),
                         [](const auto& row) { return std::string(row.param.name); });

std::vector<NamedTensor> state_after(int thread_count, int steps, Floats floats = Floats::f32,
                                     std::optional<Isa> isa = {}) {
  const Threads threads(thread_count);
  StepOptions options = options_of(9);
  options.floats = floats;
  options.isa = isa;
  TrainStep step(testing::small_network(kClasses, 20), options, threads);
  for (int i = 0; i < steps; ++i) run(step, batch_for(step, static_cast<std::uint64_t>(i), kClasses), 0.05f);
  return step.state();
}

void expect_same_bits(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].tensor == b[i].tensor) << a[i].name;
}

TEST(TrainStep, HasTheSameBitsOnAnyNumberOfThreads) {
  const auto one = state_after(1, 3);
  expect_same_bits(one, state_after(2, 3));
  expect_same_bits(one, state_after(7, 3));
}

const Tensor& tensor_of(const std::vector<NamedTensor>& state, const std::string& name) {
  return std::ranges::find(state, name, &NamedTensor::name)->tensor;
}

// A step in bfloat16 has its own bits, the same at any number of threads.
TEST(TrainStep, HasTheSameBitsInBfloat16OnAnyNumberOfThreads) {
  const auto one = state_after(1, 2, Floats::bf16);
  expect_same_bits(one, state_after(2, 2, Floats::bf16));
  expect_same_bits(one, state_after(7, 2, Floats::bf16));
  EXPECT_FALSE(tensor_of(one, "head.w") == tensor_of(state_after(1, 2), "head.w"));
}

TEST(TrainStep, LearnsInBfloat16) {
  const Threads threads(2);
  StepOptions options = options_of();
  options.floats = Floats::bf16;
  TrainStep step(testing::small_network(kClasses), options, threads);
  const Batch batch = batch_for(step, 1, kClasses);
  const double first = run(step, batch, 0.02f).loss;
  double last = first;
  for (int i = 0; i < 40; ++i) last = run(step, batch, 0.02f).loss;
  EXPECT_LT(last, 0.9 * first);
  EXPECT_EQ(step.first_not_finite(), "");
}

// With channels enough for every product to be one in bfloat16 but those of the first layer.
Graph wide_network() {
  testing::NetworkBuilder b({3, 20, 20});
  ValueId x = b.relu(b.norm(b.conv(b.input(), 3, 32, 3, 2), 32));
  x = b.relu(b.norm(b.conv(x, 32, 48, 3, 1), 48));
  x = b.relu(b.norm(b.conv(x, 48, 32, 1, 1), 32));
  x = b.relu(b.conv(x, 32, 24, 3, 2, 1, true));
  return b.finish(x, 24, kClasses);
}

// Along the gradient of each parameter the loss in float32 rises as the gradient in bfloat16 says. Factors that are off by
// up to 2^-9 of themselves make a gradient of about ten products and sums off by some 2^-8 in its direction and length; 4 %
// leave room for where a Relu or a maximum falls on another side. Central differences are off by the float32 loss, 2e-7 over
// twice the step.
TEST(TrainStep, GradientsInBfloat16AreNearFiniteDifferences) {
  const Threads threads(1);
  const Graph network = wide_network();
  StepOptions options = options_of(9);
  options.floats = Floats::bf16;
  TrainStep step(network, options, threads);
  const Batch batch = batch_for(step, 5, kClasses);
  const std::vector<NamedTensor> start = step.state();
  run(step, batch, 0.0f);
  const std::vector<NamedTensor> after = step.state();
  options.floats = Floats::f32;
  TrainStep exact(network, options, threads);
  const auto loss_at = [&](const std::string& name, const Tensor& direction, float distance) {
    std::vector<NamedTensor> moved = start;
    Tensor& tensor = std::ranges::find(moved, name, &NamedTensor::name)->tensor;
    for (std::int64_t i = 0; i < tensor.count(); ++i)
      tensor.mutable_values<float>()[static_cast<std::size_t>(i)] +=
          distance * direction.values<float>()[static_cast<std::size_t>(i)];
    exact.set_state(moved);
    return run(exact, batch, 0.0f).loss;
  };
  for (const Parameter& parameter : parameters(network)) {
    const Tensor& gradient = tensor_of(after, parameter.name + ":velocity");
    double square = 0;
    for (const float g : gradient.values<float>()) square += static_cast<double>(g) * static_cast<double>(g);
    const double length = std::sqrt(square);
    constexpr double kMove = 4e-3;
    const auto distance = static_cast<float>(kMove / length);
    const double slope =
        (loss_at(parameter.name, gradient, distance) - loss_at(parameter.name, gradient, -distance)) /
        (2 * kMove);
    EXPECT_NEAR(slope, length, 0.04 * length + 1e-4) << parameter.name;
  }
}

// Some pages of the plan are given back: it has to be larger than a few of them.
TEST(TrainStep, GoesOnAfterARest) {
  const Threads threads(2);
  TrainStep step(testing::mobilenet_v2(64, kClasses), options_of(16), threads),
      same(testing::mobilenet_v2(64, kClasses), options_of(16), threads);
  ASSERT_GT(step.planned_bytes(), std::size_t{16} << 20);
  const Batch batch = batch_for(step, 1, kClasses);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(run(step, batch, 0.05f).loss, run(same, batch, 0.05f).loss);
    step.rest();
    expect_same_bits(step.state(), same.state());
  }
}

TEST(TrainStep, GoesOnFromItsState) {
  const Threads threads(2);
  TrainStep step(testing::small_network(kClasses), options_of(), threads);
  run(step, batch_for(step, 1, kClasses), 0.05f);
  const std::vector<NamedTensor> kept = step.state();
  run(step, batch_for(step, 2, kClasses), 0.05f);
  TrainStep other(testing::small_network(kClasses), options_of(), threads);
  other.set_state(kept);
  EXPECT_EQ(other.steps_run(), 1);
  run(other, batch_for(other, 2, kClasses), 0.05f);
  expect_same_bits(step.state(), other.state());
}

TEST(TrainStep, RefusesAForeignState) {
  const Threads threads(1);
  TrainStep step(testing::small_network(kClasses), options_of(), threads);
  std::vector<NamedTensor> state = step.state();
  const auto kept = state;
  state.pop_back();
  EXPECT_THROW(step.set_state(state), UsageError);
  state = kept;
  state.push_back({"more", Tensor::scalar(1.0f)});
  EXPECT_THROW(step.set_state(state), UsageError);
  state = kept;
  state[0].tensor = Tensor::scalar(1.0f);
  EXPECT_THROW(step.set_state(state), UsageError);
  expect_same_bits(step.state(), kept);
}

TEST(TrainStep, KeepsFrozenLayers) {
  const Threads threads(1);
  StepOptions options = options_of();
  options.trained = std::vector<Trained>{{"head.w"}, {"head.b"}};
  const Graph network = testing::small_network(kClasses);
  TrainStep step(network, options, threads);
  run(step, batch_for(step, 1, kClasses), 0.05f);
  const Graph trained = step.trained_graph();
  for (const Value& value : network.values) {
    if (!value.constant || value.name.starts_with("head")) continue;
    EXPECT_TRUE(*trained[find_value(trained, value.name)].constant == *value.constant) << value.name;
  }
}

// What a step trains on is what the saved graph computes, up to the rounding of float32.
TEST(TrainStep, OutputIsThatOfTheGraph) {
  const Threads threads(2);
  StepOptions options = options_of(3);
  options.batch_norm = BatchNormMode::frozen;
  TrainStep step(testing::small_network(kClasses), options, threads);
  run(step, batch_for(step, 1, kClasses), 0.05f);
  const Graph trained = specialize(step.trained_graph(), {.shapes = {{"images", step.image_type().shape}}});
  const Batch batch = batch_for(step, 2, kClasses);
  const Tensor want = evaluate(trained, {batch.images})[0];
  run(step, batch, 0.0f);
  for (std::int64_t i = 0; i < want.count(); ++i)
    EXPECT_NEAR(element_as_double(step.output().view(), i), element_as_double(want.view(), i), 1e-3);
}

TEST(TrainStep, ComputesAgainToFitTheMemoryWithTheSameBits) {
  const Threads threads(2);
  const Graph network = testing::mobilenet_v2(64, kClasses);
  StepOptions options = options_of(4);
  TrainStep whole(network, options, threads);
  EXPECT_EQ(whole.recomputed_share(), 0);
  options.memory_bytes = whole.planned_bytes() * 95 / 100;
  TrainStep small(network, options, threads);
  EXPECT_LE(small.planned_bytes(), options.memory_bytes);
  EXPECT_GT(small.recomputed_share(), 0);
  EXPECT_LE(small.recomputed_share(), 1);
  const Batch batch = batch_for(whole, 1, kClasses);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(run(small, batch, 0.05f).loss, run(whole, batch, 0.05f).loss);
  expect_same_bits(small.state(), whole.state());
}

struct Wrong {
  const char* name;
  const char* message;
  void (*change)(StepOptions&);
};

// The gradients of all weights together would take as much memory as the weights.
TEST(TrainStep, AppliesGradientsLayerByLayer) {
  const Threads threads(1);
  const TrainStep step(testing::mobilenet_v2(32, kClasses), options_of(), threads);
  std::size_t gradients = 0, most = 0;
  for (const StepInfo& info : step.plan().steps()) {
    if (info.op == "ConvGradWeight") most = std::max(most, ++gradients);
    if (info.op == "Momentum" && info.type.shape.rank() == 4) --gradients;
  }
  EXPECT_GT(most, 0u);
  EXPECT_LE(most, 2u);
  EXPECT_EQ(gradients, 0u);
}

TEST(TrainStep, NamesWhatIsWrong) {
  const Threads threads(1);
  const Wrong cases[] = {
      {"nothing", "nothing to train", [](StepOptions& o) { o.trained = std::vector<Trained>{}; }},
      {"unknown", "'x' is no parameter", [](StepOptions& o) { o.trained = std::vector<Trained>{{"x"}}; }},
      {"twice", "listed twice",
       [](StepOptions& o) {
         o.trained = std::vector<Trained>{{"head.w"}, {"head.w"}};
       }},
      {"batch", "batch is 0", [](StepOptions& o) { o.batch = 0; }},
      {"smoothing", "label smoothing", [](StepOptions& o) { o.loss.label_smoothing = 1; }},
      {"classes", "number of classes", [](StepOptions& o) { o.loss.kind = LossKind::arcface; }},
      {"decay", "decay of averages", [](StepOptions& o) { o.ema_decay = 1; }},
      {"memory", "MB at least, 0.0 MB are allowed", [](StepOptions& o) { o.memory_bytes = 1000; }},
  };
  for (const Wrong& c : cases) {
    StepOptions options = options_of();
    c.change(options);
    try {
      TrainStep step(testing::small_network(kClasses), options, threads);
      ADD_FAILURE() << c.name;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(c.message), std::string::npos)
          << c.name << ": " << error.what();
    }
  }
  TrainStep step(testing::small_network(kClasses), options_of(), threads);
  Batch batch = batch_for(step, 1, kClasses);
  batch.labels.mutable_values<std::int64_t>()[1] = kClasses;
  EXPECT_THROW(run(step, batch, 0.1f), Error);
}

// --- real networks -----------------------------------------------------------------------------------------

std::filesystem::path real_models() {
  const char* data = std::getenv("EKE_DATA");
  return std::filesystem::path(data != nullptr ? data : "../shared/data") / "models";
}

struct RealModel {
  const char* name;
  const char* file;
  std::int64_t channels, size;  // of the images; 0: as the file says
  float lr;
};
const RealModel kModels[] = {
    {"mobilenet_v1", "mobilenet_v1_025_224.onnx", 3, 96, 0.01f},
    {"mobilenet_v2", "mobilenet_v2_224.onnx", 3, 0, 0.001f},
    {"squeezenet", "squeezenet_v11.onnx", 3, 0, 0.001f},
    {"mobilefacenet", "mobilefacenet-insightface.onnx", 3, 0, 0.01f},
    {"resnet20", "cifar-resnet/resnet20.onnx", 3, 0, 0.01f},
    {"resnet8", "mlperf-tiny/resnet8_float.onnx", 3, 0, 0.0001f},
    {"visual_wake_words", "mlperf-tiny/vww_96_float.onnx", 3, 0, 0.0005f},
};

class RealModelTest : public ::testing::TestWithParam<RealModel> {};

TEST_P(RealModelTest, Learns) {
  const RealModel& model = GetParam();
  const std::filesystem::path path = real_models() / model.file;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not present";
  const Graph network = load_onnx(path.string());
  const Threads threads(2);
  StepOptions options = options_of(4);
  if (model.size != 0) options.image = Shape{model.channels, model.size, model.size};
  const bool embeds = std::string(model.name) == "mobilefacenet";
  if (embeds) options.loss = {.kind = LossKind::arcface, .classes = 8};
  TrainStep step(network, options, threads);
  const Batch batch = batch_for(step, 1, std::min<std::int64_t>(8, step.output_type().shape[1]));
  const double first = run(step, batch, model.lr).loss;
  double last = first;
  for (int i = 0; i < 5; ++i) last = run(step, batch, model.lr).loss;
  EXPECT_LT(last, first);
  EXPECT_EQ(step.first_not_finite(), "");
  verify(step.trained_graph());
  for (const StepInfo& info : step.plan().steps())
    EXPECT_TRUE(info.tactic != "reference" || !info.op.starts_with("Conv"))
        << info.name << " (" << info.op << ")";
}

INSTANTIATE_TEST_SUITE_P(All, RealModelTest, ::testing::ValuesIn(kModels),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace eke
