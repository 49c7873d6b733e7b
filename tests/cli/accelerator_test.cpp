// eke plan, fit and export, one after the other as a person would.
#include <fstream>
#include <sstream>

#include "fixture.h"

namespace eke::test {
namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(CliTest, PlanSaysWhatLeavesTheDla) {
  const nlohmann::json plan = json("plan net.onnx --json --picture plan.svg");
  EXPECT_EQ(plan["tensorrt"], "10.3");
  EXPECT_EQ(plan["summary"]["gpu_layers"], 1);  // the Flatten
  EXPECT_EQ(plan["summary"]["transitions"], 2);
  for (const nlohmann::json& node : plan["nodes"])
    EXPECT_EQ(node["engine"] == "GPU", node.contains("reasons"));
  EXPECT_NE(text_of(folder_ / "plan.svg").find("</svg>"), std::string::npos);
  EXPECT_NE(eke("plan net.onnx --tensorrt 8.6 --precision fp16").out.find("flatten"), std::string::npos);
}

TEST_F(CliTest, FitKeepsTheNetworkOnTheDla) {
  const nlohmann::json fit = json("fit net.onnx -o fitted.onnx --json");
  EXPECT_EQ(fit["after"]["gpu_layers"], 0);
  EXPECT_LT(fit["agreement"]["largest_difference"].get<double>(), 1e-4);
  EXPECT_EQ(json("plan fitted.onnx --json")["summary"]["gpu_layers"], 0);
  EXPECT_EQ(json("eval fitted.onnx --data data --normalization raw --json")["top1"]["accuracy"], 1.0);
  EXPECT_NE(eke("fit net.onnx -o again.onnx").out.find("convolution"), std::string::npos);
}

TEST_F(CliTest, ExportWritesWhatTrtexecReads) {
  ASSERT_EQ(eke("fit net.onnx -o fitted.onnx").code, 0);
  ASSERT_EQ(eke("quantize fitted.onnx --data data --count 10 -o int8.onnx --for dla-orin --round-outputs "
                "--allow-slower --runs 1 --normalization raw")
                .code,
            0);
  const nlohmann::json dla = json("export int8.onnx --target dla --tensorrt 8.6 -o dla --json");
  EXPECT_EQ(dla["placement"]["gpu_layers"], 0);
  EXPECT_TRUE(text_of(folder_ / "dla/calibration.cache").starts_with("TRT-8602-EntropyCalibration2\n"));
  EXPECT_NE(text_of(folder_ / "dla/build.sh").find("--calib=calibration.cache"), std::string::npos);
  EXPECT_EQ(json("eval dla/model.onnx --data data --json")["top1"]["accuracy"], 1.0);
  json("export int8.onnx --target tensorrt -o gpu --json");
  EXPECT_EQ(json("eval gpu/model.onnx --data data --json")["top1"]["accuracy"], 1.0);
  json("export int8.onnx --target dla --tensorrt 11.4 -o typed --json");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "typed/calibration.cache"));
}

TEST_F(CliTest, EvalComputesAsOtherEngines) {
  ASSERT_EQ(eke("fit net.onnx -o fitted.onnx").code, 0);
  ASSERT_EQ(
      eke("quantize fitted.onnx --data data --count 10 -o int8.onnx --for dla-orin --allow-slower --runs 1 "
          "--normalization raw")
          .code,
      0);
  for (const char* as : {"tensorrt", "dla-orin", "dla-orin --tensorrt 11.4"}) {
    const nlohmann::json eval = json(std::string("eval int8.onnx --data data --json --as ") + as);
    EXPECT_EQ(eval["origin"], "simulated") << as;
    EXPECT_EQ(eval["top1"]["accuracy"], 1.0) << as;
  }
  const nlohmann::json eval = json(
      "eval fitted.onnx --data data --as dla-orin --calibration plain --count 10 --normalization raw --json");
  EXPECT_EQ(eval["simulated"]["calibration_images"], 10);
  EXPECT_EQ(eval["top1"]["accuracy"], 1.0);
  EXPECT_NE(eke("eval int8.onnx --data data --as dla-orin").out.find("simulated: the arithmetic of dla-orin"),
            std::string::npos);
}

TEST_F(CliTest, AcceleratorsRefuseWrongUse) {
  const std::tuple<const char*, int, const char*> cases[] = {
      {"plan net.onnx --tensorrt 10.4", 2, "10.3"},
      {"plan net.onnx --target dla-xavier", 2, "dla-orin"},
      {"plan net.onnx --precision int4", 2, "--precision"},
      {"fit net.onnx", 2, "--output"},
      {"export net.onnx --target dla -o out", 1, "eke quantize"},
      {"export net.onnx --target coral -o out", 2, "--target"},
      {"plan missing.onnx", 1, "missing.onnx"},
      {"eval net.onnx --data data --normalization raw --as dla-orin", 2, "--calibration"},
      {"eval net.onnx --data data --normalization raw --tensorrt 8.6", 2, "--as"},
      {"eval net.onnx --data data --normalization raw --as coral", 2, "--as"},
      {"quantize net.onnx --data data -o q.onnx --for npu", 2, "--for"},
  };
  for (const auto& [arguments, code, word] : cases) {
    SCOPED_TRACE(arguments);
    const CommandResult result = eke(arguments);
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_NE(result.err.find(word), std::string::npos) << result.err;
  }
}

}  // namespace
}  // namespace eke::test
