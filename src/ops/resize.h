// The sampling of Resize, resolved to tables: shared by the reference and the runtime.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/op.h"
#include "tensor/tensor.h"

namespace eke {

// One axis: output coordinate o is the sum over t < taps of weight[o * taps + t] * input[index[o * taps +
// t]].
struct ResizeAxis {
  std::int64_t in = 0, out = 0;
  int taps = 1;
  std::vector<std::int64_t> index;  // within the input
  std::vector<double> weight;
  std::vector<std::uint8_t>
      outside;            // per output coordinate: takes extrapolation_value (tf_crop_and_resize); or empty
  bool identity = false;  // out == in and every element is copied
};

// The output's shape. Absent operands are views without type, or have no elements. Throws where the operands
// do not fit; reads the values of scales and sizes only.
Shape resize_shape(const op::Resize& a, const Shape& x, const TensorView& scales, const TensorView& sizes);

// One table for each axis of x.
std::vector<ResizeAxis> resize_axes(const op::Resize& a, const Shape& x, const TensorView& roi,
                                    const TensorView& scales, const TensorView& sizes);

}  // namespace eke
