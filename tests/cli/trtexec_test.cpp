// eke bench --engine trtexec, on a stand-in for trtexec (trtexec_replay.sh) that replays recorded lines.
#include <fmt/format.h>

#include <fstream>

#include "fixture.h"
#include "onnx/onnx.h"

namespace eke::test {
namespace {

namespace fs = std::filesystem;

// One with an input of any width, one without a layer that the DLA has.
void save_odd_networks(const fs::path& folder) {
  Graph open = small_network();
  open[open.inputs[0]].type.shape[3] = kDynamic;
  open[open.inputs[0]].dim_names = {"", "", "", "width"};
  for (const ValueId id : open.outputs) open[id].type = {};
  save_onnx(open, (folder / "dynamic.onnx").string());
  Graph exp;
  exp.inputs = {exp.add_value("image", {DType::f32, {1, 3, 8, 8}})};
  exp.outputs = {exp.add_node(op::Unary{op::UnaryFn::Exp}, {exp.inputs[0]}, "exp", {"out"})};
  save_onnx(exp, (folder / "exp.onnx").string());
}

class TrtexecTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_EQ(eke("fit net.onnx -o fitted.onnx").code, 0);
    ASSERT_EQ(eke("quantize fitted.onnx --data data --count 10 -o int8.onnx --for dla-orin "
                  "--round-outputs --allow-slower --runs 1 --normalization raw --threads 1")
                  .code,
              0);
  }
  CommandResult replay(const std::string& arguments, const std::string& version = "8602",
                       const std::string& which = "good") const {
    return run_eke("bench " + arguments + " --engine trtexec --meter none", folder_,
                   fmt::format("REPLAY_VERSION={} REPLAY_CASE={} TRTEXEC={}", version, which, EKE_TRTEXEC));
  }
  nlohmann::json result(const std::string& arguments, const std::string& version = "8602",
                        const std::string& which = "good") const {
    const CommandResult run = replay(arguments + " --json", version, which);
    EXPECT_EQ(run.code, 0) << run.err;
    return nlohmann::json::parse(run.out, nullptr, false);
  }
};

TEST_F(TrtexecTest, MeasuresWithFourVersions) {
  const std::pair<const char*, const char*> versions[] = {
      {"8502", "8.5"}, {"8602", "8.6"}, {"100300", "10.3"}, {"110401", "11.4"}};
  for (const auto& [banner, version] : versions) {
    SCOPED_TRACE(version);
    const nlohmann::json json =
        result(fmt::format("int8.onnx --device gpu,dla --tensorrt {} --runs 20 --layers", version), banner);
    EXPECT_EQ(json["engine"], "trtexec");
    ASSERT_EQ(json["models"].size(), 2u);
    const char* const backends[] = {"tensorrt-gpu", "dla"};
    for (int i = 0; i < 2; ++i) {
      const nlohmann::json& model = json["models"][i];
      EXPECT_EQ(model["backend"], backends[i]);
      EXPECT_EQ(model["runs"], 40);  // ten windows of the four queries that the stand-in writes
      EXPECT_EQ(model["ms"]["median"], 0.873472);
      EXPECT_EQ(model["engine"]["tensorrt"], version);
      EXPECT_EQ(model["engine"]["precision"], "int8");
      EXPECT_EQ(model["engine"]["build_s"], 14.6812);
      EXPECT_EQ(model["engine"]["layers_on_dla"].size(), 2u);
      EXPECT_EQ(model["layers"][0]["name"], "MaxPool_2");
      EXPECT_EQ(model["layers"][0]["operator"], "CaskPooling");
    }
    EXPECT_TRUE(json["models"][0]["engine"]["predicted"].is_null());
    EXPECT_EQ(json["models"][1]["engine"]["predicted"]["gpu_layers"], 0);
    EXPECT_TRUE(json["models"][1].contains("against_first"));
  }
}

