// eke study: finished cells are kept, whatever happens to the process, and each is run once.
#include <algorithm>
#include <fstream>
#include <set>

#include "fixture.h"

namespace eke::test {
namespace {

namespace fs = std::filesystem;

class StudyTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    write_study(R"(["mse"])", "20");
  }
  void write_study(const std::string& calibrators, const std::string& runs) const {
    std::ofstream(folder_ / "study.json")
        << R"({"networks": [{"model": "net.onnx", "normalization": "raw"}], "calibration": "plain",
"evaluation": "data", "calibration_images": 10, "calibrators": )"
        << calibrators << R"(, "runs": )" << runs << "}\n";
  }
  std::vector<std::string> cells() const {
    std::vector<std::string> names;
    if (!fs::exists(folder_ / "out")) return names;  // killed before it began
    for (const auto& entry : fs::directory_iterator(folder_ / "out")) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".json") && name != "study.json") names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  fs::file_time_type time_of(const char* name) const { return fs::last_write_time(folder_ / "out" / name); }
};

TEST_F(StudyTest, RunsEachCellOnceAndReports) {
  const CommandResult first = eke("study study.json -o out");
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(cells(), (std::vector<std::string>{"net.float.eval.json", "net.mse.eval.json",
                                               "net.mse.quantize.json", "net.t1.b1.bench.json"}));
  EXPECT_NE(first.out.find("net.mse"), std::string::npos);
  EXPECT_TRUE(fs::exists(folder_ / "out/report.html"));
  const auto before = time_of("net.mse.quantize.json");
  const CommandResult second = eke("study study.json -o out");
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_NE(second.err.find("4 of them finished before"), std::string::npos) << second.err;
  EXPECT_EQ(time_of("net.mse.quantize.json"), before);
  // A model that is made again is judged again, in the same run.
  fs::remove(folder_ / "out/net.mse.quantize.json");
  const CommandResult third = eke("study study.json -o out");
  EXPECT_EQ(third.code, 0) << third.err;
  EXPECT_NE(third.err.find("[3/3] net.t1.b1.bench"), std::string::npos) << third.err;
  EXPECT_NE(eke("study study.json -o out").err.find("4 of them finished before"), std::string::npos);
  EXPECT_EQ(eke("report out/study.json -o page.html").code, 0);
  EXPECT_EQ(eke("study merge out out/study.json -o both.html").code, 0);
}

TEST_F(StudyTest, GoesOnWhereItWasKilled) {
  write_study(R"(["mse"])", "1000000");
  // The benchmark takes its time; the cells before it are done by then.
  run_eke(
      "study study.json -o out & child=$!; while [ ! -e out/net.mse.eval.json ]; do sleep 0.1; done; kill "
      "-KILL $child",
      folder_);
  const std::vector<std::string> done{"net.float.eval.json", "net.mse.eval.json", "net.mse.quantize.json"};
  EXPECT_EQ(cells(), done);
  const auto before = time_of("net.mse.quantize.json");
  write_study(R"(["mse"])", "20");
  EXPECT_EQ(eke("study study.json -o out").code, 0);
  EXPECT_EQ(cells().size(), 4u);
  EXPECT_EQ(time_of("net.mse.quantize.json"), before);
}

// Killed at ten moments of its work, a study that trains ends with the accuracies of one that ran through.
TEST_F(StudyTest, TenKillsLoseNothing) {
  std::ofstream(folder_ / "study.json")
      << R"({"networks": [{"model": "net.onnx", "normalization": "raw"}], "data": "data",
"evaluation_share": 0.5, "calibration_images": 4, "train": {"epochs": 40, "batch": 2}, "threads": [1, 2], "runs": 20})";
  ASSERT_EQ(eke("study study.json -o whole").code, 0);
  std::set<std::string> finished;
  for (int kill = 0; kill < 10; ++kill) {
    run_eke("study study.json -o out & child=$!; sleep " + std::to_string(0.05 * (1 + kill * 7 % 10)) +
                "; kill -KILL $child",
            folder_);
    for (const std::string& name : cells()) finished.insert(name);
    for (const std::string& name : finished) EXPECT_TRUE(fs::exists(folder_ / "out" / name)) << name;
  }
  ASSERT_EQ(eke("study study.json -o out").code, 0);
  for (const char* cell : {"net.float.eval.json", "net.mse.eval.json", "net.train.json"}) {
    const auto whole = nlohmann::json::parse(bytes_of(std::string("whole/") + cell));
    const auto pieces = nlohmann::json::parse(bytes_of(std::string("out/") + cell));
    for (const char* key : {"top1", "wrong", "validation"}) {
      EXPECT_EQ(whole.value(key, nlohmann::json()), pieces.value(key, nlohmann::json()))
          << cell << " " << key;
    }
  }
  EXPECT_EQ(bytes_of("whole/models/net.float.onnx"), bytes_of("out/models/net.float.onnx"));
}

