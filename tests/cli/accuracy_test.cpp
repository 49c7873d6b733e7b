#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "eke/quantize.h"
#include "fixture.h"
#include "onnx/onnx.h"

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

// One channel is a thousand times larger than the others, and the next layer makes it as small again: with one step for
// all weights of a layer nothing of the others is left in the first one, and nothing of that one in the second.
Graph network_with_a_stretched_step() {
  Graph graph = small_network();
  Value& first = graph[find_value(graph, "conv.w")];
  Tensor weights = *first.constant;
  for (float& w : weights.mutable_values<float>().first(3 * 3 * 3)) w *= 1000;
  first.constant = std::make_shared<const Tensor>(std::move(weights));
  Tensor restored(Type{DType::f32, {4, 4, 1, 1}});
  for (std::size_t channel = 0; channel < 4; ++channel)
    restored.mutable_values<float>()[5 * channel] = channel == 0 ? 1e-3f : 1.f;
  const ValueId mix = graph.add_constant("mix.w", std::move(restored));
  op::Conv conv;
  conv.kernel_shape = {1, 1};
  const ValueId mixed = graph.add_node(conv, {find_value(graph, "relu.out"), mix}, "mix", {"mix.out"});
  const auto pool = std::ranges::find(graph.nodes, std::string("pool"), &Node::name);
  pool->in[0] = mixed;
  std::rotate(pool, graph.nodes.end() - 1, graph.nodes.end());
  return graph;
}

const std::string kStretched =
    "quantize stretched.onnx --data data --count 16 --limit 8 --allow-slower --runs 3 --per-tensor -o "
    "q.onnx" +
    kRaw;

