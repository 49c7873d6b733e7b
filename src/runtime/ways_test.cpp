// Every way to carry out a node gives what the reference gives; what a tuning asks for is refused where it cannot be.
#include <gtest/gtest.h>

#include <algorithm>

#include "ops/op_def.h"
#include "runtime/plan.h"
#include "runtime/testing/random_network.h"

namespace eke {
namespace {

using testing::random_input;
using testing::random_network;

std::vector<Tensor> run(const Graph& graph, const CompileOptions& options) {
  const Plan plan = compile(graph, options);
  const Threads threads(1);
  Scratch scratch(plan, threads);
  std::vector<Tensor> inputs;
  for (const Type& type : plan.input_types()) inputs.push_back(random_input(type, 7));
  return plan.run(inputs, scratch);
}

// All nodes that have so many ways take that one; empty when there is none.
Choices stage(const std::vector<Ways>& all, std::size_t index) {
  Choices choices;
  for (const Ways& way : all)
    if (way.choices.size() > index) choices[way.output] = way.choices[index];
  return choices;
}

TEST(Ways, AllGiveTheSameResults) {
  for (const bool quantized : {true, false}) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      const Graph graph = random_network(seed, {.quantized = quantized});
      const std::vector<Ways> all = ways(graph);
      const std::vector<Tensor> expected = run(graph, {});
      for (std::size_t index = 0; !stage(all, index).empty(); ++index) {
        SCOPED_TRACE(fmt::format("{} seed {} way {}", quantized ? "int8" : "float", seed, index));
        const std::vector<Tensor> actual = run(graph, {.choices = stage(all, index)});
        for (std::size_t i = 0; i < expected.size(); ++i) {
          for (std::int64_t e = 0; e < expected[i].count(); ++e) {
            const double want = element_as_double(expected[i].view(), e),
                         got = element_as_double(actual[i].view(), e);
            // The last softmax is a float sum in int8 networks too.
            if (quantized && i > 0)
              ASSERT_EQ(got, want);
            else
              ASSERT_NEAR(got, want, 1e-3 * std::max(1.0, std::abs(want)));
          }
        }
      }
    }
  }
}

TEST(Ways, InferenceHasNoTacticsOfTraining) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed)
    for (const Ways& way : ways(random_network(seed, {.quantized = false})))
      for (const Choice& choice : way.choices)
        EXPECT_FALSE(choice.tactic.starts_with("train_")) << way.output << ": " << choice.tactic;
}

TEST(Ways, TheFirstIsWhatTheRulesTake) {
  const Graph graph = random_network(3, {.quantized = true});
  const std::vector<Ways> all = ways(graph);
  const Plan by_rule = compile(graph), chosen = compile(graph, {.choices = stage(all, 0)});
  ASSERT_EQ(by_rule.steps().size(), chosen.steps().size());
  for (std::size_t i = 0; i < by_rule.steps().size(); ++i) {
    EXPECT_EQ(by_rule.steps()[i].tactic, chosen.steps()[i].tactic);
    EXPECT_EQ(chosen.steps()[i].note == "tuned", !chosen.steps()[i].output.empty());
  }
}

TEST(Ways, AreFoundByTheNameOfWhatTheyMake) {
  const Graph graph = random_network(5, {});
  const Plan plan = compile(graph);
  for (const Ways& way : ways(graph)) {
    ASSERT_FALSE(way.choices.empty());
    for (std::size_t a = 0; a < way.choices.size(); ++a)
      for (std::size_t b = 0; b < a; ++b) EXPECT_FALSE(way.choices[a] == way.choices[b]);
  }
  EXPECT_TRUE(std::ranges::any_of(plan.steps(), [&](const StepInfo& step) {
    return std::ranges::any_of(ways(graph), [&](const Ways& way) { return way.output == step.output; });
  }));
}

TEST(Ways, WhatCannotBeIsRefused) {
  const Graph graph = random_network(3, {.quantized = true});
  const std::vector<Ways> all = ways(graph);
  const auto conv = std::ranges::find_if(
      all, [](const Ways& way) { return way.choices[0].tactic.find("u8s8") != std::string::npos; });
  ASSERT_NE(conv, all.end());
  const auto error = [&](const Choice& choice) {
    try {
      compile(graph, {.choices = {{conv->output, choice}}});
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(error({"no_such_tactic", Isa::scalar}).find("no_such_tactic"), std::string::npos);
  EXPECT_NE(error({"conv_f32", Isa::scalar}).find("cannot take"), std::string::npos);
  const Isa foreign = supported_isas().back() < Isa::neon ? Isa::neon : Isa::avx2;
  EXPECT_NE(error({conv->choices[0].tactic, foreign}).find("does not have"), std::string::npos);
  EXPECT_EQ(error({"reference", Isa::scalar}), "");
}

}  // namespace
}  // namespace eke
