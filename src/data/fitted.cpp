#include "data/fitted.h"

#include <atomic>

#include "base/error.h"

namespace eke {

FittedImages::FittedImages(const Dataset& dataset, const Preprocess& how, const Threads& threads,
                           std::size_t budget_bytes)
    : how_(how) {
  verify(how);
  const std::size_t each = how.count(), keep = budget_bytes / each;
  std::vector<std::shared_ptr<const Image>> images(dataset.size());
  std::vector<std::string> errors(dataset.size());
  threads.for_ranges(dataset.size(), [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      try {
        Image image = fit_image(dataset.load(i), how);
        if (i < keep) images[i] = std::make_shared<const Image>(std::move(image));
      } catch (const std::exception& error) {
        errors[i] = error.what();
      }
    }
  });
  std::vector<std::size_t> readable;
  for (std::size_t i = 0; i < dataset.size(); ++i) {
    if (errors[i].empty()) {
      readable.push_back(i);
      kept_.push_back(std::move(images[i]));
    } else {
      unreadable_.push_back(std::move(errors[i]));
    }
  }
  check(unreadable_.size() <= std::max<std::size_t>(3, dataset.size() / 10),
        "{} of {} images of '{}' cannot be read: repair or remove them; the first: {}", unreadable_.size(),
        dataset.size(), dataset.path(), unreadable_.empty() ? std::string() : unreadable_.front());
  dataset_ = dataset.select(readable);
}

std::size_t FittedImages::kept_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const auto& image : kept_) bytes += image ? image->pixels.size() : 0;
  return bytes;
}

Image FittedImages::load(std::size_t i) const {
  return kept_.at(i) ? *kept_[i] : fit_image(dataset_.load(i), how_);
}

FittedImages FittedImages::select(const std::vector<std::size_t>& positions) const {
  FittedImages part(dataset_.select(positions), how_);
  for (const std::size_t i : positions) part.kept_.push_back(kept_.at(i));
  return part;
}

}  // namespace eke