TEST_F(CliTest, QuantizeKeepsTheStepsThatImagesHeldBackGainBy) {
  save_onnx(network_with_a_stretched_step(), (folder_ / "stretched.onnx").string());
  const nlohmann::json report = json(kStretched + " --json");
  EXPECT_EQ(report["held_back_images"], 4);
  const nlohmann::json& steps = report["walk"]["steps"];
  ASSERT_GT(steps.size(), 2u);
  EXPECT_EQ(steps[0]["step"], "plain calibration");
  EXPECT_EQ(steps[0]["right"], 2);
  bool equalized = false;
  for (const nlohmann::json& step : steps) {
    if (step["step"] == "equalization") equalized = step["kept"].get<bool>();
    if (step.contains("gain_db") && step["kept"]) {
      EXPECT_GT(step["gain_db"]["low"], 0);
    }
  }
  EXPECT_TRUE(equalized) << steps;
  EXPECT_EQ(report["difference"]["accuracy"], 0);
  const CommandResult text = eke(kStretched);
  EXPECT_NE(text.out.find("plain calibration"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("held back"), std::string::npos) << text.out;
}

// There is no rounding between a convolution and the addition that TensorRT fuses with it, but for where a layer that
// is measured alone stays in float.
TEST_F(CliTest, LayersOfResidualNetworksAreMeasuredForEveryEngine) {
  ASSERT_EQ(eke("new resnet20 --classes 2 --input 16 -o res.onnx").code, 0);
  for (const std::string engine : {"cpu", "tensorrt", "dla-orin"}) {
    const std::string command = " res.onnx --data data --count 16 --for " + engine + kRaw;
    const CommandResult made = eke("quantize" + command + " --allow-slower --runs 1 -o q.onnx");
    EXPECT_NE(made.out.find("signal to noise of the output"), std::string::npos) << made.err;
    EXPECT_GE(json("explain" + command + " --images 2 --json")["layers"].size(), 20u);
  }
}

TEST_F(CliTest, QuantizeStopsWithinMaxDropAndSaysWhereItIsAbove) {
  save_onnx(network_with_a_stretched_step(), (folder_ / "stretched.onnx").string());
  const nlohmann::json enough = json(kStretched + " --effort best --max-drop 100 --json");
  EXPECT_EQ(enough["walk"]["steps"].size(), 1u) << enough["walk"];
  EXPECT_EQ(enough["success"], true);
  // A few images that are all right do not show that a drop is small.
  const nlohmann::json few = json(kQuantize + " --effort best --max-drop 1 -o few.onnx --json");
  EXPECT_GT(few["walk"]["steps"].size(), 1u) << few["walk"];
  EXPECT_NE(few["walk"].dump().find("block reconstruction"), std::string::npos) << few["walk"];
  EXPECT_EQ(few["success"], true);
  fs::remove(folder_ / "q.onnx");
  const CommandResult above = eke(kStretched + " --effort fast --max-drop 5");
  EXPECT_EQ(above.code, 1);
  EXPECT_NE(above.out.find("loses 50.00 points"), std::string::npos) << above.out;
  EXPECT_NE(above.out.find("Try --effort best"), std::string::npos) << above.out;
  EXPECT_FALSE(fs::exists(folder_ / "q.onnx"));
  EXPECT_TRUE(fs::exists(folder_ / "q.above-max-drop.onnx"));
  // Without equalization layers stay in float.
  const nlohmann::json mixed = json(kStretched + " --effort best --equalize off --max-drop 5 --json");
  EXPECT_EQ(mixed["success"], true);
  EXPECT_EQ(eke(kStretched + " --max-drop -1").code, 2);
}

TEST_F(CliTest, QuantizePacksWeightsOfFourBits) {
  const auto bytes = [&](const char* bits) {
    const nlohmann::json report =
        json(kQuantize + " --effort best -o q" + bits + ".onnx --json --weight-bits " + bits);
    EXPECT_EQ(report["layers"][0]["weight_bits"], std::stoi(bits));
    EXPECT_GT(report["likeness"]["cosine"]["median"], 0.95);
    return report["int8_bytes"].get<std::int64_t>();
  };
  EXPECT_LT(bytes("4"), bytes("8"));
  EXPECT_NE(bytes_of("q4.onnx"), bytes_of("q8.onnx"));
  json("eval q4.onnx --data data --against net.onnx --json");
  EXPECT_EQ(eke(kQuantize + " -o q.onnx --weight-bits 9").code, 2);
}

TEST_F(CliTest, QuantizeComparesEmbeddingsWithAFloatGallery) {
  const nlohmann::json pairs = json(kQuantize + " --eval pairs.csv -o q.onnx --json")["embeddings"];
  EXPECT_EQ(pairs["protocol"], "verification");
  ASSERT_EQ(pairs["settings"].size(), 3u);
  EXPECT_EQ(pairs["settings"][1]["what"], "float gallery, int8 probes");
  for (const nlohmann::json& setting : pairs["settings"]) {
    EXPECT_EQ(setting["count"], 40);
    EXPECT_EQ(setting["rates"][1]["far"], 1e-3);
    EXPECT_EQ(setting["rates"][1]["difference"]["count"], 20);
  }
  const std::string people =
      "quantize net.onnx --data people --count 3 --eval people --allow-slower --runs 3 -o q.onnx" + kRaw;
  // More persons than outputs: not their classes, their likeness counts.
  for (const char* person : {"a", "b", "c"}) {
    fs::create_directories(folder_ / "people" / person);
    for (const char* image : {"03.ppm", "07.ppm", "11.ppm"})
      fs::copy_file(folder_ / "data" / (person[0] == 'a' ? "left" : "right") / image,
                    folder_ / "people" / person / image);
  }
  const nlohmann::json persons = json(people + " --json")["embeddings"];
  EXPECT_EQ(persons["protocol"], "identification");
  EXPECT_EQ(persons["persons"], 3);
  ASSERT_EQ(persons["settings"].size(), 3u);
  EXPECT_EQ(persons["settings"][2]["count"], 6);
  EXPECT_NE(eke(people).out.find("identification"), std::string::npos);
}

TEST_F(CliTest, QuantizeTakesTheOptionsOfAccuracy) {
  for (const char* flags :
       {"--equalize on", "--per-tensor --equalize off", "--per-tensor", "--no-explain", "--effort fast",
        "--effort best", "--weight-range mse", "--weight-bits 6", "--effort best --per-tensor"}) {
    SCOPED_TRACE(flags);
    const nlohmann::json report = json(kQuantize + " -o q.onnx --json " + flags);
    EXPECT_GT(report["likeness"]["cosine"]["median"], 0.99);
    EXPECT_EQ(report.contains("explanation"), std::string(flags) != "--no-explain");
  }
}

TEST_F(CliTest, TheLibraryWritesTheFileThatTheCommandWrites) {
  save_onnx(network_with_a_stretched_step(), (folder_ / "stretched.onnx").string());
  const auto file = [&](const char* name) { return (folder_ / name).string(); };
  const struct {
    const char *flags, *effort;
    bool per_channel = true;
    int weight_bits = 8;
    std::optional<double> max_drop_points = std::nullopt;
    const char* engine = "cpu";
  } cases[] = {{"--effort fast", "fast"},
               {"--per-tensor", "balanced", false},
               {"--effort best --weight-bits 4", "best", true, 4},
               {"--per-tensor --effort best --max-drop 5", "best", false, 8, 5},
               {"--for dla-orin", "balanced", true, 8, std::nullopt, "dla-orin"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.flags);
    ASSERT_EQ(
        eke("quantize stretched.onnx --data data --eval data --count 24 --allow-slower --runs 1 -o q.onnx " +
            std::string(c.flags) + kRaw)
            .code,
        0);
    const QuantizeReport report = quantize(file("stretched.onnx"), {.data = file("data"),
                                                                    .output = file("by_library.onnx"),
                                                                    .images = 24,
                                                                    .normalization = "raw",
                                                                    .effort = c.effort,
                                                                    .max_drop_points = c.max_drop_points,
                                                                    .per_channel = c.per_channel,
                                                                    .weight_bits = c.weight_bits,
                                                                    .engine = c.engine});
    EXPECT_EQ(report.written, file("by_library.onnx"));
    EXPECT_EQ(bytes_of("by_library.onnx"), bytes_of("q.onnx"));
  }
}

std::vector<std::string> steps_of(const nlohmann::json& report) {
  std::vector<std::string> names;
  for (const nlohmann::json& step : report["walk"]["steps"]) names.push_back(step["step"]);
  return names;
}

TEST_F(CliTest, QuantizeTriesRangesByTheOutputAndLearnedRounding) {
  const nlohmann::json report = json(
      "quantize net.onnx --data data --count 16 --allow-slower --runs 3 --weight-bits 4 --effort best "
      "-o q.onnx --json" +
      kRaw);
  const std::vector<std::string> steps = steps_of(report);
  for (const char* step : {"ranges by the output", "learned rounding"})
    EXPECT_NE(std::ranges::find(steps, step), steps.end()) << step;
  EXPECT_EQ(std::ranges::find(steps, "block reconstruction"), steps.end()) << "it is for a bound";
  json("eval q.onnx --data data --against net.onnx --json");
}

TEST_F(CliTest, QuantizeRoundsActivationsTo16BitsWhereAsked) {
  const double narrow = json(kQuantize + " -o q8.onnx --json")["likeness"]["sqnr_db"]["median"];
  const nlohmann::json wide = json(kQuantize + " -o q16.onnx --json --activation-bits 16");
  EXPECT_GT(wide["likeness"]["sqnr_db"]["median"], narrow);
  const nlohmann::json again = json("eval q16.onnx --data data --against net.onnx --json");
  EXPECT_EQ(again["against"]["scores"]["top1"]["accuracy"], 1.0);
  const auto stored_as = [&](const char* file, DType dtype) {
    const Graph graph = load_onnx((folder_ / file).string());
    return std::ranges::count_if(graph.values,
                                 [&](const Value& v) { return v.constant && v.constant->dtype() == dtype; });
  };
  EXPECT_GT(stored_as("q16.onnx", DType::u16), 1);
  EXPECT_EQ(stored_as("q8.onnx", DType::u16), 0);
  ASSERT_EQ(eke(kQuantize + " -o some.onnx --wide relu").code, 0);
  EXPECT_EQ(stored_as("some.onnx", DType::u16), 1);
  EXPECT_EQ(
      eke(kQuantize + " -o q.onnx --activation-bits 16 --for tensorrt --activations int8 --symmetric").code,
      2);
  EXPECT_EQ(eke(kQuantize + " -o q.onnx --activation-bits 12").code, 2);
  EXPECT_EQ(eke(kQuantize + " -o q.onnx --wide missing").code, 2);
}

}  // namespace
}  // namespace eke::test
