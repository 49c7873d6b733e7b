#include "quant/rewrite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"
#include "ops/infer.h"

namespace eke {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Ranges of [-4, 4] for every value that needs one, but for those given.
Ranges ranges_for(const Graph& graph, const RewriteOptions& options,
                  std::map<std::string, Range> given = {}) {
  Ranges ranges;
  for (const std::string& name : ranges_needed(graph, options)) {
    const Range range = given.contains(name) ? given[name] : Range{-4, 4};
    ranges[name] = {range, range, "min-max"};
  }
  return ranges;
}

Graph parsed(std::string_view text) { return infer_types(parse_text(text)); }

Quantized quantized(std::string_view text, const RewriteOptions& options = {},
                    std::map<std::string, Range> given = {}) {
  const Graph graph = parsed(text);
  return quantize(graph, ranges_for(graph, options, std::move(given)), options);
}

// The quantized tensors, each with the one whose scale it shares: {"x", "p:x"}.
std::vector<std::string> tensors_of(const QuantReport& report) {
  std::vector<std::string> names;
  for (const QuantizedTensor& t : report.tensors) {
    names.push_back(t.scale_of == t.name ? t.name : t.name + ":" + t.scale_of);
  }
  return names;
}

std::vector<std::string> islands_of(const QuantReport& report) {
  std::vector<std::string> lines;
  for (const FloatIsland& island : report.islands) lines.push_back(island.node + ": " + island.reason);
  return lines;
}

std::string error_of(std::string_view text, const RewriteOptions& options, const Ranges* ranges = nullptr) {
  try {
    const Graph graph = parsed(text);
    quantize(graph, ranges ? *ranges : ranges_for(graph, options), options);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Rewrite, ConvolutionAndReluGolden) {
  const Quantized result = quantized(R"(graph "g"
metadata "k" "v"
input %x: f32[1,2,2,2]
const %w: f32[2,2,1,1] = [1.27,0,0.635,-1.27]
const %b: f32[2] = [1,-2]
%c: f32[1,2,2,2] = Conv "conv" (%x, %w, %b)
%y: f32[1,2,2,2] = Relu "relu" (%c)
output %y
)",
                                     {.float_outputs = false}, {{"x", {0, 2.55f}}, {"y", {-1, 5.1f}}});
  EXPECT_EQ(to_text(result.graph), R"(graph "g"
metadata "k" "v"
input %x: f32[1,2,2,2]
const %x_scale: f32[] = [0.01]
const %x_zero_point: u8[] = [0]
const %w_quantized: i8[2,2,1,1] = [127,0,64,-127]
const %w_scale: f32[2] = [0.01,0.01]
const %w_zero_point: i8[2] = [0,0]
const %b_quantized: i32[2] = [10000,-20000]
const %b_scale: f32[2] = [0.0001,0.0001]
const %y_scale: f32[] = [0.02]
const %y_zero_point: u8[] = [0]
%x_quantized: u8[1,2,2,2] = QuantizeLinear "x_quantize" (%x, %x_scale, %x_zero_point)
%x_dequantized: f32[1,2,2,2] = DequantizeLinear "x_dequantize" (%x_quantized, %x_scale, %x_zero_point)
%w_dequantized: f32[2,2,1,1] = DequantizeLinear "w_dequantize" (%w_quantized, %w_scale, %w_zero_point) {axis=0}
%b_dequantized: f32[2] = DequantizeLinear "b_dequantize" (%b_quantized, %b_scale) {axis=0}
%c: f32[1,2,2,2] = Conv "conv" (%x_dequantized, %w_dequantized, %b_dequantized)
%y_float: f32[1,2,2,2] = Relu "relu" (%c)
%y_quantized: u8[1,2,2,2] = QuantizeLinear "y_quantize" (%y_float, %y_scale, %y_zero_point)
%y: f32[1,2,2,2] = DequantizeLinear "y_dequantize" (%y_quantized, %y_scale, %y_zero_point)
output %y
)");
  ASSERT_EQ(result.report.layers.size(), 1u);
  EXPECT_EQ(result.report.layers[0].node, "conv");
  EXPECT_EQ(result.report.layers[0].cost.macs, 16);
  EXPECT_EQ(infer_types(result.graph), result.graph);
}

TEST(Rewrite, SignedPerTensorGemmGolden) {
  const RewriteOptions options{
      .activations = {DType::i8, true}, .weights = {.per_channel = false}, .float_outputs = false};
  const Quantized result = quantized(R"(graph "g"
input %x: f32[1,2]
const %w: f32[3,2] = [1.27,0,0.635,-1.27,0,0]
const %b: f32[1,3] = [1,-2,0]
%y: f32[1,3] = Gemm "fc" (%x, %w, %b) {alpha=2 beta=0.5 transB=1}
output %y
)",
                                     options, {{"x", {-1, 1.27f}}, {"y", {-2.54f, 1}}});
  EXPECT_EQ(to_text(result.graph), R"(graph "g"
input %x: f32[1,2]
const %x_scale: f32[] = [0.01]
const %x_zero_point: i8[] = [0]
const %w_quantized: i8[3,2] = [127,0,64,-127,0,0]
const %w_scale: f32[] = [0.02]
const %w_zero_point: i8[] = [0]
const %b_quantized: i32[3] = [2500,-5000,0]
const %b_scale: f32[] = [0.0002]
const %y_scale: f32[] = [0.02]
const %y_zero_point: i8[] = [0]
%x_quantized: i8[1,2] = QuantizeLinear "x_quantize" (%x, %x_scale, %x_zero_point)
%x_dequantized: f32[1,2] = DequantizeLinear "x_dequantize" (%x_quantized, %x_scale, %x_zero_point)
%w_dequantized: f32[3,2] = DequantizeLinear "w_dequantize" (%w_quantized, %w_scale, %w_zero_point)
%b_dequantized: f32[3] = DequantizeLinear "b_dequantize" (%b_quantized, %b_scale) {axis=0}
%y_float: f32[1,3] = Gemm "fc" (%x_dequantized, %w_dequantized, %b_dequantized) {transB=1}
%y_quantized: i8[1,3] = QuantizeLinear "y_quantize" (%y_float, %y_scale, %y_zero_point)
%y: f32[1,3] = DequantizeLinear "y_dequantize" (%y_quantized, %y_scale, %y_zero_point)
output %y
)");
}

