#include "cli/study_verdicts.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "data/metrics.h"
#include "report/figures.h"

namespace eke::cli {

namespace {

using WrongImages = std::set<std::string>;

// The images that a variant got wrong, where it was evaluated with labels.
std::optional<std::pair<WrongImages, std::int64_t>> wrong_images(const std::vector<report::Run>& runs,
                                                                 const std::string& variant) {
  for (const report::Run& run : runs) {
    if (run.json["command"] != "eval" || run.json.value("model", "") != variant) continue;
    const auto wrong = run.json.find("wrong");
    if (wrong == run.json.end()) return std::nullopt;
    WrongImages images;
    for (const auto& entry : *wrong) images.insert(entry.value("image", ""));
    return std::pair(std::move(images), run.json.value("images", std::int64_t{0}));
  }
  return std::nullopt;
}

// Of so many images, those that only one of two models got right.
PairedComparison compare(std::int64_t only_a, std::int64_t only_b, std::int64_t images) {
  std::vector<bool> a(static_cast<std::size_t>(images), true), b = a;
  std::fill_n(b.begin(), only_a, false);
  std::fill_n(a.begin() + only_a, only_b, false);
  return compare_paired(a, b);
}

// What a variant costs or gains on the images that both saw.
std::optional<report::Verdict> accuracy_verdict(const std::vector<report::Run>& runs,
                                                const std::string& reference, const std::string& variant) {
  const auto a = wrong_images(runs, reference), b = wrong_images(runs, variant);
  if (!a || !b || a->second != b->second || a->second <= 0) return std::nullopt;
  const auto missing = [](const WrongImages& from, const WrongImages& in) {
    return std::count_if(from.begin(), from.end(), [&](const auto& image) { return !in.contains(image); });
  };
  const PairedComparison paired =
      compare(missing(b->first, a->first), missing(a->first, b->first), a->second);
  return report::accuracy_verdict(variant, reference, paired.difference, paired.interval.low,
                                  paired.interval.high, a->second);
}

// Such a result says itself how the two models differ on the same images.
bool compared_by_quantize(const std::vector<report::Run>& runs, const std::string& variant) {
  return std::any_of(runs.begin(), runs.end(), [&](const report::Run& run) {
    return run.json["command"] == "quantize" && run.json.value("output", "") == variant &&
           run.json.contains("difference");
  });
}

}  // namespace

std::vector<report::Verdict> verdicts_of(const std::vector<report::Run>& runs,
                                         const std::vector<std::string>& variants,
                                         const study::Limits& limits) {
  std::vector<report::Verdict> verdicts{report::choice_of(runs, variants, limits)};
  const auto compare_with = [&](const std::string& reference, const std::string& variant) {
    if (auto verdict = accuracy_verdict(runs, reference, variant)) verdicts.push_back(std::move(*verdict));
  };
  for (std::size_t i = 1; i < variants.size(); ++i)
    if (!compared_by_quantize(runs, variants[i])) compare_with(variants[0], variants[i]);
  // What quantization-aware training gains over quantization alone.
  if (variants.back().ends_with(".qat"))
    for (std::size_t i = 1; i + 1 < variants.size(); ++i) compare_with(variants[i], variants.back());
  return verdicts;
}

}  // namespace eke::cli
