#include "runtime/tactics/rows.h"

#include <algorithm>
#include <cstring>

#include "kernels/epilogue.h"

namespace eke {

WindowRows::WindowRows(const Geometry& geometry, const Shape& x, std::size_t element)
    : h_(geometry.h()),
      w_(geometry.w()),
      inner_h_(inner(h_)),
      inner_w_(inner(w_)),
      channel_bytes_(x[1] * static_cast<std::int64_t>(element)),
      pixels_(x[0] * h_.out * w_.out),
      every_pixel_(is_every_pixel(h_) && is_every_pixel(w_)) {
  for (std::int64_t kh = 0; kh < h_.kernel; ++kh)
    for (std::int64_t kw = 0; kw < w_.kernel; ++kw)
      offsets_.push_back((kh * h_.dilation * w_.in + kw * w_.dilation) * channel_bytes_);
}

WindowRows::Inner WindowRows::inner(const Window& w) noexcept {
  Inner range{(w.pad_begin + w.stride - 1) / w.stride, 0};
  const std::int64_t last =
      w.in - w.reach() + w.pad_begin;  // the start of the last one, counted from the padding
  range.end = last < 0 ? range.begin : std::min(w.out, last / w.stride + 1);
  return range;
}

WindowRows::Cursor WindowRows::cursor(const std::byte* x, std::int64_t pixel) const noexcept {
  return {pixel % w_.out, pixel / w_.out % h_.out,
          x + pixel / (w_.out * h_.out) * (h_.in * w_.in * channel_bytes_)};
}

bool WindowRows::is_every_pixel(const Window& w) noexcept {
  return w.kernel == 1 && w.stride == 1 && w.pad_begin == 0 && w.out == w.in;
}

void WindowRows::advance(Cursor& at, std::int64_t pixels) const noexcept {
  at.ow += pixels;
  if (at.ow != w_.out) return;
  at.ow = 0;
  if (++at.oh == h_.out) at.oh = 0, at.image += h_.in * w_.in * channel_bytes_;
}

void WindowRows::fill(const std::byte* x, const std::byte* padding, std::int64_t first, std::int64_t count,
                      const std::byte** rows) const noexcept {
  if (every_pixel_) {
    const std::byte* pixel = x + first * channel_bytes_;
    for (std::int64_t i = 0; i < count; ++i, pixel += channel_bytes_) rows[i] = pixel;
    return;
  }
  Cursor at = cursor(x, first);
  const std::size_t taps = offsets_.size();
  const std::ptrdiff_t step = w_.stride * channel_bytes_;
  while (count > 0) {
    const std::int64_t run = inner_run(at, count);
    if (run == 0) {
      fill_edge(at, padding, rows);
      rows += taps, --count;
      advance(at, 1);
      continue;
    }
    const std::byte* begin = corner(at);
    for (std::int64_t i = 0; i < run; ++i, begin += step, rows += taps)
      for (std::size_t t = 0; t < taps; ++t) rows[t] = begin + offsets_[t];
    count -= run;
    advance(at, run);
  }
}

std::int64_t WindowRows::inner_run(const Cursor& at, std::int64_t most) const noexcept {
  if (!inner_h_.contains(at.oh) || !inner_w_.contains(at.ow)) return 0;
  return std::min(inner_w_.end - at.ow, most);
}

void WindowRows::fill_edge(const Cursor& at, const std::byte* padding,
                           const std::byte** rows) const noexcept {
  const std::byte** const begin = rows;
  const std::byte* inside = padding;
  for (std::int64_t kh = 0; kh < h_.kernel; ++kh) {
    const std::int64_t ih = h_.start(at.oh) + kh * h_.dilation;
    const bool row_inside = ih >= 0 && ih < h_.in;
    for (std::int64_t kw = 0; kw < w_.kernel; ++kw) {
      const std::int64_t iw = w_.start(at.ow) + kw * w_.dilation;
      const bool is_inside = row_inside && iw >= 0 && iw < w_.in;
      *rows = is_inside ? at.image + (ih * w_.in + iw) * channel_bytes_ : padding;
      if (is_inside && inside == nullptr) inside = *rows;
      ++rows;
    }
  }
  if (padding == nullptr)
    for (const std::byte** row = begin; row != rows; ++row)
      if (*row == nullptr) *row = inside;
}

void WindowRows::fill_columns(const std::byte* x, const std::byte* padding, std::int64_t first,
                              std::int64_t count, int repeats, const std::byte** rows) const noexcept {
  const Cursor at = cursor(x, first);
  const std::int64_t height = h_.kernel * repeats, all = columns(count);
  const bool shared = shares_columns();
  // Columns [left, right) of a shared run lie inside the input.
  const std::int64_t start = w_.start(at.ow);
  const std::int64_t left = std::clamp<std::int64_t>(-start, 0, all),
                     right = std::clamp<std::int64_t>(w_.in - start, left, all);
  for (std::int64_t r = 0; r < height; ++r) {
    const std::int64_t ih = h_.start(at.oh) + r % h_.kernel * h_.dilation;
    const std::byte** to = rows + r;
    if (ih < 0 || ih >= h_.in) {
      for (std::int64_t c = 0; c < all; ++c) to[c * height] = padding;
      continue;
    }
    const std::byte* row = at.image + ih * w_.in * channel_bytes_;
    if (shared) {
      for (std::int64_t c = 0; c < left; ++c) to[c * height] = padding;
      const std::byte* from = row + (start + left) * channel_bytes_;
      for (std::int64_t c = left; c < right; ++c, from += channel_bytes_) to[c * height] = from;
      for (std::int64_t c = right; c < all; ++c) to[c * height] = padding;
      continue;
    }
    for (std::int64_t c = 0; c < all; ++c) {
      const std::int64_t iw = w_.start(at.ow + c / w_.kernel) + c % w_.kernel * w_.dilation;
      to[c * height] = iw >= 0 && iw < w_.in ? row + iw * channel_bytes_ : padding;
    }
  }
}

std::size_t WindowRows::folded_row_bytes(int fold) const noexcept {
  return (static_cast<std::size_t>(fold * channel_bytes_) + kernels::kSlackBytes + 63) / 64 * 64;
}

// Of each row of the window, a tap's column hangs over either edge in one group at most; all others lie inside or outside.
std::size_t WindowRows::folded_patch_bytes(int fold, int repeats) const noexcept {
  return folded_row_bytes(fold) * 2 * offsets_.size() * static_cast<std::size_t>(repeats);
}

void WindowRows::fill_folded(const std::byte* x, const std::byte* padding, std::int64_t first,
                             std::int64_t groups, int fold, int repeats, std::byte* patches,
                             const std::byte** rows) const noexcept {
  const Cursor at = cursor(x, first);
  const std::int64_t height = h_.kernel * repeats,
                     group = w_.kernel * height;  // pointers of a column, of a group
  const std::ptrdiff_t step = fold * channel_bytes_;
  // The pixels [iw, iw + fold) of a row, of which only some are there.
  const auto patched = [&](const std::byte* row, std::int64_t iw) -> const std::byte* {
    if (iw + fold <= 0 || iw >= w_.in) return padding;
    std::byte* patch = patches;
    patches += folded_row_bytes(fold);
    std::memcpy(patch, padding, static_cast<std::size_t>(step));
    const std::int64_t left = std::max<std::int64_t>(iw, 0), right = std::min<std::int64_t>(iw + fold, w_.in);
    std::memcpy(patch + (left - iw) * channel_bytes_, row + left * channel_bytes_,
                static_cast<std::size_t>((right - left) * channel_bytes_));
    return patch;
  };
  for (std::int64_t r = 0; r < height; ++r) {
    const std::int64_t ih = h_.start(at.oh) + r % h_.kernel * h_.dilation;
    const std::byte* row = at.image + ih * w_.in * channel_bytes_;
    for (std::int64_t kw = 0; kw < w_.kernel; ++kw) {
      const std::byte** to = rows + kw * height + r;
      if (ih < 0 || ih >= h_.in) {
        for (std::int64_t g = 0; g < groups; ++g) to[g * group] = padding;
        continue;
      }
      const std::int64_t start = w_.start(at.ow) + kw * w_.dilation;
      // Groups [left, right) lie inside.
      const std::int64_t left = std::clamp<std::int64_t>((fold - 1 - start) / fold, 0, groups);
      const std::int64_t right = std::clamp<std::int64_t>((w_.in - start) / fold, left, groups);
      for (std::int64_t g = 0; g < left; ++g) to[g * group] = patched(row, start + g * fold);
      const std::byte* from = row + (start + left * fold) * channel_bytes_;
      for (std::int64_t g = left; g < right; ++g, from += step) to[g * group] = from;
      for (std::int64_t g = right; g < groups; ++g) to[g * group] = patched(row, start + g * fold);
    }
  }
}

std::size_t WindowRows::patch_row_bytes() const noexcept {
  return (joined_bytes() + kernels::kSlackBytes + 63) / 64 * 64;
}
std::size_t WindowRows::patch_bytes() const noexcept {
  return patch_row_bytes() * static_cast<std::size_t>(h_.kernel);
}

void WindowRows::fill_joined(const std::byte* x, const std::byte* padding, std::int64_t first,
                             std::int64_t count, std::byte* patches, const std::byte** rows) const noexcept {
  Cursor at = cursor(x, first);
  const std::ptrdiff_t row_bytes = h_.dilation * w_.in * channel_bytes_, step = w_.stride * channel_bytes_;
  const std::int64_t height = h_.kernel;
  while (count > 0) {
    const std::int64_t run = inner_run(at, count);
    if (run == 0) {
      patch(at, padding, patches, rows);
      patches += patch_bytes();
      rows += height, --count;
      advance(at, 1);
      continue;
    }
    const std::byte* begin = corner(at);
    for (std::int64_t i = 0; i < run; ++i, begin += step) {
      const std::byte* row = begin;
      for (std::int64_t r = 0; r < height; ++r, row += row_bytes) *rows++ = row;
    }
    count -= run;
    advance(at, run);
  }
}

void WindowRows::patch(const Cursor& at, const std::byte* padding, std::byte* to,
                       const std::byte** rows) const noexcept {
  const std::int64_t start = w_.start(at.ow);
  const std::int64_t left = std::clamp<std::int64_t>(-start, 0, w_.kernel),
                     right = std::clamp<std::int64_t>(w_.in - start, left, w_.kernel);
  for (std::int64_t r = 0; r < h_.kernel; ++r) {
    const std::int64_t ih = h_.start(at.oh) + r * h_.dilation;
    if (ih < 0 || ih >= h_.in) {
      rows[r] = padding;
      continue;
    }
    if (left == 0 && right == w_.kernel) {
      rows[r] = at.image + (ih * w_.in + start) * channel_bytes_;
      continue;
    }
    std::byte* row = to + static_cast<std::size_t>(r) * patch_row_bytes();
    const auto bytes = [&](std::int64_t taps) { return static_cast<std::size_t>(taps * channel_bytes_); };
    std::memcpy(row, padding, bytes(left));
    std::memcpy(row + bytes(left), at.image + (ih * w_.in + start + left) * channel_bytes_,
                bytes(right - left));
    std::memcpy(row + bytes(right), padding, bytes(w_.kernel - right));
    rows[r] = row;
  }
}

std::int64_t WindowRows::inside(std::int64_t pixel, bool with_padding) const noexcept {
  return taps_inside(h_, pixel / w_.out % h_.out, with_padding) *
         taps_inside(w_, pixel % w_.out, with_padding);
}

}  // namespace eke