// A residual block: conv, prelu, conv, add, relu, and heads of several kinds.
constexpr std::string_view kResidual = R"(graph "g"
input %x: f32[1,2,4,4]
const %w: f32[2,2,1,1] = [1,0.5,-0.25,1]
const %slope: f32[2,1,1] = [0.25,0.5]
%a: f32[1,2,4,4] = Conv "conv1" (%x, %w)
%p: f32[1,2,4,4] = PRelu "prelu" (%a, %slope)
%c: f32[1,2,4,4] = Conv "conv2" (%p, %w)
%s: f32[1,2,4,4] = Add "add" (%x, %c)
%r: f32[1,2,4,4] = Relu "relu" (%s)
%m: f32[1,2,2,2] = MaxPool "pool" (%r) {kernel_shape=[2,2] strides=[2,2]}
%g: f32[1,2,1,1] = GlobalAveragePool "gap" (%m)
%f: f32[1,2] = Flatten "flatten" (%g)
%y: f32[1,2] = Softmax "softmax" (%f)
output %y
)";

TEST(Rewrite, RoundsOnceAfterActivationsAndKeepsScalesOfMoves) {
  const QuantReport report = quantized(kResidual, {.float_outputs = false}).report;
  EXPECT_THAT(tensors_of(report), ElementsAre("x", "p", "c", "r", "m:r", "g", "f:g"));
  EXPECT_THAT(islands_of(report), ElementsAre("softmax: Softmax has no integer form"));
}

