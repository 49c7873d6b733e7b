#include "cli/embeddings.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/evaluate.h"

namespace eke::cli {

namespace {

constexpr const char *kFloat = "float", *kMixed = "float gallery, int8 probes", *kInt8 = "int8";

struct Verified {
  Verification verification;
  std::vector<std::vector<bool>> accepted;  // per rate: of each same-pair
};

Verified verified(const std::vector<Pair>& pairs, const Embeddings& gallery, const Embeddings& probes) {
  std::vector<ScoredPair> scored;
  for (const Pair& pair : pairs)
    scored.push_back({static_cast<float>(cosine_similarity(gallery[pair.a], probes[pair.b])), pair.same});
  Verified result{verify_pairs(scored), {}};
  for (const RateAt& rate : result.verification.rates) {
    result.accepted.emplace_back();
    for (const ScoredPair& pair : scored) {
      if (pair.same) result.accepted.back().push_back(double{pair.score} > rate.threshold);
    }
  }
  return result;
}

EmbeddingSetting setting(const std::string& what, const std::vector<bool>& in_float,
                         const std::vector<bool>& right) {
  EmbeddingSetting result{.what = what};
  result.right = std::ranges::count(right, true);
  result.count = static_cast<std::int64_t>(right.size());
  result.accuracy = compare_paired(in_float, right);
  return result;
}

std::string difference(const PairedComparison& p) {
  return fmt::format("{:+.2f} ({:+.2f} to {:+.2f})", 100 * p.difference, 100 * p.interval.low,
                     100 * p.interval.high);
}

}  // namespace

EmbeddingComparison compare_verification(const std::vector<Pair>& pairs, const Embeddings& in_float,
                                         const Embeddings& in_int8) {
  EmbeddingComparison result{.by_pairs = true};
  const Verified reference = verified(pairs, in_float, in_float);
  const auto add = [&](const char* what, const Verified& v) {
    EmbeddingSetting s = setting(what, reference.verification.pair_correct, v.verification.pair_correct);
    for (std::size_t i = 0; i < v.accepted.size(); ++i) {
      const RateAt& rate = v.verification.rates[i];
      s.rates.push_back(
          {rate.far, rate.tar, compare_paired(reference.accepted[i], v.accepted[i]), rate.resolved});
    }
    result.settings.push_back(std::move(s));
  };
  add(kFloat, reference);
  add(kMixed, verified(pairs, in_float, in_int8));
  add(kInt8, verified(pairs, in_int8, in_int8));
  return result;
}

EmbeddingComparison compare_identification(const std::vector<int>& persons, const Embeddings& in_float,
                                           const Embeddings& in_int8) {
  std::map<int, std::vector<std::size_t>> images;
  for (std::size_t i = 0; i < persons.size(); ++i) images[persons[i]].push_back(i);
  std::vector<std::size_t> gallery, probes;
  std::vector<int> gallery_persons, probe_persons;
  for (const auto& [person, of_person] : images) {
    if (of_person.size() < 2) continue;
    gallery.push_back(of_person[0]);
    gallery_persons.push_back(person);
    for (std::size_t i = 1; i < of_person.size(); ++i) {
      probes.push_back(of_person[i]);
      probe_persons.push_back(person);
    }
  }
  EmbeddingComparison result;
  result.persons = static_cast<std::int64_t>(gallery.size());
  if (gallery.size() < 2) return result;
  const auto chosen = [](const Embeddings& all, const std::vector<std::size_t>& which) {
    Embeddings some;
    for (const std::size_t i : which) some.push_back(all[i]);
    return some;
  };
  const auto right = [&](const Embeddings& enrolled, const Embeddings& shown) {
    return identify(chosen(enrolled, gallery), gallery_persons, chosen(shown, probes), probe_persons);
  };
  const std::vector<bool> reference = right(in_float, in_float);
  result.settings.push_back(setting(kFloat, reference, reference));
  result.settings.push_back(setting(kMixed, reference, right(in_float, in_int8)));
  result.settings.push_back(setting(kInt8, reference, right(in_int8, in_int8)));
  return result;
}

Json to_json(const EmbeddingComparison& comparison) {
  Json json{{"protocol", comparison.by_pairs ? "verification" : "identification"},
            {"settings", Json::array()}};
  if (!comparison.by_pairs) json["persons"] = comparison.persons;
  for (const EmbeddingSetting& s : comparison.settings) {
    Json entry{{"what", s.what},
               {"right", s.right},
               {"count", s.count},
               {"difference", to_json(s.accuracy)},
               {"rates", Json::array()}};
    for (const EmbeddingSetting::Rate& rate : s.rates)
      entry["rates"].push_back({{"far", rate.far},
                                {"tar", rate.tar},
                                {"resolved", rate.resolved},
                                {"difference", to_json(rate.difference)}});
    json["settings"].push_back(std::move(entry));
  }
  return json;
}

std::string embeddings_text(const EmbeddingComparison& comparison) {
  if (comparison.settings.empty()) return "";
  std::vector<Column> columns{{comparison.by_pairs ? "verification" : "identification", Align::left},
                              {"right"},
                              {"against float, points"}};
  for (const EmbeddingSetting::Rate& rate : comparison.settings[0].rates) {
    columns.push_back({fmt::format("TAR at FAR {:g}{}", rate.far, rate.resolved ? "" : " (too few pairs)")});
    columns.push_back({"against float, points"});
  }
  Table table(columns);
  for (const EmbeddingSetting& s : comparison.settings) {
    std::vector<std::string> cells{s.what, fmt::format("{} of {}", s.right, s.count), difference(s.accuracy)};
    for (const EmbeddingSetting::Rate& rate : s.rates) {
      cells.push_back(percent_text(rate.tar));
      cells.push_back(difference(rate.difference));
    }
    table.add(cells);
  }
  return table.text();
}

}  // namespace eke::cli
