// Placement of buffers with known lifetimes in one arena.
#pragma once

#include <cstddef>
#include <vector>

namespace eke {

struct Interval {
  std::size_t bytes = 0;
  int first = 0, last = 0;  // steps, inclusive, during which the buffer holds data
};

struct Placement {
  std::vector<std::size_t> offsets;  // one an interval, 64-byte aligned
  std::size_t bytes = 0;             // of the arena
};

// Greedy by size: each buffer, the largest first, at the lowest offset where it meets no buffer alive at the
// same time. Buffers are rounded up to 64 bytes and followed by 64 bytes of slack.
Placement place(const std::vector<Interval>& intervals);

}  // namespace eke