TEST(Rewrite, SumOnlyRoundsTheSumAlone) {
  const RewriteOptions options{.residual_rounding = ResidualRounding::sum_only, .float_outputs = false};
  EXPECT_THAT(tensors_of(quantized(kResidual, options).report),
              ElementsAre("x", "p", "r", "m:r", "g", "f:g"));
}

TEST(Rewrite, ValuesThatShareAScaleGetTheUnionOfTheirRanges) {
  const RewriteOptions options{.activations = {DType::i8, true},
                               .float_outputs = false,
                               .shared_scales = {{"x", "c", "a", "nothing"}, {"c", "m"}, {"g"}}};
  // x, c and, by the pooling that keeps it, r, which is a relu: its range begins at 0.
  const std::map<std::string, Range> ranges{
      {"x", {-1, 1}}, {"p", {-2, 2}}, {"c", {-3, 2}}, {"r", {-9, 5.08f}}, {"g", {0, 4}}};
  const Graph graph = parsed(kResidual);
  EXPECT_THAT(ranges_needed(graph, options), ElementsAre("x", "p", "c", "r", "g"));
  const Quantized result = quantized(kResidual, options, ranges);
  EXPECT_THAT(tensors_of(result.report), ElementsAre("x", "p", "c:x", "r:x", "m:x", "g", "f:g"));
  for (const QuantizedTensor& tensor : result.report.tensors) {
    if (tensor.scale_of == "x") {
      EXPECT_FLOAT_EQ(tensor.scale, 0.04f) << tensor.name;
    }
  }
  EXPECT_EQ(fake_quantize(graph, ranges_for(graph, options, ranges), options).scales.size(),
            4u);  // x, w, p, g
}

TEST(Rewrite, SharedWeightsBecomeConstantsOfTheirOwn) {
  const Graph graph = quantized(kResidual).graph;
  EXPECT_NE(find_value(graph, "w_quantized"), kNoValue);
  int weights = 0;
  for (const Value& value : graph.values) weights += value.name.starts_with("w_quantized");
  EXPECT_EQ(weights, 2);
}

TEST(Rewrite, FloatOutputsSpareTheLastRounding) {
  const std::string_view text = R"(graph "g"
input %x: f32[1,2]
const %w: f32[2,2] = [1,0.5,-0.25,1]
%h: f32[1,2] = Gemm "fc1" (%x, %w)
%r: f32[1,2] = Relu "relu" (%h)
%y: f32[1,2] = Gemm "fc2" (%r, %w)
output %y
)";
  EXPECT_THAT(tensors_of(quantized(text, {.float_outputs = false}).report), ElementsAre("x", "r", "y"));
  EXPECT_THAT(tensors_of(quantized(text).report), ElementsAre("x", "r"));
}

TEST(Rewrite, AnAverageAtTheEndIsASumToo) {
  const QuantReport report = quantized(kResidual).report;
  EXPECT_THAT(tensors_of(report), ElementsAre("x", "p", "c", "r", "m:r"));
  EXPECT_THAT(islands_of(report),
              ElementsAre("flatten: its result leaves in float", "softmax: Softmax has no integer form"));
}

TEST(Rewrite, ConcatCopiesWhereNothingElseReadsItsInputs) {
  const QuantReport report = quantized(R"(graph "g"
input %x: f32[1,2,4,4]
const %w: f32[2,2,1,1] = [1,0.5,-0.25,1]
%a: f32[1,2,4,4] = Conv "conv1" (%x, %w)
%b: f32[1,2,4,4] = Conv "conv2" (%a, %w)
%bm: f32[1,2,2,2] = MaxPool "pool_b" (%b) {kernel_shape=[2,2] strides=[2,2]}
%am: f32[1,2,2,2] = MaxPool "pool_a" (%a) {kernel_shape=[2,2] strides=[2,2]}
%y: f32[1,4,2,2] = Concat "concat" (%bm, %am) {axis=1}
output %y
)",
                                       {.float_outputs = false})
                                 .report;
  EXPECT_THAT(tensors_of(report), ElementsAre("x", "a", "b:y", "bm:y", "am:a", "y"));
}

