// Scores of a model on a data set: accuracy where images have classes, verification where there are pairs,
// and how alike the outputs of two models are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/inputs.h"
#include "cli/table.h"
#include "cli/timing.h"
#include "data/dataset.h"
#include "data/metrics.h"

namespace eke::cli {

struct Scores {
  std::optional<Classification> classification;
  std::optional<Verification> verification;
};

// Collects the first output of one model, row by row.
class Scorer {
 public:
  // Class c of the data is output c + class_offset of the model. The data set must outlive it.
  Scorer(const Dataset& data, int class_offset);
  void add(std::int64_t row, const std::vector<float>& output);
  Scores finish();

 private:
  const Dataset& data_;
  int class_offset_;
  Scores scores_;
  std::vector<std::vector<float>> embeddings_;  // of all rows, where there are pairs
};

// How alike the outputs of two models are on the same rows: one entry a row.
struct Likeness {
  std::vector<double> sqnr_db, cosine;
  void add(std::span<const float> reference, std::span<const float> test);
};

// Image by image, or pair by pair; none where the scores are of different kinds, or there are none.
std::optional<PairedComparison> compare_scores(const Scores& a, const Scores& b);

Json to_json(const Scores& scores);
Json to_json(const PairedComparison& comparison);
// "-0.36 points (-1.45 to +0.73 over 550): no difference seen"
std::string difference_text(const PairedComparison& comparison);
Json to_json(const Likeness& likeness);
// The one figure that stands for the scores: "64.15 % (417 of 650, 60.4 to 67.7)".
std::string headline(const Scores& scores);
std::string scores_text(const Scores& scores, const std::vector<std::string>& class_names);

}  // namespace eke::cli
