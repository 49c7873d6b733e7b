// Lines marked "recorded" are real ones: of NVIDIA's jetson_dla_tutorial (its README and issue 3), of NVIDIA/TensorRT
// issues 3842 and 4177, of ultralytics issue 18012 and mmdeploy issue 2376. The frame around them, from "&&&& RUNNING" to
// "&&&& PASSED", and everything of TensorRT 11, of which no record is at hand, is made after the documented layout.
#include "target/trtexec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "target/export.h"
#include "target/testing/graphs.h"

namespace eke {
namespace {

using test::Net;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::ThrowsMessage;

// Recorded, jetson_dla_tutorial, TensorRT 8.
constexpr const char* kPlacement =
    "[03/31/2022-14:34:54] [I] [TRT] ---------- Layers Running on DLA ----------\n"
    "[03/31/2022-14:34:54] [I] [TRT] [DlaLayer] {ForeignNode[Conv_0]}\n"
    "[03/31/2022-14:34:54] [I] [TRT] [DlaLayer] {ForeignNode[Relu_10...Conv_11]}\n"
    "[03/31/2022-14:34:54] [I] [TRT] ---------- Layers Running on GPU ----------\n"
    "[03/31/2022-14:34:54] [I] [TRT] [GpuLayer] PLUGIN_V2: InstanceNormalization_5\n";

// Recorded, NVIDIA/TensorRT issue 4177.
constexpr const char* kSummary =
    "[10/03/2024-10:47:59] [I] === Performance summary ===\n"
    "[10/03/2024-10:47:59] [I] Throughput: 130.298 qps\n"
    "[10/03/2024-10:47:59] [I] Latency: min = 5.38672 ms, max = 13.3664 ms, mean = 7.60628 ms, median = "
    "7.16092 ms, "
    "percentile(90%) = 10.2996 ms, percentile(95%) = 10.8698 ms, percentile(99%) = 12.9675 ms\n"
    "[10/03/2024-10:47:59] [I] Total Host Walltime: 3.00082 s\n";

std::string framed(const std::string& lines, const std::string& version, const char* end = "PASSED") {
  return "&&&& RUNNING TensorRT.trtexec [TensorRT v" + version + "] # trtexec --onnx=model.onnx\n" + lines +
         "&&&& " + end + " TensorRT.trtexec [TensorRT v" + version + "] # trtexec --onnx=model.onnx\n";
}

TEST(TrtexecLogTest, ReadsPlacementAndPerformanceOfFourVersions) {
  const std::pair<const char*, TensorRtVersion> versions[] = {
      {"8502", {8, 5, 2}}, {"8602", {8, 6, 2}}, {"100300", {10, 3, 0}}, {"110401", {11, 4, 1}}};
  for (const auto& [banner, version] : versions) {
    SCOPED_TRACE(banner);
    const TrtexecLog log = parse_trtexec_log(framed(std::string(kPlacement) + kSummary, banner));
    EXPECT_EQ(log.version, version);
    EXPECT_TRUE(log.passed);
    EXPECT_THAT(log.on_dla, ElementsAre("{ForeignNode[Conv_0]}", "{ForeignNode[Relu_10...Conv_11]}"));
    EXPECT_THAT(log.on_gpu, ElementsAre("PLUGIN_V2: InstanceNormalization_5"));
    ASSERT_TRUE(log.performance.has_value());
    EXPECT_EQ(log.performance->throughput_qps, 130.298);
    EXPECT_EQ(log.performance->min_ms, 5.38672);
    EXPECT_EQ(log.performance->max_ms, 13.3664);
    EXPECT_EQ(log.performance->mean_ms, 7.60628);
    EXPECT_EQ(log.performance->median_ms, 7.16092);
    EXPECT_EQ(log.performance->walltime_s, 3.00082);
  }
}

TEST(TrtexecLogTest, KnowsRealWarningsOfFallbacks) {
  const struct {
    const char *line, *layer;
  } cases[] = {
      // Recorded.
      {"[W] [TRT] Layer '/model.24/Constant_1_output_0' (CONSTANT): Unsupported on DLA. Switching this "
       "layer's device "
       "type to GPU.",
       "/model.24/Constant_1_output_0"},
      {"[TRT] [W] /model.23/Concat_4: DLA only supports concatenation on the C dimension.",
       "/model.23/Concat_4"},
      {"[TRT] [W] This version of DLA does not support reshape layers directly connected to Slice or Concat",
       ""},
      {"[TRT] [W] Validation failed for DLA layer: /model.10/m/m.0/attn/Reshape. Switching to GPU fallback.",
       "/model.10/m/m.0/attn/Reshape"},
      {"[TRT] [W] Splitting DLA subgraph at: /model.10/m/m.0/attn/Reshape because DLA validation failed for "
       "this layer.",
       "/model.10/m/m.0/attn/Reshape"},
      {"[TensorRT] WARNING: DLA requests all profiles have same min, max, and opt value. All dla layers are "
       "falling back "
       "to GPU",
       ""},
      // Recorded but for the name; a name with spaces, colons and brackets.
      {"[W] [TRT] Default DLA is enabled but layer (Unnamed Layer* 10) [Slice]: a' (b is not supported on "
       "DLA, falling "
       "back to GPU.",
       "(Unnamed Layer* 10) [Slice]: a' (b"},
      {"[W] [TRT] Layer '(Unnamed Layer* 64) [Shuffle]' (SHUFFLE): Unsupported on DLA. Switching this "
       "layer's device type "
       "to GPU.",
       "(Unnamed Layer* 64) [Shuffle]"},
  };
  for (const auto& [line, layer] : cases) {
    const TrtexecLog log = parse_trtexec_log(framed(std::string(line) + "\n", "8602"));
    ASSERT_EQ(log.fallbacks.size(), 1u) << line;
    EXPECT_EQ(log.fallbacks[0].layer, layer) << line;
    EXPECT_EQ(log.warnings.size(), 1u) << line;
  }
}

TEST(TrtexecLogTest, RefusesWhatItDoesNotUnderstand) {
  const std::string good = framed(kSummary, "8502");
  std::string comma = good, cut = good, lost = good, other = good;
  comma.replace(comma.find("130.298"), 7, "130,298");
  cut.resize(cut.find("&&&& PASSED"));
  lost.erase(lost.find("[10/03/2024-10:47:59] [I] Latency"),
             lost.find("[10/03/2024-10:47:59] [I] Total") - lost.find("[10/03/2024-10:47:59] [I] Latency"));
  other.replace(other.find("min = "), 6, "mini= ");
  const struct {
    std::string text;
    const char* words;
  } cases[] = {
      {"", "it is empty"},
      {"Segmentation fault\n", "Segmentation fault"},
      {comma, "Throughput: 130,298 qps"},
      {cut, "cut off behind '[10/03/2024-10:47:59] [I] Total Host Walltime: 3.00082 s'"},
      {lost, "lacks its latency"},
      {other, "mini= 5.38672 ms"},
  };
  for (const auto& c : cases)
    EXPECT_THAT([&] { parse_trtexec_log(c.text); }, ThrowsMessage<Error>(HasSubstr(c.words))) << c.text;
}

TEST(TrtexecLogTest, SaysWhyAnEngineWasNotBuilt) {
  const struct {
    const char *lines, *words;
  } cases[] = {
      // The messages are TensorRT's own (NVIDIA/TensorRT issues 2176, 2072, 3847 and 2426); dates are made.
      {"[01/01/2024-00:00:00] [E] [TRT] 6: The engine plan file is generated on an incompatible device, "
       "expecting compute "
       "8.7 got compute 8.6, please rebuild.\n",
       "another device"},
      {"[01/01/2024-00:00:00] [E] [TRT] 1: Version tag does not match. Note: Current Version: 213, "
       "Serialized Engine "
       "Version: 205\n",
       "another TensorRT"},
      {"[01/01/2024-00:00:00] [E] [TRT] Could not find any implementation for node "
       "{ForeignNode[/cnn/cnn.0/Conv]}\n",
       "Could not find any implementation"},
      {"[01/01/2024-00:00:00] [E] [TRT] 1: Error Code 1: DLA (Failure to submit program to DLA engine.)\n",
       "eke plan"},
      {"", "named no error"},
  };
  for (const auto& [lines, words] : cases) {
    const TrtexecLog log = parse_trtexec_log(framed(lines, "8502", "FAILED"));
    EXPECT_FALSE(log.passed);
    EXPECT_THAT(failure_of(log), HasSubstr(words));
  }
}

TEST(TrtexecLogTest, KnowsWhenInferenceBeginsAndEnds) {
  EXPECT_TRUE(begins_inference("[05/10/2024-12:24:57] [I] Starting inference"));
  EXPECT_FALSE(begins_inference("[05/10/2024-12:24:57] [I] Created input binding for Starting inference"));
  EXPECT_TRUE(ends_inference("[05/10/2024-12:25:00] [I] Warmup completed 10 queries over 200 ms"));
  EXPECT_TRUE(ends_inference("[10/03/2024-10:47:59] [I] === Performance summary ==="));
  EXPECT_FALSE(ends_inference("[05/10/2024-12:24:57] [I] Starting inference"));
}

TEST(TrtexecTest, TakesLayersApart) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"Conv_0 + Relu_1", {"Conv_0", "Relu_1"}},
      {"{ForeignNode[Relu_10...Conv_11]}", {"Relu_10", "Conv_11"}},
      {"{ForeignNode[Conv_0]}", {"Conv_0"}},
      {"PLUGIN_V2: InstanceNormalization_5", {"InstanceNormalization_5"}},
      {"a: b", {"a: b"}},
      {"(Unnamed Layer* 64) [Shuffle]", {"(Unnamed Layer* 64) [Shuffle]"}},
      {"", {}},
  };
  for (const auto& [layer, nodes] : cases) EXPECT_EQ(nodes_of_layer(layer), nodes) << layer;
}

