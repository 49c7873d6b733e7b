// Blocks of sixteen channels with a head (DwconvLayout::blocks and block_quads): where their sums start and where they
// go. Included after simd/neon.h, simd/generic.h and simd/neon_requantize.h.
#pragma once

#include "kernels/dwconv/dwconv.h"

namespace eke::kernels {
namespace {

constexpr std::ptrdiff_t kHeadBytes = (16 + 4) * sizeof(std::int32_t);

// Rules 3 to 6 in registers.
template <ResidualKind Kind, bool Negative>
struct Requantized {
  static constexpr bool kWindows = Kind == ResidualKind::none;  // worth code of their own for usual windows
  const DwconvU8S8Args& a;
  int c;
  Requantize<Kind, Negative> requantize;
  F16 scale, negative;

  Requantized(const DwconvU8S8Args& args, int channel) noexcept
      : a(args), c(channel), requantize(a.epilogue), scale(load(a.epilogue.scale + c)) {
    negative = Negative ? load(a.epilogue.negative_scale + c) : scale;
  }
  void operator()(const I16& sums, std::ptrdiff_t pixel) const noexcept {
    F16 addends = scale;
    if constexpr (Kind != ResidualKind::none) {
      const Residual& r = a.epilogue.residual;
      addends = residual_addend(r, vld1q_u8(r.data + pixel * r.stride + c));
    }
    store(static_cast<std::uint8_t*>(a.out) + pixel * a.out_stride + c,
          Bytes{requantize(sums, scale, negative, addends)}, at_most_16(a.channels - c));
  }
};

// Every rule.
struct Finished {
  static constexpr bool kWindows = false;
  const DwconvU8S8Args& a;
  int c;
  void operator()(const I16& sums, std::ptrdiff_t pixel) const noexcept {
    finish(a.epilogue, sums, c, at_most_16(a.channels - c), pixel,
           static_cast<char*>(a.out) + pixel * a.out_stride);
  }
};

// Calls run(channel, weights of the block, where sums go) for each block; weights point behind the head.
template <class Run>
inline void for_blocks(const DwconvU8S8Args& a, std::ptrdiff_t block_bytes, Run run) noexcept {
  const Epilogue& e = a.epilogue;
  const ResidualKind kind = e.output == OutputKind::u8 ? e.residual.kind : ResidualKind::none;
  const std::int8_t* w = a.weights + kHeadBytes;
  for (int c = 0; c < a.channels; c += 16, w += block_bytes) {
    if (e.output != OutputKind::u8 || (e.negative_scale && kind != ResidualKind::none))
      run(c, w, Finished{a, c});
    else if (e.negative_scale)
      run(c, w, Requantized<ResidualKind::none, true>(a, c));
    else if (kind == ResidualKind::none)
      run(c, w, Requantized<ResidualKind::none, false>(a, c));
    else if (kind == ResidualKind::direct)
      run(c, w, Requantized<ResidualKind::direct, false>(a, c));
    else
      run(c, w, Requantized<ResidualKind::rounded, false>(a, c));
  }
}

inline I16 load_sums(const void* p) noexcept {
  return quarters<I16>([&](int i) { return vld1q_s32(static_cast<const std::int32_t*>(p) + 4 * i); });
}

}  // namespace
}  // namespace eke::kernels
