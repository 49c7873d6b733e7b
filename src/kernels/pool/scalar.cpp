// The oracle: docs/integer-semantics.md as code.
#include "kernels/simd/scalar.h"

#include "kernels/pool/pool.h"

namespace eke::kernels {
namespace {

template <class T>
T* row(T* out, std::ptrdiff_t bytes) noexcept {
  return reinterpret_cast<T*>(reinterpret_cast<char*>(out) + bytes);
}

template <class T>
void max_pool(const MaxPoolArgs<T>& a) noexcept {
  for (int i = 0; i < a.pixels; ++i)
    for (int c = 0; c < a.channels; ++c) {
      const T* const* rows = a.rows + i * a.row_stride;
      T y = rows[0][c];
      for (int t = 1; t < a.taps; ++t) y = y < rows[t][c] ? rows[t][c] : y;
      row(a.out, i * a.out_stride)[c] = y;
    }
}

}  // namespace

void max_pool_u8_scalar(const MaxPoolArgs<std::uint8_t>& a) noexcept { max_pool(a); }
void max_pool_f32_scalar(const MaxPoolArgs<float>& a) noexcept { max_pool(a); }

void average_pool_u8_scalar(const AveragePoolU8Args& a) noexcept {
  for (int i = 0; i < a.pixels; ++i)
    for (int c = 0; c < a.channels; ++c) {
      std::int32_t acc = 0;
      for (int t = 0; t < a.taps; ++t) acc += a.rows[i * a.row_stride + t][c] - a.input_zero;
      const float v = static_cast<float>(acc) * a.multiplier[i];
      a.out[i * a.out_stride + c] =
          static_cast<std::uint8_t>(static_cast<std::int32_t>(saturate(v, a.lo, a.hi)) + a.output_zero);
    }
}

void average_pool_f32_scalar(const AveragePoolF32Args& a) noexcept {
  for (int i = 0; i < a.pixels; ++i)
    for (int c = 0; c < a.channels; ++c) {
      float acc = a.rows[i * a.row_stride][c];
      for (int t = 1; t < a.taps; ++t) acc += a.rows[i * a.row_stride + t][c];
      row(a.out, i * a.out_stride)[c] = acc / a.divisor[i];
    }
}

void global_average_u8_scalar(const GlobalAverageU8Args& a) noexcept {
  for (int c = 0; c < a.channels; ++c) {
    std::int32_t acc = 0;
    for (int r = 0; r < a.rows; ++r) acc += a.in[r * a.in_stride + c] - a.input_zero;
    const float v = static_cast<float>(acc) * a.multiplier;
    if (a.to_float)
      static_cast<float*>(a.out)[c] = v;
    else
      static_cast<std::uint8_t*>(a.out)[c] =
          static_cast<std::uint8_t>(static_cast<std::int32_t>(saturate(v, a.lo, a.hi)) + a.output_zero);
  }
}

void global_average_f32_scalar(const GlobalAverageF32Args& a) noexcept {
  for (int c = 0; c < a.channels; ++c) {
    float acc = a.in[c];
    for (int r = 1; r < a.rows; ++r)
      acc += reinterpret_cast<const float*>(reinterpret_cast<const char*>(a.in) + r * a.in_stride)[c];
    a.out[c] = acc / a.divisor;
  }
}

}  // namespace eke::kernels