TEST(TrtexecTest, ComparesPlacementWithThePlan) {
  Net net({1, 4, 8, 8});
  net.conv(4, 3, 1, "conv");
  net.add(op::Unary{op::UnaryFn::Exp}, {}, "exp");
  net.relu("relu");
  const DlaPlan plan = plan_dla(net.finish(), {});
  TrtexecLog log;
  EXPECT_THAT(misplaced(plan, log), IsEmpty());  // nothing is known
  log.on_dla = {"{ForeignNode[conv]}", "{ForeignNode[relu]}"};
  log.on_gpu = {"exp"};
  EXPECT_THAT(misplaced(plan, log), IsEmpty());
  log.on_dla = {"{ForeignNode[conv]}"};
  log.on_gpu = {"exp + relu"};
  ASSERT_EQ(misplaced(plan, log).size(), 1u);
  EXPECT_EQ(misplaced(plan, log)[0].node, "relu");
  EXPECT_EQ(misplaced(plan, log)[0].actual, Engine::gpu);
  log.on_dla = {"{ForeignNode[conv...relu]}"};
  log.on_gpu = {};
  ASSERT_EQ(misplaced(plan, log).size(), 1u);
  EXPECT_EQ(misplaced(plan, log)[0].node, "exp");
}

TEST(TrtexecTest, FlagsFollowTheVersion) {
  const TrtexecBuild dla{"m.onnx", "e", "c.cache", {"a b", "(Unnamed) [x]"}, true, 1, true, 1, 1};
  EXPECT_THAT(trtexec_build(dla, {8, 5}),
              AllOf(Contains("--buildOnly"), Contains("--int8"), Contains("--calib=c.cache"),
                    Contains("--useDLACore=1"), Contains("--allowGPUFallback"),
                    Contains("--layerPrecisions=a b:fp16,(Unnamed) [x]:fp16")));
  EXPECT_THAT(trtexec_build(dla, {10, 3}), AllOf(Contains("--skipInference"), Not(Contains("--buildOnly"))));
  const TrtexecBuild typed{"m.onnx", "e", "", {}, true, 0, true, 1, 1};
  for (const char* gone : {"--int8", "--fp16", "--precisionConstraints=prefer"})
    EXPECT_THAT(trtexec_build(typed, {11, 4}), Not(Contains(gone)));
  TrtexecBuild strict = dla;
  strict.fallback = false;
  strict.outputs = 2;
  EXPECT_THAT(trtexec_build(strict, {8, 6}),
              AllOf(Not(Contains("--allowGPUFallback")), Contains("--inputIOFormats=int8:chw32"),
                    Contains("--outputIOFormats=int8:chw32,int8:chw32")));
  const TrtexecBuild gpu{"m.onnx", "e", "", {}, false, std::nullopt, true, 1, 1};
  EXPECT_THAT(trtexec_build(gpu, {8, 6}),
              AllOf(Contains("--fp16"), Not(Contains("--int8")), Not(Contains("--useDLACore=0"))));

  TrtexecRun run;
  run.engine = "e";
  run.times = "t.json";
  run.inputs = {{"Input:0", "in.bin"}};
  EXPECT_THAT(trtexec_run(run, {8, 6}),
              AllOf(Contains("--loadEngine=e"), Contains("--exportTimes=t.json"),
                    Contains("--loadInputs='Input:0':in.bin"), Not(Contains("--noCudaGraph"))));
  EXPECT_THAT(trtexec_run(run, {11, 4}),
              AllOf(Contains("--noCudaGraph"), Contains("--includeDataTransfers")));
  run.profile = "p.json";
  EXPECT_THAT(trtexec_run(run, {8, 6}), Contains("--separateProfileRun"));
  EXPECT_THAT(trtexec_run(run, {11, 4}), Not(Contains("--separateProfileRun")));
}

