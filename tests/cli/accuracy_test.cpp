#include <filesystem>
#include <fstream>

#include "fixture.h"

namespace eke::test {
namespace {

namespace fs = std::filesystem;

const std::string kRaw = " --normalization raw";
const std::string kQuantize = "quantize net.onnx --data data --count 10 --allow-slower --runs 3" + kRaw;

TEST_F(CliTest, QuantizeSaysWhetherADifferenceWasSeen) {
  const nlohmann::json report = json(kQuantize + " -o int8.onnx --json");
  EXPECT_EQ(report["difference"]["count"], 30);
  EXPECT_EQ(report["difference"]["verdict"], "no difference seen");
  const CommandResult text = eke(kQuantize + " -o int8.onnx");
  EXPECT_NE(text.out.find("no difference seen"), std::string::npos) << text.out;
}

TEST_F(CliTest, EvalComparesTwoModelsImageByImage) {
  ASSERT_EQ(eke(kQuantize + " -o int8.onnx").code, 0);
  const nlohmann::json report = json("eval int8.onnx --data data --against net.onnx --json");
  EXPECT_EQ(report["against"]["scores"]["top1"]["accuracy"], 1.0);
  EXPECT_EQ(report["difference"]["accuracy"], 0.0);
  EXPECT_EQ(report["difference"]["count"], 40);
  const nlohmann::json pairs = json("eval int8.onnx --data pairs.csv --against net.onnx --json");
  EXPECT_EQ(pairs["difference"]["verdict"], "no difference seen");
  EXPECT_NE(eke("eval int8.onnx --data data --against net.onnx").out.find("against net.onnx"),
            std::string::npos);
}

TEST_F(CliTest, QuantizeChecksItsCalibrationImages) {
  fs::create_directories(folder_ / "same/left");
  for (const char* name : {"a.ppm", "b.ppm", "c.ppm"})
    fs::copy_file(folder_ / "data/left/03.ppm", folder_ / "same/left" / name);
  fs::create_directories(folder_ / "same/right");
  fs::copy_file(folder_ / "data/right/03.ppm", folder_ / "same/right/d.ppm");
  const nlohmann::json report = json(
      "quantize net.onnx --data same --count 4 --eval data --allow-slower --runs 3 "
      "-o q.onnx --json" +
      kRaw);
  EXPECT_EQ(report["calibration"]["duplicates"], 2);
  EXPECT_EQ(report["calibration"]["most_of_a_class"], 3);
  EXPECT_EQ(report["calibration"]["compared_after_images"], 2);
  EXPECT_NE(
      eke("quantize net.onnx --data same --count 4 --eval data --allow-slower --runs 3 -o q.onnx" + kRaw)
          .out.find("2 calibration images equal another one"),
      std::string::npos);
}

TEST_F(CliTest, ExplainNamesLayersAndActivations) {
  const nlohmann::json report = json("explain net.onnx --data plain --count 8 --images 4 --json" + kRaw);
  EXPECT_EQ(report["images"], 4);
  EXPECT_GT(report["all"]["cosine"], 0.99);
  ASSERT_FALSE(report["layers"].empty());
  double shares = 0;
  for (const nlohmann::json& layer : report["layers"]) {
    shares += layer["share"].get<double>();
    EXPECT_TRUE(layer.contains("only_this"));
    EXPECT_TRUE(layer.contains("all_but_this"));
  }
  EXPECT_NEAR(shares, 1, 1e-9);
  ASSERT_FALSE(report["culprits"].empty());
  EXPECT_NE(report["culprits"][0]["remedy"].get<std::string>().find("--"), std::string::npos);
  ASSERT_FALSE(report["activations"].empty());
  EXPECT_FALSE(report["activations"][0]["widest_image"].get<std::string>().empty());
  const CommandResult text = eke("explain net.onnx --data plain --count 8 --images 4" + kRaw);
  EXPECT_NE(text.out.find("only this"), std::string::npos) << text.err;
  EXPECT_EQ(eke("explain net.onnx --data plain --keep 'nothing*'" + kRaw).code, 2);
}

TEST_F(CliTest, QuantizeTakesTheOptionsOfAccuracy) {
  for (const char* flags : {"--equalize on", "--per-tensor --equalize off", "--per-tensor", "--no-explain",
                            "--effort fast", "--effort best", "--effort best --per-tensor"}) {
    SCOPED_TRACE(flags);
    const nlohmann::json report = json(kQuantize + " -o q.onnx --json " + flags);
    EXPECT_GT(report["likeness"]["cosine"]["median"], 0.99);
    EXPECT_EQ(report.contains("explanation"), std::string(flags) != "--no-explain");
  }
}

}  // namespace
}  // namespace eke::test
