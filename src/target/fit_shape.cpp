// Strided slices, paddings, shuffled channels and convolutions padded beyond their kernel, as convolutions whose taps
// are ones and zeros.
#include <fmt/format.h>

#include <algorithm>

#include "target/fit_rules.h"

namespace eke {
namespace {

constexpr std::int64_t kMaxStride = 8, kMaxPad = 31;

op::Conv identity(op::Ints kernel, op::Ints strides, op::Ints pads, std::int64_t group) {
  op::Conv conv;
  conv.kernel_shape = std::move(kernel);
  conv.strides = std::move(strides);
  conv.pads = std::move(pads);
  conv.dilations = {1, 1};
  conv.group = group;
  return conv;
}

bool is_map(FitRun& run) {
  const Type& type = run.r.type(run.r.in(0));
  return type.shape.rank() == 4 && type.dtype == DType::f32;
}

std::optional<std::vector<std::int64_t>> ints(FitRun& run, std::size_t i) {
  const Tensor* tensor = run.r.in(i) == kNoValue ? nullptr : run.r.constant(run.r.in(i));
  return tensor ? std::optional(as_ints(*tensor)) : std::nullopt;
}

// x[:, :, ::s, ::t] is a depthwise 1x1 convolution with strides s and t.
void strided_slice(FitRun& run) {
  Rewriter& r = run.r;
  const Shape x = r.type(r.in(0)).shape, y = r.type(r.out()).shape;
  const auto starts = ints(run, 1), steps = ints(run, 4);
  auto axes = ints(run, 3);
  if (!starts || !steps || (r.in(3) != kNoValue && !axes)) return;
  if (!axes) axes = std::vector<std::int64_t>{0, 1, 2, 3};
  op::Ints strides = {1, 1};
  for (std::size_t i = 0; i < steps->size(); ++i) {
    const std::int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + 4 : (*axes)[i];
    if ((*starts)[i] != 0) return;
    if (axis >= 2) strides[static_cast<std::size_t>(axis - 2)] = (*steps)[i];
  }
  const bool strided = strides[0] > 1 || strides[1] > 1;
  if (!strided || std::min(strides[0], strides[1]) < 1 || std::max(strides[0], strides[1]) > kMaxStride)
    return;
  const auto all = [](std::int64_t extent, std::int64_t stride) { return (extent + stride - 1) / stride; };
  if (y != Shape{x[0], x[1], all(x[2], strides[0]), all(x[3], strides[1])}) return;
  Tensor weights(DType::f32, {x[1], 1, 1, 1});
  std::ranges::fill(weights.mutable_values<float>(), 1.f);
  run.changed("a depthwise convolution 1x1 with its stride", "a Slice has the step 1");
  const ValueId w = r.add_constant(run.name() + "_weights", std::move(weights));
  r.replace(identity({1, 1}, strides, {0, 0, 0, 0}, x[1]), {r.in(0), w});
}

// Of a Pad by zeros: what is added before and after each axis; nothing for other ones.
struct Amounts {
  std::int64_t before[4] = {}, after[4] = {};
};
std::optional<Amounts> zero_padding(FitRun& run) {
  const auto* pad = run.r.current<op::Pad>();
  const auto pads = ints(run, 1);
  auto axes = ints(run, 3);
  if (!pad || pad->mode != "constant" || !pads || (run.r.in(3) != kNoValue && !axes)) return std::nullopt;
  if (run.r.in(2) != kNoValue) {
    const auto value = uniform(run.r.constant(run.r.in(2)));
    if (!value || *value != 0) return std::nullopt;
  }
  if (!axes) axes = std::vector<std::int64_t>{0, 1, 2, 3};
  Amounts amounts;
  for (std::size_t i = 0; i < axes->size(); ++i) {
    const std::int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + 4 : (*axes)[i];
    amounts.before[axis] = (*pads)[i];
    amounts.after[axis] = (*pads)[i + axes->size()];
    if (std::min(amounts.before[axis], amounts.after[axis]) < 0) return std::nullopt;
  }
  return amounts;
}

// More channels, which are zero: a 1x1 convolution that copies.
void pad_channels(FitRun& run, const Amounts& a) {
  Rewriter& r = run.r;
  const std::int64_t in = r.type(r.in(0)).shape[1], out = a.before[1] + in + a.after[1];
  Tensor weights(DType::f32, {out, in, 1, 1});
  auto values = weights.mutable_values<float>();
  for (std::int64_t c = 0; c < in; ++c) values[static_cast<std::size_t>((a.before[1] + c) * in + c)] = 1;
  run.changed("a convolution 1x1 that copies channels", "TensorRT does not place Pad");
  const ValueId w = r.add_constant(run.name() + "_weights", std::move(weights));
  r.replace(identity({1, 1}, {1, 1}, {0, 0, 0, 0}, 1), {r.in(0), w});
}

// A border of zeros: a depthwise convolution with one tap. Its padding has to stay below its kernel, hence the wide
// one: by m on each side of the tap, which takes m off the map again.
void pad_map(FitRun& run, const Amounts& a) {
  Rewriter& r = run.r;
  const std::int64_t m = std::max({a.before[2], a.before[3], a.after[2], a.after[3]}), kernel = 2 * m + 1,
                     channels = r.type(r.in(0)).shape[1];
  if (2 * m > kMaxPad) return;
  Tensor weights(DType::f32, {channels, 1, kernel, kernel});
  auto values = weights.mutable_values<float>();
  for (std::int64_t c = 0; c < channels; ++c)
    values[static_cast<std::size_t>((c * kernel + m) * kernel + m)] = 1;
  run.changed(fmt::format("a depthwise convolution {0}x{0} with one tap", kernel),
              "TensorRT does not place Pad");
  const ValueId w = r.add_constant(run.name() + "_weights", std::move(weights));
  r.replace(identity({kernel, kernel}, {1, 1},
                     {a.before[2] + m, a.before[3] + m, a.after[2] + m, a.after[3] + m}, channels),
            {r.in(0), w});
}

void padding(FitRun& run) {
  const auto amounts = zero_padding(run);
  if (!amounts || amounts->before[0] + amounts->after[0] != 0) return;
  const bool channels = amounts->before[1] + amounts->after[1] > 0,
             map =
                 std::max({amounts->before[2], amounts->before[3], amounts->after[2], amounts->after[3]}) > 0;
  if (channels && !map) pad_channels(run, *amounts);
  if (map && !channels) pad_map(run, *amounts);
}

// A kernel with zeros between its taps, so that it needs no dilation, and around them.
struct WideKernel {
  std::int64_t margin[2] = {0, 0}, dilation[2] = {1, 1};
  op::Conv conv;
};

// The narrowest one whose padding stays below it; nothing where the padding does already, or none can be had.
std::optional<WideKernel> wide_kernel(const op::Conv& a) {
  WideKernel wide{.conv = a};
  bool beyond = false;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (!a.dilations.empty()) wide.dilation[axis] = a.dilations[axis];
    const std::int64_t dense = (a.kernel_shape[axis] - 1) * wide.dilation[axis] + 1,
                       pad = std::max(a.pads[axis], a.pads[axis + 2]);
    beyond = beyond || pad >= a.kernel_shape[axis];
    wide.margin[axis] = std::max<std::int64_t>(pad - dense + 1, 0);
    wide.conv.kernel_shape[axis] = dense + 2 * wide.margin[axis];
    wide.conv.pads[axis] += wide.margin[axis];
    wide.conv.pads[axis + 2] += wide.margin[axis];
    if (wide.conv.kernel_shape[axis] > kMaxPad + 1) return std::nullopt;
  }
  wide.conv.dilations = {1, 1};
  return beyond ? std::optional(wide) : std::nullopt;
}

Tensor spread(const Tensor& w, const op::Conv& a, const WideKernel& wide) {
  const std::int64_t height = a.kernel_shape[0], width = a.kernel_shape[1],
                     maps = w.shape()[0] * w.shape()[1];
  Tensor result(DType::f32,
                {w.shape()[0], w.shape()[1], wide.conv.kernel_shape[0], wide.conv.kernel_shape[1]});
  const auto from = w.values<float>();
  auto to = result.mutable_values<float>();
  for (std::int64_t map = 0; map < maps; ++map) {
    for (std::int64_t row = 0; row < height; ++row) {
      for (std::int64_t column = 0; column < width; ++column) {
        const std::int64_t y = wide.margin[0] + row * wide.dilation[0],
                           x = wide.margin[1] + column * wide.dilation[1];
        const std::int64_t at = (map * wide.conv.kernel_shape[0] + y) * wide.conv.kernel_shape[1] + x;
        to[static_cast<std::size_t>(at)] =
            from[static_cast<std::size_t>((map * height + row) * width + column)];
      }
    }
  }
  return result;
}

void padded_beyond_kernel(FitRun& run, const op::Conv& a) {
  Rewriter& r = run.r;
  const Tensor* w = r.constant(r.in(1));
  if (!w || w->dtype() != DType::f32 || a.kernel_shape.size() != 2 || a.pads.size() != 4 ||
      a.auto_pad != "NOTSET")
    return;
  std::optional<WideKernel> wide = wide_kernel(a);
  if (!wide) return;
  run.changed(fmt::format("a convolution {}x{} with zeros in its kernel", wide->conv.kernel_shape[0],
                          wide->conv.kernel_shape[1]),
              "padding stays below the kernel");
  std::vector<ValueId> inputs = r.node().in;
  inputs[1] = r.add_constant(run.name() + "_weights", spread(*w, a, *wide));
  r.replace(std::move(wide->conv), std::move(inputs));
}

// A Reshape that splits the channels in groups, a Transpose of groups and channels, and the Reshape that joins them
// (ShuffleNet): a 1x1 convolution that copies channels in another order.
void shuffle(FitRun& run) {
  Rewriter& r = run.r;
  const auto* transpose = r.made_by<op::Transpose>(r.in(0));
  if (!transpose || transpose->perm != op::Ints{0, 2, 1, 3, 4}) return;
  const ValueId split = r.producer(r.in(0))->in[0];
  if (!r.made_by<op::Reshape>(split)) return;
  const ValueId source = r.producer(split)->in[0];
  const Shape x = r.type(source).shape, groups = r.type(split).shape;
  if (x.rank() != 4 || x != r.type(r.out()).shape || groups.rank() != 5 || groups[0] != x[0] ||
      groups[1] * groups[2] != x[1] || groups[3] != x[2] || groups[4] != x[3]) {
    return;
  }
  Tensor weights(DType::f32, {x[1], x[1], 1, 1});
  auto values = weights.mutable_values<float>();
  for (std::int64_t c = 0; c < x[1]; ++c)
    values[static_cast<std::size_t>(c * x[1] + c % groups[1] * groups[2] + c / groups[1])] = 1;
  run.changed("a convolution 1x1 that puts channels in order",
              "a Reshape next to a Slice or Concat leaves the DLA");
  const ValueId w = r.add_constant(run.name() + "_weights", std::move(weights));
  r.replace(identity({1, 1}, {1, 1}, {0, 0, 0, 0}, 1), {source, w});
}

}  // namespace

void fit_shapes(FitRun& run) {
  run.r.for_each_node([&] {
    if (run.r.in(0) == kNoValue) return;
    if (run.r.current<op::Reshape>()) return shuffle(run);
    if (!is_map(run)) return;
    if (run.r.current<op::Slice>()) return strided_slice(run);
    if (run.r.current<op::Pad>()) return padding(run);
    if (const auto* conv = run.r.current<op::Conv>()) padded_beyond_kernel(run, op::Conv(*conv));
  });
}

}  // namespace eke
