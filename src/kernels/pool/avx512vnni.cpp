#ifdef __x86_64__
#include "kernels/simd/avx512.h"

#include "kernels/simd/generic.h"

#include "kernels/pool/generic.h"

namespace eke::kernels {

void max_pool_u8_avx512vnni(const MaxPoolArgs<std::uint8_t>& a) noexcept { max_pool(a); }
void max_pool_f32_avx512vnni(const MaxPoolArgs<float>& a) noexcept { max_pool(a); }
void average_pool_u8_avx512vnni(const AveragePoolU8Args& a) noexcept { average_pool(a); }
void average_pool_f32_avx512vnni(const AveragePoolF32Args& a) noexcept { average_pool(a); }
void global_average_u8_avx512vnni(const GlobalAverageU8Args& a) noexcept { global_average(a); }
void global_average_f32_avx512vnni(const GlobalAverageF32Args& a) noexcept { global_average(a); }

}  // namespace eke::kernels
#endif
