// The rows that a sliding window reads, as pointers: what convolution and pooling kernels take instead of
// im2col.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/geometry.h"
#include "tensor/tensor.h"

namespace eke {

// A window over an NHWC tensor of `element`-byte elements.
class WindowRows {
 public:
  WindowRows() = default;
  WindowRows(const Geometry& geometry, const Shape& x, std::size_t element)
      : h_(geometry.h()),
        w_(geometry.w()),
        channel_bytes_(x[1] * static_cast<std::int64_t>(element)),
        pixels_(x[0] * geometry.h().out * geometry.w().out) {}

  std::int64_t pixels() const noexcept { return pixels_; }  // of the output, over all images
  int taps() const noexcept { return static_cast<int>(h_.kernel * w_.kernel); }

  // Fills rows[i * taps + t] for output pixels [first, first + count). Where the window hangs over the edge
  // the pointer is `padding`, or, when that is null, repeats a row of the same window that lies inside.
  void fill(const std::byte* x, const std::byte* padding, std::int64_t first, std::int64_t count,
            const std::byte** rows) const noexcept;

  // Rows of the window of `pixel` that lie inside the input.
  std::int64_t inside(std::int64_t pixel, bool with_padding) const noexcept;

 private:
  Window h_, w_;
  std::int64_t channel_bytes_ = 0, pixels_ = 0;
};

// The share of `items` that thread `index` of `count` works on.
struct Share {
  std::int64_t begin, end;
};
inline Share share(std::int64_t items, std::int64_t index, std::int64_t count) noexcept {
  return {items * index / count, items * (index + 1) / count};
}

}  // namespace eke
