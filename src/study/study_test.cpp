#include "study/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace eke::study {
namespace {

using testing::HasSubstr;

std::string message_of(const std::string& text) {
  try {
    parse_study(text, "/study");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Study, FillsInWhatIsNotSaid) {
  const Study study =
      parse_study(R"({"networks": [{"model": "nets/a.onnx"}], "calibration": "/data"})", "/study");
  EXPECT_EQ(study.networks[0].name, "a");
  EXPECT_EQ(study.networks[0].model, "/study/nets/a.onnx");
  EXPECT_EQ(study.calibration, "/data");
  EXPECT_EQ(study.calibrators, std::vector<std::string>{"mse"});
  EXPECT_EQ(study.threads, std::vector<int>{1});
  EXPECT_EQ(cells_of(study, "/models").size(), 2u);  // without evaluation data: quantize and bench
}

TEST(Study, HasACellForEachCombination) {
  const Study study = parse_study(R"({"networks": [{"model": "a.onnx", "mean": "127.5", "scale": "127.5"},
    {"model": "b.onnx", "name": "second", "class_offset": 1}], "calibration": "train", "evaluation": "test",
    "calibrators": ["mse", "entropy"], "threads": [1, 2], "batches": [1, 8], "runs": 7})",
                                  "/s");
  const std::vector<Cell> cells = cells_of(study, "/m");
  ASSERT_EQ(cells.size(), 2u * (2 + 3 + 4));
  EXPECT_EQ(cells[0].name, "a.mse.quantize");
  EXPECT_THAT(cells[0].arguments, testing::IsSupersetOf({"/s/train", "--mean", "/m/a.mse.onnx"}));
  EXPECT_EQ(cells[4].name, "a.entropy.eval");
  EXPECT_EQ(cells[4].reads, std::vector<std::string>{"/m/a.entropy.onnx"});
  EXPECT_EQ(cells.back().name, "second.t2.b8.bench");
  EXPECT_EQ(cells.back().arguments,
            (std::vector<std::string>{"bench", "/s/b.onnx", "/m/second.mse.onnx", "/m/second.entropy.onnx",
                                      "--threads", "2", "--batch", "8", "--runs", "7", "--json"}));
  EXPECT_EQ(cells[5].name, "a.t1.b1.bench");
  EXPECT_EQ(cells[5].arguments.back(), "--layers");
}

TEST(Study, TakesMetersAndLimits) {
  const Study study = parse_study(
      R"({"networks": [{"model": "a.onnx"}], "calibration": "d", "meters": ["rapl", "estimate:board.json"],
    "max_drop": 0.5, "max_latency_ms": 20, "max_energy_j": 0.01})",
      "/s");
  EXPECT_EQ(study.limits.max_drop, 0.5);
  EXPECT_EQ(study.limits.max_latency_ms, 20);
  EXPECT_EQ(study.limits.max_energy_j, 0.01);
  for (const Cell& cell : cells_of(study, "/m"))
    EXPECT_THAT(cell.arguments,
                testing::IsSupersetOf({"--meter", "rapl", "--meter", "estimate:/s/board.json"}))
        << cell.name;
}

TEST(Study, PutsBackendsSideBySide) {
  const Study study =
      parse_study(R"({"networks": [{"model": "a.onnx"}], "calibration": "train", "evaluation": "test",
    "backends": ["cpu", "tensorrt-gpu", "dla"], "tensorrt": "8.6", "runs": 7})",
                  "/s");
  const std::vector<Cell> cells = cells_of(study, "/m");
  std::vector<std::string> names;
  for (const Cell& cell : cells) names.push_back(cell.name);
  EXPECT_EQ(names, (std::vector<std::string>{"a.mse.quantize", "a.float.eval", "a.mse.eval", "a.t1.b1.bench",
                                             "a.mse.as-tensorrt-gpu.eval", "a.tensorrt-gpu.b1.bench",
                                             "a.mse.as-dla.eval", "a.dla.b1.bench"}));
  EXPECT_THAT(cells[0].arguments, testing::IsSupersetOf({"--for", "dla-orin"}));
  EXPECT_THAT(cells[6].arguments, testing::IsSupersetOf({"--as", "dla-orin", "--tensorrt", "8.6"}));
  EXPECT_EQ(cells.back().arguments, (Flags{"bench", "/m/a.mse.onnx", "--engine", "trtexec", "--device", "dla",
                                           "--tensorrt", "8.6", "--batch", "1", "--runs", "7", "--json"}));
}

TEST(Study, TrainsBeforeItQuantizes) {
  const Study study = parse_study(R"({"networks": [{"new": "resnet8", "classes": 10, "train": {"epochs": 9}},
    {"model": "b.onnx", "train": false, "qat": {"balance": true}}, {"model": "c.onnx", "qat": false}],
    "training": "t", "evaluation": "e", "train": {"epochs": 3, "rate": 0.1}, "qat": {"epochs": 1}})",
                                  "/s");
  const std::vector<Cell> cells = cells_of(study, "/m");
  std::vector<std::string> names;
  for (const Cell& cell : cells) names.push_back(cell.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{
                "resnet8.new", "resnet8.train", "resnet8.mse.quantize", "resnet8.qat.train",
                "resnet8.float.eval", "resnet8.mse.eval", "resnet8.qat.eval", "resnet8.t1.b1.bench",  //
                "b.mse.quantize", "b.qat.train", "b.float.eval", "b.mse.eval", "b.qat.eval", "b.t1.b1.bench",
                "c.train", "c.mse.quantize", "c.float.eval", "c.mse.eval", "c.t1.b1.bench"}));
  EXPECT_EQ(cells[1].arguments,
            (Flags{"train", "/m/resnet8.new.onnx", "--data", "/s/t", "--output", "/m/resnet8.float.onnx",
                   "--resume", "--json", "--from-scratch", "--epochs", "9", "--rate", "0.1"}));
  EXPECT_EQ(cells[9].arguments, (Flags{"train", "/s/b.onnx", "--qat", "--data", "/s/t", "--output",
                                       "/m/b.qat.onnx", "--resume", "--json", "--balance", "--epochs", "1"}));
  EXPECT_EQ(study.calibration, "/s/t");
}

