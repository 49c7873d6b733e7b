// eke study: finished cells are kept, whatever happens to the process, and each is run once.
#include <algorithm>
#include <fstream>

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

TEST_F(StudyTest, ACellThatFailsSaysWhyAndTheOthersGoOn) {
  write_study(R"(["nonsense", "mse"])", "20");
  const CommandResult result = eke("study study.json -o out");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.out.find("nonsense"), std::string::npos);
  EXPECT_TRUE(fs::exists(folder_ / "out/net.nonsense.quantize.failed.json"));
  EXPECT_TRUE(fs::exists(folder_ / "out/net.mse.eval.json"));
}

TEST_F(StudyTest, RefusesWhatItCannotTrust) {
  expect_error(eke("study missing.json -o out"), 1, {"missing.json"});
  std::ofstream(folder_ / "bad.json") << "{\n\"network\": 3}";
  expect_error(eke("study bad.json -o out"), 1, {"bad.json", "networks"});
  EXPECT_EQ(eke("study").code, 2);
  ASSERT_EQ(eke("study study.json -o out").code, 0);
  std::ofstream(folder_ / "out/net.float.eval.json") << R"({"command":"eval","eke":"9.9.9","arguments":[]})";
  const CommandResult result = eke("study study.json -o out");
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("9.9.9"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace eke::test
