// The rows that a sliding window reads, as pointers: what convolution and pooling kernels take instead of
// im2col.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/geometry.h"
#include "tensor/tensor.h"

namespace eke {

// A window over an NHWC tensor of `element`-byte elements.
class WindowRows {
 public:
  WindowRows() = default;
  WindowRows(const Geometry& geometry, const Shape& x, std::size_t element);

  std::int64_t pixels() const noexcept { return pixels_; }  // of the output, over all images
  int taps() const noexcept { return static_cast<int>(h_.kernel * w_.kernel); }
  int rows() const noexcept { return static_cast<int>(h_.kernel); }  // of a window
  std::int64_t out_width() const noexcept { return w_.out; }

  // Fills rows[i * taps() + t] for output pixels [first, first + count). Where the window hangs over the edge
  // the pointer is `padding`, or, when that is null, repeats a row of the same window that lies inside.
  void fill(const std::byte* x, const std::byte* padding, std::int64_t first, std::int64_t count,
            const std::byte** rows) const noexcept;

  // The same column by column, for output pixels of one row: rows[c * rows() * repeats + r], each column `repeats`
  // times in a row. Pixel i starts at column i * column_step(): neighbours share the columns where they overlap.
  void fill_columns(const std::byte* x, const std::byte* padding, std::int64_t first, std::int64_t count,
                    int repeats, const std::byte** rows) const noexcept;
  std::int64_t column_step() const noexcept { return shares_columns() ? w_.stride : w_.kernel; }
  std::int64_t columns(std::int64_t pixels) const noexcept {
    return (pixels - 1) * column_step() + w_.kernel;
  }

  // The rows of groups of `fold` neighbouring output pixels of one row, whose channels lie side by side: rows[((g * columns +
  // column) * repeats) * rows() + r], columns as wide as the kernel, shared by no two groups. A row that hangs over the edge is
  // copied to `patches`, which has folded_patch_bytes() bytes; `padding` is a row of `fold` pixels. Strides along the row must be 1.
  void fill_folded(const std::byte* x, const std::byte* padding, std::int64_t first, std::int64_t groups,
                   int fold, int repeats, std::byte* patches, const std::byte** rows) const noexcept;
  std::size_t folded_patch_bytes(int fold, int repeats) const noexcept;

  // Rows whose taps lie next to each other in memory, as one pointer each: rows[i * rows() + r]. A window that
  // hangs over the edge is copied to `patches`, which has patch_bytes() bytes a pixel; `padding` is a row of
  // joined_bytes() bytes. Only where can_join().
  void fill_joined(const std::byte* x, const std::byte* padding, std::int64_t first, std::int64_t count,
                   std::byte* patches, const std::byte** rows) const noexcept;
  bool can_join() const noexcept { return w_.dilation == 1 && w_.kernel <= w_.in; }
  std::size_t joined_bytes() const noexcept { return static_cast<std::size_t>(w_.kernel * channel_bytes_); }
  std::size_t patch_bytes() const noexcept;

  // Rows of the window of `pixel` that lie inside the input.
  std::int64_t inside(std::int64_t pixel, bool with_padding) const noexcept;

 private:
  // Windows [begin, end) of an axis lie inside the input with all their taps.
  struct Inner {
    std::int64_t begin = 0, end = 0;
    bool contains(std::int64_t window) const noexcept { return window >= begin && window < end; }
  };
  static Inner inner(const Window& w) noexcept;

  static bool is_every_pixel(const Window& w) noexcept;

  // Where a run of output pixels stands.
  struct Cursor {
    std::int64_t ow, oh;
    const std::byte* image;
  };
  Cursor cursor(const std::byte* x, std::int64_t pixel) const noexcept;
  void advance(Cursor& at, std::int64_t pixels) const noexcept;  // at most to the end of its row
  // How many pixels from `at` on, of one row and at most `most`, have windows inside the input; 0: this one has not.
  std::int64_t inner_run(const Cursor& at, std::int64_t most) const noexcept;

  bool shares_columns() const noexcept { return w_.dilation == 1 && w_.stride <= w_.kernel; }
  std::size_t patch_row_bytes() const noexcept;
  std::size_t folded_row_bytes(int fold) const noexcept;
  const std::byte* corner(const Cursor& at) const noexcept {
    return at.image + (h_.start(at.oh) * w_.in + w_.start(at.ow)) * channel_bytes_;
  }
  void fill_edge(const Cursor& at, const std::byte* padding, const std::byte** rows) const noexcept;
  void patch(const Cursor& at, const std::byte* padding, std::byte* to,
             const std::byte** rows) const noexcept;

  Window h_, w_;
  Inner inner_h_, inner_w_;
  std::int64_t channel_bytes_ = 0, pixels_ = 0;
  bool every_pixel_ = false;             // windows of one element, one after the other
  std::vector<std::ptrdiff_t> offsets_;  // of the taps from the first one
};

// The share of `items` that thread `index` of `count` works on.
struct Share {
  std::int64_t begin, end;
};
inline Share share(std::int64_t items, std::int64_t index, std::int64_t count) noexcept {
  return {items * index / count, items * (index + 1) / count};
}

}  // namespace eke
