// How the functions that recognise sets fill a Dataset; for the sources of datasets only.
#pragma once

#include <utility>

#include "data/dataset.h"

namespace eke {

// All images of one file have one size and lie one behind the other.
struct Dataset::Store {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<std::uint8_t> pixels;
};

// Gives the functions that recognise sets access to the parts of one.
struct DatasetBuilder {
  static Dataset make(DatasetKind kind, std::string path, std::string root) {
    Dataset dataset;
    dataset.kind_ = kind;
    dataset.path_ = std::move(path);
    dataset.root_ = std::move(root);
    return dataset;
  }
  static const std::string& root(const Dataset& dataset) { return dataset.root_; }
  static std::vector<std::string>& classes(Dataset& dataset) { return dataset.classes_; }
  static std::vector<Sample>& samples(Dataset& dataset) { return dataset.samples_; }
  static std::vector<Pair>& pairs(Dataset& dataset) { return dataset.pairs_; }
  static void store(Dataset& dataset, const std::vector<std::int64_t>& extents,
                    std::vector<std::uint8_t> pixels);
};

}  // namespace eke
