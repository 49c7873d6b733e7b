// Numpy broadcasting and strided iteration over up to Shape::kMaxRank axes, without allocation.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/error.h"
#include "tensor/tensor.h"

namespace eke {

// The shape that a and b broadcast to; throws when two extents differ and neither is 1.
inline Shape broadcast(const Shape& a, const Shape& b) {
  Shape out = Shape::filled(std::max(a.rank(), b.rank()), 1);
  for (int i = 0; i < out.rank(); ++i) {
    const int ia = a.rank() - 1 - i, ib = b.rank() - 1 - i;
    const std::int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    check(da == db || da == 1 || db == 1,
          "shapes {} and {} do not broadcast: extents {} and {} differ and neither is 1", to_string(a),
          to_string(b), da, db);
    out[out.rank() - 1 - i] = da == 1 ? db : da;
  }
  return out;
}

// Elements between neighbours along each axis.
using Strides = std::array<std::int64_t, Shape::kMaxRank>;

// Of a dense row-major tensor.
inline Strides dense_strides(const Shape& shape) noexcept {
  Strides strides{};
  std::int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

// Of a dense tensor of shape `in` seen as `out`, to which it broadcasts: 0 along repeated axes.
inline Strides broadcast_strides(const Shape& in, const Shape& out) noexcept {
  const Strides dense = dense_strides(in);
  Strides strides{};
  const int shift = out.rank() - in.rank();
  for (int i = 0; i < in.rank(); ++i) strides[i + shift] = in[i] == 1 ? 0 : dense[i];
  return strides;
}

// Calls f(i, offsets) for each element i of `shape` in row-major order, where offsets[k] is the dot product
// of the element's index and strides[k].
template <std::size_t N, class F>
void for_each_offset(const Shape& shape, const std::array<Strides, N>& strides, F&& f) {
  const std::int64_t count = shape.count();
  Strides index{};
  std::array<std::int64_t, N> offsets{};
  for (std::int64_t i = 0; i < count; ++i) {
    f(i, offsets);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (++index[axis] < shape[axis]) {
        for (std::size_t k = 0; k < N; ++k) offsets[k] += strides[k][axis];
        break;
      }
      for (std::size_t k = 0; k < N; ++k) offsets[k] -= strides[k][axis] * (shape[axis] - 1);
      index[axis] = 0;
    }
  }
}

// A negative axis counts from the end; throws outside [-rank, rank).
inline int normalize_axis(std::int64_t axis, int rank) {
  check(axis >= -rank && axis < rank, "axis {} is outside [{}, {}) for rank {}", axis, -rank, rank, rank);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace eke
