#ifdef __x86_64__
#include "kernels/simd/avx2.h"

#include "kernels/simd/generic.h"

#include "kernels/training/generic.h"

namespace eke::kernels {

void channel_sums_avx2(const ChannelSumsArgs& a) noexcept { channel_sums(a); }
void batch_norm_avx2(const BatchNormArgs& a) noexcept { batch_norm(a); }
void batch_norm_sums_avx2(const BatchNormSumsArgs& a) noexcept { batch_norm_sums(a); }
void batch_norm_grad_avx2(const BatchNormGradArgs& a) noexcept { batch_norm_grad(a); }
void clamp_grad_avx2(const ClampGradArgs& a) noexcept { clamp_grad(a); }
void momentum_avx2(const MomentumArgs& a) noexcept { momentum(a); }
void adam_avx2(const AdamArgs& a) noexcept { adam(a); }
void average_avx2(const AverageArgs& a) noexcept { average(a); }
void rounding_grad_avx2(const RoundingGradArgs& a) noexcept { rounding_grad(a); }

}  // namespace eke::kernels
#endif
