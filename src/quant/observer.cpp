#include "quant/observer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/error.h"

namespace eke {
namespace {

constexpr std::size_t kBlock = 8192;  // floats: a block stays in the first-level cache between the two passes
constexpr std::size_t kLanes = 16;

struct BlockStats {
  float lo = 0, hi = 0;
  std::uint32_t zeros = 0;
  bool finite = true;
};

// Written over lanes so that compilers vectorize it without reordering float sums.
BlockStats scan(std::span<const float> values) {
  std::array<float, kLanes> lo, hi;
  std::array<std::uint32_t, kLanes> zeros{}, bad{};
  lo.fill(values[0]);
  hi.fill(values[0]);
  const auto step = [&](std::size_t lane, float x) {
    lo[lane] = x < lo[lane] ? x : lo[lane];
    hi[lane] = x > hi[lane] ? x : hi[lane];
    zeros[lane] += x == 0.0f;
    bad[lane] |= (std::bit_cast<std::uint32_t>(x) & 0x7f800000u) == 0x7f800000u;
  };
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    const float* block = values.data() + i;
    for (std::size_t lane = 0; lane < kLanes; ++lane) step(lane, block[lane]);
  }
  for (std::size_t lane = 0; i < values.size(); ++i, ++lane) step(lane, values[i]);
  BlockStats stats{lo[0], hi[0], 0, true};
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    stats.lo = std::min(stats.lo, lo[lane]);
    stats.hi = std::max(stats.hi, hi[lane]);
    stats.zeros += zeros[lane];
    stats.finite = stats.finite && bad[lane] == 0;
  }
  return stats;
}

float magnitude_of(const BlockStats& stats) { return std::max(std::fabs(stats.lo), std::fabs(stats.hi)); }

// Blocks never cross images, so that the bounds of each image are known.
struct Blocks {
  std::int64_t images, per_image;
  std::int64_t per_image_blocks() const {
    return (per_image + static_cast<std::int64_t>(kBlock) - 1) / static_cast<std::int64_t>(kBlock);
  }
  std::int64_t count() const { return images * per_image_blocks(); }
  std::span<const float> block(std::span<const float> values, std::int64_t i) const {
    const std::int64_t image = i / per_image_blocks(), part = i % per_image_blocks();
    const auto first = part * static_cast<std::int64_t>(kBlock);
    const auto size = std::min<std::int64_t>(kBlock, per_image - first);
    return values.subspan(static_cast<std::size_t>(image * per_image + first),
                          static_cast<std::size_t>(size));
  }
};

NonFinite first_nonfinite(std::span<const float> values, std::int64_t per_image, std::int64_t first_image) {
  const auto it = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  const std::int64_t i = it - values.begin();
  return {first_image + i / per_image, i % per_image, *it};
}

}  // namespace

double Histogram::bin_width() const noexcept { return std::ldexp(1.0, exponent_); }

void Histogram::grow_to(int exponent) {
  counts_.resize(2 * kSide + kZeroPlaces);
  if (exponent <= exponent_) return;
  const int shift = std::min(exponent - exponent_, 31);
  std::vector<std::uint64_t> joined(counts_.size());
  for (int bin = -kSide; bin < kSide; ++bin)
    joined[static_cast<std::size_t>((bin >> shift) + kSide)] += count(bin);
  counts_ = std::move(joined);
  exponent_ = exponent;
}

