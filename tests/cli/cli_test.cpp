#include <cmath>
#include <fstream>

#include "fixture.h"

namespace eke::test {
namespace {

namespace fs = std::filesystem;

const std::string kRaw = " --normalization raw";

struct Case {
  const char* arguments;
  std::vector<std::string> words;
};

TEST_F(CliTest, EveryCommandExplainsItselfWithExamples) {
  for (const char* command : {"new", "info", "run", "eval", "train", "quantize", "bench", "diff", "recognize",
                              "plan", "fit", "export", "meters", "energy", "explain"}) {
    const CommandResult result = eke(std::string(command) + " --help");
    EXPECT_EQ(result.code, 0) << command;
    EXPECT_NE(result.out.find("Examples:"), std::string::npos) << command;
    EXPECT_NE(result.out.find("--json"), std::string::npos) << command;
    EXPECT_NE(result.out.find("--threads"), std::string::npos) << command;
  }
  EXPECT_EQ(eke("--version").code, 0);
}

TEST_F(CliTest, WrongUseIsTwo) {
  const std::vector<Case> cases = {
      {"", {}},
      {"fly", {}},
      {"info", {}},
      {"info net.onnx --nonsense", {}},
      {"bench net.onnx --runs 0", {"--runs"}},
      {"bench net.onnx --threads 0", {"--threads"}},
      {"bench net.onnx --isa nonsense", {"--isa", "scalar"}},
      {"bench net.onnx --json --csv", {"--csv"}},
      {"bench net.onnx --meter nonsense", {"nonsense", "rapl", "shelly:"}},
      {"meters --meter shelly", {"HOST"}},
      {"meters --root . --check", {"--root"}},
      {"energy", {"command"}},
      {"info net.onnx --dim height", {"NAME=N"}},
      {"info net.onnx --input-shape 1x3xx8", {"--input-shape"}},
      {"run net.onnx plain/00.ppm", {"--mean", "--preprocess"}},
      {"run net.onnx plain/00.ppm --normalization nonsense", {"nonsense"}},
      {"run net.onnx plain/00.ppm --normalization raw --size 9x9", {"9", "1x3x8x8"}},
      {"run net.onnx plain/00.ppm --normalization raw --order grey", {"--order"}},
      {"quantize net.onnx --data data -o out.onnx --normalization raw --keep nothing_like_this",
       {"nothing_like_this"}},
      {"quantize net.onnx --data data -o out.onnx --normalization raw --calibrator nonsense", {"nonsense"}},
      {"quantize net.onnx --data data --normalization raw", {"--output"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.arguments);
    const CommandResult result = eke(c.arguments);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err, "");
    for (const std::string& word : c.words)
      EXPECT_NE(result.err.find(word), std::string::npos) << word << " in " << result.err;
  }
}

TEST_F(CliTest, BadFilesAreOneWithOneMessage) {
  std::ofstream(folder_ / "broken.onnx") << "this is no model";
  std::ofstream(folder_ / "plain/broken.jpg") << "this is no image";
  const std::vector<Case> cases = {
      {"info missing.onnx", {"missing.onnx"}},
      {"info broken.onnx", {"broken.onnx"}},
      {"info data", {"data"}},
      {"run net.onnx missing.jpg --normalization raw", {"missing.jpg"}},
      {"run net.onnx plain/broken.jpg --normalization raw", {"broken.jpg"}},
      {"run net.onnx empty --normalization raw", {"empty"}},
      {"eval net.onnx --data empty --normalization raw", {"empty"}},
      {"eval net.onnx --data missing --normalization raw", {"missing"}},
      {"quantize net.onnx --data empty -o out.onnx --normalization raw", {"empty"}},
      {"quantize net.onnx --data data -o no/such/folder/out.onnx --normalization raw", {"no/such/folder"}},
      {"diff net.onnx missing.onnx --data data --normalization raw", {"missing.onnx"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.arguments);
    expect_error(eke(c.arguments), 1, c.words);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out.onnx"));
}

TEST_F(CliTest, RunGivesWhatItHasBeforeTheBrokenImage) {
  std::ofstream(folder_ / "plain/broken.jpg") << "this is no image";
  const CommandResult result = eke("run net.onnx plain" + kRaw);
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.out.find("00.ppm"), std::string::npos);
  EXPECT_NE(result.err.find("broken.jpg"), std::string::npos);
}

TEST_F(CliTest, InfoCountsParametersAndMacs) {
  const nlohmann::json info = json("info net.onnx --json --passes");
  EXPECT_EQ(info["parameters"], 4 * 27 + 4 + 16 + 2);
  EXPECT_EQ(info["macs"], 64 * 4 * 27 + 16);
  EXPECT_FALSE(info["layers"].empty());
  EXPECT_FALSE(info["passes"].empty());
  EXPECT_NE(eke("info net.onnx").out.find("conv"), std::string::npos);
}

TEST_F(CliTest, RunRanksClassesAndWritesRawOutputs) {
  const nlohmann::json run = json("run net.onnx data/left/00.ppm data/right/00.ppm --json" + kRaw);
  ASSERT_EQ(run.size(), 2u);
  EXPECT_EQ(run[0]["top"][0]["class"], 0);
  EXPECT_EQ(run[1]["top"][0]["class"], 1);
  EXPECT_EQ(json("run net.onnx plain --json --embedding" + kRaw)[0]["embedding"].size(), 2u);
  const nlohmann::json raw = json("run net.onnx plain --raw out --json" + kRaw);
  EXPECT_EQ(raw[0]["shape"], nlohmann::json({20, 2}));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out/scores.npy"));
}

TEST_F(CliTest, RunWritesWhatTheModelIsFed) {
  ASSERT_EQ(json("run net.onnx plain --raw out --with-input --json" + kRaw)[1]["shape"],
            nlohmann::json({20, 3, 8, 8}));
  ASSERT_EQ(eke("run net.onnx out/input.npy --raw again").code, 0);
  EXPECT_EQ(bytes_of("again/scores.npy"), bytes_of("out/scores.npy"));
}

TEST_F(CliTest, LabelsNameTheClasses) {
  std::ofstream(folder_ / "labels.txt") << "west\neast\n";
  EXPECT_EQ(json("run net.onnx data/right/00.ppm --labels labels.txt --json" + kRaw)[0]["top"][0]["label"],
            "east");
}

TEST_F(CliTest, EvalCountsClasses) {
  const nlohmann::json eval = json("eval net.onnx --data data --json" + kRaw);
  EXPECT_EQ(eval["images"], 40);
  EXPECT_EQ(eval["top1"]["accuracy"], 1.0);
  EXPECT_EQ(eval["confusion"][0][0], 20);
  EXPECT_EQ(eval["confusion"][0][1], 0);
}

TEST_F(CliTest, EvalVerifiesPairs) {
  const nlohmann::json eval = json("eval net.onnx --data pairs.csv --json" + kRaw);
  EXPECT_EQ(eval["pairs"]["same"], 20);
  EXPECT_EQ(eval["pairs"]["different"], 20);
  EXPECT_EQ(eval["verification"]["accuracy"], 1.0);
}

TEST_F(CliTest, EvalOfImagesWithoutLabelsSaysWhatToDo) {
  expect_error(eke("eval net.onnx --data plain" + kRaw), 1, {"labels", "eke diff"});
}

TEST_F(CliTest, QuantizeStoresThePreprocessing) {
  const nlohmann::json report =
      json("quantize net.onnx --data data --count 10 -o int8.onnx --allow-slower --json" + kRaw);
  EXPECT_EQ(report["calibration_images"], 8);
  EXPECT_EQ(report["held_back_images"], 2);
  EXPECT_EQ(report["evaluation_images"], 30);
  EXPECT_EQ(report["int8"]["top1"]["accuracy"], 1.0);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "int8.onnx"));
  EXPECT_EQ(json("eval int8.onnx --data data --json")["top1"]["accuracy"], 1.0);
}

TEST_F(CliTest, QuantizeComparesTheOutputsOfAnEmbedding) {
  std::filesystem::create_directory(folder_ / "people");
  for (const char* person : {"a", "b", "c"})
    std::filesystem::copy(folder_ / "data/left", folder_ / "people" / person,
                          std::filesystem::copy_options::recursive);
  const nlohmann::json report =
      json("quantize net.onnx --data people --count 10 -o int8.onnx --allow-slower --json" + kRaw);
  EXPECT_EQ(report["labels_unused"], true);
  EXPECT_FALSE(report["int8"].contains("top1"));
  EXPECT_GT(report["likeness"]["cosine"]["median"], 0.99);
}

TEST_F(CliTest, QuantizeTakesEveryOption) {
  for (const char* flags :
       {"--calibrator min-max", "--calibrator moving-average", "--calibrator percentile --percentile 99.9",
        "--calibrator mse", "--calibrator entropy", "--per-tensor", "--activations int8", "--round-outputs",
        "--keep 'fc*'"}) {
    SCOPED_TRACE(flags);
    const nlohmann::json report =
        json(std::string("quantize net.onnx --data plain --count 10 -o q.onnx --allow-slower --json ") +
             flags + kRaw);
    EXPECT_GT(report["likeness"]["cosine"]["median"], 0.99);
  }
}

TEST_F(CliTest, RecognizeFindsTheNearestPerson) {
  const nlohmann::json found = json(
      "recognize net.onnx --gallery data data/left/03.ppm data/right/04.ppm --threshold 0.5 --json" + kRaw);
  EXPECT_EQ(found["people"], 2);
  EXPECT_EQ(found["images"][0]["recognized"], "left");
  EXPECT_EQ(found["images"][1]["recognized"], "right");
  EXPECT_GT(found["images"][1]["nearest"][0]["score"], 0.9);
  ASSERT_EQ(eke("eval net.onnx --data pairs.csv --json >eval.json" + kRaw).code, 0);
  const CommandResult text = eke("recognize net.onnx --gallery data plain --eval eval.json" + kRaw);
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("left"), std::string::npos);
  expect_error(eke("recognize net.onnx --gallery plain plain/00.ppm" + kRaw), 1, {"plain", "person"});
  expect_error(eke("recognize net.onnx --gallery data plain/00.ppm --eval pairs.csv" + kRaw), 1,
               {"pairs.csv", "eke eval"});
}

