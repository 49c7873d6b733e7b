// Chooses the integers of a layer's weights where an activation behind it cuts its sums: a sum that is cut anyway may be
// wrong by much, and the others come closer to the float layer for it (the rounding of Nagel et al. 2020, "Up or Down?",
// section 3.3, sees the activation, too). From integers that round_weights.h has chosen, by coordinate descent over the
// samples themselves, since what counts differs from output to output. Threads may share a ReadSamples that is filled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quant/round_weights.h"

namespace eke {

// What a layer reads, a column an input, a sample for each of its sums.
class ReadSamples {
 public:
  ReadSamples(std::size_t inputs, std::size_t samples) : samples_(samples), values_(inputs * samples) {}

  // The next sample; no more than there is room for.
  void add(std::span<const float> read);
  std::size_t samples() const noexcept { return samples_; }
  std::span<const float> column(std::size_t i) const {
    return std::span(values_).subspan(i * samples_, samples_);
  }

 private:
  std::size_t samples_, filled_ = 0;
  std::vector<float> values_;
};

struct RefinedRow {
  std::span<const float> wanted;          // a sum a sample
  std::span<const float> counts;          // how much each sample counts, above 0
  std::span<const float> weights;         // the float row
  std::span<const std::int32_t> nearest;  // it, rounded plainly, times `scale`
  double scale = 1;
  std::int32_t levels = 127;
  bool fits_scale = false;  // else that of the start stays
};

// `start` with integers that make the wanted sums where they count. Its errors, before and after, are those that count.
RoundedRow refine_row(const ReadSamples& read, const RefinedRow& row, const RoundedRow& start);

}  // namespace eke
