#include "kernels/transpose/transpose.h"

namespace eke::kernels {
namespace {

template <class T>
void transpose(const TransposeArgs& a) noexcept {
  for (std::size_t c = 0; c < a.cols; ++c) {
    auto* out =
        reinterpret_cast<T*>(static_cast<char*>(a.out) + static_cast<std::ptrdiff_t>(c) * a.out_stride);
    for (std::size_t r = 0; r < a.rows; ++r)
      out[r] = reinterpret_cast<const T*>(static_cast<const char*>(a.in) +
                                          static_cast<std::ptrdiff_t>(r) * a.in_stride)[c];
  }
}

}  // namespace

void transpose_x8_scalar(const TransposeArgs& a) noexcept { transpose<std::uint8_t>(a); }
void transpose_x32_scalar(const TransposeArgs& a) noexcept { transpose<std::uint32_t>(a); }

}  // namespace eke::kernels
