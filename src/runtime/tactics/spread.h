// Elementwise work split over threads in ranges that start at multiples of 64 elements.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/threads.h"

namespace eke {

// Calls f(first element, count) on disjoint ranges.
template <class F>
void spread(const Threads& threads, std::size_t count, F&& f) noexcept {
  constexpr std::size_t kGrain = 64;
  threads.for_ranges((count + kGrain - 1) / kGrain, [&](std::size_t begin, std::size_t end) {
    if (begin < end) f(begin * kGrain, std::min(end * kGrain, count) - begin * kGrain);
  });
}

}  // namespace eke
