#include "runtime/tactics/phases.h"

namespace eke {
namespace {

// Calls f(k, offset) for the taps that fall on output elements first, first + stride, ...: element i of them reads input
// i + offset.
template <class F>
void for_phase_taps(const Window& w, std::int64_t first, F&& f) {
  for (std::int64_t k = 0; k < w.kernel; ++k) {
    const std::int64_t t = first + w.pad_begin - k * w.dilation;
    if (t % w.stride == 0) f(k, t / w.stride);
  }
}

std::int64_t phase_extent(const Window& w, std::int64_t first) {
  return (w.out - first + w.stride - 1) / w.stride;
}

}  // namespace

std::vector<Phase> phases_of(const Geometry& geometry, const Shape& x, std::size_t element) {
  const Window &h = geometry.h(), &w = geometry.w();
  std::vector<Phase> phases;
  for (std::int64_t row = 0; row < std::min(h.stride, h.out); ++row)
    for (std::int64_t col = 0; col < std::min(w.stride, w.out); ++col) {
      Phase phase;
      phase.images_ = x[0];
      phase.rows_ = phase_extent(h, row);
      phase.cols_ = phase_extent(w, col);
      phase.first_row_ = row;
      phase.first_col_ = col;
      phase.h_ = h;
      phase.w_ = w;
      phase.channel_bytes_ = x[1] * static_cast<std::int64_t>(element);
      for_phase_taps(h, row, [&](std::int64_t kh, std::int64_t dh) {
        for_phase_taps(w, col, [&](std::int64_t kw, std::int64_t dw) {
          phase.taps_.push_back({dh, dw, static_cast<int>(kh * w.kernel + kw)});
        });
      });
      phases.push_back(std::move(phase));
    }
  return phases;
}

void Phase::fill(const std::byte* x, const std::byte* padding, std::int64_t first, std::int64_t count,
                 const std::byte** rows) const noexcept {
  std::int64_t col = first % cols_, row = first / cols_ % rows_;
  const std::byte* image = x + first / (cols_ * rows_) * h_.in * w_.in * channel_bytes_;
  for (std::int64_t i = 0; i < count; ++i) {
    for (const Tap& tap : taps_) {
      const std::int64_t ih = row + tap.dh, iw = col + tap.dw;
      const bool inside = ih >= 0 && ih < h_.in && iw >= 0 && iw < w_.in;
      *rows++ = inside ? image + (ih * w_.in + iw) * channel_bytes_ : padding;
    }
    if (++col == cols_) {
      col = 0;
      if (++row == rows_) row = 0, image += h_.in * w_.in * channel_bytes_;
    }
  }
}

std::int64_t Phase::target(std::int64_t pixel) const noexcept {
  const std::int64_t col = pixel % cols_, row = pixel / cols_ % rows_, image = pixel / (cols_ * rows_);
  return (image * h_.out + first_row_ + row * h_.stride) * w_.out + first_col_ + col * w_.stride;
}

}  // namespace eke