TEST(Study, DividesOneSet) {
  const Study study = parse_study(
      R"({"networks": [{"model": "a"}], "data": "faces", "per_class": 20, "train_per_class": 10})", "/s");
  ASSERT_TRUE(study.division);
  EXPECT_EQ(study.division->data, "/s/faces");
  EXPECT_EQ(study.division->per_class, 20);
  EXPECT_EQ(study.division->train_per_class, 10);
}

TEST(Study, SaysWhereItIsWrong) {
  const struct {
    const char* text;
    const char* words;
  } cases[] = {
      {R"({"networks": 1e99999})", "the study is no JSON"},
      {"{", "no JSON"},
      {"[]", "no object"},
      {"{}", "lacks 'networks'"},
      {R"({"networks": []})", "lacks 'networks'"},
      {R"({"networks": [3], "calibration": "d"})", "network 1 is no object"},
      {R"({"networks": [{}], "calibration": "d"})", "network 1 lacks 'model'"},
      {R"({"networks": [{"model": "a"}]})", "lacks 'data'"},
      {R"({"networks": [{"model": "a", "new": "b"}]})", "exclude each other"},
      {R"({"networks": [{"model": "a", "classes": 3}], "calibration": "d"})", "goes with 'new'"},
      {R"({"networks": [{"model": "a"}], "calibration": "d", "train": {}})", "is to be trained"},
      {R"({"networks": [{"model": "a"}], "data": "d", "train": {"epoch": 3}})", "'epoch' is not known"},
      {R"({"networks": [{"model": "a"}], "data": "d", "train": 3})", "object of options"},
      {R"({"networks": [{"model": "a", "qat": 3}], "data": "d"})", "or false"},
      {R"({"networks": [{"model": "a"}], "data": "d", "per_class": 3})", "goes with the other"},
      {R"({"networks": [{"model": "a"}], "data": "d", "per_class": 3, "train_per_class": 3})", "from 1 to 2"},
      {R"({"networks": [{"model": "a"}], "data": "d", "evaluation_share": 1})", "between 0 and 1"},
      {R"({"networks": [{"model": "a"}], "calibration": "d", "per_class": 3, "train_per_class": 2})",
       "which is not there"},
      {"{\"networks\": [{\"model\": \"a\"}],\n\n\"calibration\": 3}",
       "line 3: the study: 'calibration' must be a text"},
      {"{\"networks\": [{\"model\": \"a\"}],\n\"calibration\": \"d\",\n\"thread\": [1]}",
       "line 3: the study: 'thread' is not known"},
      {R"({"networks": [{"model": "a", "men": "1"}], "calibration": "d"})",
       "line 1: network 1: 'men' is not known"},
      {"{\"networks\": [{\"model\": \"a\", \"size\": \"{\\\"8x8\"},\n{\"model\": \"b\", \"size\": 8}], "
       "\"calibration\": \"d\"}",
       "line 2: network 2: 'size' must be a text"},
      {"{\"networks\": [{\"model\": \"a\"},\n{\"model\": \"b\",\n\"qat\": {\"epoch\": 3}}], \"data\": \"d\", "
       "\"train\": {\"epochs\": 3}}",
       "line 3: 'qat': 'epoch' is not known"},
      {R"({"networks": [{"model": "a"}, {"model": "b/a"}], "calibration": "d"})", "called 'a'"},
      {R"({"networks": [{"model": "a", "name": "../x"}], "calibration": "d"})", "'name' must be of letters"},
      {R"({"networks": [{"model": "a"}], "calibration": "d", "threads": [0]})", "from 1 to 1024"},
      {R"({"networks": [{"model": "a"}], "calibration": "d", "threads": []})", "list of numbers"},
      {R"({"networks": [{"model": "a"}], "calibration": "d", "runs": 1.5})", "whole number"},
      {R"({"networks": [{"model": "a"}], "calibration": "d", "calibrators": ["a/b"]})",
       "names of calibrators"},
      {R"({"networks": [{"model": "a"}], "calibration": "d", "backends": ["npu"]})",
       "'tensorrt-gpu' and 'dla'"},
      {R"({"networks": [{"model": "a"}], "calibration": "d", "backends": ["dla"]})", "lacks 'tensorrt'"},
      {R"({"networks": [{"model": "a"}], "calibration": "d", "max_drop": -1})",
       "'max_drop' must be a number"},
      {R"({"networks": [{"model": "a"}], "calibration": "d", "max_energy_j": "2"})",
       "'max_energy_j' must be"},
      {R"({"networks": [{"model": "a"}], "calibration": "d", "meters": "rapl"})", "'meters' must be a list"},
  };
  for (const auto& c : cases) EXPECT_THAT(message_of(c.text), HasSubstr(c.words)) << c.text;
}

}  // namespace
}  // namespace eke::study