TEST_F(StudyTest, ACellThatFailsSaysWhyAndTheOthersGoOn) {
  write_study(R"(["nonsense", "mse"])", "20");
  const CommandResult result = eke("study study.json -o out");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.out.find("nonsense"), std::string::npos);
  EXPECT_TRUE(fs::exists(folder_ / "out/net.nonsense.quantize.failed.json"));
  EXPECT_TRUE(fs::exists(folder_ / "out/net.mse.eval.json"));
  // What was made is benchmarked.
  const auto bench = nlohmann::json::parse(bytes_of("out/net.t1.b1.bench.json"));
  EXPECT_EQ(bench["models"].size(), 2u);
  EXPECT_NE(eke("study study.json -o out").err.find("4 of them finished before"), std::string::npos);
}

TEST_F(StudyTest, RefusesWhatItCannotTrust) {
  expect_error(eke("study missing.json -o out"), 1, {"missing.json"});
  std::ofstream(folder_ / "bad.json") << "{\n\"network\": 3}";
  expect_error(eke("study bad.json -o out"), 1, {"bad.json", "networks"});
  expect_error(eke("study --data data -o out"), 2, {"--network"});
  ASSERT_EQ(eke("study study.json -o out").code, 0);
  std::ofstream(folder_ / "out/net.float.eval.json") << R"({"command":"eval","eke":"9.9.9","arguments":[]})";
  const CommandResult result = eke("study study.json -o out");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("9.9.9"), std::string::npos) << result.err;
}

TEST_F(StudyTest, TheSameStudyTwiceSaysTheSame) {
  std::ofstream(folder_ / "study.json")
      << R"({"networks": [{"model": "net.onnx", "normalization": "raw"}], "data": "data", "evaluation_share": 0.5,
"calibration_images": 4, "train": {"epochs": 3, "batch": 4}, "qat": {"epochs": 1, "batch": 4}, "runs": 20})";
  nlohmann::json accuracies[2];
  for (int i = 0; i < 2; ++i) {
    const std::string out = "out" + std::to_string(i);
    const CommandResult result = eke("study study.json -o " + out);
    ASSERT_EQ(result.code, 0) << result.err;
    const auto study = nlohmann::json::parse(bytes_of(out + "/study.json"));
    for (const auto& cell : study["cells"]) {
      for (const char* key : {"top1", "wrong", "validation", "difference", "quantization"})
        if (cell.contains(key)) accuracies[i].push_back(cell[key]);
      if (cell["command"] == "conclusions")
        for (const auto& verdict : cell["verdicts"]) {
          const std::string text = verdict["text"];
          // What to ship hangs on measured times, which for so small a network are a draw.
          if (!text.starts_with("ship ")) accuracies[i].push_back(text);
        }
    }
  }
  EXPECT_GE(accuracies[0].size(), 8u);
  EXPECT_EQ(accuracies[0], accuracies[1]);
  EXPECT_EQ(bytes_of("out0/models/net.qat.onnx"), bytes_of("out1/models/net.qat.onnx"));
}

TEST_F(StudyTest, ANetworkThatCannotBeTrainedDoesNotStopTheOthers) {
  ASSERT_EQ(
      eke("quantize net.onnx --data plain --normalization raw --count 10 --allow-slower -o int8.onnx").code,
      0);
  std::ofstream(folder_ / "study.json")
      << R"({"networks": [{"model": "int8.onnx", "name": "whole"}, {"model": "net.onnx", "normalization": "raw"}],
"data": "data", "evaluation_share": 0.5, "calibration_images": 4, "train": {"epochs": 1}, "runs": 20})";
  const CommandResult result = eke("study study.json -o out");
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(fs::exists(folder_ / "out/whole.train.failed.json")) << result.err;
  EXPECT_NE(result.out.find("whole.train failed: "), std::string::npos) << result.out;
  EXPECT_TRUE(fs::exists(folder_ / "out/net.mse.eval.json"));
  EXPECT_NE(result.out.find("ship net."), std::string::npos) << result.out;
}

