#include "data/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"

namespace eke {
namespace {

constexpr double kZ95 = 1.959963984540054;

void sort_by_score(std::vector<ScoredPair>& pairs) {
  std::sort(pairs.begin(), pairs.end(),
            [](const ScoredPair& a, const ScoredPair& b) { return a.score < b.score; });
}

bool is_correct(const ScoredPair& pair, double threshold) { return (pair.score > threshold) == pair.same; }

std::int64_t correct_at(std::span<const ScoredPair> pairs, double threshold) {
  return std::count_if(pairs.begin(), pairs.end(),
                       [&](const ScoredPair& pair) { return is_correct(pair, threshold); });
}

// The lowest threshold with the most correct decisions, halfway between neighbouring scores.
double best_threshold(std::vector<ScoredPair> pairs) {
  sort_by_score(pairs);
  // Below all scores, everything is accepted.
  std::int64_t correct =
      std::count_if(pairs.begin(), pairs.end(), [](const ScoredPair& pair) { return pair.same; });
  std::int64_t best = correct;
  double threshold = std::nextafter(pairs.front().score, -std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    correct += pairs[i].same ? -1 : 1;
    const bool last = i + 1 == pairs.size();
    if (!last && pairs[i + 1].score == pairs[i].score) continue;
    if (correct > best) {
      best = correct;
      threshold = last ? pairs[i].score : (static_cast<double>(pairs[i].score) + pairs[i + 1].score) / 2;
    }
  }
  return threshold;
}

// Mann-Whitney: the share of (same, different) couples in which the same-pair scores higher.
double area_under_curve(std::vector<ScoredPair> pairs, std::int64_t same, std::int64_t different) {
  sort_by_score(pairs);
  double wins = 0;
  std::int64_t below = 0;
  for (std::size_t begin = 0; begin < pairs.size();) {
    std::size_t end = begin;
    std::int64_t tied_same = 0, tied_different = 0;
    for (; end < pairs.size() && pairs[end].score == pairs[begin].score; ++end) {
      ++(pairs[end].same ? tied_same : tied_different);
    }
    wins += static_cast<double>(tied_same) *
            (static_cast<double>(below) + 0.5 * static_cast<double>(tied_different));
    below += tied_different;
    begin = end;
  }
  return wins / (static_cast<double>(same) * static_cast<double>(different));
}

RateAt rate_at(double far, std::span<const ScoredPair> pairs) {
  RateAt rate;
  rate.far = far;
  std::vector<float> different;
  for (const ScoredPair& pair : pairs) {
    if (!pair.same) different.push_back(pair.score);
  }
  std::sort(different.begin(), different.end(), std::greater<>());
  const auto allowed =
      static_cast<std::size_t>(std::floor(far * static_cast<double>(different.size()) + 1e-9));
  rate.resolved = allowed >= 1;
  // Scores above this one are accepted: at most `allowed` of the different pairs, fewer when scores tie.
  rate.threshold = different[std::min(allowed, different.size() - 1)];
  for (const ScoredPair& pair : pairs) {
    ++(pair.same ? rate.same : rate.different);
    if (pair.score > rate.threshold) ++(pair.same ? rate.accepted : rate.false_accepts);
  }
  rate.tar = static_cast<double>(rate.accepted) / static_cast<double>(rate.same);
  return rate;
}

std::vector<int> folds_of(std::span<const ScoredPair> pairs, int folds) {
  std::int64_t same = 0, different = 0;
  for (const ScoredPair& pair : pairs) ++(pair.same ? same : different);
  std::vector<int> result;
  std::int64_t seen_same = 0, seen_different = 0;
  for (const ScoredPair& pair : pairs) {
    const std::int64_t position = pair.same ? seen_same++ : seen_different++;
    result.push_back(static_cast<int>(position * folds / (pair.same ? same : different)));
  }
  return result;
}

double binomial_two_sided(std::int64_t a, std::int64_t b) {
  const std::int64_t n = a + b;
  double tail = 0;
  for (std::int64_t k = 0; k <= std::min(a, b); ++k) {
    tail +=
        std::exp(std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) - n * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

}  // namespace

Interval wilson_interval(std::int64_t successes, std::int64_t total) {
  if (total <= 0) return {0, 1};
  const double n = static_cast<double>(total), p = static_cast<double>(successes) / n, z2 = kZ95 * kZ95;
  const double center = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ95 * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
  return {std::max(0.0, center - half), std::min(1.0, center + half)};
}

std::vector<int> top_k(std::span<const float> scores, int k) {
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto better = [&](int a, int b) {
    const bool nan_a = std::isnan(scores[a]), nan_b = std::isnan(scores[b]);
    if (nan_a || nan_b) return nan_a == nan_b ? a < b : nan_b;
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  };
  const std::size_t kept = std::min<std::size_t>(std::max(k, 0), order.size());
  std::partial_sort(order.begin(), order.begin() + kept, order.end(), better);
  order.resize(kept);
  return order;
}

Classification::Classification(int classes) : classes_(classes) {
  check(classes >= 1 && classes <= 20000, "{} classes: 1 to 20000 can be counted", classes);
  class_counts_.resize(classes);
  predicted_counts_.resize(classes);
}

void Classification::add(std::span<const float> scores, int label) {
  check(static_cast<int>(scores.size()) == classes_, "the network gives {} scores but there are {} classes",
        scores.size(), classes_);
  check(label >= 0 && label < classes_, "label {} is not within the network's {} classes", label, classes_);
  const std::vector<int> best = top_k(scores, 5);
  const bool first = best[0] == label;
  ++count_;
  top1_ += first;
  top5_ += std::find(best.begin(), best.end(), label) != best.end();
  ++confusion_[{label, best[0]}];
  ++class_counts_[label];
  ++predicted_counts_[best[0]];
  predictions_.push_back(best[0]);
  correct_.push_back(first);
}

std::int64_t Classification::confusion(int label, int predicted) const {
  const auto found = confusion_.find({label, predicted});
  return found == confusion_.end() ? 0 : found->second;
}

std::int64_t Classification::class_count(int label) const { return class_counts_.at(label); }

std::int64_t Classification::predicted_count(int predicted) const { return predicted_counts_.at(predicted); }

double Classification::class_accuracy(int label) const {
  const std::int64_t total = class_count(label);
  return total ? static_cast<double>(confusion(label, label)) / static_cast<double>(total) : 0;
}

double Classification::largest_predicted_share() const {
  if (!count_) return 0;
  const std::int64_t most = *std::max_element(predicted_counts_.begin(), predicted_counts_.end());
  return static_cast<double>(most) / static_cast<double>(count_);
}

Verification verify_pairs(std::span<const ScoredPair> pairs, int folds) {
  Verification result;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    check(std::isfinite(pairs[i].score), "the score of pair {} is not finite", i);
    ++(pairs[i].same ? result.same : result.different);
  }
  check(folds >= 2 && result.same >= folds && result.different >= folds,
        "{} same and {} different pairs: verification with {} folds needs at least {} of each", result.same,
        result.different, folds, folds);
  const std::vector<int> fold_of = folds_of(pairs, folds);
  for (int fold = 0; fold < folds; ++fold) {
    std::vector<ScoredPair> inside, outside;
    for (std::size_t i = 0; i < pairs.size(); ++i)
      (fold_of[i] == fold ? inside : outside).push_back(pairs[i]);
    const double threshold = best_threshold(outside);
    const std::int64_t correct = correct_at(inside, threshold);
    result.correct += correct;
    result.fold_thresholds.push_back(threshold);
    result.fold_accuracies.push_back(static_cast<double>(correct) / static_cast<double>(inside.size()));
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const double threshold = result.fold_thresholds[static_cast<std::size_t>(fold_of[i])];
    result.pair_correct.push_back(is_correct(pairs[i], threshold));
  }
  result.accuracy = mean(result.fold_accuracies);
  result.accuracy_deviation = standard_deviation(result.fold_accuracies);
  result.best_threshold = best_threshold({pairs.begin(), pairs.end()});
  result.best_accuracy =
      static_cast<double>(correct_at(pairs, result.best_threshold)) / static_cast<double>(pairs.size());
  result.auc = area_under_curve({pairs.begin(), pairs.end()}, result.same, result.different);
  for (double far : {1e-2, 1e-3}) result.rates.push_back(rate_at(far, pairs));
  return result;
}

std::vector<bool> identify(const std::vector<std::vector<float>>& gallery,
                           const std::vector<int>& gallery_labels,
                           const std::vector<std::vector<float>>& probes,
                           const std::vector<int>& probe_labels) {
  check(!gallery.empty() && gallery.size() == gallery_labels.size() && probes.size() == probe_labels.size(),
        "{} gallery entries with {} labels, {} probes with {}", gallery.size(), gallery_labels.size(),
        probes.size(), probe_labels.size());
  std::vector<bool> right;
  for (std::size_t p = 0; p < probes.size(); ++p) {
    std::size_t best = 0;
    double most = -2;
    for (std::size_t g = 0; g < gallery.size(); ++g) {
      const double likeness = cosine_similarity(gallery[g], probes[p]);
      if (likeness <= most) continue;
      most = likeness;
      best = g;
    }
    right.push_back(gallery_labels[best] == probe_labels[p]);
  }
  return right;
}

double cosine_similarity(std::span<const float> a, std::span<const float> b) {
  check(a.size() == b.size(), "cosine of vectors of {} and {} entries", a.size(), b.size());
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return aa > 0 && bb > 0 ? dot / (std::sqrt(aa) * std::sqrt(bb)) : 0;
}

double pearson_correlation(std::span<const double> a, std::span<const double> b) {
  check(a.size() == b.size(), "correlation of {} and {} numbers", a.size(), b.size());
  if (a.empty()) return 0;
  const double mean_a = mean(a), mean_b = mean(b);
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / (std::sqrt(aa) * std::sqrt(bb)) : 0;
}

double sqnr_db(std::span<const float> reference, std::span<const float> test) {
  check(reference.size() == test.size(), "SQNR of vectors of {} and {} entries", reference.size(),
        test.size());
  double signal = 0, noise = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double error = static_cast<double>(reference[i]) - test[i];
    signal += static_cast<double>(reference[i]) * reference[i];
    noise += error * error;
  }
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / noise);
}

