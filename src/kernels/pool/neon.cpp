#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/pool/generic.h"

namespace eke::kernels {

void max_pool_u8_neon(const MaxPoolArgs<std::uint8_t>& a) noexcept { max_pool(a); }
void max_pool_f32_neon(const MaxPoolArgs<float>& a) noexcept { max_pool(a); }
void average_pool_u8_neon(const AveragePoolU8Args& a) noexcept { average_pool(a); }
void average_pool_f32_neon(const AveragePoolF32Args& a) noexcept { average_pool(a); }
void global_average_u8_neon(const GlobalAverageU8Args& a) noexcept { global_average(a); }
void global_average_f32_neon(const GlobalAverageF32Args& a) noexcept { global_average(a); }

}  // namespace eke::kernels
#endif
