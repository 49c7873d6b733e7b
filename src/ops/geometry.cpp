#include "ops/geometry.h"

#include <algorithm>

namespace eke {
namespace {

// Products of two of these, and sums of such products, stay within int64.
constexpr std::int64_t kMaxExtent = std::int64_t{1} << 30;

void check_list(const op::Ints& list, std::size_t size, std::int64_t least, std::string_view name) {
  check(list.empty() || list.size() == size, "{} has {} entries; {} are needed for this rank", name,
        list.size(), size);
  for (std::int64_t v : list)
    check(v >= least && v <= kMaxExtent, "{} has an entry {}; it must be from {} to {}", name, v, least,
          kMaxExtent);
}

std::int64_t entry(const op::Ints& list, std::size_t i, std::int64_t otherwise) {
  return list.empty() ? otherwise : list[i];
}

bool is_same(std::string_view auto_pad) { return auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER"; }

void set_padding(Window& w, std::int64_t total, bool more_at_end) {
  const std::int64_t less = total / 2, more = total - less;
  w.pad_begin = more_at_end ? less : more;
  w.pad_end = more_at_end ? more : less;
}

// Everything but padding and output extents.
Geometry unpadded(const WindowAttributes& a, const Shape& x, std::span<const std::int64_t> kernel) {
  Geometry g;
  g.rank = x.rank() - 2;
  check(g.rank >= 1 && g.rank <= Geometry::kAxes,
        "input {} has rank {}; a batch, channels and 1 to {} spatial axes "
        "are supported",
        to_string(x), x.rank(), Geometry::kAxes);
  const auto n = static_cast<std::size_t>(g.rank);
  check_list(a.kernel_shape, n, 1, "kernel_shape");
  check_list(a.strides, n, 1, "strides");
  check_list(a.dilations, n, 1, "dilations");
  check_list(a.pads, 2 * n, 0, "pads");
  check(a.auto_pad == "NOTSET" || a.auto_pad == "VALID" || is_same(a.auto_pad),
        "auto_pad is '{}'; NOTSET, VALID, SAME_UPPER or SAME_LOWER are known", a.auto_pad);
  check(!a.kernel_shape.empty() || !kernel.empty(), "kernel_shape is missing");
  check(kernel.empty() || kernel.size() == n, "the weights have {} spatial axes, the input {}", kernel.size(),
        n);
  for (std::size_t i = 0; i < n; ++i) {
    Window& w = g.spatial(static_cast<int>(i));
    w.in = x[static_cast<int>(i) + 2];
    w.kernel = kernel.empty() ? a.kernel_shape[i] : kernel[i];
    check(a.kernel_shape.empty() || a.kernel_shape[i] == w.kernel,
          "kernel_shape says {} along spatial axis {}, the weights have {}", entry(a.kernel_shape, i, 0), i,
          w.kernel);
    check(w.in >= 1 && w.in <= kMaxExtent && w.kernel >= 1 && w.kernel <= kMaxExtent,
          "extents {} of the input and {} of the kernel must be from 1 to {}", w.in, w.kernel, kMaxExtent);
    w.stride = entry(a.strides, i, 1);
    w.dilation = entry(a.dilations, i, 1);
  }
  return g;
}

void place_windows(Window& w, bool same, bool ceil_mode) {
  if (same) return;
  const std::int64_t padded = w.in + w.pad_begin + w.pad_end;
  check(padded >= w.reach(), "the kernel reaches over {} elements but the padded input has only {}",
        w.reach(), padded);
  w.out = (padded - w.reach()) / w.stride + 1;
  if (!ceil_mode || (padded - w.reach()) % w.stride == 0) return;
  if (w.out * w.stride < w.in + w.pad_begin) ++w.out;
}

}  // namespace

Geometry window_geometry(const WindowAttributes& a, const Shape& x, std::span<const std::int64_t> kernel) {
  Geometry g = unpadded(a, x, kernel);
  const bool same = is_same(a.auto_pad);
  for (int i = 0; i < g.rank; ++i) {
    Window& w = g.spatial(i);
    if (same) {
      w.out = (w.in + w.stride - 1) / w.stride;
      const std::int64_t total = std::max<std::int64_t>((w.out - 1) * w.stride + w.reach() - w.in, 0);
      set_padding(w, total, a.auto_pad == "SAME_UPPER");
    } else if (a.auto_pad == "NOTSET") {
      w.pad_begin = entry(a.pads, static_cast<std::size_t>(i), 0);
      w.pad_end = entry(a.pads, static_cast<std::size_t>(i + g.rank), 0);
    }
    place_windows(w, same, a.ceil_mode);
  }
  return g;
}

Geometry transposed_geometry(const op::ConvTranspose& a, const Shape& x,
                             std::span<const std::int64_t> kernel) {
  Geometry g = unpadded(window_attributes(a), x, kernel);
  const auto n = static_cast<std::size_t>(g.rank);
  check_list(a.output_padding, n, 0, "output_padding");
  // Some files give batch and channels as well.
  op::Ints output_shape = a.output_shape;
  if (output_shape.size() == n + 2) output_shape.erase(output_shape.begin(), output_shape.begin() + 2);
  check_list(output_shape, n, 1, "output_shape");
  for (int i = 0; i < g.rank; ++i) {
    Window& w = g.spatial(i);
    const auto k = static_cast<std::size_t>(i);
    const std::int64_t full = (w.in - 1) * w.stride + entry(a.output_padding, k, 0) + w.reach();
    if (!output_shape.empty() || is_same(a.auto_pad)) {
      w.out = output_shape.empty() ? w.in * w.stride : output_shape[k];
      set_padding(w, std::max<std::int64_t>(full - w.out, 0), a.auto_pad == "SAME_UPPER");
    } else {
      if (a.auto_pad == "NOTSET") {
        w.pad_begin = entry(a.pads, k, 0);
        w.pad_end = entry(a.pads, k + n, 0);
      }
      w.out = full - w.pad_begin - w.pad_end;
      check(w.out >= 1, "pads {} and {} leave nothing of the {} elements along spatial axis {}", w.pad_begin,
            w.pad_end, full, i);
    }
  }
  return g;
}

namespace {

// The taps at elements of [lo, hi).
TapRange taps_between(const Window& w, std::int64_t window, std::int64_t lo, std::int64_t hi) noexcept {
  const auto taps_before = [&](std::int64_t element) {
    const std::int64_t distance = element - w.start(window);
    return distance <= 0 ? 0 : std::min((distance + w.dilation - 1) / w.dilation, w.kernel);
  };
  return {taps_before(lo), taps_before(hi)};
}

}  // namespace

TapRange tap_range(const Window& w, std::int64_t window) noexcept { return taps_between(w, window, 0, w.in); }

std::int64_t taps_inside(const Window& w, std::int64_t window, bool with_padding) noexcept {
  const TapRange taps =
      with_padding ? taps_between(w, window, -w.pad_begin, w.in + w.pad_end) : tap_range(w, window);
  return taps.end - taps.begin;
}

}  // namespace eke
