#include "ptq/precision_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "ptq/testing/halves_network.h"
#include "ptq/walk.h"

namespace eke {
namespace {

// What a search needs, for a network that one step for all weights of a layer ruins.
struct Prepared {
  explicit Prepared(double stretch = 1000) : graph(halves_network(stretch)) {
    CalibrationImages images = halves.calibration();
    const QuantizationOptions options{.effort = "fast", .per_tensor = true};
    base = walk(graph, images, nullptr, {options, std::nullopt, true}, halves.threads);
    QuantizationOptions in_four = base.settings;
    in_four.weight_bits = 4;
    std::vector<LearnedLayer> learned;
    four = quantize_calibrated(*base.calibrated, images, halves.threads, in_four, learned).weights;
  }

  SearchResult search(const SearchOptions& options) {
    const Mixtures mixtures(*base.calibrated, rewrite_options(base.settings, base.calibrated->graph),
                            base.quantized, four);
    HeldBack few_images = halves.held(false), held = halves.held();
    Judge few(graph, few_images, halves.threads), judge(graph, held, halves.threads);
    return search_precisions(mixtures, few, judge, options, halves.threads);
  }

  HalvesParts halves;
  Graph graph;
  Walk base;
  QuantizedWeightsByNode four;
};

// Of constants alone.
std::int64_t bytes_of(const Graph& graph) {
  std::int64_t bytes = 0;
  for (const Value& value : graph.values)
    if (value.constant) bytes += static_cast<std::int64_t>(value.constant->bytes());
  return bytes;
}

SearchOptions by_size(double max_drop) {
  return {.objective = SearchObjective::size, .max_drop = max_drop, .mixtures = 4, .saved_bytes = bytes_of};
}

TEST(SearchPrecisions, ChoosesTheCheapestWithinTheBound) {
  Prepared prepared;
  for (const double max_drop : {0.0, 1.0}) {
    SCOPED_TRACE(max_drop);
    const SearchResult result = prepared.search(by_size(max_drop));
    EXPECT_TRUE(result.by_labels);
    EXPECT_EQ(result.float_right, 6);
    ASSERT_EQ(result.layers.size(), 3u);
    for (const SearchedLayer& layer : result.layers) {
      ASSERT_EQ(layer.choices.size(), 3u);
      EXPECT_EQ(layer.choices[0].noise, 0);
      EXPECT_GT(layer.choices[0].cost, layer.choices[1].cost);
      EXPECT_GT(layer.choices[1].cost, layer.choices[2].cost);
    }
    EXPECT_EQ(result.tried[0].what, "all in float");
    EXPECT_EQ(result.tried[0].sqnr_db, kExactDb);
    EXPECT_EQ(result.tried[1].what, "all in int8");
    EXPECT_LT(result.tried[1].sqnr_db, 10);
    EXPECT_TRUE(result.within);
    const TriedMixture& chosen = result.tried[result.chosen];
    EXPECT_LE(chosen.lost(), max_drop);
    for (std::size_t i = 1; i < result.tried.size(); ++i) {
      const TriedMixture& other = result.tried[i];
      EXPECT_TRUE(other.lost() > max_drop || chosen.cost <= other.cost) << other.what;
    }
  }
}

TEST(SearchPrecisions, MeasuresNothingAgainThatIsRemembered) {
  Prepared prepared(1);
  std::map<std::vector<std::string>, nlohmann::ordered_json> memory;
  int measured = 0;
  SearchOptions options = by_size(0);
  options.remember = [&](const auto& path, const auto& measure) {
    if (!memory.contains(path)) {
      ++measured;
      memory[path] = measure();
    }
    return memory[path];
  };
  const SearchResult first = prepared.search(options);
  const int once = measured;
  EXPECT_EQ(once, 3 * 2 + static_cast<int>(first.tried.size()));
  const SearchResult again = prepared.search(options);
  EXPECT_EQ(measured, once);
  ASSERT_EQ(again.tried.size(), first.tried.size());
  for (std::size_t i = 0; i < first.tried.size(); ++i) {
    EXPECT_EQ(again.tried[i].cost, first.tried[i].cost);
    EXPECT_EQ(again.tried[i].sqnr_db, first.tried[i].sqnr_db);
    EXPECT_EQ(again.tried[i].right, first.tried[i].right);
  }
  memory[{"mixtures", code_of(first.tried[1].assigned)}]["cost"] = "much";
  EXPECT_THROW(prepared.search(options), nlohmann::json::exception);
}

TEST(SearchPrecisions, MeasuresTimesAndStopsWhereItsProgressThrows) {
  Prepared prepared(1);
  SearchOptions options{.max_drop = 1, .mixtures = 2, .rounds = 3};
  const SearchResult result = prepared.search(options);
  for (const TriedMixture& tried : result.tried) EXPECT_GT(tried.cost, 0) << tried.what;
  std::vector<std::string> told;
  options.progress = [&](std::string_view what, std::int64_t done, std::int64_t) {
    if (what == "mixtures" && done == 2) throw std::runtime_error("stop");
    if (!what.empty()) told.push_back(fmt::format("{} {}", what, done));
  };
  EXPECT_THROW(prepared.search(options), std::runtime_error);
  EXPECT_THAT(told, testing::ElementsAre("noise of layers 0", "noise of layers 1", "noise of layers 2",
                                         "mixtures 0", "mixtures 1"));
}

TEST(CodeOf, HasALetterALayer) {
  EXPECT_EQ(code_of({}), "");
  EXPECT_EQ(code_of({0, 1, 2, 1}), "f848");
}

}  // namespace
}  // namespace eke