TEST_F(TrtexecTest, ComparesPlacementAndShowsFallbacks) {
  const nlohmann::json engine =
      result("int8.onnx --tensorrt 8.6 --runs 2", "8602", "fallback")["models"][0]["engine"];
  ASSERT_EQ(engine["fallbacks"].size(), 1u);
  EXPECT_EQ(engine["fallbacks"][0]["layer"], "/model.24/Constant_1_output_0");
  EXPECT_EQ(engine["layers_on_gpu"][0], "PLUGIN_V2: InstanceNormalization_5");
  EXPECT_TRUE(engine["misplaced"].empty());
  const CommandResult text = replay("int8.onnx --tensorrt 8.6 --runs 2", "8602", "fallback");
  EXPECT_NE(text.out.find("loadables on the DLA: 2, layers on the GPU: 1"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("Unsupported on DLA"), std::string::npos) << text.out;
}

TEST_F(TrtexecTest, ScoresTheEngine) {
  const nlohmann::json json = result("int8.onnx --tensorrt 8.6 --runs 2 --data data --images 8");
  EXPECT_EQ(json["models"][0]["accuracy"]["images"], 8);
  EXPECT_EQ(json["models"][0]["accuracy"]["top1"]["accuracy"], 1.0);
}

TEST_F(TrtexecTest, KeepsItsFilesWhereAsked) {
  ASSERT_EQ(replay("int8.onnx --tensorrt 8.6 --runs 2 --keep kept").code, 0);
  for (const char* file :
       {"kept/0/model.onnx", "kept/0/calibration.cache", "kept/0/engine", "kept/trtexec.log"})
    EXPECT_TRUE(fs::exists(folder_ / file)) << file;
  // The engine by itself: nothing is predicted of it.
  const nlohmann::json json = [&] {
    fs::copy_file(folder_ / "kept/0/engine", folder_ / "net.engine");
    return result("net.engine --tensorrt 8.6 --runs 2");
  }();
  EXPECT_TRUE(json["models"][0]["engine"]["predicted"].is_null());
  // A float model with the cache of its export.
  EXPECT_EQ(replay("kept/0/model.onnx --cache kept/0/calibration.cache --tensorrt 8.6 --runs 2").code, 0);
}

TEST_F(TrtexecTest, ReportsAndStudiesShowBackendsSideBySide) {
  std::ofstream(folder_ / "study.json")
      << R"({"networks": [{"model": "fitted.onnx", "name": "net", "normalization": "raw"}], "calibration": "plain",
"evaluation": "data", "calibration_images": 10, "runs": 20, "backends": ["cpu", "tensorrt-gpu", "dla"],
"tensorrt": "8.6"})";
  const CommandResult run =
      run_eke("study study.json -o out", folder_, fmt::format("REPLAY_VERSION=8602 TRTEXEC={}", EKE_TRTEXEC));
  ASSERT_EQ(run.code, 0) << run.err;
  for (const char* words :
       {"net.mse on dla", "net.mse on tensorrt-gpu", "as on dla-orin of TensorRT 8.6", "simulated"})
    EXPECT_NE(run.out.find(words), std::string::npos) << words << "\n" << run.out;
}

TEST_F(TrtexecTest, BadInputIsRefusedWithTheRemedy) {
  std::ofstream(folder_ / "other.engine") << "of another device";
  std::ofstream(folder_ / "other.cache") << "TRT-8602-EntropyCalibration2\nfc1: a: 3caa54fc\n";
  std::ofstream(folder_ / "old.cache") << "TRT-8502-EntropyCalibration2\nimage: 3caa54fc\n";
  save_odd_networks(folder_);
  const struct {
    const char *arguments, *version, *which;
    int code;
    std::vector<std::string> words;
  } cases[] = {
      {"int8.onnx --tensorrt 8.6", "8602", "unbuilt", 1, {"trtexec failed", "Assertion engine"}},
      {"int8.onnx --tensorrt 8.6 --runs 2", "8602", "cut", 1, {"cut off behind"}},
      {"int8.onnx --tensorrt 8.6 --runs 2", "8602", "comma", 1, {"Throughput: 130,298 qps", "LC_ALL=C"}},
      {"int8.onnx --tensorrt 8.5", "8602", "good", 1, {"give --tensorrt 8.6"}},
      {"int8.onnx --tensorrt 10.5", "8602", "good", 2, {"10.5", "10.7"}},
      {"other.engine --tensorrt 8.6", "8602", "good", 1, {"another device", "ONNX"}},
      {"fitted.onnx --cache other.cache --tensorrt 8.6", "8602", "good", 1, {"another network", "'fc1: a'"}},
      {"fitted.onnx --cache old.cache --tensorrt 8.6", "8602", "good", 1, {"TRT-8602"}},
      {"int8.onnx --cache other.cache --tensorrt 8.6", "8602", "good", 1, {"scales of its own"}},
      {"dynamic.onnx --tensorrt 8.6", "8602", "good", 1, {"--input-shape"}},
      {"exp.onnx --tensorrt 8.6", "8602", "good", 1, {"no layer", "--device gpu"}},
      {"int8.onnx --threads 2", "8602", "good", 2, {"--threads", "--dla-core"}},
      {"int8.onnx --tensorrt 8.6 --data nowhere", "8602", "good", 1, {"nowhere"}},
      {"int8.onnx --trtexec ./nowhere", "8602", "good", 1, {"./nowhere"}},
      {"int8.onnx --no-fallback --tensorrt 8.6 --runs 2 --data data", "8602", "good", 1, {"--no-fallback"}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.arguments);
    expect_error(replay(c.arguments, c.version, c.which), c.code, c.words);
  }
}

TEST_F(CliTest, WhatIsOfTrtexecIsRefusedWithoutIt) {
  for (const char* flag : {"--device gpu", "--tensorrt 8.6", "--no-fallback", "--data data", "--dla-core 1"})
    expect_error(eke(std::string("bench net.onnx --meter none ") + flag), 2, {"--engine trtexec"});
}

TEST_F(CliTest, WithoutTrtexecItSaysWhatToInstall) {
  expect_error(run_eke("bench net.onnx --engine trtexec --meter none", folder_, "PATH=/nowhere"), 1,
               {"libnvinfer-bin", "--trtexec"});
}

}  // namespace
}  // namespace eke::test
