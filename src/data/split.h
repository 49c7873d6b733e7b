// Parts of a labelled set for training and for validation, by seed, so that no image is in both. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace eke {

struct TrainValidation {
  std::vector<std::size_t> train, validation;  // positions in the set, ascending; validation may be empty
};

// About `fraction` of the images of each class validate. Classes of one image train, and so do images whose bytes
// are in the set more than once, since a copy of them could be on the other side.
TrainValidation split_by_class(const Dataset& dataset, double fraction, std::uint64_t seed);

// About `fraction` of the classes validate, with all their images: for embeddings, which meet new identities.
TrainValidation split_by_identity(const Dataset& dataset, double fraction, std::uint64_t seed);

// The classes with at least `per_class` images, and of each the first `per_class` by the order of the set: of
// those the first `train_per_class` train, the others validate. Classes are renumbered without gaps.
struct PerClass {
  std::size_t per_class = 0, train_per_class = 0;
};
struct PerClassParts {
  Dataset train, validation;
};
PerClassParts split_per_class(const Dataset& dataset, const PerClass& how);

// How many images of each class.
std::vector<std::size_t> class_counts(const Dataset& dataset);

// The set with only the classes that have images, numbered without gaps.
Dataset without_empty_classes(const Dataset& dataset);

// The set under another list of names: each class takes the position of its name in `classes`. Throws with the
// class that is not there.
Dataset with_classes(const Dataset& dataset, const std::vector<std::string>& classes);

// The same images without their classes.
Dataset without_labels(const Dataset& dataset);

// Positions in random order for one epoch. `balance`: each class as often as the largest, by repeating its
// images.
std::vector<std::size_t> epoch_order(const Dataset& dataset, bool balance, std::uint64_t seed,
                                     std::uint64_t epoch);

}  // namespace eke
