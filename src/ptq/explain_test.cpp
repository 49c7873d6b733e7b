#include "ptq/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ptq/testing/halves_network.h"
#include "ptq/tune_ranges.h"
#include "ptq/walk.h"

namespace eke {
namespace {

TEST(ExplainModel, SaysWhatEachLayerLosesAlone) {
  const HalvesParts halves;
  const Graph graph = halves_network(1000);
  std::vector<std::int64_t> told;
  std::int64_t of = 0;
  CalibrationImages images =
      halves.calibration([&](std::string_view what, std::int64_t done, std::int64_t all) {
        if (what != "explaining layers") return;
        told.push_back(done);
        of = all;
      });
  const Walk made = walk(graph, images, nullptr, {{.effort = "fast", .per_tensor = true}, std::nullopt, true},
                         halves.threads);
  for (const bool short_form : {true, false}) {
    SCOPED_TRACE(short_form);
    told.clear();
    const Explanation e =
        explain_model(*made.calibrated, made.quantized, made.settings, images, 4, short_form, halves.threads);
    EXPECT_EQ(e.images, 4);
    ASSERT_EQ(e.layers.size(), 3u);
    double shares = 0;
    for (const LayerEffect& layer : e.layers) shares += layer.share;
    EXPECT_NEAR(shares, 1, 1e-9);
    EXPECT_EQ(e.layers[0].node, "first");
    EXPECT_EQ(e.layers[0].reads, "x");
    // One step for all of its weights takes away all but one channel.
    EXPECT_GT(e.layers[0].share + e.layers[1].share, 0.99);
    EXPECT_LT(e.weights_only.db(), e.activations_only.db());
    EXPECT_EQ(e.layers[0].isolated.has_value(), !short_form);
    EXPECT_EQ(e.activations.empty(), short_form);
    EXPECT_EQ(of, short_form ? 10 : 13);
    EXPECT_EQ(told.size(), static_cast<std::size_t>(of));
    EXPECT_EQ(told.back(), of - 1);
  }
}

TEST(TuneRanges, KeepsOnlyWhatBringsTheOutputNearerToFloat) {
  const HalvesParts halves;
  const Graph graph = halves_network(100);
  CalibrationImages images = halves.calibration();
  const Walk made =
      walk(graph, images, nullptr, {{.effort = "fast", .per_tensor = true}, std::nullopt}, halves.threads);
  const TunedRanges tuned =
      tune_ranges(*made.calibrated, made.quantized, made.settings, images, 24, halves.threads);
  HeldBack same{halves.calibration(), {}};
  Judge judge(graph, same, halves.threads);
  const double before = mean(judge.of(optimize(made.quantized.graph)).sqnr_db),
               after = mean(judge.of(optimize(tuned.quantized.graph)).sqnr_db);
  if (tuned.changed > 0) {
    EXPECT_GT(after, before);
  } else {
    EXPECT_EQ(after, before);
  }
  int by_output = 0;
  for (const auto& [name, range] : tuned.calibrated.ranges) by_output += range.method == "output";
  EXPECT_EQ(by_output, tuned.changed);
}

}  // namespace
}  // namespace eke
