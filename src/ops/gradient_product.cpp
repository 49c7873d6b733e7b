// Gradients of convolutions and matrix products.
#include <algorithm>

#include "base/error.h"
#include "ops/geometry.h"
#include "ops/gradient.h"

namespace eke {
namespace {

using Ids = std::vector<ValueId>;

struct Windows {
  op::Ints kernel, strides, pads, dilations;
};

// The attributes of a convolution over x, spelled out.
Windows windows_of(const Geometry& g) {
  Windows w;
  for (int i = 0; i < g.rank; ++i) {
    const Window& axis = g.spatial(i);
    w.kernel.push_back(axis.kernel);
    w.strides.push_back(axis.stride);
    w.dilations.push_back(axis.dilation);
    w.pads.push_back(axis.pad_begin);
  }
  for (int i = 0; i < g.rank; ++i) w.pads.push_back(g.spatial(i).pad_end);
  return w;
}

// dy summed over all but the channels.
ValueId channel_sum(GradientBuilder& b, ValueId dy) {
  std::vector<std::int64_t> axes{0};
  for (int i = 2; i < b.shape(dy).rank(); ++i) axes.push_back(i);
  return b.sum(dy, axes, false);
}

Ids conv_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::Conv>();
  check(!a.clamp.active() && b.in(3) == kNoValue && b.in(4) == kNoValue,
        "a fused convolution has no gradient; differentiate the graph before it is lowered");
  const ValueId x = b.in(0), w = b.in(1), dy = b.dy();
  const Geometry g = window_geometry(window_attributes(a), b.shape(x), b.shape(w).dims().subspan(2));
  const Windows windows = windows_of(g);
  Ids gradients(b.node().in.size(), kNoValue);
  if (b.wants(1))
    gradients[1] = b.add(op::ConvGradWeight{.kernel_shape = windows.kernel,
                                            .strides = windows.strides,
                                            .pads = windows.pads,
                                            .dilations = windows.dilations,
                                            .group = a.group},
                         {x, dy});
  if (b.wants(2)) gradients[2] = channel_sum(b, dy);
  if (b.wants(0)) {
    op::Ints padding;  // what the last window leaves over
    for (int i = 0; i < g.rank; ++i) {
      const Window& axis = g.spatial(i);
      padding.push_back(axis.in -
                        ((axis.out - 1) * axis.stride - axis.pad_begin - axis.pad_end + axis.reach()));
    }
    gradients[0] = b.add(op::ConvTranspose{.kernel_shape = windows.kernel,
                                           .strides = windows.strides,
                                           .pads = windows.pads,
                                           .dilations = windows.dilations,
                                           .output_padding = padding,
                                           .group = a.group},
                         {dy, w});
  }
  return gradients;
}

Ids conv_transpose_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::ConvTranspose>();
  const ValueId x = b.in(0), w = b.in(1), dy = b.dy();
  const Windows windows = windows_of(transposed_geometry(a, b.shape(x), b.shape(w).dims().subspan(2)));
  Ids gradients(b.node().in.size(), kNoValue);
  if (b.wants(1))  // the convolution of which this is the gradient takes dy and makes x
    gradients[1] = b.add(op::ConvGradWeight{.kernel_shape = windows.kernel,
                                            .strides = windows.strides,
                                            .pads = windows.pads,
                                            .dilations = windows.dilations,
                                            .group = a.group},
                         {dy, x});
  if (b.wants(2)) gradients[2] = channel_sum(b, dy);
  if (b.wants(0))
    gradients[0] = b.add(op::Conv{.kernel_shape = windows.kernel,
                                  .strides = windows.strides,
                                  .pads = windows.pads,
                                  .dilations = windows.dilations,
                                  .group = a.group},
                         {dy, w});
  return gradients;
}

Ids gemm_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::Gemm>();
  check(!a.clamp.active(), "a fused product has no gradient; differentiate the graph before it is lowered");
  const ValueId x = b.in(0), w = b.in(1), dy = b.dy();
  const auto product = [&](ValueId p, bool tp, ValueId q, bool tq) {
    return b.add(op::Gemm{.alpha = a.alpha, .transA = tp, .transB = tq}, {p, q});
  };
  Ids gradients(b.node().in.size(), kNoValue);
  const bool ta = a.transA != 0, tb = a.transB != 0;
  if (b.wants(1)) gradients[1] = tb ? product(dy, true, x, ta) : product(x, !ta, dy, false);
  if (b.wants(2)) {
    const ValueId sum = b.unbroadcast(dy, b.shape(b.in(2)));
    gradients[2] = a.beta == 1 ? sum : b.scaled(sum, static_cast<double>(a.beta));
  }
  if (b.wants(0)) gradients[0] = ta ? product(w, tb, dy, true) : product(dy, false, w, !tb);
  return gradients;
}

// The last two axes swapped.
ValueId swapped(GradientBuilder& b, ValueId x) {
  op::Ints perm;
  for (int i = 0; i < b.shape(x).rank(); ++i) perm.push_back(i);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return b.add(op::Transpose{perm}, {x});
}

Ids matmul_gradient(GradientBuilder& b) {
  const ValueId x = b.in(0), w = b.in(1), dy = b.dy();
  check(b.shape(x).rank() >= 2 && b.shape(w).rank() >= 2,
        "a product with a vector has no gradient; reshape it");
  Ids gradients(2, kNoValue);
  if (b.wants(1)) {
    if (b.shape(w).rank() == 2 && b.shape(x).rank() > 2) {  // one matrix for all: a single product
      const Shape &xs = b.shape(x), &ys = b.shape(dy);
      const ValueId rows = b.reshape(x, {xs.count() / xs[xs.rank() - 1], xs[xs.rank() - 1]});
      const ValueId out = b.reshape(dy, {ys.count() / ys[ys.rank() - 1], ys[ys.rank() - 1]});
      gradients[1] = b.add(op::Gemm{.transA = 1}, {rows, out});
    } else {
      gradients[1] = b.unbroadcast(b.add(op::MatMul{}, {swapped(b, x), dy}), b.shape(w));
    }
  }
  if (b.wants(0)) gradients[0] = b.unbroadcast(b.add(op::MatMul{}, {dy, swapped(b, w)}), b.shape(x));
  return gradients;
}

}  // namespace

std::vector<Gradient> product_gradients() {
  return {
      {op::Conv{}, conv_gradient},
      {op::ConvTranspose{}, conv_transpose_gradient},
      {op::Gemm{}, gemm_gradient},
      {op::MatMul{}, matmul_gradient},
  };
}

}  // namespace eke
