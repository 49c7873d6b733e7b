#include "data/prefetch.h"

#include "base/error.h"
#include "data/split.h"

namespace eke {

BatchStream::BatchStream(const FittedImages& images, const StreamOptions& options, std::uint64_t epoch,
                         std::size_t first)
    : images_(images),
      options_(options),
      epoch_(epoch),
      order_(epoch_order(images.dataset(), options.balance, options.seed, epoch)) {
  check(options.batch > 0 && options.ahead > 0, "a batch of {} with {} ahead: give 1 or more", options.batch,
        options.ahead);
  batches_ = (order_.size() + options.batch - 1) / options.batch;
  thread_ = std::thread([this, first] { work(first); });
}

BatchStream::~BatchStream() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool BatchStream::next(TrainBatch& batch) {
  std::unique_lock lock(mutex_);
  if (!batch.images.empty()) spare_.push_back(std::move(batch));
  changed_.wait(lock, [&] { return !ready_.empty() || done_; });
  if (ready_.empty()) {
    if (error_) std::rethrow_exception(error_);
    return false;
  }
  batch = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return true;
}

void BatchStream::work(std::size_t first) {
  std::exception_ptr error;
  try {
    for (std::size_t number = first; number < batches_; ++number) {
      TrainBatch batch;
      {
        const std::lock_guard lock(mutex_);
        if (!spare_.empty()) {
          batch = std::move(spare_.front());
          spare_.pop_front();
        }
      }
      fill(number, batch);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || ready_.size() < options_.ahead; });
      if (stop_) return;
      ready_.push_back(std::move(batch));
      changed_.notify_all();
    }
  } catch (...) {
    error = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  error_ = error;
  done_ = true;
  changed_.notify_all();
}

void BatchStream::fill(std::size_t number, TrainBatch& batch) const {
  const std::size_t size = images_.preprocess().count();
  batch.images.resize(options_.batch * size);
  batch.labels.resize(options_.batch);
  for (std::size_t k = 0; k < options_.batch; ++k) {
    const std::size_t place = number * options_.batch + k, i = order_[place % order_.size()];
    batch.labels[k] = images_.dataset().samples()[i].label;
    // An image that comes again is drawn anew: the place in the epoch decides.
    const Random random(options_.seed, epoch_ + 1, place);
    const Image image = augmented(images_.load(i), options_.augmentation, random);
    normalize(image, images_.preprocess(), &batch.images[k * size]);
  }
}

}  // namespace eke
