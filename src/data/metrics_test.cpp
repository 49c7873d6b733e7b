#include "data/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace eke {
namespace {

using ::testing::ElementsAre;

TEST(WilsonInterval, EqualsPublishedValues) {
  const struct {
    std::int64_t successes, total;
    double low, high;
  } kRows[] = {
      {81, 263, 0.2553, 0.3662},  // Newcombe 1998, table I, method 3
      {15, 148, 0.0624, 0.1605},
      {0, 20, 0.0, 0.1611},
      {1, 29, 0.0061, 0.1718},
  };
  for (const auto& row : kRows) {
    const Interval interval = wilson_interval(row.successes, row.total);
    EXPECT_NEAR(interval.low, row.low, 6e-5);
    EXPECT_NEAR(interval.high, row.high, 6e-5);
  }
  EXPECT_EQ(wilson_interval(0, 0).high, 1);
  EXPECT_EQ(wilson_interval(20, 20).high, 1);
}

TEST(TopK, OrdersByScoreThenIndex) {
  EXPECT_THAT(top_k(std::vector<float>{1, 5, 3, 5}, 3), ElementsAre(1, 3, 2));
  EXPECT_THAT(top_k(std::vector<float>{1, 2}, 5), ElementsAre(1, 0));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(top_k(std::vector<float>{nan, -1, nan, 2}, 4), ElementsAre(3, 1, 0, 2));
  EXPECT_TRUE(top_k({}, 5).empty());
}

TEST(Classification, Counts) {
  Classification result(6);
  result.add(std::vector<float>{9, 1, 2, 3, 4, 5}, 0);  // right
  result.add(std::vector<float>{9, 1, 2, 3, 4, 5}, 5);  // second best
  result.add(std::vector<float>{9, 1, 2, 3, 4, 5}, 1);  // last
  result.add(std::vector<float>{0, 9, 2, 3, 4, 5}, 1);  // right
  EXPECT_EQ(result.count(), 4);
  EXPECT_DOUBLE_EQ(result.top1(), 0.5);
  EXPECT_DOUBLE_EQ(result.top5(), 0.75);
  EXPECT_EQ(result.confusion(1, 0), 1);
  EXPECT_EQ(result.confusion(1, 1), 1);
  EXPECT_EQ(result.confusion(2, 2), 0);
  EXPECT_EQ(result.class_count(1), 2);
  EXPECT_EQ(result.predicted_count(0), 3);
  EXPECT_DOUBLE_EQ(result.class_accuracy(1), 0.5);
  EXPECT_DOUBLE_EQ(result.class_accuracy(4), 0);
  EXPECT_DOUBLE_EQ(result.largest_predicted_share(), 0.75);
  EXPECT_THAT(result.correct(), ElementsAre(true, false, false, true));
  EXPECT_THAT(result.predictions(), ElementsAre(0, 0, 0, 1));
}

TEST(Classification, RefusesWrongSizes) {
  Classification result(2);
  EXPECT_THROW(result.add(std::vector<float>{1, 2, 3}, 0), Error);
  EXPECT_THROW(result.add(std::vector<float>{1, 2}, 2), Error);
  EXPECT_THROW(result.add(std::vector<float>{1, 2}, -1), Error);
  EXPECT_THROW(Classification(0), Error);
}

std::vector<ScoredPair> separable(int each) {
  std::vector<ScoredPair> pairs;
  for (int i = 0; i < each; ++i) {
    pairs.push_back({0.6f + 0.001f * i, true});
    pairs.push_back({0.1f + 0.001f * i, false});
  }
  return pairs;
}

TEST(VerifyPairs, SeparablePairsAreAllRight) {
  const Verification result = verify_pairs(separable(200));
  EXPECT_EQ(std::count(result.pair_correct.begin(), result.pair_correct.end(), true), result.correct);
  EXPECT_EQ(result.same, 200);
  EXPECT_EQ(result.different, 200);
  EXPECT_DOUBLE_EQ(result.accuracy, 1);
  EXPECT_DOUBLE_EQ(result.accuracy_deviation, 0);
  EXPECT_EQ(result.correct, 400);
  EXPECT_DOUBLE_EQ(result.auc, 1);
  EXPECT_EQ(result.fold_accuracies.size(), 10u);
  EXPECT_DOUBLE_EQ(result.best_accuracy, 1);
  EXPECT_NEAR(result.best_threshold, (0.299 + 0.6) / 2, 1e-6);
  ASSERT_EQ(result.rates.size(), 2u);
  EXPECT_DOUBLE_EQ(result.rates[0].tar, 1);
  EXPECT_EQ(result.rates[0].false_accepts, 2);
  EXPECT_TRUE(result.rates[0].resolved);
  EXPECT_FALSE(result.rates[1].resolved);
  EXPECT_EQ(result.rates[1].false_accepts, 0);
}

TEST(VerifyPairs, EqualScoresAreChance) {
  std::vector<ScoredPair> pairs = separable(50);
  for (ScoredPair& pair : pairs) pair.score = 0.5f;
  const Verification result = verify_pairs(pairs);
  EXPECT_DOUBLE_EQ(result.auc, 0.5);
  EXPECT_DOUBLE_EQ(result.accuracy, 0.5);
  EXPECT_DOUBLE_EQ(result.rates[0].tar, 0);
}

TEST(VerifyPairs, AreaCountsInversions) {
  // Same 3, 1; different 2, 0: three of four couples are in order.
  const std::vector<ScoredPair> pairs = {{3, true}, {1, true}, {2, false}, {0, false}};
  const Verification result = verify_pairs(pairs, 2);
  EXPECT_DOUBLE_EQ(result.auc, 0.75);
  EXPECT_DOUBLE_EQ(result.best_accuracy, 0.75);
}

TEST(VerifyPairs, RatesCountAboveTheThreshold) {
  std::vector<ScoredPair> pairs;
  for (int i = 0; i < 1000; ++i) pairs.push_back({static_cast<float>(i), false});
  for (int i = 0; i < 1000; ++i) pairs.push_back({static_cast<float>(i) + 500.5f, true});
  const Verification result = verify_pairs(pairs);
  EXPECT_EQ(result.rates[0].false_accepts, 10);
  EXPECT_EQ(result.rates[0].accepted, 511);  // scores above 989
  EXPECT_EQ(result.rates[1].false_accepts, 1);
  EXPECT_EQ(result.rates[1].accepted, 502);
}

TEST(VerifyPairs, RefusesTooFewPairsAndNaN) {
  EXPECT_THROW(verify_pairs(separable(9)), Error);
  EXPECT_THROW(verify_pairs({}), Error);
  std::vector<ScoredPair> pairs = separable(20);
  pairs[3].score = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(verify_pairs(pairs), Error);
}

TEST(Likeness, KnownValues) {
  const std::vector<float> a = {1, 2, 3}, b = {2, 4, 6}, c = {-1, -2, -3}, zero = {0, 0, 0}, d = {1, 0, 0},
                           e = {0, 1, 0};
  EXPECT_DOUBLE_EQ(cosine_similarity(a, b), 1);
  EXPECT_DOUBLE_EQ(cosine_similarity(a, c), -1);
  EXPECT_DOUBLE_EQ(cosine_similarity(d, e), 0);
  EXPECT_DOUBLE_EQ(cosine_similarity(a, zero), 0);
  EXPECT_THROW(cosine_similarity(a, std::vector<float>{1}), Error);
  const std::vector<double> x = {1, 2, 3, 4}, y = {2, 4, 6, 8}, z = {8, 6, 4, 2}, flat = {1, 1, 1, 1},
                            w = {1, 3, 2, 4};
  EXPECT_DOUBLE_EQ(pearson_correlation(x, y), 1);
  EXPECT_DOUBLE_EQ(pearson_correlation(x, z), -1);
  EXPECT_DOUBLE_EQ(pearson_correlation(x, flat), 0);
  EXPECT_DOUBLE_EQ(pearson_correlation(x, w), 0.8);
}

TEST(Sqnr, KnownValues) {
  const std::vector<float> reference = {10, 0}, near = {9, 0};
  EXPECT_NEAR(sqnr_db(reference, near), 20, 1e-9);
  EXPECT_EQ(sqnr_db(reference, reference), std::numeric_limits<double>::infinity());
  EXPECT_EQ(sqnr_db(std::vector<float>{0}, std::vector<float>{1}), -std::numeric_limits<double>::infinity());
}

TEST(ComparePaired, CountsAndTests) {
  std::vector<bool> a(100, true), b(100, true);
  for (int i = 0; i < 10; ++i) b[i] = false;
  for (int i = 10; i < 12; ++i) a[i] = false;
  const PairedComparison result = compare_paired(a, b);
  EXPECT_EQ(result.only_a, 10);
  EXPECT_EQ(result.only_b, 2);
  EXPECT_DOUBLE_EQ(result.difference, -0.08);
  EXPECT_NEAR(result.mcnemar_p, 0.03857421875, 1e-9);  // 2 * (1 + 12 + 66) / 2^12
  EXPECT_LT(result.interval.low, -0.08);
  EXPECT_GT(result.interval.high, -0.08);
  EXPECT_GT(result.interval.low, -0.2);
  EXPECT_LT(result.interval.high, 0.02);
  EXPECT_EQ(result.count, 100);
  const PairedComparison same = compare_paired(a, a);
  EXPECT_DOUBLE_EQ(same.difference, 0);
  EXPECT_DOUBLE_EQ(same.mcnemar_p, 1);
  EXPECT_EQ(same.verdict(), Verdict::no_difference_seen);
  EXPECT_THROW(compare_paired(a, std::vector<bool>(3)), Error);
}

TEST(ComparePaired, SaysOnlyWhatItSaw) {
  struct Case {
    int only_a, only_b;
    Verdict verdict;
  };
  for (const Case& c :
       {Case{20, 2, Verdict::worse}, Case{2, 20, Verdict::better}, Case{6, 4, Verdict::no_difference_seen},
        Case{1, 0, Verdict::no_difference_seen}, Case{3, 0, Verdict::no_difference_seen}}) {
    std::vector<bool> a(200, true), b(200, true);
    for (int i = 0; i < c.only_a; ++i) b[static_cast<std::size_t>(i)] = false;
    for (int i = 0; i < c.only_b; ++i) a[static_cast<std::size_t>(100 + i)] = false;
    EXPECT_EQ(compare_paired(a, b).verdict(), c.verdict) << c.only_a << " " << c.only_b;
  }
}

TEST(Metrics, IdentificationTakesTheMostAlike) {
  const std::vector<std::vector<float>> gallery{{1, 0}, {0, 2}, {0, 1}},
      probes{{3, 1}, {1, 3}, {1, 3}, {-1, 0}};
  EXPECT_EQ(identify(gallery, {4, 5, 6}, probes, {4, 5, 6, 4}),
            (std::vector<bool>{true, true, false, false}));
  EXPECT_TRUE(identify(gallery, {4, 5, 6}, {}, {}).empty());
  EXPECT_THROW(identify({}, {}, probes, {1, 2, 3, 4}), Error);
  EXPECT_THROW(identify(gallery, {4, 5}, probes, {1, 2, 3, 4}), Error);
}

}  // namespace
}  // namespace eke