TEST(Rewrite, FunctionsBecomeTablesButNotAtTheEnd) {
  const QuantReport report = quantized(R"(graph "g"
input %x: f32[1,2,4,4]
const %w: f32[2,2,1,1] = [1,0.5,-0.25,1]
const %half: f32[1] = [0.5]
%n: f32[1,2,4,4] = Mul "scale" (%x, %half)
%a: f32[1,2,4,4] = Conv "conv1" (%n, %w)
%h: f32[1,2,4,4] = HardSwish "act" (%a)
%b: f32[1,2,4,4] = Conv "conv2" (%h, %w)
%t: f32[1,2,4,4] = Sigmoid "gate" (%b)
%y: f32[1,2,4,4] = Mul "out" (%t, %half)
output %y
)")
                                 .report;
  EXPECT_THAT(tensors_of(report), ElementsAre("x", "n", "a", "h"));
  EXPECT_THAT(islands_of(report),
              ElementsAre("gate: its result leaves in float", "out: its result leaves in float"));
}

TEST(Rewrite, AConstantOperandIsAQuantizedConstant) {
  const Graph graph = quantized(R"(graph "g"
input %x: f32[1,2,1,1]
const %k: f32[2,1,1] = [127.5,127.5]
const %w: f32[1,2,1,1] = [1,0.5]
%n: f32[1,2,1,1] = Sub "centre" (%x, %k)
%y: f32[1,1,1,1] = Conv "conv" (%n, %w)
output %y
)")
                          .graph;
  const ValueId stored = find_value(graph, "k_quantized");
  ASSERT_NE(stored, kNoValue);
  EXPECT_EQ(*graph.constant(stored), Tensor::from<std::uint8_t>({2, 1, 1}, {255, 255}));
  EXPECT_EQ(*graph.constant(find_value(graph, "k_scale")), Tensor::scalar(0.5f));
}

TEST(Rewrite, IslandsSayWhy) {
  const QuantReport report = quantized(R"(graph "g"
input %x: f32[1,2,4,4]
input %v: f32[2,2,1,1]
const %w: f32[2,2,1,1] = [1,0.5,-0.25,1]
const %slope: f32[2,1,1] = [0.25,0.5]
const %pads: i64[8] = [0,0,1,1,0,0,1,1]
const %one: f32[] = [1]
%a: f32[1,2,4,4] = Conv "conv1" (%x, %w)
%b: f32[1,2,4,4] = Conv "dynamic" (%a, %v)
%e: f32[1,2,4,4] = Exp "exp" (%b)
%c: f32[1,2,4,4] = Conv "conv2" (%e, %w)
%d: f32[1,2,4,4] = Conv "conv3" (%c, %w)
%p: f32[1,2,4,4] = PRelu "prelu" (%c, %slope)
%q: f32[1,2,6,6] = Pad "pad" (%d, %pads, %one)
%t: f32[1,2,8,8] = ConvTranspose "up" (%d, %w) {kernel_shape=[1,1] strides=[2,2] output_padding=[1,1]}
output %p
output %q
output %t
)",
                                       {.keep = {"conv3"}})
                                 .report;
  EXPECT_THAT(
      islands_of(report),
      ElementsAre("dynamic: its weights are not constant", "exp: its inputs are made in float",
                  "conv3: kept in float by 'conv3'",
                  "prelu: a PRelu with many slopes has an integer form only right after a convolution",
                  "pad: Pad has no integer form", "up: ConvTranspose has no integer form"));
  EXPECT_THAT(tensors_of(report), ElementsAre("x", "e"));
  EXPECT_GT(report.islands[0].cost.macs, 0);
}

