#include "target/export.h"
#include "target/trtexec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "passes/passes.h"
#include "quant/rewrite.h"
#include "target/arithmetic.h"
#include "target/testing/graphs.h"

namespace eke {
namespace {

using test::Net;
using testing::HasSubstr;
using testing::ThrowsMessage;

// A residual block and a classifier: conv, relu, conv, add, relu, pool, conv.
Graph residual() {
  Net net({1, 3, 8, 8});
  net.conv(8, 3, 1, "stem");
  const ValueId x = net.relu("stem:relu");
  net.conv(8, 3, 1, "block, conv");
  net.node(op::Binary{op::BinaryFn::Add}, {net.last(), x}, "add");
  net.relu("relu");
  op::AveragePool pool;
  pool.kernel_shape = {8, 8};
  pool.strides = {8, 8};
  pool.pads = {0, 0, 0, 0};
  net.add(pool, {}, "pool");
  net.conv(5, 1, 1, "scores");
  return net.finish();
}

Graph quantized(const Graph& graph, ActivationScheme scheme) {
  RewriteOptions options;
  options.activations = scheme;
  options.float_outputs = false;
  Ranges ranges;
  float width = 1;
  for (const std::string& name : ranges_needed(optimize(graph), options)) {
    const bool positive = name.find("relu") != std::string::npos || name.find("pool") != std::string::npos;
    ranges[name] = {{positive ? 0.f : -width, width}, {positive ? 0.f : -width, width}, "test", {}};
    width += 0.5f;
  }
  return quantize(optimize(graph), ranges, options).graph;
}

template <class A>
int count(const Graph& graph) {
  int total = 0;
  for (const Node& node : graph.nodes) total += std::holds_alternative<A>(node.op) ? 1 : 0;
  return total;
}

double largest_difference(const Graph& a, const Graph& b) {
  Random random(3);
  Tensor x(a[a.inputs[0]].type);
  for (float& value : x.mutable_values<float>()) value = static_cast<float>(random.normal());
  const std::vector<float> u = as_floats(evaluate(a, {x})[0]), v = as_floats(evaluate(b, {x})[0]);
  double result = 0;
  for (std::size_t i = 0; i < u.size(); ++i)
    result = std::max(result, std::abs(static_cast<double>(u[i]) - v[i]));
  return result;
}

TEST(ExportQdqTest, BecomesSymmetricInt8) {
  const Graph graph = quantized(residual(), {});
  const QdqExport made = export_qdq(graph, false);
  for (const Node& node : made.graph.nodes) {
    if (!std::holds_alternative<op::QuantizeLinear>(node.op)) continue;
    const Tensor* zero = made.graph.constant(node.in.at(2));
    ASSERT_NE(zero, nullptr) << node.name;
    EXPECT_EQ(zero->dtype(), DType::i8) << node.name;
    EXPECT_EQ(element_as_int(zero->view(), 0), 0) << node.name;
  }
  EXPECT_LT(largest_difference(graph, made.graph), 0.2);
}

TEST(ExportQdqTest, LeavesBiasesInFloat) {
  const QdqExport made = export_qdq(quantized(residual(), {}), false);
  for (const Node& node : made.graph.nodes) {
    if (!std::holds_alternative<op::Conv>(node.op)) continue;
    EXPECT_NE(made.graph.constant(node.in.at(2)), nullptr) << node.name;
    EXPECT_EQ(made.graph.constant(node.in.at(1)), nullptr)
        << node.name;  // a DequantizeLinear of int8 weights
  }
}

TEST(ExportQdqTest, PutsNoRoundingBetweenConvolutionAndAddition) {
  const Graph graph = quantized(residual(), {DType::i8, true});
  const QdqExport made = export_qdq(graph, false);
  EXPECT_EQ(count<op::QuantizeLinear>(made.graph), count<op::QuantizeLinear>(graph) - 1);
  int conv_inputs = 0, rounded_inputs = 0;
  for (const Node& node : made.graph.nodes) {
    if (!std::holds_alternative<op::Binary>(node.op)) continue;
    for (const ValueId id : node.in) {
      const Node& maker =
          made.graph.nodes[static_cast<std::size_t>(producers(made.graph)[static_cast<std::size_t>(id)])];
      conv_inputs += std::holds_alternative<op::Conv>(maker.op) ? 1 : 0;
      rounded_inputs += std::holds_alternative<op::DequantizeLinear>(maker.op) ? 1 : 0;
    }
  }
  EXPECT_EQ(conv_inputs, 1);
  EXPECT_EQ(rounded_inputs, 1);
}

// Quantized for the GPU, it has no rounding there to begin with.
TEST(ExportQdqTest, TakesNoRoundingFromAModelThatWasMadeForIt) {
  const Graph graph = optimize(residual());
  const RewriteOptions options = quantize_options({.device = Device::tensorrt}, graph, {});
  Ranges ranges;
  for (const std::string& name : ranges_needed(graph, options)) ranges[name] = {{-2, 2}, {-2, 2}, "test", {}};
  const Graph made = quantize(graph, ranges, options).graph;
  EXPECT_EQ(count<op::QuantizeLinear>(export_qdq(made, false).graph), count<op::QuantizeLinear>(made));
  EXPECT_TRUE(export_qdq(made, false).notes.empty());
}

TEST(ExportQdqTest, SymmetricModelsKeepTheirScales) {
  const Graph graph = quantized(residual(), {DType::i8, true});
  const auto before = tensor_scales(graph);
  for (const auto& [name, scale] : tensor_scales(export_qdq(graph, false).graph))
    EXPECT_EQ(scale.scale, before.at(name).scale) << name;
}

TEST(ExportDlaTest, HasNoQuantizationLeft) {
  const Graph graph = quantized(residual(), {DType::i8, true});
  const DlaExport made = export_dla(graph, {});
  EXPECT_EQ(count<op::QuantizeLinear>(made.graph) + count<op::DequantizeLinear>(made.graph), 0);
  EXPECT_LT(largest_difference(graph, made.graph), 0.2);
  EXPECT_EQ(made.cache.header, "TRT-100300-EntropyCalibration2");
  EXPECT_EQ(made.plan.count(Engine::gpu), 0);
  EXPECT_EQ(made.graph[made.graph.outputs[0]].name, graph[graph.outputs[0]].name);
}

TEST(ExportDlaTest, EveryTensorOfTheModelHasAScale) {
  const DlaExport made = export_dla(quantized(residual(), {DType::i8, true}), {});
  EXPECT_TRUE(made.fp16_layers.empty()) << layer_precisions(made.fp16_layers);
  std::map<std::string, float> scales;
  for (const CacheEntry& entry : made.cache.entries) {
    EXPECT_NE(find_value(made.graph, entry.tensor), kNoValue) << entry.tensor;
    EXPECT_GT(entry.scale, 0) << entry.tensor;
    scales[entry.tensor] = entry.scale;
  }
  // What is joined has one scale.
  for (const ScaleGroup& group : made.plan.scale_groups)
    for (const std::string& name : group.tensors)
      EXPECT_EQ(scales.at(name), scales.at(group.tensors[0])) << name;
}

// What is quantized for the DLA is exported as it is.
TEST(ExportDlaTest, SharedScalesAreExportedAsTheyAre) {
  const Graph graph = optimize(residual());
  RewriteOptions options;
  options.activations = {DType::i8, true};
  options.float_outputs = false;
  Ranges ranges;
  float width = 1;
  for (const std::string& name : ranges_needed(graph, options))
    ranges[name] = {{-width, width}, {-width, width / 2}, "test", {}}, width += 0.5f;
  const auto tied = [](const DlaExport& made) {
    return std::ranges::count_if(made.notes,
                                 [](const ExportNote& note) { return note.what.ends_with("ties it"); });
  };
  EXPECT_GT(tied(export_dla(quantize(graph, ranges, options).graph, {})), 0);
  options = quantize_options({.device = Device::dla_orin}, graph, options);
  const Graph quantized = quantize(graph, ranges, options).graph;
  const DlaExport made = export_dla(quantized, {});
  EXPECT_EQ(tied(made), 0);
  const auto before = tensor_scales(quantized);
  for (const CacheEntry& entry : made.cache.entries) {
    if (before.contains(entry.tensor)) {
      EXPECT_EQ(entry.scale, before.at(entry.tensor).scale) << entry.tensor;
    }
  }
}

TEST(ExportDlaTest, LayersWithoutScalesStayInFp16) {
  const Graph float_graph = optimize(residual());
  RewriteOptions options;
  options.keep = {"scores*"};
  Ranges ranges;
  for (const std::string& name : ranges_needed(float_graph, options))
    ranges[name] = {{-1, 1}, {-1, 1}, "test", {}};
  const DlaExport made = export_dla(quantize(float_graph, ranges, options).graph, {});
  EXPECT_THAT(layer_precisions(made.fp16_layers), HasSubstr("scores:fp16"));
}

TEST(ExportDlaTest, NamesOfLayersFitTheListOfPrecisions) {
  const DlaExport made = export_dla(quantized(residual(), {DType::i8, true}), {});
  for (const Node& node : made.graph.nodes) {
    EXPECT_EQ(node.name.find_first_of(",:*"), std::string::npos) << node.name;
    EXPECT_FALSE(node.name.empty());
  }
  EXPECT_NE(find_value(made.graph, "stem:relu.out"), kNoValue);  // tensors keep theirs
}

TEST(ExportTest, RefusesWhatItCannotDo) {
  const Graph graph = residual();
  EXPECT_THAT([&] { export_dla(graph, {}); }, ThrowsMessage<Error>(HasSubstr("eke quantize")));
  EXPECT_THAT([&] { export_qdq(graph, false); }, ThrowsMessage<Error>(HasSubstr("eke quantize")));
  EXPECT_THAT([&] { export_dla(quantized(graph, {}), {parse_tensorrt_version("11.4")}); },
              ThrowsMessage<Error>(HasSubstr("strongly typed")));
}

TEST(ExportTest, ScriptsFollowTheVersion) {
  const ScriptFiles files{"model.onnx", "calibration.cache", "layers.txt", "model.engine"};
  const std::string v8 = trtexec_script(files, {8, 6}, true);
  for (const char* flag : {"--onnx=model.onnx", "--int8", "--fp16", "--calib=calibration.cache",
                           "--useDLACore=", "--allowGPUFallback", "--precisionConstraints=prefer",
                           "--layerPrecisions=\"$(cat layers.txt)\""})
    EXPECT_THAT(v8, HasSubstr(flag));
  const std::string gpu = trtexec_script(files, {8, 6}, false);
  for (const char* flag : {"--allowGPUFallback", "--useDLACore"})
    EXPECT_THAT(gpu, testing::Not(HasSubstr(flag))) << flag;
  const std::string v11 = trtexec_script({"model.onnx", "", "", "model.engine"}, {11, 4}, true);
  for (const char* gone : {"--int8", "--fp16", "--calib", "--layerPrecisions", "--precisionConstraints"})
    EXPECT_THAT(v11, testing::Not(HasSubstr(gone))) << gone;
}

}  // namespace
}  // namespace eke