// The entry is recorded, from NVIDIA's jetson_dla_tutorial; the entries between are made.
constexpr const char* kTimes =
    R"([
  { "startEnqMs" : 2.67333, "endEnqMs" : 2.70722, "startH2dMs" : 2.57741, "endH2dMs" : 2.57741, "startComputeMs" : 2.57741, "endComputeMs" : 3.45088, "startD2hMs" : 3.45088, "endD2hMs" : 3.45088, "h2dMs" : 0, "computeMs" : 0.873472, "d2hMs" : 0, "latencyMs" : 0.873472 }
]
)";

TEST(TrtexecFilesTest, ReadsTimes) {
  const TrtexecTimes times = parse_trtexec_times(kTimes);
  EXPECT_THAT(times.latency_ms, ElementsAre(0.873472));
  EXPECT_THAT(times.compute_ms, ElementsAre(0.873472));
}

TEST(TrtexecFilesTest, ReadsProfilesWithAndWithoutMedians) {
  // Recorded, TensorRT 8.5 and later.
  const TrtexecProfile profile = parse_trtexec_profile(
      R"([ { "count" : 1 }, { "name" : "MaxPool_2", "timeMs" : 0.062464, "averageMs" : 0.062464, "medianMs" : 0.062464, "percentage" : 6.143 } ])");
  EXPECT_EQ(profile.runs, 1);
  ASSERT_EQ(profile.layers.size(), 1u);
  EXPECT_EQ(profile.layers[0].name, "MaxPool_2");
  EXPECT_EQ(profile.layers[0].average_ms, 0.062464);
  EXPECT_EQ(profile.layers[0].median_ms, 0.062464);
  // As before 8.5; names as the profile of a DLA has them.
  const TrtexecProfile older = parse_trtexec_profile(
      R"([ { "count" : 7 }, { "name" : "x to nvm", "timeMs" : 7, "averageMs" : 1, "percentage" : 50 },
           { "name" : "{ForeignNode[a: b...(c) [d]]}", "timeMs" : 7, "averageMs" : 1, "percentage" : 50 } ])");
  EXPECT_FALSE(older.layers[0].median_ms.has_value());
  EXPECT_EQ(older.layers[1].name, "{ForeignNode[a: b...(c) [d]]}");
}

