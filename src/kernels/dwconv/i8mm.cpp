#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/neon_requantize.h"

#include "kernels/dwconv/generic.h"

#include "kernels/dwconv/neon_blocks.h"

#include "kernels/dwconv/neon_quads.h"

namespace eke::kernels {
namespace {

// Products of unsigned by signed bytes need nothing from the head.
struct Dot {
  static uint8x16_t load(const std::uint8_t* p) noexcept { return vld1q_u8(p); }
  static int32x4_t dot(int32x4_t sum, uint8x16_t x, int8x16_t w) noexcept { return vusdotq_s32(sum, x, w); }
  static I16 start(I16 bias, I16) noexcept { return bias; }
};

}  // namespace

void dwconv_u8s8_16c_i8mm(const DwconvU8S8Args& a) noexcept { dwconv_quads<Dot>(a); }

}  // namespace eke::kernels
#endif
