#include "cli/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace eke::cli {

namespace {

constexpr int kMatrixClasses = 100;  // above this the confusion matrix is given as a list
constexpr int kShownConfusions = 10;

struct Confusion {
  int label, predicted;
  std::int64_t count;
};

// Wrong predictions, most frequent first.
std::vector<Confusion> confusions(const Classification& c) {
  std::vector<Confusion> list;
  for (int label = 0; label < c.classes(); ++label) {
    if (c.class_count(label) == 0) continue;
    for (int predicted = 0; predicted < c.classes(); ++predicted) {
      const std::int64_t count = predicted == label ? 0 : c.confusion(label, predicted);
      if (count > 0) list.push_back({label, predicted, count});
    }
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const Confusion& a, const Confusion& b) { return a.count > b.count; });
  return list;
}

Json proportion_json(std::int64_t correct, std::int64_t count) {
  const Interval interval = wilson_interval(correct, count);
  return {{"accuracy", count ? static_cast<double>(correct) / static_cast<double>(count) : 0.0},
          {"correct", correct},
          {"low", interval.low},
          {"high", interval.high}};
}

Json to_json(const Classification& c) {
  Json json{{"images", c.count()},
            {"top1", proportion_json(c.top1_correct(), c.count())},
            {"top5", proportion_json(c.top5_correct(), c.count())},
            {"largest_predicted_share", c.largest_predicted_share()}};
  json["confusion"] = Json::array();
  if (c.classes() <= kMatrixClasses) {
    for (int label = 0; label < c.classes(); ++label) {
      Json row = Json::array();
      for (int predicted = 0; predicted < c.classes(); ++predicted)
        row.push_back(c.confusion(label, predicted));
      json["confusion"].push_back(std::move(row));
    }
  } else {
    for (const Confusion& item : confusions(c)) {
      json["confusion"].push_back(
          {{"class", item.label}, {"predicted", item.predicted}, {"images", item.count}});
    }
  }
  return json;
}

Json to_json(const Verification& v) {
  Json json{{"accuracy", v.accuracy},
            {"deviation_over_folds", v.accuracy_deviation},
            {"folds", v.fold_accuracies.size()},
            {"correct", v.correct},
            {"auc", v.auc},
            {"threshold", v.best_threshold},
            {"rates", Json::array()}};
  for (const RateAt& rate : v.rates) {
    json["rates"].push_back({{"far", rate.far},
                             {"tar", rate.tar},
                             {"threshold", rate.threshold},
                             {"false_accepts", rate.false_accepts},
                             {"different", rate.different},
                             {"resolved", rate.resolved}});
  }
  return json;
}

std::string proportion_text(std::int64_t correct, std::int64_t count) {
  const Interval interval = wilson_interval(correct, count);
  return fmt::format(
      "{} ({} of {}; 95 % interval {:.2f} to {:.2f})",
      percent_text(static_cast<double>(correct) / static_cast<double>(std::max<std::int64_t>(count, 1))),
      correct, count, 100 * interval.low, 100 * interval.high);
}

std::string class_name(int index, const std::vector<std::string>& names) {
  return static_cast<std::size_t>(index) < names.size() ? names[static_cast<std::size_t>(index)]
                                                        : std::to_string(index);
}

std::string matrix_text(const Classification& c, const std::vector<std::string>& names) {
  std::vector<Column> columns{{"true \\ predicted", Align::left, 24}};
  for (int i = 0; i < c.classes(); ++i) columns.push_back({class_name(i, names), Align::right, 12});
  Table table(columns);
  for (int label = 0; label < c.classes(); ++label) {
    std::vector<std::string> cells{class_name(label, names)};
    for (int predicted = 0; predicted < c.classes(); ++predicted)
      cells.push_back(std::to_string(c.confusion(label, predicted)));
    table.add(cells);
  }
  return table.text();
}

std::string confusions_text(const Classification& c, const std::vector<std::string>& names) {
  const std::vector<Confusion> list = confusions(c);
  Table table({{"most confused", Align::left, 40}, {"taken for", Align::left, 40}, {"images"}, {"of"}});
  for (std::size_t i = 0; i < std::min<std::size_t>(list.size(), kShownConfusions); ++i) {
    table.add({class_name(list[i].label, names), class_name(list[i].predicted, names),
               std::to_string(list[i].count), std::to_string(c.class_count(list[i].label))});
  }
  return list.empty() ? "" : table.text();
}

std::string classification_text(const Classification& c, const std::vector<std::string>& names) {
  std::string text = fmt::format("top-1  {}\n", proportion_text(c.top1_correct(), c.count()));
  if (c.classes() > 5) text += fmt::format("top-5  {}\n", proportion_text(c.top5_correct(), c.count()));
  return text + "\n" + (c.classes() <= 12 ? matrix_text(c, names) : confusions_text(c, names));
}