TEST(TrtexecFilesTest, ReadsLayersOfAllVersions) {
  // After the recorded layer of TensorRT 8 ("Bindings"), that of 11 ("I/O Tensors"), and names alone.
  const char* const kCases[] = {
      R"({"Layers": [{ "Name": "Conv_0 + Relu_1", "LayerType": "CaskConvolution", "Inputs": [], "Outputs": [],
          "ParameterType": "Convolution", "Kernel": [7,7], "TacticName": "t", "TacticValue": "0x1" }], "Bindings": ["x"]})",
      R"({"Layers": [{ "Name": "Conv_0 + Relu_1", "LayerType": "CaskConvolution", "TacticName": "t" }],
          "I/O Tensors": [{"Name": "x"}]})",
      R"({"Layers": ["Conv_0 + Relu_1"], "Bindings": ["x"]})"};
  for (const char* text : kCases) {
    const TrtexecEngine engine = parse_trtexec_layers(text);
    ASSERT_EQ(engine.layers.size(), 1u);
    EXPECT_EQ(engine.layers[0].name, "Conv_0 + Relu_1");
    EXPECT_THAT(engine.tensors, ElementsAre("x"));
  }
  EXPECT_EQ(parse_trtexec_layers(kCases[0]).layers[0].type, "CaskConvolution");
}

