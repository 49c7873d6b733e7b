// Training batches ahead of the step that wants them: a thread of its own decodes, augments and normalizes while
// the step computes. What a batch holds depends on the seed, the epoch and its number, never on timing.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "data/augment.h"
#include "data/fitted.h"

namespace eke {

struct TrainBatch {
  std::vector<float> images;  // batch x channels x height x width (or the layout of the preprocessing)
  std::vector<std::int64_t> labels;
};

struct StreamOptions {
  std::size_t batch = 32;
  Augmentation augmentation = {};
  bool balance = false;
  std::uint64_t seed = 0;
  std::size_t ahead = 3;  // batches that may wait
};

// One epoch: every image once, and what the last batch lacks from the beginning again. `images` must outlive it. One
// thread calls next().
class BatchStream {
 public:
  // Starts at batch `first`, which is how an interrupted epoch goes on.
  BatchStream(const FittedImages& images, const StreamOptions& options, std::uint64_t epoch,
              std::size_t first = 0);
  ~BatchStream();
  BatchStream(const BatchStream&) = delete;
  BatchStream& operator=(const BatchStream&) = delete;

  std::size_t batches() const noexcept { return batches_; }  // of the whole epoch

  // The next batch; false after the last. Throws what reading an image threw.
  bool next(TrainBatch& batch);

 private:
  void work(std::size_t first);
  void fill(std::size_t number, TrainBatch& batch) const;

  const FittedImages& images_;
  StreamOptions options_;
  std::uint64_t epoch_;
  std::vector<std::size_t> order_;
  std::size_t batches_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<TrainBatch> ready_, spare_;
  std::exception_ptr error_;
  bool stop_ = false, done_ = false;
  std::thread thread_;
};

}  // namespace eke
