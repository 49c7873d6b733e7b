// What is said of predictions: accuracy, verification, likeness of outputs, and the uncertainty of each. Pure
// functions of numbers; every rate comes with the counts that it stands on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/statistics.h"

namespace eke {

// Wilson's score interval of a proportion; [0, 1] for total 0.
Interval wilson_interval(std::int64_t successes, std::int64_t total);

// Indices of the k largest scores (all, if there are fewer), best first; of equal scores the lower index
// comes first, and NaN counts as the lowest.
std::vector<int> top_k(std::span<const float> scores, int k);

// Counts over labelled images. Rows of the confusion matrix are true classes, columns predictions.
class Classification {
 public:
  // 1 <= classes <= 20000.
  explicit Classification(int classes);

  // `scores` has one entry a class. Throws on another size and on a label outside 0..classes-1.
  void add(std::span<const float> scores, int label);

  int classes() const noexcept { return classes_; }
  std::int64_t count() const noexcept { return count_; }
  std::int64_t top1_correct() const noexcept { return top1_; }
  std::int64_t top5_correct() const noexcept { return top5_; }
  double top1() const noexcept { return count_ ? static_cast<double>(top1_) / count_ : 0; }
  double top5() const noexcept { return count_ ? static_cast<double>(top5_) / count_ : 0; }
  Interval top1_interval() const { return wilson_interval(top1_, count_); }

  std::int64_t confusion(int label, int predicted) const;
  std::int64_t class_count(int label) const;          // images of the class
  std::int64_t predicted_count(int predicted) const;  // images put into the class
  double class_accuracy(int label) const;             // 0 for a class without images
  double largest_predicted_share() const;             // near 1 when a model has collapsed

  // Per image in the order of add(): was the best score the label's?
  const std::vector<bool>& correct() const noexcept { return correct_; }
  const std::vector<int>& predictions() const noexcept { return predictions_; }

 private:
  int classes_;
  std::int64_t count_ = 0, top1_ = 0, top5_ = 0;
  std::map<std::pair<int, int>, std::int64_t> confusion_;  // only cells that are not zero
  std::vector<std::int64_t> class_counts_, predicted_counts_;
  std::vector<int> predictions_;
  std::vector<bool> correct_;
};

// One pair of a verification protocol: how alike two images are, and whether they show the same thing.
struct ScoredPair {
  float score;
  bool same;
};

struct RateAt {
  double far = 0;  // the false accept rate asked for
  double tar = 0;  // share of the same-pairs whose score is above the threshold
  double threshold = 0;
  std::int64_t accepted = 0, same = 0;            // tar = accepted / same
  std::int64_t false_accepts = 0, different = 0;  // false_accepts <= far * different
  bool resolved = false;  // at least one false accept is allowed: far * different >= 1
};

struct Verification {
  std::int64_t same = 0, different = 0;
  double accuracy = 0;            // mean over the folds
  double accuracy_deviation = 0;  // sample standard deviation over the folds
  std::int64_t correct = 0;       // over all folds
  std::vector<double> fold_accuracies, fold_thresholds;
  double best_threshold = 0;       // over all pairs
  double best_accuracy = 0;        // with best_threshold: optimistic, for comparison only
  double auc = 0;                  // area under the ROC curve, ties counted half
  std::vector<RateAt> rates;       // at 1e-2 and 1e-3
  std::vector<bool> pair_correct;  // of each pair, by the threshold of its fold
};

// LFW's protocol (Huang et al. 2007): the threshold of each fold is the one that is best on the others. Pairs
// are dealt to folds in order, same and different ones apart, so that folds are balanced. Throws when there
// are fewer same or different pairs than folds, or a score is not finite.
Verification verify_pairs(std::span<const ScoredPair> pairs, int folds = 10);

// Rank-1 identification: of each probe, whether the entry of the gallery that is most alike by cosine (of equals the
// first) bears its label. A label for each vector; the gallery is not empty; all vectors have one length.
std::vector<bool> identify(const std::vector<std::vector<float>>& gallery,
                           const std::vector<int>& gallery_labels,
                           const std::vector<std::vector<float>>& probes,
                           const std::vector<int>& probe_labels);

// Likeness of two vectors of equal length (throws otherwise). Cosine and correlation are 0 where one of them
// has no length or no variance.
double cosine_similarity(std::span<const float> a, std::span<const float> b);
double pearson_correlation(std::span<const double> a, std::span<const double> b);

// 10 log10(sum of reference^2 / sum of (reference - test)^2) in dB; infinite for equal vectors.
double sqnr_db(std::span<const float> reference, std::span<const float> test);

// What a comparison in pairs allows to say.
enum class Verdict { no_difference_seen, worse, better };
std::string_view to_string(Verdict verdict) noexcept;  // "no difference seen", "worse", "better"

// The same images, or pairs of images, judged by two models.
struct PairedComparison {
  std::int64_t count = 0;
  std::int64_t only_a = 0, only_b = 0;  // those that only one of them gets right
  double difference = 0;                // accuracy of b minus that of a
  Interval interval;                    // percentile bootstrap, deterministic
  double mcnemar_p = 1;                 // exact two-sided binomial test on only_a, only_b

  // Of b against a: a difference was seen where the interval leaves 0 out and the test says so too.
  Verdict verdict() const noexcept;
};
PairedComparison compare_paired(const std::vector<bool>& correct_a, const std::vector<bool>& correct_b,
                                int resamples = 2000);

}  // namespace eke