TEST(Rewrite, AZeroBiasGoes) {
  const Graph graph = quantized(R"(graph "g"
input %x: f32[1,1,1,1]
const %w: f32[1,1,1,1] = [1]
const %b: f32[1] = [0]
%y: f32[1,1,1,1] = Conv "conv" (%x, %w, %b)
output %y
)")
                          .graph;
  for (const Node& node : graph.nodes) {
    if (node.name == "conv") {
      EXPECT_EQ(node.in.size(), 2u);
    }
  }
}

TEST(Rewrite, MeansGiveALayerABias) {
  const Graph graph = parsed(R"(graph "g"
input %x: f32[1,1,1,1]
const %w: f32[1,1,1,1] = [1]
%y: f32[1,1,1,1] = Conv "conv" (%x, %w)
output %y
)");
  RewriteOptions options{.weights = {.per_channel = false}};
  EXPECT_THAT(means_wanted(graph, options), ElementsAre("x"));
  Ranges ranges = ranges_for(graph, options);
  ranges["x"].channel_means = {1e9f};
  EXPECT_NE(find_value(quantize(graph, ranges, options).graph, "y_bias_quantized"), kNoValue);
  options.correct_biases = false;
  EXPECT_TRUE(means_wanted(graph, options).empty());
  EXPECT_EQ(find_value(quantize(graph, ranges, options).graph, "y_bias_quantized"), kNoValue);
}

TEST(Rewrite, Errors) {
  const Ranges none;
  EXPECT_THAT(error_of(kResidual, {}, &none), HasSubstr("tensor 'x' has no range"));
  EXPECT_THAT(error_of(kResidual, {.keep = {"convX"}}), HasSubstr("no node matches 'convX'"));
  EXPECT_THAT(error_of(R"(graph "g"
input %x: f32[1]
const %s: f32[] = [1]
const %z: u8[] = [1]
%q: u8[1] = QuantizeLinear "q" (%x, %s, %z)
output %q
)",
                       {}),
              HasSubstr("quantized already: node 'q'"));
  EXPECT_THAT(error_of(R"(graph "g"
input %x: f32[1,1,1,1]
const %w: f32[1,1,1,1] = [nan]
%y: f32[1,1,1,1] = Conv "conv" (%x, %w)
output %y
)",
                       {}),
              HasSubstr("weights 'w' of node 'conv' hold NaN"));
}

Tensor random_tensor(const Shape& shape, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Tensor tensor(DType::f32, shape);
  for (float& x : tensor.mutable_values<float>()) x = normal(random);
  return tensor;
}

