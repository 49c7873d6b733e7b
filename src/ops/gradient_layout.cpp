// Gradients of operators that move, select or sum elements.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/broadcast.h"
#include "ops/gradient.h"

namespace eke {
namespace {

using Ids = std::vector<ValueId>;

// Inputs beside the first are parameters that get no gradient.
Ids only_first(const GradientBuilder& b, ValueId gradient) {
  Ids gradients(b.node().in.size(), kNoValue);
  gradients[0] = gradient;
  return gradients;
}

Ids reshape_gradient(GradientBuilder& b) { return only_first(b, b.reshape(b.dy(), b.shape(b.in(0)))); }
Ids identity_gradient(GradientBuilder& b) { return only_first(b, b.dy()); }

Ids transpose_gradient(GradientBuilder& b) {
  const op::Ints& perm = b.op<op::Transpose>().perm;
  const auto rank = static_cast<std::size_t>(b.shape(b.in(0)).rank());
  op::Ints inverse(rank);
  for (std::size_t i = 0; i < rank; ++i)
    inverse[perm.empty() ? rank - 1 - i : static_cast<std::size_t>(perm[i])] = static_cast<std::int64_t>(i);
  return {b.add(op::Transpose{inverse}, {b.dy()})};
}

Ids concat_gradient(GradientBuilder& b) {
  const std::int64_t axis = normalize_axis(b.op<op::Concat>().axis, b.shape(b.out()).rank());
  const std::size_t count = b.node().in.size();
  if (count == 1) return {b.dy()};
  std::vector<std::int64_t> extents;
  for (std::size_t i = 0; i < count; ++i) extents.push_back(b.shape(b.in(i))[static_cast<int>(axis)]);
  return b.add(op::Split{.axis = axis}, {b.dy(), b.ints(extents)}, count);
}

Ids split_gradient(GradientBuilder& b) {
  const std::int64_t axis = b.op<op::Split>().axis;
  Ids parts;
  for (std::size_t i = 0; i < b.node().out.size(); ++i) {
    if (b.out(i) == kNoValue) fail("an output of the Split is not used; remove it before training");
    parts.push_back(b.dy(i) != kNoValue ? b.dy(i)
                                        : b.constant(Tensor(b.type(b.out(i)).dtype, b.shape(b.out(i)))));
  }
  return only_first(b, parts.size() == 1 ? parts[0] : b.add(op::Concat{axis}, parts));
}

// dy set into zeros: `before` and `after` elements along each axis.
ValueId padded(GradientBuilder& b, ValueId dy, const std::vector<std::int64_t>& before,
               const std::vector<std::int64_t>& after) {
  std::vector<std::int64_t> pads = before;
  pads.insert(pads.end(), after.begin(), after.end());
  return b.add(op::Pad{}, {dy, b.ints(pads)});
}

std::vector<std::int64_t> constant_ints(GradientBuilder& b, std::size_t i) {
  const Tensor* constant = b.constant(b.in(i));
  check(constant != nullptr, "input {} must be a constant to train below it", i);
  return as_ints(*constant);
}

// Zeros between the elements along `axis`, and after the last: extent n becomes n * step.
ValueId spread_out(GradientBuilder& b, ValueId dy, int axis, std::int64_t step) {
  const Shape shape = b.shape(dy);
  Shape split, joined = shape;
  for (int i = 0; i < shape.rank(); ++i) {
    split.push_back(shape[i]);
    if (i == axis) split.push_back(1);
  }
  joined[axis] *= step;
  std::vector<std::int64_t> none(static_cast<std::size_t>(split.rank())), after = none;
  after[static_cast<std::size_t>(axis) + 1] = step - 1;
  return b.reshape(padded(b, b.reshape(dy, split), none, after), joined);
}

Ids slice_gradient(GradientBuilder& b) {
  const Shape x = b.shape(b.in(0));
  std::vector<std::int64_t> starts = constant_ints(b, 1), axes(starts.size()), steps(starts.size(), 1);
  std::iota(axes.begin(), axes.end(), std::int64_t{0});
  if (b.in(3) != kNoValue) axes = constant_ints(b, 3);
  if (b.in(4) != kNoValue) steps = constant_ints(b, 4);
  ValueId dy = b.dy();
  std::vector<std::int64_t> before(static_cast<std::size_t>(x.rank()));
  for (std::size_t i = 0; i < axes.size(); ++i) {
    check(steps[i] > 0, "a Slice in steps of {} has no gradient; freeze below it", steps[i]);
    const int axis = normalize_axis(axes[i], x.rank());
    const std::int64_t start = starts[i] < 0 ? starts[i] + x[axis] : starts[i];
    before[static_cast<std::size_t>(axis)] = std::clamp<std::int64_t>(start, 0, x[axis]);
    if (steps[i] > 1) dy = spread_out(b, dy, axis, steps[i]);
  }
  std::vector<std::int64_t> after(before.size());  // negative where the last step reaches past the input
  for (int i = 0; i < x.rank(); ++i) {
    const auto axis = static_cast<std::size_t>(i);
    after[axis] = x[i] - b.shape(dy)[i] - before[axis];
  }
  return only_first(b, padded(b, dy, before, after));
}

Ids pad_gradient(GradientBuilder& b) {
  check(b.op<op::Pad>().mode == "constant", "a Pad of mode '{}' has no gradient; freeze below it",
        b.op<op::Pad>().mode);
  const Shape& x = b.shape(b.in(0));
  const std::vector<std::int64_t> pads = constant_ints(b, 1);
  std::vector<std::int64_t> axes(static_cast<std::size_t>(x.rank()));
  std::iota(axes.begin(), axes.end(), std::int64_t{0});
  if (b.in(3) != kNoValue) axes = constant_ints(b, 3);
  std::vector<std::int64_t> negative(2 * static_cast<std::size_t>(x.rank()));
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(normalize_axis(axes[i], x.rank()));
    negative[axis] = -pads[i];
    negative[axis + static_cast<std::size_t>(x.rank())] = -pads[i + axes.size()];
  }
  return only_first(b, b.add(op::Pad{}, {b.dy(), b.ints(negative)}));
}

Ids expand_gradient(GradientBuilder& b) { return only_first(b, b.unbroadcast(b.dy(), b.shape(b.in(0)))); }

// The gradient of a reduction, or its value, with the reduced axes back at extent 1.
ValueId kept(GradientBuilder& b, ValueId v, const std::vector<std::int64_t>& axes) {
  Shape shape = b.shape(b.in(0));
  for (const std::int64_t axis : axes) shape[normalize_axis(axis, shape.rank())] = 1;
  return b.reshape(v, shape);
}

Ids reduce_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::Reduce>();
  const ValueId x = b.in(0);
  const Shape shape = b.shape(x);
  std::vector<std::int64_t> axes;
  if (b.in(1) != kNoValue) axes = constant_ints(b, 1);
  if (axes.empty()) {
    if (a.noop_with_empty_axes != 0) return only_first(b, b.dy());
    axes.resize(static_cast<std::size_t>(shape.rank()));
    std::iota(axes.begin(), axes.end(), std::int64_t{0});
  }
  const ValueId dy = kept(b, b.dy(), axes);
  const double share = static_cast<double>(b.shape(dy).count()) / static_cast<double>(shape.count());
  const auto result = [&](ValueId g) { return only_first(b, b.expand(g, shape)); };
  switch (a.fn) {
    case op::ReduceFn::ReduceSum:
      return result(dy);
    case op::ReduceFn::ReduceMean:
      return result(b.scaled(dy, share));
    case op::ReduceFn::ReduceSumSquare:
      return result(b.mul(b.scaled(x, 2), dy));
    case op::ReduceFn::ReduceL1:
      return result(b.mul(b.unary(op::UnaryFn::Sign, x), dy));
    case op::ReduceFn::ReduceL2:
      return result(b.mul(x, b.over(dy, kept(b, b.out(), axes))));
    case op::ReduceFn::ReduceLogSum:
      return result(b.over(dy, b.unary(op::UnaryFn::Exp, kept(b, b.out(), axes))));
    case op::ReduceFn::ReduceLogSumExp:
      return result(b.mul(dy, b.unary(op::UnaryFn::Exp, b.minus(x, kept(b, b.out(), axes)))));
    default:
      fail("{} has no gradient; freeze below it", op::to_string(a.fn));
  }
}

