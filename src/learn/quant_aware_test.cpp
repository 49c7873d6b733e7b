#include "learn/quant_aware.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "learn/run_images.h"
#include "learn/testing/halves.h"
#include "onnx/onnx.h"

namespace eke {
namespace {

std::string drawn(std::size_t count, std::uint64_t seed) {
  std::string text = "[";
  Random random(seed);
  for (std::size_t i = 0; i < count; ++i) text += (i ? "," : "") + std::to_string(0.3 * random.normal());
  return text + "]";
}

// Channels that differ much in size, which one scale for all weights serves badly, before a second convolution.
Graph chain() {
  return parse_text(
      "graph \"g\"\ninput %x: f32[?,3,8,8] dims(\"N\",\"\",\"\",\"\")\nconst %w: f32[6,3,1,1] = "
      "[1,-1,0.5,0.01,0.02,-0.03,3,2,-1,0.1,0.1,0.2,-0.01,0.02,0.01,1,1,-2]\nconst %v: f32[2,6,1,1] = " +
      drawn(12, 7) +
      "\nconst %u: f32[2,4] = [1,-1,0.5,-0.5,-1,1,0.5,0.5]\n"
      "%c: f32[?,6,8,8] = Conv \"first\" (%x, %w)\n"
      "%r: f32[?,6,8,8] = Relu \"relu\" (%c)\n"
      "%d: f32[?,2,8,8] = Conv \"second\" (%r, %v)\n"
      "%p: f32[?,2,1,2] = AveragePool \"pool\" (%d) {kernel_shape=[8,4] strides=[8,4]}\n"
      "%f: f32[?,4] = Flatten \"flat\" (%p)\n"
      "%y: f32[?,2] = Gemm \"fc\" (%f, %u) {transB=1}\n"
      "output %y\n");
}

// A convolution whose channels differ much in size, which one scale for all weights serves badly.
Graph network() {
  return parse_text(
      "graph \"g\"\ninput %x: f32[?,3,8,8] dims(\"N\",\"\",\"\",\"\")\nconst %w: f32[6,3,3,3] = " +
      drawn(162, 5) +
      "\nconst %s: f32[6] = [1,0.002,0.5,0.01,4,0.003]\nconst %b: f32[6] = [0,0.1,0,0.1,0,0.1]\n"
      "const %m: f32[6] = [0,0,0,0,0,0]\nconst %v: f32[6] = [1,1,1,1,1,1]\nconst %u: f32[2,12] = " +
      drawn(24, 6) +
      "\nconst %e: f32[2] = [0,0]\n"
      "%c: f32[?,6,8,8] = Conv \"stem\" (%x, %w) {kernel_shape=[3,3] pads=[1,1,1,1]}\n"
      "%n: f32[?,6,8,8] = BatchNormalization \"bn\" (%c, %s, %b, %m, %v)\n"
      "%r: f32[?,6,8,8] = Relu \"relu\" (%n)\n"
      "%p: f32[?,6,1,2] = AveragePool \"pool\" (%r) {kernel_shape=[8,4] strides=[8,4]}\n"
      "%f: f32[?,12] = Flatten \"flat\" (%p)\n"
      "%y: f32[?,2] = Gemm \"fc\" (%f, %u, %e) {transB=1}\n"
      "output %y\n");
}

QuantAwareOptions options_for(const std::string& checkpoint = {}) {
  QuantAwareOptions options;
  options.tuning.step.batch = 4;
  options.tuning.step.optimizer = {.kind = OptimizerKind::sgd, .nesterov = true};
  options.tuning.epochs = 8;
  options.tuning.rate = 0.1;
  options.tuning.checkpoint = checkpoint;
  options.quantize.weights.per_channel = false;
  return options;
}

class QuantAwareTest : public ::testing::Test {
 protected:
  QuantAwareTest() : images_(halves_.open(), small_preprocess(), threads_) {}
  Halves halves_;
  Threads threads_{2};
  FittedImages images_;
};

TEST_F(QuantAwareTest, LearnsInIntegersAndWritesQdq) {
  for (const bool per_channel : {false, true}) {
    QuantAwareOptions options = options_for();
    options.quantize.weights.per_channel = per_channel;
    const QuantAware result = train_quantized(network(), images_, images_, options, threads_);
    EXPECT_GT(result.correct, result.start_correct);
    EXPECT_EQ(result.correct, 24u);
    EXPECT_EQ(result.tuned.epochs.size(), 8u);
    EXPECT_GT(result.tuned.best_epoch, 0);
    const std::string bytes = to_onnx(result.graph);
    const Graph read = parse_onnx(std::as_bytes(std::span(bytes)));
    EXPECT_EQ(count_correct(read, images_, threads_), result.correct);
    EXPECT_NE(to_text(read, 0).find("QuantizeLinear"), std::string::npos);
    EXPECT_EQ(read[read.inputs[0]].type.shape[0], kDynamic);
  }
}

TEST_F(QuantAwareTest, NeverEndsBelowItsStart) {
  QuantAwareOptions options = options_for();
  const QuantAware good = train_quantized(network(), images_, images_, options, threads_);
  options.tuning.epochs = 1;
  options.tuning.rate = 1e-6;  // too slow to change an answer
  const QuantAware result = train_quantized(network(), images_, images_, options, threads_);
  EXPECT_EQ(result.tuned.best_epoch, 0);
  EXPECT_EQ(result.correct, result.start_correct);
  EXPECT_EQ(count_correct(result.graph, images_, threads_), result.start_correct);
  EXPECT_LE(result.correct, good.correct);
}

TEST_F(QuantAwareTest, IsJudgedByTheArithmeticThatItIsTrainedFor) {
  for (const Device device : {Device::tensorrt, Device::dla_orin}) {
    SCOPED_TRACE(to_string(device));
    QuantAwareOptions options = options_for();
    options.quantize.weights.per_channel = true;
    options.arithmetic.device = device;
    const QuantAware result = train_quantized(network(), images_, images_, options, threads_);
    EXPECT_EQ(result.correct, 24u);
    const Simulated simulated = simulate(typed_for(result.graph, images_.preprocess()), options.arithmetic);
    EXPECT_EQ(count_correct(simulated.graph, images_, threads_), result.correct);
    for (const auto& [name, scale] : tensor_scales(result.graph)) {
      EXPECT_EQ(scale.dtype, DType::i8) << name;
      EXPECT_EQ(scale.zero_point, 0) << name;
    }
  }
}

// Channels of very different sizes share one scale: equalized, they lose less before anything is learned.
TEST_F(QuantAwareTest, StartsFromEqualizedChannels) {
  QuantAwareOptions options = options_for();
  options.tuning.epochs = 1;
  options.tuning.rate = 1e-6;
  const QuantAware plain = train_quantized(chain(), images_, images_, options, threads_);
  options.equalize = true;
  const QuantAware equalized = train_quantized(chain(), images_, images_, options, threads_);
  EXPECT_GE(equalized.start_correct, plain.start_correct);
  EXPECT_NE(equalized.graph, plain.graph);
  EXPECT_EQ(equalized.float_correct, plain.float_correct);
}

TEST_F(QuantAwareTest, DistilsFromTheFloatNetwork) {
  QuantAwareOptions options = options_for();
  options.tuning.step.loss.distill_weight = 0.5f;
  EXPECT_THROW(train_quantized(network(), images_, images_, options, threads_), Error);
  options.tuning.teacher = network();
  const QuantAware result = train_quantized(network(), images_, images_, options, threads_);
  EXPECT_EQ(result.tuned.epochs.size(), 8u);
}

TEST_F(QuantAwareTest, StoppedAndResumedGivesTheSameBits) {
  const Graph expected = train_quantized(network(), images_, images_, options_for(), threads_).graph;
  QuantAwareOptions options = options_for(halves_.path("c"));
  int steps = 0;
  const QuantAware stopped = train_quantized(network(), images_, images_, options, threads_,
                                             {.should_stop = [&] { return ++steps == 15; }});
  EXPECT_TRUE(stopped.tuned.stopped);
  options.tuning.resume = true;
  EXPECT_EQ(train_quantized(network(), images_, images_, options, Threads(1)).graph, expected);
}

}  // namespace
}  // namespace eke
