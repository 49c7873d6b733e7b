#include "tune/tune.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "runtime/testing/random_network.h"

namespace eke {
namespace {

using testing::random_inputs;
using testing::random_network;

MeasuredWay way(const char* tactic, double ratio, double low, double high) {
  return {{tactic, Isa::scalar}, {ratio, {low, high}, 10}};
}

TEST(Tuning, TheBestIsSurelyAndNoticeablyCheaper) {
  struct Case {
    const char* name;
    std::vector<MeasuredWay> others;
    const char* best;
  };
  const Case cases[] = {{"nothing else", {}, ""},
                        {"dearer", {way("a", 1.2, 1.1, 1.3)}, ""},
                        {"not sure", {way("a", 0.8, 0.5, 1.1)}, ""},
                        {"hardly", {way("a", 0.99, 0.985, 0.995)}, ""},
                        {"cheaper", {way("a", 0.8, 0.7, 0.9)}, "a"},
                        {"the cheapest", {way("a", 0.8, 0.7, 0.9), way("b", 0.6, 0.5, 0.7)}, "b"},
                        {"the cheapest sure one", {way("a", 0.8, 0.7, 0.9), way("b", 0.6, 0.2, 1.4)}, "a"}};
  for (const Case& c : cases) {
    const TunedLayer layer{"out", "conv", "Conv", 0.5, {"rule", Isa::scalar}, c.others};
    EXPECT_EQ(layer.best() ? layer.best()->choice.tactic : "", c.best) << c.name;
  }
}

Tuning example() {
  Tuning tuning{"1.0", "a processor", "scalar", 0xfedcba9876543210, "energy", "J", {}, {}, {}};
  TunedPlan plan{"f32[1x3x8x8]", 2, {}};
  plan.layers.push_back(
      {"y", "conv \"1\"", "Conv", 0.25, {"conv_f32", Isa::scalar}, {way("other", 0.5, 0.4, 0.6)}});
  plan.finished = plan.kept = true;
  plan.cost_by_rule = 2;
  plan.cost = 1;
  plan.ratio = {0.5, {0.4, 0.6}, 10};
  tuning.plans = {plan, {"f32[1x3x8x8]", 4, {}}};
  tuning.settings = {{2, 1'200'000, 1, {0.9, 1.1}}, {4, std::nullopt, 2, {1.9, 2.1}}};
  tuning.best = 0;
  return tuning;
}

TEST(Tuning, SurvivesItsFile) {
  const std::string text = tuning_to_json(example());
  const Tuning read = tuning_from_json(text);
  EXPECT_EQ(tuning_to_json(read), text);
  EXPECT_EQ(read.model, 0xfedcba9876543210);
  const TunedPlan* plan = read.find("f32[1x3x8x8]", 2);
  ASSERT_NE(plan, nullptr);
  EXPECT_EQ(plan->choices(), (Choices{{"y", {"other", Isa::scalar}}}));
  EXPECT_TRUE(read.find("f32[1x3x8x8]", 4)->choices().empty());
  EXPECT_EQ(read.find("f32[1x3x8x8]", 3), nullptr);
  EXPECT_EQ(read.settings[0].frequency_khz, 1'200'000);
}

TEST(Tuning, BadFilesAreRefusedWithTheMember) {
  const std::string good = tuning_to_json(example());
  const struct {
    const char *from, *to, *word;
  } cases[] = {{"{", "", "no JSON"},
               {"\"eke_tuning\": 1", "\"eke_tuning\": 2", "eke_tuning"},
               {"\"eke_tuning\": 1", "\"eke_tuning\": \"x\"", "eke_tuning"},
               {"\"processor\"", "\"proc\"", "processor"},
               {"fedcba9876543210", "xyz", "model_hash"},
               {"\"threads\": 2", "\"threads\": 0", "threads"},
               {"\"threads\": 2", "\"threads\": 1e30", "threads"},
               {"\"isa\": \"scalar\"\n", "\"isa\": \"z80\"\n", "z80"},
               {"\"ratio\": 0.5", "\"ratio\": -1", "ratio"},
               {"\"share\": 0.25", "\"share\": null", "share"},
               {"\"best\": 0", "\"best\": 7", "best"},
               {"\"kept\": true", "\"kept\": 1", "kept"},
               {"\"others\": [", "\"others\": {\"a\": [", ""}};
  for (const auto& c : cases) {
    std::string bad = good;
    const std::size_t at = bad.find(c.from);
    ASSERT_NE(at, std::string::npos) << c.from << good;
    bad.replace(at, std::string(c.from).size(), c.to);
    try {
      tuning_from_json(bad);
      ADD_FAILURE() << c.to;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(c.word), std::string::npos) << error.what();
    }
  }
}

// A network, threads and what is counted while it is tuned.
struct Work {
  explicit Work(std::uint64_t seed) : Work(random_network(seed, {.quantized = true})) {}
  explicit Work(Graph network) : graph(std::move(network)), inputs(random_inputs(graph, 3)) {
    options.rounds = 3;
    options.window = [this](int done, int total) {
      ++windows;
      EXPECT_LE(done, total);
      if (windows == stop_at) throw Error("stopped");
    };
    options.measured = [this] { ++saves; };
  }
  void tune() { tune_plan(graph, inputs, threads, objective, options, plan); }

