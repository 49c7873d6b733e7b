#include "runtime/tactics/rows.h"

namespace eke {

void WindowRows::fill(const std::byte* x, const std::byte* padding, std::int64_t first, std::int64_t count,
                      const std::byte** rows) const noexcept {
  const std::int64_t image_bytes = h_.in * w_.in * channel_bytes_;
  std::int64_t ow = first % w_.out, oh = first / w_.out % h_.out;
  const std::byte* image = x + first / (w_.out * h_.out) * image_bytes;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::byte** begin = rows;
    const std::byte* inside = padding;
    for (std::int64_t kh = 0; kh < h_.kernel; ++kh) {
      const std::int64_t ih = h_.start(oh) + kh * h_.dilation;
      const bool row_inside = ih >= 0 && ih < h_.in;
      for (std::int64_t kw = 0; kw < w_.kernel; ++kw) {
        const std::int64_t iw = w_.start(ow) + kw * w_.dilation;
        const bool is_inside = row_inside && iw >= 0 && iw < w_.in;
        *rows = is_inside ? image + (ih * w_.in + iw) * channel_bytes_ : padding;
        if (is_inside && inside == nullptr) inside = *rows;
        ++rows;
      }
    }
    if (padding == nullptr)
      for (const std::byte** row = begin; row != rows; ++row)
        if (*row == nullptr) *row = inside;
    if (++ow == w_.out) {
      ow = 0;
      if (++oh == h_.out) oh = 0, image += image_bytes;
    }
  }
}

std::int64_t WindowRows::inside(std::int64_t pixel, bool with_padding) const noexcept {
  return taps_inside(h_, pixel / w_.out % h_.out, with_padding) *
         taps_inside(w_, pixel % w_.out, with_padding);
}

}  // namespace eke
