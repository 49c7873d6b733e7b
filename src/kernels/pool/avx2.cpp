#ifdef __x86_64__
#include "kernels/simd/avx2.h"

#include "kernels/simd/generic.h"

#include "kernels/pool/generic.h"

namespace eke::kernels {

void max_pool_u8_avx2(const MaxPoolArgs<std::uint8_t>& a) noexcept { max_pool(a); }
void max_pool_f32_avx2(const MaxPoolArgs<float>& a) noexcept { max_pool(a); }
void average_pool_u8_avx2(const AveragePoolU8Args& a) noexcept { average_pool(a); }
void average_pool_f32_avx2(const AveragePoolF32Args& a) noexcept { average_pool(a); }
void global_average_u8_avx2(const GlobalAverageU8Args& a) noexcept { global_average(a); }
void global_average_f32_avx2(const GlobalAverageF32Args& a) noexcept { global_average(a); }

}  // namespace eke::kernels
#endif