TEST_F(CliTest, DiffComparesLayers) {
  ASSERT_EQ(eke("quantize net.onnx --data data --count 10 -o int8.onnx --allow-slower" + kRaw).code, 0);
  const nlohmann::json diff = json("diff net.onnx int8.onnx --data plain --json");
  EXPECT_FALSE(diff["layers"].empty());
  const nlohmann::json same = json("diff net.onnx net.onnx --data plain --json" + kRaw);
  EXPECT_TRUE(same["identical"]);
}

TEST_F(CliTest, ReportPutsResultsOnOnePage) {
  fs::create_directory(folder_ / "results");
  ASSERT_EQ(eke("bench net.onnx net.onnx --runs 20 --layers --json >results/bench.json").code, 0);
  ASSERT_EQ(eke("eval net.onnx --data data --json >results/eval.json" + kRaw).code, 0);
  ASSERT_EQ(
      eke("quantize net.onnx --data data --count 10 -o q.onnx --allow-slower --json >results/quantize.json" +
          kRaw)
          .code,
      0);
  ASSERT_EQ(eke("diff net.onnx q.onnx --data plain --json >results/diff.json").code, 0);
  ASSERT_EQ(eke("info q.onnx --json >results/info.json").code, 0);
  EXPECT_EQ(eke("report results -o page.html").code, 0);
  EXPECT_GT(fs::file_size(folder_ / "page.html"), 100000u);
  EXPECT_NE(eke("report results").out.find("100.0 % ("), std::string::npos);
  EXPECT_TRUE(json("report results --json")["sections"].is_array());
  for (const char* format : {"markdown", "csv", "html", "text"})
    EXPECT_EQ(eke(std::string("report results/bench.json --format ") + format).code, 0) << format;
}

