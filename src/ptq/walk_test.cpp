#include "ptq/walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "base/error.h"
#include "ptq/testing/halves_network.h"

namespace eke {
namespace {

TEST(VerifyQuantizationOptions, NamesTheFieldThatIsWrong) {
  const struct {
    const char* field;
    void (*change)(QuantizationOptions&);
  } cases[] = {{"effort", [](auto& o) { o.effort = "more"; }},
               {"engine", [](auto& o) { o.engine = "tpu"; }},
               {"calibrator", [](auto& o) { o.calibrator = "max"; }},
               {"activations", [](auto& o) { o.activations = "int4"; }},
               {"weight_range", [](auto& o) { o.weight_range = ""; }},
               {"equalize", [](auto& o) { o.equalize = "yes"; }},
               {"percentile", [](auto& o) { o.percentile = 101; }},
               {"weight_bits", [](auto& o) { o.weight_bits = 9; }},
               {"activation_bits", [](auto& o) { o.activation_bits = 12; }},
               {"8 bits only", [](auto& o) { o.engine = "tensorrt", o.activation_bits = 16; }},
               {"8 bits only", [](auto& o) { o.engine = "dla-orin", o.wide = {"first"}; }}};
  verify(QuantizationOptions{});
  for (const auto& c : cases) {
    SCOPED_TRACE(c.field);
    QuantizationOptions options;
    c.change(options);
    try {
      verify(options);
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(c.field));
    }
  }
}

TEST(Walk, TakesTheSettingsOfTheEffortWhereNothingIsJudged) {
  const HalvesParts halves;
  const Graph graph = halves_network();
  const struct {
    const char* effort;
    bool per_tensor;
    int weight_bits;
    const char *equalize, *weight_range;
    bool learn;
  } cases[] = {{"fast", false, 8, "off", "max", false},     {"fast", true, 8, "off", "max", false},
               {"balanced", false, 8, "off", "max", false}, {"balanced", true, 8, "on", "max", false},
               {"balanced", false, 4, "off", "mse", false}, {"best", true, 8, "on", "max", true}};
  for (const auto& c : cases) {
    SCOPED_TRACE(fmt::format("{} {} {}", c.effort, c.per_tensor, c.weight_bits));
    CalibrationImages images = halves.calibration();
    QuantizationOptions options{.effort = c.effort, .weight_bits = c.weight_bits, .per_tensor = c.per_tensor};
    const Walk made = walk(graph, images, nullptr, {options, std::nullopt}, halves.threads);
    EXPECT_EQ(made.settings.equalize, c.equalize);
    EXPECT_EQ(made.settings.weight_range, c.weight_range);
    EXPECT_EQ(made.settings.learn, c.learn);
    EXPECT_EQ(made.learned.size(), c.learn ? 3u : 0u);
    EXPECT_TRUE(made.steps.empty());
    EXPECT_FALSE(made.drop());
    EXPECT_EQ(made.quantized.report.layers.size(), 3u);
  }
}

const WalkStep* step_of(const Walk& walk, const std::string& name) {
  const auto found = std::ranges::find(walk.steps, name, &WalkStep::name);
  return found == walk.steps.end() ? nullptr : &*found;
}

TEST(Walk, KeepsWhatImagesHeldBackGainBy) {
  const HalvesParts halves;
  const Graph graph = halves_network(1000);
  CalibrationImages images = halves.calibration();
  HeldBack held = halves.held();
  const Walk made = walk(graph, images, &held, {{.per_tensor = true}, std::nullopt}, halves.threads);
  EXPECT_TRUE(made.by_labels);
  EXPECT_EQ(made.float_right, 6);
  EXPECT_EQ(made.steps.at(0).name, "plain calibration");
  EXPECT_TRUE(made.steps[0].kept);
  EXPECT_FALSE(made.steps[0].gain);
  const WalkStep* equalized = step_of(made, "equalization");
  ASSERT_NE(equalized, nullptr);
  EXPECT_TRUE(equalized->kept);
  EXPECT_GT(equalized->sqnr_db, made.steps[0].sqnr_db + 10);
  EXPECT_EQ(made.settings.equalize, "on");
  EXPECT_FALSE(made.calibrated->equalized.empty());
  for (const WalkStep& step : made.steps) {
    SCOPED_TRACE(step.name);
    EXPECT_EQ(step.images, 6);
    EXPECT_TRUE(!step.kept || !step.gain || step.gain->low > 0);
  }
  ASSERT_TRUE(made.drop());
  EXPECT_EQ(made.drop()->difference, 0);
}

TEST(Walk, EndsOnceTheDropIsWithinTheBoundAndNotWhereFewImagesShowNothing) {
  const HalvesParts halves;
  const struct {
    double stretch, max_drop;
    bool ends_at_once, within;
  } cases[] = {{1, 1, true, true}, {1, 0.5, true, true}, {1, 0.49, false, true}, {1000, 0.05, false, false}};
  for (const auto& c : cases) {
    SCOPED_TRACE(fmt::format("{} {}", c.stretch, c.max_drop));
    CalibrationImages images = halves.calibration();
    HeldBack held = halves.held();
    const QuantizationOptions options{.equalize = "off", .per_tensor = true, .keep_biases = true};
    const Walk made = walk(halves_network(c.stretch), images, &held, {options, c.max_drop}, halves.threads);
    EXPECT_EQ(made.steps.size() == 1, c.ends_at_once);
    EXPECT_EQ(made.ended == "the drop on the images held back is within the bound", c.ends_at_once)
        << made.ended;
    EXPECT_EQ(-made.drop()->difference <= c.max_drop, c.within);
  }
}

TEST(Walk, LeavesTheWorstLayersInFloatForTheBound) {
  const HalvesParts halves;
  CalibrationImages images = halves.calibration();
  HeldBack held = halves.held();
  const QuantizationOptions options{.equalize = "off", .effort = "best", .per_tensor = true};
  const Walk made = walk(halves_network(1000), images, &held, {options, 0.05}, halves.threads);
  const WalkStep* one = step_of(made, "1 layer in float");
  ASSERT_NE(one, nullptr);
  EXPECT_TRUE(one->kept);
  EXPECT_EQ(made.settings.keep, std::vector<std::string>{"mix"});
  EXPECT_EQ(made.drop()->difference, 0);
}

TEST(Walk, DoesNotDependOnThreads) {
  const HalvesParts halves;
  const Graph graph = halves_network(30);
  std::vector<std::string> made;
  for (const int count : {1, 2}) {
    const Threads threads(count);
    CalibrationImages images(halves.parts.calibration, halves.how, threads);
    HeldBack held = held_back_images(*halves.parts.held_back, halves.how, threads, true, 0);
    const QuantizationOptions options{.effort = "best", .weight_bits = 4, .per_tensor = true};
    made.push_back(to_text(walk(graph, images, &held, {options, std::nullopt}, threads).quantized.graph));
  }
  EXPECT_EQ(made[0], made[1]);
}

TEST(Walk, StopsWhereItsProgressThrows) {
  const HalvesParts halves;
  std::vector<std::string> pieces;
  CalibrationImages images = halves.calibration([&](std::string_view what, std::int64_t, std::int64_t) {
    if (!what.empty() && (pieces.empty() || pieces.back() != what)) pieces.emplace_back(what);
    if (what == "tuning ranges") throw std::runtime_error("stop");
  });
  HeldBack held = halves.held();
  EXPECT_THROW(walk(halves_network(), images, &held, {{.effort = "best"}, std::nullopt}, halves.threads),
               std::runtime_error);
  EXPECT_THAT(pieces, testing::Contains("calibrating"));
  EXPECT_EQ(pieces.back(), "tuning ranges");
}

}  // namespace
}  // namespace eke