TEST_F(StudyTest, SaysWhatTheDataLack) {
  fs::create_directories(folder_ / "few/a");
  fs::create_directories(folder_ / "few/b");
  for (const char* name : {"a", "b"})
    fs::copy_file(folder_ / "data/left/00.ppm", folder_ / "few" / name / "0.ppm");
  const auto message = [&](const std::string& rest) {
    std::ofstream(folder_ / "study.json")
        << R"({"networks": [{"model": "net.onnx", "normalization": "raw"}], "train": {}, )" << rest << "}";
    return eke("study study.json -o out");
  };
  expect_error(message(R"("data": "few")"), 1, {"few", "too few images", "two different"});
  expect_error(message(R"("data": "data", "per_class": 30, "train_per_class": 10)"), 1, {"30", "20"});
  expect_error(message(R"("data": "plain")"), 1, {"plain", "no classes"});
  expect_error(message(R"("data": "nowhere")"), 1, {"nowhere"});
  expect_error(eke("study --network no.onnx --data data -o out"), 1, {"network 'no'", "no file", "no.onnx"});
}

TEST_F(StudyTest, TwoAtOnceDoNotShareAFolder) {
  write_study(R"(["mse"])", "1000000");
  const CommandResult second =
      run_eke("study study.json -o out", folder_,
              std::string("'") + EKE_COMMAND +
                  "' study study.json -o out >/dev/null 2>&1 & child=$!; while [ ! -e "
                  "out/net.float.eval.json ]; do sleep 0.1; done; trap 'kill $child; wait' EXIT;");
  expect_error(second, 1, {"another study runs", "out"});
}

TEST_F(StudyTest, LimitsAndEstimatedJoulesDecideWhatToShip) {
  std::ofstream(folder_ / "board.json") << R"({"name": "board", "idle_w": 1, "busy_w_per_core": 2})";
  std::ofstream(folder_ / "study.json")
      << R"({"networks": [{"model": "net.onnx", "normalization": "raw"}], "data": "data", "evaluation_share": 0.5,
"calibration_images": 4, "train": {"epochs": 2}, "runs": 20, "meters": ["estimate:board.json"], "max_energy_j": 1000})";
  const CommandResult result = eke("study study.json -o out");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("energy of an inference, 1 thread, estimated"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("at most 1000 J an inference"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("an epoch"), std::string::npos) << result.out;
  const CommandResult none = eke("study study.json -o out --max-energy 1e-12");
  EXPECT_NE(none.out.find("no variant of net.float is within the limits"), std::string::npos) << none.out;
  EXPECT_NE(none.err.find("0 of them"), 0u);
  EXPECT_EQ(eke("study study.json -o out --max-drop 101").code, 2);
}

TEST_F(StudyTest, ItsResultBecomesPlotsAndTellsTheThreshold) {
  std::ofstream(folder_ / "study.json")
      << R"({"networks": [{"model": "net.onnx", "normalization": "raw"}], "calibration": "plain",
"evaluation": "pairs.csv", "calibration_images": 10, "runs": 20})";
  ASSERT_EQ(eke("study study.json -o out").code, 0);
  ASSERT_EQ(eke("report out --plots plots").code, 0);
  std::size_t plots = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "plots")) {
    EXPECT_TRUE(bytes_of("plots/" + entry.path().filename().string()).starts_with("<svg ")) << entry.path();
    ++plots;
  }
  EXPECT_GE(plots, 5u);
  const auto found =
      json("recognize out/models/net.mse.onnx --gallery data data/left/03.ppm --eval out --json");
  EXPECT_TRUE(found["threshold"].is_number());
  EXPECT_TRUE(json("recognize net.onnx --normalization raw --gallery data data/left/03.ppm --eval out --json")
                  ["threshold"]
                      .is_number());
  expect_error(
      eke("recognize net.onnx --normalization raw --gallery data plain --eval out/net.mse.quantize.json"), 1,
      {"no threshold"});
  expect_error(eke("study merge out/net.mse.eval.json -o x.html"), 1, {"merge takes studies"});
}

}  // namespace
}  // namespace eke::test
