#include "data/split.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "base/random.h"
#include "data/dataset_builder.h"

namespace eke {
namespace {

// Streams of Random that this file draws from.
constexpr std::uint64_t kSplitStream = 0x51, kOrderStream = 0x52;

void check_labels(const Dataset& dataset) {
  check(dataset.has_labels(), "data '{}' has no labels: give a folder per class, a CSV of file,class, or IDX",
        dataset.path());
}

void check_fraction(double fraction) {
  check(fraction >= 0 && fraction < 1, "a part of {} to validate on is not within 0 and 1", fraction);
}

// Positions of each class, in the order of the set.
std::vector<std::vector<std::size_t>> by_class(const Dataset& dataset) {
  check_labels(dataset);
  std::vector<std::vector<std::size_t>> result(dataset.classes().size());
  for (std::size_t i = 0; i < dataset.size(); ++i) {
    result[static_cast<std::size_t>(dataset.samples()[i].label)].push_back(i);
  }
  return result;
}

std::vector<bool> appears_again(const Dataset& dataset) {
  std::unordered_map<std::uint64_t, std::size_t> first;
  std::vector<bool> again(dataset.size(), false);
  for (std::size_t i = 0; i < dataset.size(); ++i) {
    const auto [entry, is_new] = first.emplace(dataset.content_hash(i), i);
    if (!is_new) again[i] = again[entry->second] = true;
  }
  return again;
}

TrainValidation parts_of(const std::vector<bool>& validates) {
  TrainValidation parts;
  for (std::size_t i = 0; i < validates.size(); ++i) {
    (validates[i] ? parts.validation : parts.train).push_back(i);
  }
  return parts;
}

Dataset relabelled(const Dataset& dataset, const std::vector<std::string>& classes,
                   const std::vector<int>& label_of) {
  Dataset result = dataset;
  DatasetBuilder::classes(result) = classes;
  for (Sample& sample : DatasetBuilder::samples(result)) {
    sample.label = label_of[static_cast<std::size_t>(sample.label)];
  }
  return result;
}

}  // namespace

TrainValidation split_by_class(const Dataset& dataset, double fraction, std::uint64_t seed) {
  check_fraction(fraction);
  std::vector<bool> validates(dataset.size(), false);
  if (fraction == 0) return parts_of(validates);
  const std::vector<bool> again = appears_again(dataset);
  std::size_t label = 0;
  for (std::vector<std::size_t>& members : by_class(dataset)) {
    const std::size_t all = members.size();
    std::erase_if(members, [&](std::size_t i) { return again[i]; });
    const auto wanted = static_cast<std::size_t>(fraction * static_cast<double>(all) + 0.5);
    const std::size_t count = all < 2 ? 0 : std::min({wanted, all - 1, members.size()});
    const auto order = shuffled(members.size(), Random(seed, kSplitStream, label++));
    for (std::size_t k = 0; k < count; ++k) validates[members[order[k]]] = true;
  }
  return parts_of(validates);
}

TrainValidation split_by_identity(const Dataset& dataset, double fraction, std::uint64_t seed) {
  check_fraction(fraction);
  const auto members = by_class(dataset);
  const auto count = static_cast<std::size_t>(fraction * static_cast<double>(members.size()) + 0.5);
  check(fraction == 0 || (count > 0 && count < members.size()),
        "{} classes leave none on one side when {} of them validate: add classes", members.size(), fraction);
  std::vector<bool> validates(dataset.size(), false);
  const auto order = shuffled(members.size(), Random(seed, kSplitStream));
  for (std::size_t k = 0; k < count; ++k) {
    for (const std::size_t i : members[order[k]]) validates[i] = true;
  }
  return parts_of(validates);
}

PerClassParts split_per_class(const Dataset& dataset, const PerClass& how) {
  check(how.train_per_class > 0 && how.train_per_class < how.per_class,
        "{} of {} images of each class to train on leave none on one side: give 1 to {}", how.train_per_class,
        how.per_class, how.per_class - 1);
  std::vector<std::size_t> train, validation;
  std::size_t most = 0;
  for (const auto& members : by_class(dataset)) {
    most = std::max(most, members.size());
    if (members.size() < how.per_class) continue;
    for (std::size_t k = 0; k < how.per_class; ++k) {
      (k < how.train_per_class ? train : validation).push_back(members[k]);
    }
  }
  check(!train.empty(), "no class of '{}' has {} images, the largest has {}: ask for fewer", dataset.path(),
        how.per_class, most);
  return {without_empty_classes(dataset.select(train)), without_empty_classes(dataset.select(validation))};
}

std::vector<std::size_t> class_counts(const Dataset& dataset) {
  check_labels(dataset);
  std::vector<std::size_t> counts(dataset.classes().size(), 0);
  for (const Sample& sample : dataset.samples()) ++counts[static_cast<std::size_t>(sample.label)];
  return counts;
}

Dataset without_empty_classes(const Dataset& dataset) {
  const std::vector<std::size_t> counts = class_counts(dataset);
  std::vector<std::string> classes;
  std::vector<int> label_of(counts.size(), -1);
  for (std::size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] == 0) continue;
    label_of[c] = static_cast<int>(classes.size());
    classes.push_back(dataset.classes()[c]);
  }
  return relabelled(dataset, classes, label_of);
}

Dataset without_labels(const Dataset& dataset) {
  Dataset result = dataset;
  DatasetBuilder::classes(result).clear();
  for (Sample& sample : DatasetBuilder::samples(result)) sample.label = -1;
  return result;
}

Dataset with_classes(const Dataset& dataset, const std::vector<std::string>& classes) {
  check_labels(dataset);
  std::map<std::string, int> positions;
  for (std::size_t i = 0; i < classes.size(); ++i) positions.emplace(classes[i], static_cast<int>(i));
  std::vector<int> label_of;
  for (const std::string& name : dataset.classes()) {
    const auto found = positions.find(name);
    check(found != positions.end(),
          "class '{}' is not among the {} classes of the model: rename it, or give a model with it", name,
          classes.size());
    label_of.push_back(found->second);
  }
  return relabelled(dataset, classes, label_of);
}

std::vector<std::size_t> epoch_order(const Dataset& dataset, bool balance, std::uint64_t seed,
                                     std::uint64_t epoch) {
  const Random random(seed, kOrderStream, epoch);
  if (!balance) return shuffled(dataset.size(), random);
  const auto members = by_class(dataset);
  std::size_t most = 0;
  for (const auto& list : members) most = std::max(most, list.size());
  // The repeated images of a class start at another place in each epoch, so that all get their turn.
  std::vector<std::size_t> positions;
  for (const auto& list : members) {
    for (std::size_t k = 0; !list.empty() && k < most; ++k) {
      positions.push_back(list[k < list.size() ? k : (k + epoch * (most - list.size())) % list.size()]);
    }
  }
  std::vector<std::size_t> order = shuffled(positions.size(), random);
  for (std::size_t& i : order) i = positions[i];
  return order;
}

}  // namespace eke
