#ifdef __x86_64__
#include "kernels/simd/avx512.h"

#include "kernels/simd/generic.h"

#include "kernels/training/generic.h"

namespace eke::kernels {

void channel_sums_avx512vnni(const ChannelSumsArgs& a) noexcept { channel_sums(a); }
void batch_norm_avx512vnni(const BatchNormArgs& a) noexcept { batch_norm(a); }
void batch_norm_sums_avx512vnni(const BatchNormSumsArgs& a) noexcept { batch_norm_sums(a); }
void batch_norm_grad_avx512vnni(const BatchNormGradArgs& a) noexcept { batch_norm_grad(a); }
void clamp_grad_avx512vnni(const ClampGradArgs& a) noexcept { clamp_grad(a); }
void momentum_avx512vnni(const MomentumArgs& a) noexcept { momentum(a); }
void adam_avx512vnni(const AdamArgs& a) noexcept { adam(a); }
void average_avx512vnni(const AverageArgs& a) noexcept { average(a); }
void rounding_grad_avx512vnni(const RoundingGradArgs& a) noexcept { rounding_grad(a); }

}  // namespace eke::kernels
#endif
