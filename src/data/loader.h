// Batches of a Dataset as network inputs, decoded and preprocessed in parallel. The bytes do not depend on
// the number of threads. Holds references: the dataset and the threads must outlive the loader.
#pragma once

#include "base/threads.h"
#include "data/dataset.h"
#include "data/preprocess.h"
#include "tensor/tensor.h"

namespace eke {

class BatchLoader {
 public:
  // Throws when the preprocessing is not valid.
  BatchLoader(const Dataset& dataset, const Preprocess& preprocess, const Threads& threads);

  std::size_t size() const noexcept { return dataset_.size(); }

  // Shape of a batch: Nx C xHxW or NxHxWx C by the layout.
  Shape shape(std::size_t batch) const;

  // Samples [begin, end) as f32. Throws when images cannot be read: how many of the batch, and the first by
  // name.
  Tensor load(std::size_t begin, std::size_t end) const;

  // The same into (end - begin) * preprocess.count() floats that the caller owns.
  void load_into(std::size_t begin, std::size_t end, float* out) const;

 private:
  const Dataset& dataset_;
  Preprocess preprocess_;
  const Threads& threads_;
};

}  // namespace eke