TEST_F(CliTest, ReportNamesTheResultThatItCannotUse) {
  std::ofstream(folder_ / "broken.json") << "{";
  std::ofstream(folder_ / "other.json") << "{\"command\": \"bench\"}";
  expect_error(eke("report broken.json -o page.html"), 1, {"broken.json", "--json"});
  expect_error(eke("report other.json -o page.html"), 1, {"other.json", "models"});
  expect_error(eke("report missing.json -o page.html"), 1, {"missing.json"});
  expect_error(eke("report empty -o page.html"), 1, {"empty"});
  EXPECT_FALSE(fs::exists(folder_ / "page.html"));
  EXPECT_EQ(eke("report broken.json --format pdf").code, 2);
}

TEST_F(CliTest, BenchInterleavesTwoModels) {
  const nlohmann::json bench =
      json("bench net.onnx net.onnx --runs 20 --warmup 3 --meter none --json --layers");
  ASSERT_EQ(bench["models"].size(), 2u);
  EXPECT_GT(bench["models"][0]["ms"]["median"], 0.0);
  EXPECT_GT(bench["models"][1]["time_over_first"]["median"], 0.0);
}

// Everything in the table can be computed from the JSON.
TEST_F(CliTest, BenchKeepsEveryRun) {
  const nlohmann::json bench = json("bench net.onnx --runs 25 --warmup 3 --meter none --threads 1,2 --json");
  ASSERT_EQ(bench["models"].size(), 2u);
  EXPECT_EQ(bench["models"][1]["threads"], 2);
  EXPECT_EQ(bench["models"][0]["warmup_runs"], 3);
  EXPECT_TRUE(bench.contains("no_meter"));
  for (const auto& model : bench["models"]) {
    EXPECT_EQ(model["runs"], 25);
    std::size_t runs = 0;
    for (const auto& window : model["windows"]) {
      runs += window["ms"].size();
      EXPECT_FALSE(window.contains("gross"));
    }
    EXPECT_EQ(runs, 25u);
    EXPECT_LE(model["latency_ms"]["low"], model["latency_ms"]["mean"]);
    EXPECT_LE(model["ms"]["p50"], model["ms"]["p90"]);
    EXPECT_LE(model["ms"]["p90"], model["ms"]["p99"]);
    EXPECT_TRUE(model["energy"].empty());
  }
  const std::string verdict = bench["models"][1]["against_first"]["time"]["verdict"];
  EXPECT_TRUE(verdict == "faster" || verdict == "slower" || verdict == "no difference seen");
}