constexpr std::string_view kResampled = "resampling has no gradient here";

}  // namespace

std::vector<Gradient> layout_gradients() {
  return {
      {op::Reshape{}, reshape_gradient},
      {op::Flatten{}, reshape_gradient},
      {op::Squeeze{}, reshape_gradient},
      {op::Unsqueeze{}, reshape_gradient},
      {op::Identity{}, identity_gradient},
      {op::Dropout{}, identity_gradient},
      {op::Transpose{}, transpose_gradient},
      {op::Concat{}, concat_gradient},
      {op::Split{}, split_gradient},
      {op::Slice{}, slice_gradient},
      {op::Pad{}, pad_gradient},
      {op::Expand{}, expand_gradient},
      {op::Reduce{}, reduce_gradient},
      {op::Tile{}, nullptr, "repeated tensors have no gradient here"},
      {op::Gather{}, nullptr, "gathered elements have no gradient here"},
      {op::GatherElements{}, nullptr, "gathered elements have no gradient here"},
      {op::DepthToSpace{}, nullptr, kResampled},
      {op::SpaceToDepth{}, nullptr, kResampled},
      {op::Resize{}, nullptr, kResampled},
      {op::TopK{}, nullptr, "a selection has no gradient here"},
  };
}

}  // namespace eke
