#ifdef __x86_64__
#include "kernels/simd/avx2.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/math.h"

#include "kernels/eltwise/generic.h"

namespace eke::kernels {

void quantize_avx2(const QuantizeArgs& a) noexcept { quantize(a); }
void dequantize_avx2(const DequantizeArgs& a) noexcept { dequantize(a); }
void add_u8_avx2(const BinaryU8Args& a) noexcept { add(a); }
void mul_u8_avx2(const BinaryU8Args& a) noexcept { mul(a); }
void binary_f32_avx2(const BinaryF32Args& a) noexcept { binary(a); }
void unary_f32_avx2(const UnaryF32Args& a) noexcept { unary(a); }

}  // namespace eke::kernels
#endif