TEST_F(CliTest, ABfloat16PlanIsComparedWithFloat32) {
  const nlohmann::json bench =
      json("bench net.onnx --meter none --precision f32,bf16 --runs 5 --warmup 0 --layers --json");
  ASSERT_EQ(bench["models"].size(), 2u);
  EXPECT_EQ(bench["models"][0]["precision"], "f32");
  EXPECT_EQ(bench["models"][1]["precision"], "bf16");
  const auto has_bf16 = [&](std::size_t i) {
    return bench["models"][i].dump().find("gemm_bf16") != std::string::npos;
  };
  EXPECT_FALSE(has_bf16(0));
  EXPECT_TRUE(has_bf16(1));
  EXPECT_EQ(eke("bench net.onnx --precision int4").code, 2);
  EXPECT_EQ(eke("info net.onnx --precision bf16 --tuning none.json").code, 2);
}

TEST_F(CliTest, BenchStopsByIntervalOrTime) {
  const nlohmann::json coarse =
      json("bench net.onnx --meter none --warmup 2 --window 0.01 --interval 100 --limit 5 --json");
  EXPECT_EQ(coarse["precise"], true);
  const nlohmann::json fine =
      json("bench net.onnx --meter none --warmup 2 --window 0.01 --interval 0.001 --limit 0.1 --json");
  EXPECT_EQ(fine["precise"], false);
  EXPECT_NE(eke("bench net.onnx --meter none --warmup 2 --window 0.01 --interval 0.001 --limit 0.1")
                .out.find("the interval is wider than"),
            std::string::npos);
}

class MeteredCliTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    std::ofstream trace(folder_ / "trace.csv");
    trace << "seconds,usb_w\n";
    for (int i = 0; i < 6000; ++i) trace << i * 0.02 << "," << (i % 2 == 0 ? 2.4 : 2.6) << "\n";
    std::ofstream(folder_ / "board.json") << R"({"name": "my board", "idle_w": 2, "busy_w_per_core": 1})";
  }
};

