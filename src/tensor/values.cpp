#include "tensor/values.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace eke {

namespace {

template <class T>
void assign_integers(Tensor& tensor, std::span<const float> values) {
  constexpr T lo = std::numeric_limits<T>::min(), hi = std::numeric_limits<T>::max();
  std::span<T> out = tensor.mutable_values<T>();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double value = i < values.size() ? std::nearbyint(static_cast<double>(values[i])) : 0;
    // Compared before the conversion: the largest int64 is no double.
    out[i] = std::isnan(value)                  ? T{0}
             : value >= static_cast<double>(hi) ? hi
             : value <= static_cast<double>(lo) ? lo
                                                : static_cast<T>(value);
  }
}

}  // namespace

float real_value(const TensorView& tensor, std::int64_t i) noexcept {
  const double value = element_as_double(tensor, i);
  const auto& quant = tensor.type->quant;
  if (!quant || !quant->per_tensor()) return static_cast<float>(value);
  return static_cast<float>((value - quant->zero_point[0]) * static_cast<double>(quant->scale[0]));
}

std::vector<float> real_values(const TensorView& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.count()));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = real_value(tensor, static_cast<std::int64_t>(i));
  return values;
}

void assign(Tensor& tensor, std::span<const float> values) {
  check(static_cast<std::int64_t>(values.size()) <= tensor.count(), "{} values for a tensor of shape {}",
        values.size(), to_string(tensor.shape()));
  switch (tensor.dtype()) {
    case DType::f32: {
      std::span<float> out = tensor.mutable_values<float>();
      std::fill(std::copy(values.begin(), values.end(), out.begin()), out.end(), 0.f);
      return;
    }
    case DType::u8:
      return assign_integers<std::uint8_t>(tensor, values);
    case DType::i8:
      return assign_integers<std::int8_t>(tensor, values);
    case DType::i32:
      return assign_integers<std::int32_t>(tensor, values);
    case DType::i64:
      return assign_integers<std::int64_t>(tensor, values);
    default:
      fail("an input of type {} cannot be fed with numbers; float32 and integers can",
           to_string(tensor.dtype()));
  }
}

}  // namespace eke