std::string_view to_string(Verdict verdict) noexcept {
  return verdict == Verdict::worse ? "worse" : verdict == Verdict::better ? "better" : "no difference seen";
}

Verdict PairedComparison::verdict() const noexcept {
  constexpr double kLevel = 0.05;
  if (mcnemar_p >= kLevel || (interval.low <= 0 && interval.high >= 0)) return Verdict::no_difference_seen;
  return difference < 0 ? Verdict::worse : Verdict::better;
}

PairedComparison compare_paired(const std::vector<bool>& correct_a, const std::vector<bool>& correct_b,
                                int resamples) {
  check(correct_a.size() == correct_b.size() && !correct_a.empty() && resamples >= 100,
        "a paired comparison needs the same images in both ({} and {}) and at least 100 resamples ({})",
        correct_a.size(), correct_b.size(), resamples);
  PairedComparison result;
  const std::size_t n = correct_a.size();
  result.count = static_cast<std::int64_t>(n);
  for (std::size_t i = 0; i < n; ++i) {
    result.only_a += correct_a[i] && !correct_b[i];
    result.only_b += correct_b[i] && !correct_a[i];
  }
  result.difference = static_cast<double>(result.only_b - result.only_a) / static_cast<double>(n);
  result.mcnemar_p = binomial_two_sided(result.only_a, result.only_b);
  std::mt19937_64 random(20071);
  std::vector<std::int64_t> gains;
  for (int r = 0; r < resamples; ++r) {
    std::int64_t gain = 0;
    for (std::size_t i = 0; i < n; ++i) {
      // The modulus favours low indices by less than 2^-40 for any count of images.
      const std::size_t drawn = random() % n;
      gain += static_cast<int>(correct_b[drawn]) - static_cast<int>(correct_a[drawn]);
    }
    gains.push_back(gain);
  }
  std::sort(gains.begin(), gains.end());
  const auto quantile = [&](double q) {
    return static_cast<double>(gains[static_cast<std::size_t>(q * (resamples - 1) + 0.5)]) /
           static_cast<double>(n);
  };
  result.interval = {quantile(0.025), quantile(0.975)};
  return result;
}

}  // namespace eke
