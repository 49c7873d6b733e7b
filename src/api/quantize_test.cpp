#include "eke/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>

#include "eke/model.h"
#include "learn/testing/halves.h"
#include "onnx/onnx.h"
#include "ptq/testing/halves_network.h"

namespace {

namespace fs = std::filesystem;

// ---- the example: twenty lines from a float model and images to an int8 model and its answer ----
int example(const std::string& folder) {
  try {
    eke::QuantizeOptions options;
    options.data = folder + "/data";  // images; where they have labels, steps are judged by them
    options.output = folder + "/int8.onnx";
    options.normalization = "unit";  // pixels / 255, as the network learned
    options.max_drop_points = 50;
    options.progress = [](const eke::QuantizeState& state) {
      std::cout << state.what << ' ' << state.done << " of " << state.of << '\n';
      return true;  // false would stop
    };
    const eke::QuantizeReport report = eke::quantize(folder + "/float.onnx", options);
    for (const eke::QuantizeStep& step : report.steps)
      std::cout << step.name << (step.kept ? " stays: " : " goes: ") << step.sqnr_db << " dB\n";
    std::cout << "loses " << report.drop.points << " points (" << report.drop.low << " to "
              << report.drop.high << ") on " << report.judging_images << " images\n";
    if (!report.within_max_drop) return 1;

    eke::Model model(report.written);
    const std::vector<float> scores = model.run_image(folder + "/data/left/100.pgm").at(0);
    return scores[0] > scores[1] ? 0 : 2;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 3;
  }
}
// ---- end of the example ----

class Quantize : public testing::Test {
 protected:
  Quantize() { save("float.onnx", 1); }
  std::string path(const std::string& name) const { return files_.path(name); }
  void save(const std::string& name, double stretch) const {
    eke::save_onnx(eke::halves_network(stretch), path(name));
  }
  eke::QuantizeOptions options(const std::string& output = "int8.onnx") const {
    return {.data = path("data"), .output = path(output), .normalization = "unit"};
  }

  eke::Halves files_;
};

TEST_F(Quantize, TheExampleOfTwentyLinesRuns) {
  EXPECT_EQ(example(files_.path(".")), 0);
  EXPECT_EQ(eke::Model(path("int8.onnx")).labels(), (std::vector<std::string>{"left", "right"}));
  EXPECT_EQ(std::distance(fs::directory_iterator(path("")), {}), 3);  // no temporary file stays
}

TEST_F(Quantize, ReportsWhatEachStepGainedAndWhatIsLost) {
  save("stretched.onnx", 1000);
  eke::QuantizeOptions options = this->options();
  options.per_channel = false;
  options.threads = 2;
  const eke::QuantizeReport report = eke::quantize(path("stretched.onnx"), options);
  EXPECT_TRUE(report.finished);
  EXPECT_EQ(report.written, options.output);
  EXPECT_EQ(report.bytes, fs::file_size(options.output));
  EXPECT_EQ(report.calibration_images, 18u);
  EXPECT_EQ(report.judging_images, 6u);
  EXPECT_TRUE(report.by_labels);
  EXPECT_EQ(report.float_right, 6u);
  ASSERT_GT(report.steps.size(), 1u);
  EXPECT_EQ(report.steps[0].name, "plain calibration");
  EXPECT_FALSE(report.steps[0].gain_db);
  EXPECT_GT(report.steps[0].drop.points, 0);
  EXPECT_GE(report.steps[0].drop.high, report.steps[0].drop.low);
  bool gained = false;
  for (const eke::QuantizeStep& step : report.steps)
    gained |= step.kept && step.gain_low_db.value_or(0) > 0 && step.gain_db >= step.gain_low_db;
  EXPECT_TRUE(gained);
  EXPECT_EQ(report.drop.points, 0);
  EXPECT_GT(report.sqnr_db, report.steps[0].sqnr_db);
  EXPECT_EQ(report.int8_layers, 3u);
  EXPECT_FALSE(report.ended.empty());
}

TEST_F(Quantize, MarksTheFileThatLosesMore) {
  save("stretched.onnx", 1000);
  eke::QuantizeOptions options = this->options();
  options.per_channel = false;
  options.effort = "fast";
  options.max_drop_points = 5;
  const eke::QuantizeReport report = eke::quantize(path("stretched.onnx"), options);
  EXPECT_FALSE(report.within_max_drop);
  EXPECT_GT(report.drop.points, 5);
  EXPECT_EQ(report.written, path("int8.above-max-drop.onnx"));
  EXPECT_TRUE(fs::exists(report.written));
  EXPECT_FALSE(fs::exists(options.output));
}

TEST_F(Quantize, JudgesNothingWhereNoImageIsHeldBack) {
  eke::QuantizeOptions options = this->options();
  options.images = 6;
  options.keep = {"mix"};
  const eke::QuantizeReport report = eke::quantize(path("float.onnx"), options);
  EXPECT_EQ(report.calibration_images, 6u);
  EXPECT_EQ(report.judging_images, 0u);
  EXPECT_TRUE(report.steps.empty());
  EXPECT_EQ(report.int8_layers, 2u);
  EXPECT_THAT(report.float_nodes, testing::Contains(testing::HasSubstr("'mix'")));
}

TEST_F(Quantize, WritesNothingWhereProgressStopsIt) {
  eke::QuantizeOptions options = this->options();
  std::string last;
  options.progress = [&](const eke::QuantizeState& state) {
    last = state.what;
    return state.what != "calibrating" || state.done < 4;
  };
  const eke::QuantizeReport report = eke::quantize(path("float.onnx"), options);
  EXPECT_FALSE(report.finished);
  EXPECT_EQ(last, "calibrating");
  EXPECT_TRUE(report.written.empty());
  EXPECT_FALSE(fs::exists(options.output));
}

TEST_F(Quantize, NamesTheOptionThatIsWrong) {
  const struct {
    const char* says;
    std::function<void(eke::QuantizeOptions&)> change;
  } cases[] = {{"QuantizeOptions::output", [](auto& o) { o.output = ""; }},
               {"would replace the float model", [&](auto& o) { o.output = path("float.onnx"); }},
               {"there is no folder", [&](auto& o) { o.output = path("missing/int8.onnx"); }},
               {"QuantizeOptions::normalization", [](auto& o) { o.normalization = ""; }},
               {"no-such-data", [](auto& o) { o.data = "no-such-data"; }},
               {"QuantizeOptions: effort is 'more'", [](auto& o) { o.effort = "more"; }},
               {"QuantizeOptions: weight_bits is 1", [](auto& o) { o.weight_bits = 1; }},
               {"QuantizeOptions: engine is 'tpu'", [](auto& o) { o.engine = "tpu"; }},
               {"QuantizeOptions: class_offset", [](auto& o) { o.class_offset = -1; }},
               {"QuantizeOptions: max_drop_points", [](auto& o) { o.max_drop_points = -1; }},
               {"QuantizeOptions::keep", [](auto& o) { o.keep = {"nothing*"}; }}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.says);
    eke::QuantizeOptions options = this->options();
    c.change(options);
    try {
      eke::quantize(path("float.onnx"), options);
      FAIL();
    } catch (const std::exception& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(c.says));
    }
  }
}

}  // namespace
