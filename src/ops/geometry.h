// Where the windows of convolutions and poolings lie: ONNX's attributes, resolved and checked once, for type
// inference, the reference, the passes and the runtime. One to three spatial axes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "graph/op.h"
#include "tensor/tensor.h"

namespace eke {

// A sliding window along one spatial axis: tap k of window i is at element i * stride - pad_begin + k *
// dilation.
struct Window {
  std::int64_t in = 1, kernel = 1, stride = 1, dilation = 1, pad_begin = 0, pad_end = 0, out = 1;

  std::int64_t reach() const noexcept {
    return (kernel - 1) * dilation + 1;
  }  // elements from first to last tap
  std::int64_t start(std::int64_t window) const noexcept { return window * stride - pad_begin; }
  friend bool operator==(const Window&, const Window&) = default;
};

// Always three axes, so that one loop nest serves all ranks: the spatial axes of a tensor are the last `rank`
// of them, the rest have a single element.
struct Geometry {
  static constexpr int kAxes = 3;
  int rank = 2;
  std::array<Window, kAxes> axes;

  const Window& d() const noexcept { return axes[0]; }
  const Window& h() const noexcept { return axes[1]; }
  const Window& w() const noexcept { return axes[2]; }
  const Window& spatial(int i) const noexcept { return axes[static_cast<std::size_t>(kAxes - rank + i)]; }
  Window& spatial(int i) noexcept { return axes[static_cast<std::size_t>(kAxes - rank + i)]; }

  std::int64_t in_count() const noexcept { return d().in * h().in * w().in; }
  std::int64_t kernel_count() const noexcept { return d().kernel * h().kernel * w().kernel; }
  std::int64_t out_count() const noexcept { return d().out * h().out * w().out; }
  friend bool operator==(const Geometry&, const Geometry&) = default;
};

// The attributes that convolutions and poolings share.
struct WindowAttributes {
  std::string_view auto_pad;
  const op::Ints &kernel_shape, &strides, &pads, &dilations;
  bool ceil_mode = false;
};

template <class A>
WindowAttributes window_attributes(const A& a) noexcept {
  WindowAttributes attributes{a.auto_pad, a.kernel_shape, a.strides, a.pads, a.dilations};
  if constexpr (requires { a.ceil_mode; }) attributes.ceil_mode = a.ceil_mode != 0;
  return attributes;
}

// Of a convolution or pooling over x [N,C,spatial...]. `kernel` are the spatial extents of the weights, with
// which kernel_shape must agree; poolings leave it empty. With ceil_mode the last window may reach past the
// padding, but starts inside the input or the padding before it. Throws when the attributes are not valid for
// x.
Geometry window_geometry(const WindowAttributes& a, const Shape& x,
                         std::span<const std::int64_t> kernel = {});

// Of ConvTranspose: `in` and `out` are those of the operator, so that tap k of input i adds to output
// i * stride - pad_begin + k * dilation.
Geometry transposed_geometry(const op::ConvTranspose& a, const Shape& x,
                             std::span<const std::int64_t> kernel);

// The taps [begin, end) of a window that lie inside the input.
struct TapRange {
  std::int64_t begin = 0, end = 0;
};
TapRange tap_range(const Window& w, std::int64_t window) noexcept;

// How many taps of a window lie inside the input, or inside the padded input: what AveragePool divides by,
// axis by axis.
std::int64_t taps_inside(const Window& w, std::int64_t window, bool with_padding) noexcept;

// Calls f(index of the kernel element, index of the input element) for the taps of a window that lie inside
// the input.
template <class F>
void for_taps(const Geometry& g, std::int64_t od, std::int64_t oh, std::int64_t ow, F&& f) {
  const TapRange d = tap_range(g.d(), od), h = tap_range(g.h(), oh), w = tap_range(g.w(), ow);
  for (std::int64_t kd = d.begin; kd < d.end; ++kd) {
    const std::int64_t id = g.d().start(od) + kd * g.d().dilation;
    for (std::int64_t kh = h.begin; kh < h.end; ++kh) {
      const std::int64_t ih = g.h().start(oh) + kh * g.h().dilation;
      for (std::int64_t kw = w.begin; kw < w.end; ++kw) {
        const std::int64_t iw = g.w().start(ow) + kw * g.w().dilation;
        f((kd * g.h().kernel + kh) * g.w().kernel + kw, (id * g.h().in + ih) * g.w().in + iw);
      }
    }
  }
}

}  // namespace eke
