// The images of a set, decoded and fitted to the size of a network, as bytes: those that fit into a budget stay
// in memory, the others are decoded each time. Const access may be shared between threads.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/threads.h"
#include "data/dataset.h"
#include "data/preprocess.h"

namespace eke {

class FittedImages {
 public:
  inline static constexpr std::size_t kDefaultBudget = std::size_t{64} << 20;

  // Decodes every image once, on all threads, and leaves out those that cannot be read. Throws when more than a
  // tenth of them (and more than 3) are such, naming the first.
  FittedImages(const Dataset& dataset, const Preprocess& how, const Threads& threads,
               std::size_t budget_bytes = kDefaultBudget);

  const Dataset& dataset() const noexcept { return dataset_; }  // without the unreadable ones
  const Preprocess& preprocess() const noexcept { return how_; }
  std::size_t size() const noexcept { return dataset_.size(); }
  const std::vector<std::string>& unreadable() const noexcept { return unreadable_; }  // why, one an image
  std::size_t kept_bytes() const noexcept;

  Image load(std::size_t i) const;

  // The same images without those that are not in `positions`.
  FittedImages select(const std::vector<std::size_t>& positions) const;

 private:
  FittedImages(Dataset dataset, const Preprocess& how) : dataset_(std::move(dataset)), how_(how) {}

  Dataset dataset_;
  Preprocess how_;
  std::vector<std::shared_ptr<const Image>> kept_;  // null: not in memory
  std::vector<std::string> unreadable_;
};

}  // namespace eke
