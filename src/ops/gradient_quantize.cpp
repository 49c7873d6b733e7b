// Gradients of rounding: straight through between the bounds, and for the scale that of learned step sizes (Esser et al.,
// Learned Step Size Quantization, 2020, equation 3). The gradient of a stored integer is that of the real value that it
// stands for, so that a pair of QuantizeLinear and DequantizeLinear by one scale is differentiated as a whole.
#include "base/error.h"
#include "ops/gradient.h"
#include "ops/quantized.h"

namespace eke {
namespace {

using Ids = std::vector<ValueId>;

Ids quantize_gradient(GradientBuilder& b) {
  const auto& a = b.op<op::QuantizeLinear>();
  const Shape scale = b.shape(b.in(1));
  check(a.block_size == 0 && (scale.count() == 1 || a.axis == 0),
        "only one scale, or one for each index of the first axis, can be trained");
  std::int32_t zero_point = 0;
  if (b.in(2) != kNoValue) {
    const Tensor* given = b.constant(b.in(2));
    check(given != nullptr && given->count() > 0, "its zero point must be a constant");
    zero_point = static_cast<std::int32_t>(element_as_int(given->view(), 0));
    for (std::int64_t i = 0; i < given->count(); ++i)
      check(element_as_int(given->view(), i) == zero_point, "its zero points differ from channel to channel");
  }
  const quantized::Bounds bounds = quantized::bounds_of(b.type(b.out()).dtype);
  const op::ClampGrad straight{
      {static_cast<float>(bounds.lo - zero_point), static_cast<float>(bounds.hi - zero_point)}};
  return b.add(straight, {b.dy(), b.in(0), b.in(1)}, 2);
}

// What the scale multiplies is counted by the gradient of the QuantizeLinear.
Ids dequantize_gradient(GradientBuilder& b) { return {b.dy()}; }

}  // namespace

std::vector<Gradient> quantize_gradients() {
  return {
      {op::QuantizeLinear{}, quantize_gradient},
      {op::DequantizeLinear{}, dequantize_gradient},
  };
}

}  // namespace eke