void Histogram::add(std::span<const float> values, float magnitude) {
  int above = 0;  // magnitude < 2^above
  std::frexp(magnitude, &above);
  grow_to(magnitude > 0 ? above - (std::bit_width(unsigned{kSide}) - 1) : exponent_);
  const float per_width = std::ldexp(1.0f, -exponent_);
  std::uint64_t* const zero_bin = counts_.data() + kSide;
  std::array<std::int32_t, 256> bins;
  while (!values.empty()) {
    const std::size_t n = std::min(values.size(), bins.size());
    for (std::size_t i = 0; i < n; ++i) {
      const float x = values[i] * per_width;  // exact: a power of two
      const auto whole = static_cast<std::int32_t>(x);
      const std::int32_t bin = whole - (static_cast<float>(whole) > x);
      // Integers, since compilers vectorize no choice by a comparison of floats; the sign bit is shifted out.
      const std::int32_t is_zero = -static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x) << 1 == 0);
      bins[i] = bin + (is_zero & (kSide + (static_cast<std::int32_t>(i) & (kZeroPlaces - 1))));
    }
    for (std::size_t i = 0; i < n; ++i) ++zero_bin[bins[i]];
    values = values.subspan(n);
  }
  for (int place = kSide; place < kSide + kZeroPlaces; ++place)
    *zero_bin += std::exchange(zero_bin[place], 0);
}

void Histogram::merge(const Histogram& other) {
  if (other.counts_.empty()) return;
  grow_to(other.exponent_);
  const int shift = std::min(exponent_ - other.exponent_, 31);
  for (int bin = -kSide; bin < kSide; ++bin) {
    counts_[static_cast<std::size_t>((bin >> shift) + kSide)] += other.count(bin);
  }
}

void Observer::observe(std::span<const float> values, std::int64_t per_image, const Threads& threads) {
  check(per_image > 0 && static_cast<std::int64_t>(values.size()) % per_image == 0,
        "{} values are not a whole number of images of {}", values.size(), per_image);
  if (found_nonfinite_) return;
  const Blocks blocks{static_cast<std::int64_t>(values.size()) / per_image, per_image};
  std::vector<BlockStats> stats(static_cast<std::size_t>(blocks.count()));
  // The first range counts in the histogram itself, the others in their own, merged afterwards.
  std::vector<Histogram> parts(with_histogram_ ? static_cast<std::size_t>(threads.count()) : 0);
  std::atomic<std::size_t> next_part = 0;
  threads.for_ranges(stats.size(), [&](std::size_t begin, std::size_t end) {
    const std::size_t index = next_part++;
    Histogram* const part = !with_histogram_ ? nullptr : index == 0 ? &histogram_ : &parts[index];
    for (std::size_t i = begin; i < end; ++i) {
      const auto block = blocks.block(values, static_cast<std::int64_t>(i));
      stats[i] = scan(block);
      if (part && stats[i].finite) part->add(block, magnitude_of(stats[i]));
    }
  });
  if (!std::ranges::all_of(stats, &BlockStats::finite)) {
    found_nonfinite_ = true;
    nonfinite_ = first_nonfinite(values, per_image, images_);
    return;
  }
  for (const Histogram& part : parts) histogram_.merge(part);
  const auto per_image_blocks = static_cast<std::size_t>(blocks.per_image_blocks());
  for (std::size_t i = 0; i < stats.size(); i += per_image_blocks) {
    Range image{stats[i].lo, stats[i].hi};
    for (std::size_t j = i; j < i + per_image_blocks; ++j) {
      image.lo = std::min(image.lo, stats[j].lo);
      image.hi = std::max(image.hi, stats[j].hi);
      zeros_ += stats[j].zeros;
    }
    end_image(image);
  }
  values_ += values.size();
}

void Observer::end_image(Range image) {
  // A minimum of +0 or -0 depends on the order of the values; +0 does not.
  image = {image.lo + 0.0f, image.hi + 0.0f};
  bounds_ = images_ == 0 ? image : Range{std::min(bounds_.lo, image.lo), std::max(bounds_.hi, image.hi)};
  ++images_;
  const double weight = 1.0 / static_cast<double>(std::min(images_, kAveragedImages));
  mean_lo_ += (image.lo - mean_lo_) * weight;
  mean_hi_ += (image.hi - mean_hi_) * weight;
}

Range Observer::mean_bounds() const noexcept {
  return {static_cast<float>(mean_lo_), static_cast<float>(mean_hi_)};
}

}  // namespace eke