std::string verification_text(const Verification& v) {
  std::string text = fmt::format("pairs     {} same, {} different\n", v.same, v.different);
  text += fmt::format("accuracy  {} +- {:.2f} over {} folds\n", percent_text(v.accuracy),
                      100 * v.accuracy_deviation, v.fold_accuracies.size());
  text += fmt::format("AUC       {:.5f}\n", v.auc);
  for (const RateAt& rate : v.rates) {
    text +=
        fmt::format("TAR       {} at FAR {:g} (threshold {:.4f}{})\n", percent_text(rate.tar), rate.far,
                    rate.threshold, rate.resolved ? "" : "; too few different pairs to resolve this rate");
  }
  return text;
}

}  // namespace

Scorer::Scorer(const Dataset& data, int class_offset) : data_(data), class_offset_(class_offset) {
  if (!data.pairs().empty()) embeddings_.resize(data.size());
}

void Scorer::add(std::int64_t row, const std::vector<float>& output) {
  const auto index = static_cast<std::size_t>(row);
  check_finite(output, data_.samples()[index].id);
  if (!embeddings_.empty()) embeddings_[index] = output;
  if (!data_.has_labels()) return;
  if (!scores_.classification)
    scores_.classification.emplace(static_cast<int>(std::min<std::size_t>(output.size(), 1u << 30)));
  with_context([&] { return "image '" + data_.samples()[index].id + "'"; },
               [&] { scores_.classification->add(output, data_.samples()[index].label + class_offset_); });
}

Scores Scorer::finish() {
  if (!embeddings_.empty()) {
    std::vector<ScoredPair> pairs;
    for (const Pair& pair : data_.pairs()) {
      pairs.push_back(
          {static_cast<float>(cosine_similarity(embeddings_[pair.a], embeddings_[pair.b])), pair.same});
    }
    scores_.verification = verify_pairs(pairs);
  }
  return std::move(scores_);
}

void Likeness::add(std::span<const float> reference, std::span<const float> test) {
  sqnr_db.push_back(eke::sqnr_db(reference, test));
  cosine.push_back(cosine_similarity(reference, test));
}

std::optional<PairedComparison> compare_scores(const Scores& a, const Scores& b) {
  if (a.verification && b.verification)
    return compare_paired(a.verification->pair_correct, b.verification->pair_correct);
  if (!a.classification || !b.classification) return std::nullopt;
  return compare_paired(a.classification->correct(), b.classification->correct());
}

Json to_json(const PairedComparison& p) {
  return {{"accuracy", p.difference}, {"low", p.interval.low},
          {"high", p.interval.high},  {"count", p.count},
          {"only_first", p.only_a},   {"only_second", p.only_b},
          {"mcnemar_p", p.mcnemar_p}, {"verdict", to_string(p.verdict())}};
}

std::string difference_text(const PairedComparison& p) {
  return fmt::format("{:+.2f} points ({:+.2f} to {:+.2f} over {}): {}", 100 * p.difference,
                     100 * p.interval.low, 100 * p.interval.high, p.count, to_string(p.verdict()));
}

Json to_json(const Scores& scores) {
  Json json = Json::object();
  if (scores.classification) json = to_json(*scores.classification);
  if (scores.verification) {
    json["pairs"] = {{"same", scores.verification->same}, {"different", scores.verification->different}};
    json["verification"] = to_json(*scores.verification);
  }
  return json;
}

Json to_json(const Likeness& likeness) {
  const Spread sqnr = spread_of(likeness.sqnr_db), cosine = spread_of(likeness.cosine);
  // JSON has no infinity: equal outputs give null.
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
  return {
      {"images", likeness.cosine.size()},
      {"sqnr_db", {{"median", number(sqnr.median)}, {"p10", number(sqnr.p10)}, {"p90", number(sqnr.p90)}}},
      {"cosine", to_json(cosine)}};
}

std::string headline(const Scores& scores) {
  if (scores.verification) {
    return fmt::format("{} +- {:.2f} of {} pairs", percent_text(scores.verification->accuracy),
                       100 * scores.verification->accuracy_deviation,
                       scores.verification->same + scores.verification->different);
  }
  const Classification& c = *scores.classification;
  const Interval interval = c.top1_interval();
  return fmt::format("{} ({} of {}; {:.2f} to {:.2f})", percent_text(c.top1()), c.top1_correct(), c.count(),
                     100 * interval.low, 100 * interval.high);
}

std::string scores_text(const Scores& scores, const std::vector<std::string>& class_names) {
  std::string text;
  if (scores.classification) text += classification_text(*scores.classification, class_names);
  if (scores.verification) text += verification_text(*scores.verification);
  return text;
}

}  // namespace eke::cli
