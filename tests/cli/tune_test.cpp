// eke tune, and the commands that take what it found.
#include <cmath>
#include <fstream>

#include "fixture.h"
#include "onnx/onnx.h"

namespace eke::test {
namespace {

namespace fs = std::filesystem;

const std::string kRaw = " --normalization raw";
const std::string kFew = " --threads 1 --rounds 3", kQuick = kFew + " --window 0.002";

class TuneTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_EQ(eke("quantize net.onnx --data data --count 10 -o int8.onnx --allow-slower" + kRaw).code, 0);
    std::ofstream trace(folder_ / "trace.csv");
    trace << "seconds,usb_w,board_w\n";
    for (int i = 0; i < 20000; ++i) trace << i * 0.005 << "," << 2.5 + 0.1 * (i % 2) << ",7\n";
    std::ofstream(folder_ / "board.json") << R"({"name": "my board", "idle_w": 2, "busy_w_per_core": 1})";
  }
};

TEST_F(TuneTest, WritesWhatOtherCommandsTake) {
  const nlohmann::json tuned = json("tune int8.onnx --json" + kQuick);
  EXPECT_EQ(tuned["file"], "int8.onnx.tuning.json");
  EXPECT_EQ(tuned["unit"], "ms");
  EXPECT_EQ(tuned["best"], 0);
  ASSERT_EQ(tuned["plans"].size(), 1u);
  const nlohmann::json& plan = tuned["plans"][0];
  EXPECT_TRUE(plan["finished"].get<bool>());
  EXPECT_GT(plan["cost_by_rule"].get<double>(), 0.0);
  const std::string with = " --tuning int8.onnx.tuning.json";
  // Integers do not change.
  EXPECT_EQ(eke("run int8.onnx plain --embedding --threads 1").out,
            eke("run int8.onnx plain --embedding" + with).out);
  EXPECT_EQ(json("eval int8.onnx --data data --json" + with)["top1"]["accuracy"], 1.0);
  EXPECT_EQ(eke("info int8.onnx" + with).code, 0);
  const nlohmann::json bench = json("bench int8.onnx --runs 6 --warmup 1 --meter none --json" + with);
  ASSERT_EQ(bench["models"].size(), 2u);
  EXPECT_EQ(bench["models"][0]["tuned"], false);
  EXPECT_EQ(bench["models"][1]["tuned"], true);
  const CommandResult text = eke("tune int8.onnx" + kQuick);
  EXPECT_NE(text.out.find("--tuning int8.onnx.tuning.json"), std::string::npos) << text.out << text.err;
}

TEST_F(TuneTest, IsRefusedWhereItDoesNotBelong) {
  ASSERT_EQ(eke("tune int8.onnx -o t.json" + kQuick).code, 0);
  const std::string good = bytes_of("t.json");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    std::ofstream(folder_ / "bad.json") << text.replace(at, from.size(), to);
  };
  const std::string images = " plain/00.ppm";
  expect_error(eke("run net.onnx --tuning t.json" + images + kRaw), 1, {"t.json", "another model"});
  expect_error(eke("run int8.onnx --tuning missing.json" + images), 1, {"missing.json"});
  expect_error(eke("run int8.onnx --tuning int8.onnx" + images), 1, {"int8.onnx", "JSON"});
  expect_error(eke("run int8.onnx --tuning t.json --threads 3" + images), 1, {"3 threads", "eke tune"});
  changed("\"processor\": \"", "\"processor\": \"another ");
  expect_error(eke("eval int8.onnx --data data --tuning bad.json"), 1, {"another", "tune here"});
  changed("\"eke\": \"", "\"eke\": \"0.");
  expect_error(eke("bench int8.onnx --tuning bad.json"), 1, {"tune again"});
  changed("\"finished\": true", "\"finished\": 3");
  expect_error(eke("info int8.onnx --tuning bad.json"), 1, {"bad.json", "finished"});
  EXPECT_EQ(eke("bench int8.onnx net.onnx --tuning t.json").code, 2);
  EXPECT_EQ(eke("bench int8.onnx --isa scalar --tuning t.json").code, 2);
  // Nothing but a tuning of this model is replaced.
  expect_error(eke("tune int8.onnx -o net.onnx" + kQuick), 1, {"net.onnx"});
  expect_error(eke("tune net.onnx -o t.json" + kQuick), 1, {"another model"});
  expect_error(eke("tune int8.onnx -o t.json --objective energy --meter trace:trace.csv" + kQuick), 1,
               {"latency", "--again"});
  expect_error(eke("tune int8.onnx -o data" + kQuick), 1, {"folder"});
  expect_error(eke("tune int8.onnx -o no/such/folder/t.json" + kQuick), 1, {"no/such/folder"});
  EXPECT_EQ(bytes_of("t.json"), good);
  EXPECT_EQ(eke("tune int8.onnx --objective beauty").code, 2);
}

TEST_F(TuneTest, ByEnergyOnAnyMeter) {
  const std::string energy = "tune int8.onnx -o e.json --objective energy --again" + kFew;
  // The trace has two domains and no total: one has to be named.
  EXPECT_NE(eke(energy + " --meter trace:trace.csv --window 0.05").err.find("--domain"), std::string::npos);
  const nlohmann::json recorded =
      json(energy + " --meter trace:trace.csv --domain board --window 0.05 --json");
  EXPECT_EQ(recorded["unit"], "J");
  EXPECT_EQ(recorded["origin"], "recorded by trace");
  EXPECT_GT(recorded["settings"][0]["cost"].get<double>(), 0.0);
  EXPECT_NE(eke(energy + " --meter estimate:board.json --window 0.05").out.find("estimated"),
            std::string::npos);
  expect_error(eke(energy + " --meter trace:trace.csv --domain nothing --window 0.05"), 2,
               {"nothing", "usb", "board"});
  const CommandResult none = eke(energy + " --meter none");
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("no meter"), std::string::npos) << none.err;
}

TEST_F(TuneTest, AfterAnInterruptTheFileIsValidAndTheWorkGoesOn) {
  const CommandResult stopped = run_eke("tune int8.onnx -o t.json --threads 1 --rounds 1000 --window 0.05",
                                        folder_, "timeout -s INT 1");
  EXPECT_EQ(stopped.code, 124) << stopped.err;  // of timeout
  EXPECT_NE(stopped.err.find("goes on from there"), std::string::npos) << stopped.err;
  const nlohmann::json begun = nlohmann::json::parse(bytes_of("t.json"), nullptr, false);
  ASSERT_FALSE(begun.is_discarded());
  expect_error(eke("run int8.onnx plain/00.ppm --tuning t.json --threads 1"), 1, {"t.json", "eke tune"});
  ASSERT_EQ(eke("tune int8.onnx -o t.json" + kQuick).code, 0);
  EXPECT_EQ(eke("run int8.onnx plain/00.ppm --tuning t.json").code, 0);
}

}  // namespace
}  // namespace eke::test
