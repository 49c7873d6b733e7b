// Random numbers for training and tests: the same on every machine, and a function of where they are used
// (seed, epoch, image) instead of how much was drawn before, so that the order of work does not matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace eke {

// SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"). One thread at a time.
class Random {
 public:
  // A stream of its own for each seed and position.
  explicit Random(std::uint64_t seed, std::uint64_t major = 0, std::uint64_t minor = 0) noexcept;

  std::uint64_t next() noexcept;
  double uniform() noexcept;                          // in [0, 1)
  double uniform(double lo, double hi) noexcept;      // in [lo, hi)
  std::uint64_t below(std::uint64_t count) noexcept;  // in [0, count), count > 0
  double normal() noexcept;                           // mean 0, deviation 1

 private:
  std::uint64_t state_;
};

// 0 .. count - 1 in random order.
std::vector<std::size_t> shuffled(std::size_t count, Random random);

}  // namespace eke
