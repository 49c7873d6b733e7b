// The oracle: docs/integer-semantics.md as code.
#include "kernels/simd/scalar.h"

#include "kernels/dwconv/dwconv.h"

namespace eke::kernels {

void dwconv_u8s8_1c_scalar(const DwconvU8S8Args& a) noexcept {
  for (int i = 0; i < a.pixels; ++i)
    for (int c = 0; c < a.channels; ++c) {
      std::uint32_t acc = static_cast<std::uint32_t>(a.epilogue.bias[c]);
      for (int t = 0; t < a.taps; ++t)
        acc += static_cast<std::uint32_t>(a.rows[i * a.row_stride + t][c] *
                                          a.weights[std::ptrdiff_t{t} * a.channels + c]);
      finish(a.epilogue, wrap(acc), c, i, static_cast<char*>(a.out) + i * a.out_stride);
    }
}

void dwconv_f32_1c_scalar(const DwconvF32Args& a) noexcept {
  const std::ptrdiff_t padded = (a.channels + 15) / 16 * 16;
  for (int i = 0; i < a.pixels; ++i)
    for (int c = 0; c < a.channels; ++c) {
      float y = a.bias[c];
      for (int t = 0; t < a.taps; ++t)
        y = __builtin_fmaf(a.rows[i * a.row_stride + t][c], a.weights[t * padded + c], y);
      finish(a, y, c, i);
    }
}

}  // namespace eke::kernels