  Graph graph;
  std::vector<Tensor> inputs;
  Threads threads{1};
  Objective objective = latency_objective(0.0005);
  TuneOptions options;
  TunedPlan plan;
  int windows = 0, saves = 0, stop_at = -1;
};

TEST(Tune, FinishesWithAPlanThatGivesTheSameIntegers) {
  Work work(4);
  work.tune();
  EXPECT_TRUE(work.plan.finished);
  EXPECT_GT(work.plan.cost_by_rule, 0);
  if (supported_isas().size() < 3) GTEST_SKIP() << "one tier beside scalar: there is nothing to choose from";
  ASSERT_FALSE(work.plan.layers.empty());
  for (const TunedLayer& layer : work.plan.layers) {
    EXPECT_FALSE(layer.others.empty()) << layer.output;
    EXPECT_GT(layer.share, 0) << layer.output;
  }
  const Plan by_rule = compile(work.graph), tuned = compile(work.graph, {.choices = work.plan.best()});
  Scratch a(by_rule, work.threads), b(tuned, work.threads);
  const auto expected = by_rule.run(work.inputs, a), actual = tuned.run(work.inputs, b);
  ASSERT_EQ(actual[1].type().dtype, expected[1].type().dtype);
  for (std::int64_t i = 0; i < expected[1].count(); ++i)
    EXPECT_EQ(element_as_double(actual[1].view(), i), element_as_double(expected[1].view(), i));
}

// A block against its layers one by one, whichever of the two is by rule.
TEST(Tune, ComparesABlockWithAllOfItsLayers) {
  for (const bool large : {true, false}) {
    const std::int64_t side = large ? 112 : 20;
    Work work(
        testing::random_block(1, {.quantized = true},
                              {.channels = 16, .height = side, .width = side, .wide = 64, .projected = 16}));
    work.tune();
    const auto block = std::ranges::find_if(work.plan.layers, [](const TunedLayer& layer) {
      return layer.by_rule.tactic == "fused" || std::ranges::any_of(layer.others, [](const MeasuredWay& way) {
               return way.choice.tactic == "fused";
             });
    });
    ASSERT_NE(block, work.plan.layers.end());
    EXPECT_EQ(block->by_rule.tactic == "fused", large);
    for (const MeasuredWay& way : block->others) {
      EXPECT_NE(way.cost.ratio, 1) << way.choice.tactic << " was not measured";
      if (way.choice.isa != block->by_rule.isa) continue;
      // All of the block against one of its layers would be far off.
      EXPECT_GT(way.cost.ratio, 1.0 / 3) << way.choice.tactic;
      EXPECT_LT(way.cost.ratio, 3) << way.choice.tactic;
    }
    if (large) {
      EXPECT_GT(block->share, 0.5) << "of a network that is nothing else";
    }
  }
}

// Costs are the objective's: one that makes a plan by rule cheap keeps it.
TEST(Tune, TheObjectiveDecides) {
  for (const double other : {0.5, 2.0}) {
    Work work(4);
    int window = 0;
    // Windows of a comparison come as rule, other, other, rule.
    work.options.measured = [&] { window = 0; };
    work.objective = [&](const std::function<void()>& infer) {
      for (int i = 0; i < 5; ++i) infer();
      const int place = window++ % 4;
      return place == 1 || place == 2 ? other : 1.0;
    };
    work.options.rounds = 4;
    work.tune();
    if (work.plan.layers.empty()) GTEST_SKIP() << "one tier beside scalar: there is nothing to choose from";
    EXPECT_EQ(work.plan.kept, other < 1 && !work.plan.best().empty());
    if (other < 1) {
      EXPECT_NEAR(work.plan.ratio.ratio, other, 1e-9);
    }
  }
}

TEST(Tune, GoesOnWhereItStopped) {
  Work whole(6);
  whole.tune();
  Work work(6);
  if (whole.saves < 2) GTEST_SKIP() << "one tier beside scalar: there is nothing to choose from";
  work.stop_at = 2 * work.options.rounds + 1;  // after the first stage
  EXPECT_THROW(work.tune(), Error);
  EXPECT_FALSE(work.plan.finished);
  EXPECT_EQ(work.saves, 1);
  const std::vector<MeasuredWay> first = work.plan.layers[0].others;
  work.stop_at = -1;
  work.windows = 0;
  work.plan = tuning_from_json([&] {
                Tuning tuning = example();
                tuning.plans = {work.plan};
                return tuning_to_json(tuning);
              }())
                  .plans[0];
  work.tune();
  EXPECT_TRUE(work.plan.finished);
  EXPECT_EQ(work.windows, whole.windows - 2 * work.options.rounds);
  EXPECT_EQ(work.plan.layers[0].others[0].cost.ratio, first[0].cost.ratio);
  work.windows = 0;
  work.tune();
  EXPECT_EQ(work.windows, 0);
}

TEST(Tune, RefusesWhatWasBegunForAnotherNetwork) {
  Work work(6);
  work.plan.layers.push_back({"nothing", "", "Conv", 0, {"conv_f32", Isa::scalar}, {}});
  EXPECT_THROW(work.tune(), Error);
}

TEST(Tune, RefusesAnObjectiveThatMakesNoSense) {
  for (const double cost : {0.0, -1.0}) {
    Work work(6);
    work.objective = [cost](const std::function<void()>& infer) { return infer(), cost; };
    EXPECT_THROW(work.tune(), Error);
  }
  Work lazy(6);
  lazy.objective = [](const std::function<void()>&) { return 1.0; };
  EXPECT_THROW(lazy.tune(), Error);
}

}  // namespace
}  // namespace eke