TEST_F(MeteredCliTest, BenchCountsJoules) {
  const nlohmann::json bench =
      json("bench net.onnx net.onnx --meter trace:trace.csv --window 0.2 --limit 2 --warmup 2 --json");
  for (const auto& model : bench["models"]) {
    const nlohmann::json& total = model["energy"][0];
    EXPECT_EQ(total["name"], "total");
    EXPECT_EQ(total["origin"], "recorded");
    EXPECT_NEAR(total["mean_w"].get<double>(), 2.5, 0.2);
    const double each = total["joules_per_inference"]["mean"];
    EXPECT_GT(each, 0);
    EXPECT_GT(model["edp_js"], 0.0);
    double joules = 0, runs = 0;
    for (const auto& window : model["windows"]) {
      joules += window["gross"]["total"]["joules"].get<double>() / static_cast<double>(window["ms"].size());
      ++runs;
      EXPECT_LT(std::abs(window["net"]["total"]["joules"].get<double>()), 0.2);  // the trace is always idle
    }
    EXPECT_NEAR(joules / runs, each, 1e-9);
  }
  const CommandResult table = eke("bench net.onnx --meter trace:trace.csv --window 0.2 --limit 1 --warmup 2");
  EXPECT_NE(table.out.find("recorded"), std::string::npos) << table.out << table.err;
  const CommandResult csv =
      eke("bench net.onnx --meter estimate:board.json --window 0.2 --limit 1 --warmup 2 --csv");
  EXPECT_NE(csv.out.find("my board"), std::string::npos) << csv.out << csv.err;
  EXPECT_NE(csv.out.find("estimated"), std::string::npos);
}

TEST_F(MeteredCliTest, OtherWorkSaysItsJoules) {
  const nlohmann::json eval = json("eval net.onnx --data data --meter trace:trace.csv --json" + kRaw);
  EXPECT_GT(eval["energy"]["joules_per_image"], 0.0);
  const nlohmann::json none = json("eval net.onnx --data data --meter none --json" + kRaw);
  EXPECT_TRUE(none["energy"]["total"].is_null());
  EXPECT_EQ(none["energy"]["why_not"], "--meter none");
  EXPECT_EQ(eke("eval net.onnx --data data --meter none" + kRaw).out.find("energy"), std::string::npos);
  const nlohmann::json quantized = json(
      "quantize net.onnx --data data --count 10 -o int8.onnx --allow-slower --meter estimate:board.json "
      "--json" +
      kRaw);
  EXPECT_EQ(quantized["energy"]["calibration"]["total"]["origin"], "estimated");
  EXPECT_GT(quantized["energy"]["evaluation_of_both"]["joules_per_image"], 0.0);
  const std::string train =
      "train net.onnx --data data -o mine.onnx --features none --epochs 2 --batch 8" + kRaw;
  const nlohmann::json trained = json(train + " --meter trace:trace.csv --json");
  EXPECT_EQ(trained["energy"]["total"]["origin"], "recorded");
  EXPECT_NEAR(trained["energy"]["joules_per_image"].get<double>() * 32,
              trained["energy"]["total"]["joules"].get<double>(), 1e-9);
  ASSERT_EQ(trained["fine_tuning"]["epochs"].size(), 2u);
  for (const auto& epoch : trained["fine_tuning"]["epochs"]) {
    EXPECT_GT(epoch["energy"]["total"]["joules"].get<double>(), 0.0);
    EXPECT_GT(epoch["energy"]["joules_per_image"].get<double>(), 0.0);
  }
  const std::string estimated = eke(train + " --meter estimate:board.json").out;
  EXPECT_NE(estimated.find("estimated"), std::string::npos) << estimated;
  EXPECT_NE(estimated.find("each epoch"), std::string::npos) << estimated;
  const CommandResult silent = eke(train + " --meter none");
  EXPECT_EQ(silent.out.find("energy"), std::string::npos) << silent.out;
}