// Fills the weights, calibrates on one input, and compares the outputs of the two graphs.
double output_sqnr_db(const RewriteOptions& options) {
  Graph graph = parse_text(R"(graph "g"
input %x: f32[2,3,8,8]
const %pads: i64[8] = [0,0,1,1,0,0,1,1]
const %lo: f32[] = [0]
const %hi: f32[] = [6]
const %slope: f32[1] = [0.25]
const %w1: f32[1] = [0]
const %w2: f32[1] = [0]
const %w3: f32[1] = [0]
const %w4: f32[1] = [0]
const %b1: f32[1] = [0]
const %b4: f32[1] = [0]
%a: f32[2,8,8,8] = Conv "conv1" (%x, %w1, %b1) {pads=[1,1,1,1]}
%r: f32[2,8,8,8] = Clip "relu6" (%a, %lo, %hi)
%d: f32[2,8,8,8] = Conv "dw" (%r, %w2, %b1) {pads=[1,1,1,1] group=8}
%e: f32[2,8,8,8] = PRelu "prelu" (%d, %slope)
%c: f32[2,8,8,8] = Conv "conv2" (%e, %w3, %b1)
%s: f32[2,8,8,8] = Add "add" (%c, %r)
%h: f32[2,8,8,8] = HardSwish "swish" (%s)
%k: f32[2,16,8,8] = Concat "concat" (%h, %s) {axis=1}
%m: f32[2,16,4,4] = MaxPool "pool" (%k) {kernel_shape=[2,2] strides=[2,2]}
%g: f32[2,16,1,1] = GlobalAveragePool "gap" (%m)
%f: f32[2,16] = Flatten "flatten" (%g)
%y: f32[2,10] = Gemm "fc" (%f, %w4, %b4)
output %y
)");
  const std::map<std::string, Shape> shapes{{"w1", {8, 3, 3, 3}}, {"w2", {8, 1, 3, 3}}, {"w3", {8, 8, 1, 1}},
                                            {"w4", {16, 10}},     {"b1", {8}},          {"b4", {10}}};
  unsigned seed = 1;
  for (const auto& [name, shape] : shapes) {
    Value& value = graph[find_value(graph, name)];
    value.constant = std::make_shared<const Tensor>(random_tensor(shape, seed++));
    value.type = value.constant->type();
  }
  graph = infer_types(graph);
  const std::vector<Tensor> inputs{random_tensor({2, 3, 8, 8}, 99)};
  Graph all = graph;
  for (const std::string& name : ranges_needed(graph, options))
    all.outputs.push_back(find_value(graph, name));
  const std::vector<Tensor> seen = evaluate(all, inputs);
  Ranges ranges;
  for (std::size_t i = 1; i < seen.size(); ++i) {
    const auto [lo, hi] = std::ranges::minmax(seen[i].values<float>());
    ranges[graph[all.outputs[i]].name] = {{lo, hi}, {lo, hi}, "min-max"};
  }
  const std::vector<Tensor> outputs = evaluate(quantize(graph, ranges, options).graph, inputs);
  double signal = 0, noise = 0;
  for (std::size_t i = 0; i < seen[0].values<float>().size(); ++i) {
    const double x = seen[0].values<float>()[i], e = x - outputs[0].values<float>()[i];
    signal += x * x;
    noise += e * e;
  }
  return 10 * std::log10(signal / noise);
}

TEST(Rewrite, TheQuantizedGraphComputesNearlyTheSame) {
  for (const DType dtype : {DType::u8, DType::i8}) {
    for (const bool symmetric : {false, true}) {
      for (const auto residual : {ResidualRounding::every_tensor, ResidualRounding::sum_only}) {
        const RewriteOptions options{.activations = {dtype, symmetric}, .residual_rounding = residual};
        EXPECT_GT(output_sqnr_db(options), symmetric ? 25 : 30) << to_string(dtype) << symmetric;
      }
    }
  }
  EXPECT_GT(output_sqnr_db({.weights = {.per_channel = false}}), 25);
  EXPECT_GT(output_sqnr_db({}), output_sqnr_db({.float_outputs = false}));
}

// A residual block, a pooling and a head, with weights from a seed.
Graph block_network() {
  std::mt19937 random(3);
  const auto drawn = [&](int count) {
    std::string text = "[";
    for (int i = 0; i < count; ++i) {
      text += (i ? "," : "") + std::to_string(std::uniform_real_distribution<float>(-1, 1)(random));
    }
    return text + "]";
  };
  return parsed("graph \"g\"\ninput %x: f32[1,2,6,6]\nconst %w: f32[4,2,3,3] = " + drawn(72) +
                "\nconst %b: f32[4] = " + drawn(4) + "\nconst %u: f32[4,1,3,3] = " + drawn(36) +
                "\nconst %d: f32[4] = " + drawn(4) + "\nconst %v: f32[3,16] = " + drawn(48) +
                "\nconst %e: f32[3] = " + drawn(3) + R"(
%c: f32[1,4,6,6] = Conv "c" (%x, %w, %b) {pads=[1,1,1,1]}
%r: f32[1,4,6,6] = Relu "r" (%c)
%f: f32[1,4,6,6] = Conv "f" (%r, %u, %d) {group=4 pads=[1,1,1,1]}
%a: f32[1,4,6,6] = Add "a" (%f, %r)
%s: f32[1,4,6,6] = Relu "s" (%a)
%m: f32[1,4,2,2] = MaxPool "m" (%s) {kernel_shape=[3,3] strides=[3,3]}
%l: f32[1,16] = Flatten "l" (%m)
%y: f32[1,3] = Gemm "y" (%l, %v, %e) {transB=1}
output %y
)");
}

