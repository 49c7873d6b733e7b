// What calibration learns of one tensor, in one pass and bounded memory: exact bounds, an exact count of
// zeros, a histogram, and the bounds of each image averaged over the images.
//
// The result depends on the images' values and order alone, never on how they were cut into batches or spread
// over threads: counts are integers, bins are [i, i + 1) * 2^e with e fixed by the largest magnitude, and
// when that grows, bins join exactly. One thread at a time uses an Observer; observe() spreads its work over
// the threads it is given.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/threads.h"

namespace eke {

// Bounds of a tensor's values; lo <= hi.
struct Range {
  float lo = 0, hi = 0;
  friend bool operator==(const Range&, const Range&) = default;
};

class Histogram {
 public:
  // Bins on each side of zero. Of the longer side, at least half the bins are in use.
  static constexpr int kSide = 4096;

  Histogram() = default;

  // All values must be finite and no greater in magnitude than `magnitude`.
  void add(std::span<const float> values, float magnitude);
  void merge(const Histogram& other);

  // Bin i in [-kSide, kSide) counts the values in [i, i + 1) * bin_width().
  std::uint64_t count(int bin) const {
    return counts_.empty() ? 0 : counts_[static_cast<std::size_t>(bin + kSide)];
  }
  double bin_width() const noexcept;
  std::size_t bytes() const noexcept { return counts_.size() * sizeof(std::uint64_t); }

  friend bool operator==(const Histogram&, const Histogram&) = default;

 private:
  void grow_to(int exponent);

  static constexpr int kMinExponent = -100;
  // Zeros, of which there are many, are counted in turns in so many places after the bins while add() runs: one
  // place would make each increment wait for the one before it.
  static constexpr int kZeroPlaces = 16;
  int exponent_ = kMinExponent;        // bins are 2^exponent_ wide
  std::vector<std::uint64_t> counts_;  // empty before the first value
};

// A value that is NaN or infinite, and the image that gave it (its index over the whole calibration).
struct NonFinite {
  std::int64_t image = 0, element = 0;
  float value = 0;
  friend bool operator==(const NonFinite&, const NonFinite&) = default;
};

class Observer {
 public:
  // Without a histogram only the bounds and their averages are known, and observing is faster.
  explicit Observer(bool with_histogram = true) : with_histogram_(with_histogram) {}

  // The tensor's values for the next images, `per_image` floats each. Once a value is not finite, it and all
  // that follows are ignored: the caller turns nonfinite() into an error.
  void observe(std::span<const float> values, std::int64_t per_image, const Threads& threads);

  std::int64_t images() const noexcept { return images_; }
  std::uint64_t values() const noexcept { return values_; }
  std::uint64_t zeros() const noexcept { return zeros_; }  // exactly zero, of either sign
  Range bounds() const noexcept { return bounds_; }        // {0, 0} before the first value

  // Averages of the images' bounds: the plain mean of the first kAveragedImages, then exponentially moving.
  static constexpr std::int64_t kAveragedImages = 100;
  Range mean_bounds() const noexcept;

  bool has_histogram() const noexcept { return with_histogram_; }
  const Histogram& histogram() const noexcept { return histogram_; }
  std::size_t bytes() const noexcept { return histogram_.bytes(); }
  const NonFinite* nonfinite() const noexcept { return found_nonfinite_ ? &nonfinite_ : nullptr; }

  friend bool operator==(const Observer&, const Observer&) = default;

 private:
  void end_image(Range bounds);

  bool with_histogram_;
  bool found_nonfinite_ = false;
  NonFinite nonfinite_;
  std::int64_t images_ = 0;
  std::uint64_t values_ = 0, zeros_ = 0;
  Range bounds_;
  double mean_lo_ = 0, mean_hi_ = 0;
  Histogram histogram_;
};

}  // namespace eke