TEST_F(MeteredCliTest, AMeterThatDiesLeavesTheOtherResults) {
  std::ofstream(folder_ / "short.csv") << "seconds,usb_w\n0,2\n0.2,3\n0.4,2\n";
  const std::string meter = " --meter trace:short.csv";
  const nlohmann::json bench = json("bench net.onnx --window 2 --limit 5 --warmup 2 --json" + meter);
  EXPECT_GT(bench["models"][0]["latency_ms"]["mean"].get<double>(), 0.0);
  const nlohmann::json& energy = bench["models"][0]["energy"];
  EXPECT_TRUE(energy[0]["joules_per_inference"].is_null());
  EXPECT_NE(energy[1]["why_not"].get<std::string>().find("recording is over"), std::string::npos) << energy;
  const CommandResult wrapped = eke("energy --idle 0 --json" + meter + " -- sh -c 'sleep 2'");
  EXPECT_EQ(wrapped.code, 0) << wrapped.err;
  EXPECT_NE(wrapped.out.find("recording is over"), std::string::npos) << wrapped.out;
  expect_error(eke("tune net.onnx --threads 1 --rounds 3 --window 2 --objective energy" + meter), 1,
               {"usb", "recording is over"});
}

TEST_F(MeteredCliTest, MetersChecksAMeter) {
  std::ofstream trace(folder_ / "fast.csv");
  trace << "seconds,usb_w\n";
  for (int i = 0; i < 20000; ++i) trace << i * 0.002 << "," << (i % 2 == 0 ? 2.4 : 2.6) << "\n";
  trace.close();
  const CommandResult result =
      eke("meters --meter trace:fast.csv --check --pairs 3 --seconds 0 --threads 1 --json");
  const nlohmann::json json = nlohmann::json::parse(result.out, nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << result.err;
  const nlohmann::json& check = json["checks"].back();
  EXPECT_EQ(check["meter"], "trace:fast.csv");
  // How long the same work takes is the machine's affair: the ratio is what it was, and the verdict follows from it.
  EXPECT_NEAR(check["ratio"].get<double>(), 1, 0.5);
  EXPECT_EQ(check["passed"].get<bool>(), check["low"].get<double>() <= 1 && check["high"].get<double>() >= 1);
  EXPECT_EQ(result.code == 0, check["passed"].get<bool>()) << result.err;
}

TEST_F(MeteredCliTest, EnergyWrapsAnyCommand) {
  const CommandResult text = eke("energy --meter trace:trace.csv --idle 0.1 -- sh -c 'echo out; sleep 0.3'");
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(text.out, "out\n");
  EXPECT_NE(text.err.find("recorded"), std::string::npos) << text.err;
  const nlohmann::json report =
      json("energy --meter trace:trace.csv --idle 0.1 --output r.json --json -- sh -c 'echo out; sleep 0.3'");
  EXPECT_NEAR(report["gross"]["total"]["joules"].get<double>(), 2.5 * report["seconds"].get<double>(), 0.3);
  EXPECT_TRUE(report["net"].is_object());
  EXPECT_TRUE(std::filesystem::exists(folder_ / "r.json"));
  EXPECT_EQ(eke("energy --meter none -- false").code, 1);
  EXPECT_EQ(eke("energy --meter none -- no-such-command").code, 1);
  expect_error(eke("energy --meter trace:missing.csv -- true"), 1, {"missing.csv"});
  EXPECT_TRUE(json("energy --meter none --json -- true")["gross"].is_null());
}

TEST_F(MeteredCliTest, MetersListsARecordedMachine) {
  const std::string hwmon = "tree/sys/class/hwmon/hwmon3/";
  std::filesystem::create_directories(folder_ / hwmon);
  const auto file = [&](const char* name, const char* text) {
    std::ofstream(folder_ / (hwmon + name)) << text << "\n";
  };
  file("name", "ina3221");
  file("in1_label", "VDD_IN");
  file("in1_input", "5072");
  file("curr1_input", "976");
  const nlohmann::json list = json("meters --root tree --json");
  bool found = false;
  for (const auto& meter : list["meters"]) {
    EXPECT_EQ(meter["there"].get<bool>(), meter["meter"] == "ina3221") << meter;
    EXPECT_TRUE(meter["there"].get<bool>() || !meter["why_not"].get<std::string>().empty()) << meter;
    found = found || (meter["there"] == true && meter["domains"][0]["name"] == "VDD_IN");
  }
  EXPECT_TRUE(found);
  const CommandResult text = eke("meters --root tree --meter trace:trace.csv");
  EXPECT_NE(text.out.find("VDD_IN"), std::string::npos);
  EXPECT_NE(text.out.find("recorded"), std::string::npos);
}

}  // namespace
}  // namespace eke::test
