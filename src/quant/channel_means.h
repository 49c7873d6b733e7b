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

  // Empty before the first value.
  std::vector<float> means() const { return averaged(sums_); }
  std::vector<float> mean_squares() const { return averaged(squares_); }
  const std::vector<float>& peaks() const noexcept { return peaks_; }  // largest magnitudes
  std::size_t bytes() const noexcept { return sums_.size() * (2 * sizeof(double) + sizeof(float)); }

 private:
  std::vector<float> averaged(const std::vector<double>& sums) const;

  std::vector<double> sums_, squares_;  // of the images' means
  std::vector<float> peaks_;
  std::int64_t images_ = 0;
};

}  // namespace eke
