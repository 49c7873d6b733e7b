#include "runtime/memory.h"

#include <algorithm>
#include <numeric>

namespace eke {
namespace {

constexpr std::size_t kAlign = 64;

std::size_t padded(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign + kAlign; }

bool meet(const Interval& a, const Interval& b) { return a.first <= b.last && b.first <= a.last; }

}  // namespace

Placement place(const std::vector<Interval>& intervals) {
  Placement placement{std::vector<std::size_t>(intervals.size()), 0};
  std::vector<std::size_t> order(intervals.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return intervals[a].bytes > intervals[b].bytes; });
  std::vector<std::size_t> placed;  // by offset
  for (std::size_t i : order) {
    const std::size_t bytes = padded(intervals[i].bytes);
    std::size_t offset = 0;
    for (std::size_t other : placed) {
      if (!meet(intervals[i], intervals[other])) continue;
      if (offset + bytes <= placement.offsets[other]) break;
      offset = std::max(offset, placement.offsets[other] + padded(intervals[other].bytes));
    }
    placement.offsets[i] = offset;
    placement.bytes = std::max(placement.bytes, offset + bytes);
    placed.insert(std::upper_bound(
                      placed.begin(), placed.end(), offset,
                      [&](std::size_t value, std::size_t other) { return value < placement.offsets[other]; }),
                  i);
  }
  return placement;
}

}  // namespace eke
