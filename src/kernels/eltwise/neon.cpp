#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/math.h"

#include "kernels/eltwise/generic.h"

namespace eke::kernels {

void quantize_neon(const QuantizeArgs& a) noexcept { quantize(a); }
void dequantize_neon(const DequantizeArgs& a) noexcept { dequantize(a); }
void add_u8_neon(const BinaryU8Args& a) noexcept { add(a); }
void mul_u8_neon(const BinaryU8Args& a) noexcept { mul(a); }
void binary_f32_neon(const BinaryF32Args& a) noexcept { binary(a); }
void unary_f32_neon(const UnaryF32Args& a) noexcept { unary(a); }

}  // namespace eke::kernels
#endif
