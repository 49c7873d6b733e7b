// eke train on images whose classes a network can tell apart.
#include <fstream>

#include "fixture.h"

namespace eke::test {
namespace {

const std::string kTrainRaw = " --normalization raw --epochs 0";

class TrainTest : public CliTest {};

TEST_F(TrainTest, EveryHeadLearnsAndTheModelCarriesItsClasses) {
  for (const std::string head : {"linear", "ridge", "centroid", "arcface"}) {
    SCOPED_TRACE(head);
    const nlohmann::json report =
        json("train net.onnx --data data -o mine.onnx --json --head " + head + kTrainRaw);
    EXPECT_EQ(report["classes"], 2);
    EXPECT_EQ(report["train_images"], 32);
    EXPECT_EQ(report["head"]["validation"]["correct"], 8);
    EXPECT_EQ(report["head"]["backbone"], "int8");
    EXPECT_EQ(json("eval mine.onnx --data data --json")["top1"]["accuracy"], 1.0);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "mine.onnx.lock"));
}

TEST_F(TrainTest, FeaturesComeFromDiskTheSecondTime) {
  const std::string command = "train net.onnx --data data -o mine.onnx --json" + kTrainRaw;
  EXPECT_EQ(json(command)["head"]["features_from_disk"], false);
  EXPECT_EQ(json(command)["head"]["features_from_disk"], true);
  EXPECT_EQ(json(command + " --seed 2")["head"]["features_from_disk"], false);
  EXPECT_EQ(json(command + " --backbone float --features none")["head"]["features_from_disk"], false);
}

TEST_F(TrainTest, SplitsByNumbersGoWithEval) {
  const std::string split = " --per-class 20 --train-per-class 15";
  const nlohmann::json report = json("train net.onnx --data data -o mine.onnx --json" + split + kTrainRaw);
  EXPECT_EQ(report["train_images"], 30);
  EXPECT_EQ(report["validation_images"], 10);
  EXPECT_EQ(json("eval mine.onnx --data data --json" + split)["images"], 10);
}

TEST_F(TrainTest, UnreadableImagesAreSkippedAndListed) {
  std::ofstream(folder_ / "data/left/broken.jpg") << "this is no image";
  const nlohmann::json report = json("train net.onnx --data data -o mine.onnx --json" + kTrainRaw);
  ASSERT_EQ(report["unreadable_images"].size(), 1u);
  EXPECT_NE(report["unreadable_images"][0].get<std::string>().find("broken.jpg"), std::string::npos);
}

TEST_F(TrainTest, FineTunesAndTrainsFromScratch) {
  const std::string command =
      "train net.onnx --data data -o mine.onnx --normalization raw --epochs 3 --batch 8 --json";
  const nlohmann::json tuned = json(command);
  EXPECT_EQ(tuned["fine_tuning"]["epochs"].size(), 3u);
  EXPECT_GT(tuned["fine_tuning"]["planned_bytes"], 0);
  EXPECT_EQ(json("eval mine.onnx --data data --json")["top1"]["accuracy"], 1.0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "mine.onnx.checkpoint"));
  const nlohmann::json scratch = json(command + " --from-scratch --rate 0.001");
  EXPECT_FALSE(scratch.contains("head"));
  EXPECT_EQ(scratch["fine_tuning"]["epochs"].size(), 3u);
  EXPECT_EQ(scratch["fine_tuning"]["precision"], "f32");
  EXPECT_EQ(json(command + " --precision bf16")["fine_tuning"]["precision"], "bf16");
  EXPECT_EQ(json("eval mine.onnx --data data --json")["top1"]["accuracy"], 1.0);
}

TEST_F(TrainTest, QuantizationAwareTrainingEndsInIntegers) {
  json("train net.onnx --data data -o mine.onnx --normalization raw --epochs 2 --batch 8 --json");
  const nlohmann::json report =
      json("train mine.onnx --data data --qat --epochs 2 --batch 8 --distill 0.5 -o mine.int8.onnx --json");
  const nlohmann::json& quantization = report["quantization"];
  EXPECT_GE(quantization["trained"]["correct"], quantization["post_training"]["correct"]);
  EXPECT_EQ(quantization["weights"], "per channel");
  EXPECT_EQ(report["fine_tuning"]["epochs"].size(), 2u);
  EXPECT_FALSE(report.contains("head"));
  EXPECT_EQ(json("eval mine.int8.onnx --data data --json")["top1"]["accuracy"], 1.0);
  expect_error(eke("train mine.int8.onnx --data data --qat -o again.onnx"), 1, {"quantized already"});
}

TEST_F(TrainTest, QuantizationAwareTrainingForAnotherEngineIsJudgedAsThatEngineComputes) {
  json("train net.onnx --data data -o mine.onnx --normalization raw --epochs 2 --batch 8 --json");
  for (const std::string as : {" --as tensorrt", " --as dla-orin --tensorrt 8.6"}) {
    SCOPED_TRACE(as);
    const nlohmann::json report = json(
        "train mine.onnx --data data --eval data --qat --epochs 2 --batch 8 -o mine.int8.onnx --json" + as);
    EXPECT_EQ(report["quantization"]["origin"], "simulated");
    EXPECT_EQ(report["validation"]["origin"], "simulated");
    const nlohmann::json evaluated = json("eval mine.int8.onnx --data data --json" + as);
    EXPECT_EQ(report["quantization"]["simulated"]["engine"], evaluated["simulated"]["engine"]);
    EXPECT_EQ(report["quantization"]["trained"]["accuracy"], evaluated["top1"]["accuracy"]);
    EXPECT_TRUE(evaluated["simulated"]["notes"].empty()) << evaluated["simulated"]["notes"];
  }
}

TEST_F(TrainTest, SaysWhatIsWrong) {
  const struct {
    const char* arguments;
    int code;
    std::vector<std::string> words;
  } kCases[] = {
      {"train net.onnx --data plain -o mine.onnx --normalization raw", 1, {"classes"}},
      {"train net.onnx --data data -o no/such/folder/mine.onnx --normalization raw", 1, {"no/such/folder"}},
      {"train net.onnx --data data -o mine.onnx --normalization raw --head tree", 2, {"tree", "ridge"}},
      {"train net.onnx --data data -o mine.onnx --normalization raw --per-class 5", 2, {"--train-per-class"}},
      {"train net.onnx --data data -o mine.onnx --normalization raw --per-class 500 --train-per-class 3",
       1,
       {"500"}},
      {"train net.onnx --data data -o mine.onnx --normalization raw --features-at nothing", 1, {"nothing"}},
      {"train net.onnx --data data -o mine.onnx", 2, {"--normalization"}},
      {"train net.onnx --data data -o mine.onnx --qat --epochs 0", 2, {"eke quantize"}},
      {"train net.onnx --data data -o mine.onnx --qat --calibrator best", 2, {"min-max"}},
      {"train net.onnx --data data -o mine.onnx --as dla-orin", 2, {"--qat"}},
      {"train net.onnx --data data -o mine.onnx --qat --precision bf16", 2, {"--precision bf16", "float32"}},
      {"train net.onnx --data data -o mine.onnx --epochs 0 --precision bf16", 2, {"--epochs"}},
      {"train net.onnx --data data -o mine.onnx --qat --tensorrt 8.6", 2, {"--as"}},
      {"train net.onnx --data data -o mine.onnx --qat --as dla-orin --tensorrt 9.9", 2, {"9.9"}},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.arguments);
    expect_error(eke(c.arguments), c.code, c.words);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "mine.onnx"));
}

}  // namespace
}  // namespace eke::test