TEST(TrtexecFilesTest, ReadsOutputs) {
  const std::vector<TrtexecOutput> outputs = parse_trtexec_output(
      "[\n  { \"name\" : \"scores\"\n  , \"dimensions\" : \"1x2x1x1\"\n  , \"values\" : [ 0.5, -1e-3 ]\n  "
      "}\n]\n");
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(outputs[0].name, "scores");
  EXPECT_THAT(outputs[0].dimensions, ElementsAre(1, 2, 1, 1));
  EXPECT_THAT(outputs[0].values, ElementsAre(0.5f, -1e-3f));
}

TEST(TrtexecFilesTest, RefusesBrokenFiles) {
  const std::string times = kTimes;
  std::string comma = times;
  comma.replace(comma.find("0.873472"), 8, "0,873472");
  EXPECT_THAT([&] { parse_trtexec_times(comma); }, ThrowsMessage<Error>(HasSubstr("another locale")));
  EXPECT_THAT([&] { parse_trtexec_times(times.substr(0, 60)); }, ThrowsMessage<Error>(HasSubstr("cut off")));
  EXPECT_THAT([] { parse_trtexec_times(""); }, ThrowsMessage<Error>(HasSubstr("empty")));
  EXPECT_THAT([] { parse_trtexec_times("[{}]"); }, ThrowsMessage<Error>(HasSubstr("latencyMs")));
  EXPECT_THAT([] { parse_trtexec_times("[]"); }, ThrowsMessage<Error>(HasSubstr("no list with entries")));
  EXPECT_THAT([] { parse_trtexec_profile(R"([{"name":"a"b","averageMs":1}])"); },
              ThrowsMessage<Error>(HasSubstr("quotation mark")));
  EXPECT_THAT([] { parse_trtexec_profile(R"([{"name":"a","averageMs":1}])"); },
              ThrowsMessage<Error>(HasSubstr("count")));
  EXPECT_THAT([] { parse_trtexec_layers(R"({"Layers":[{}]})"); },
              ThrowsMessage<Error>(HasSubstr("without a name")));
  EXPECT_THAT([] { parse_trtexec_layers("[]"); }, ThrowsMessage<Error>(HasSubstr("no 'Layers'")));
  EXPECT_THAT([] { parse_trtexec_output(R"([{"name":"a","dimensions":"1x3","values":[1,2]}])"); },
              ThrowsMessage<Error>(HasSubstr("1x3 and has 2 values")));
  EXPECT_THAT([] { parse_trtexec_output(R"([{"name":"a","dimensions":"2,","values":[1,2]}])"); },
              ThrowsMessage<Error>(HasSubstr("','")));
}

TEST(CheckCacheTest, ListsTensorsOfAnotherNetwork) {
  Net net({1, 3, 8, 8});
  net.conv(4, 3, 1, "conv");
  const Graph graph = net.finish();
  const TensorRtVersion version = parse_tensorrt_version("8.6");
  check_cache({cache_header(version), {{"x", 1}, {"conv.out", 1}}}, graph, version);
  EXPECT_THAT(
      [&] {
        check_cache({cache_header(version), {{"x", 1}, {"fc1: a", 1}, {"b", 1}}}, graph, version);
      },
      ThrowsMessage<Error>(HasSubstr("'fc1: a', 'b'")));
  EXPECT_THAT(
      [&] {
        check_cache({"TRT-8502-EntropyCalibration2", {{"x", 1}}}, graph, version);
      },
      ThrowsMessage<Error>(HasSubstr("TRT-8602-EntropyCalibration2")));
}

}  // namespace
}  // namespace eke
