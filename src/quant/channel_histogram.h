// How the positive values of each channel (axis 1) are spread over the calibration images: what decides how much a
// Clip at another bound would cut. Counts are integers, so that the result depends on neither batches nor threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/threads.h"
#include "tensor/tensor.h"

namespace eke {

class ChannelHistogram {
 public:
  // Bin 0 holds what is below 2^-12 (and all negative values), the last one what is 2^8 or more; in between bin b
  // holds values around value_of(b), four bins to a power of two.
  static constexpr int kBins = 82;
  static double value_of(int bin);  // 0 for bin 0

  // The first `images` of the entries along axis 0 of an f32 tensor of rank 2 or more; `channels_last`: the bytes of
  // each image lie with axis 1 innermost. Values must be finite.
  void observe(const TensorView& view, bool channels_last, std::int64_t images, const Threads& threads);

  // kBins a channel; empty before the first value.
  const std::vector<std::uint32_t>& counts() const noexcept { return counts_; }
  std::size_t bytes() const noexcept { return counts_.size() * sizeof(std::uint32_t); }

 private:
  std::vector<std::uint32_t> counts_;
};

}  // namespace eke
