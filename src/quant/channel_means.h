// The mean of each channel (axis 1) of a tensor over the calibration images. Each image is summed in one
// fixed order whatever the batch and the threads, so that the result depends on neither.
#pragma once

#include <cstdint>
#include <vector>

#include "base/threads.h"
#include "tensor/tensor.h"

namespace eke {

class ChannelMeans {
 public:
  // The first `images` of the entries along axis 0 of an f32 tensor of rank 2 or more; `channels_last`: the
  // bytes of each image lie with axis 1 innermost. Values must be finite.
  void observe(const TensorView& view, bool channels_last, std::int64_t images, const Threads& threads);

  std::vector<float> means() const;  // empty before the first value
  std::size_t bytes() const noexcept { return sums_.size() * sizeof(double); }

 private:
  std::vector<double> sums_;  // of the images' means
  std::int64_t images_ = 0;
};

}  // namespace eke
