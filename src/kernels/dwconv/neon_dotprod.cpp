#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/neon_requantize.h"

#include "kernels/dwconv/generic.h"

#include "kernels/dwconv/neon_blocks.h"

#include "kernels/dwconv/neon_quads.h"

namespace eke::kernels {
namespace {

// Products of signed bytes, x - 128 by w: the head holds what that takes off the sums.
struct Dot {
  static uint8x16_t load(const std::uint8_t* p) noexcept { return veorq_u8(vld1q_u8(p), vdupq_n_u8(128)); }
  static int32x4_t dot(int32x4_t sum, uint8x16_t x, int8x16_t w) noexcept {
    return vdotq_s32(sum, vreinterpretq_s8_u8(x), w);
  }
  static I16 start(I16 bias, I16 head) noexcept { return bias + head; }
};

}  // namespace

void dwconv_u8s8_16c_neon_dotprod(const DwconvU8S8Args& a) noexcept { dwconv_quads<Dot>(a); }

}  // namespace eke::kernels
#endif