std::vector<RewriteOptions> fake_options() {
  RewriteOptions plain, per_tensor, symmetric, sums, shared;
  per_tensor.weights.per_channel = false;
  symmetric.activations = {DType::i8, true};
  sums.residual_rounding = ResidualRounding::sum_only;
  sums.float_outputs = false;
  shared.activations = {DType::i8, true};
  shared.shared_scales = {{"f", "r"}};
  shared.weights.all_levels = true;
  return {plain, per_tensor, symmetric, sums, shared};
}

Ranges ranges_with_means(const Graph& graph, const RewriteOptions& options) {
  Ranges ranges = ranges_for(graph, options, {{"x", {-1, 1}}, {"y", {-9, 9}}});
  for (const std::string& name : means_wanted(graph, options)) {
    const Shape& shape = graph[find_value(graph, name)].type.shape;
    ranges[name].channel_means.assign(static_cast<std::size_t>(shape[1]), 0.25f);
  }
  return ranges;
}

// The two emitters round at the same places by the same scales.
TEST(Rewrite, SimulationEqualsTheQuantizedGraph) {
  for (const RewriteOptions& options : fake_options()) {
    const Graph graph = block_network();
    const Ranges ranges = ranges_with_means(graph, options);
    Tensor x(DType::f32, {1, 2, 6, 6});
    std::mt19937 random(5);
    for (float& value : x.mutable_values<float>())
      value = std::uniform_real_distribution<float>(-1.2f, 1.2f)(random);
    const Tensor want = evaluate(quantize(graph, ranges, options).graph, {x})[0],
                 got = evaluate(fake_quantize(graph, ranges, options).graph, {x})[0];
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(got.values<float>()[i], want.values<float>()[i], 1e-4);
  }
}

TEST(Rewrite, LearnedScalesGoBackIntoTheQuantizedGraph) {
  for (RewriteOptions options : fake_options()) {
    Graph graph = block_network();
    const Ranges ranges = ranges_with_means(graph, options);
    const Graph want = quantize(graph, ranges, options).graph;
    FakeQuantized fake = fake_quantize(graph, ranges, options);
    for (const char* bias : {"b", "d", "e"})
      graph[find_value(graph, bias)].constant = fake.graph[find_value(fake.graph, bias)].constant;
    options.correct_biases = false;
    options.learned = learned_scales(fake.graph, fake.scales);
    EXPECT_EQ(to_text(quantize(graph, ranges, options).graph), to_text(want));
    // And a scale that has changed arrives.
    options.learned.values["r"].scale = 0.125f;
    const Graph changed = quantize(graph, ranges, options).graph;
    EXPECT_EQ(changed.constant(find_value(changed, "r_scale"))->values<float>()[0], 0.125f);
  }
}

TEST(Rewrite, LearnedScalesEndAtTheClampThatMakesTheValue) {
  RewriteOptions options{.float_outputs = false};
  options.learned.values["y"] = {1, 0};
  const Quantized result = quantized(R"(graph "g"
input %x: f32[1,2,2,2]
const %w: f32[2,2,1,1] = [1,0,0.5,-1]
const %lo: f32[] = [0]
const %hi: f32[] = [6]
%c: f32[1,2,2,2] = Conv "conv" (%x, %w)
%y: f32[1,2,2,2] = Clip "clip" (%c, %lo, %hi)
output %y
)",
                                     options);
  EXPECT_EQ(result.graph.constant(find_value(result.graph, "y_scale"))->values<float>()[0], 6.0f / 255);
}

}  // namespace
}  // namespace eke
