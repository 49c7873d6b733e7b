// The oracle: the operations of all tiers, lane by lane.
#include "kernels/simd/scalar.h"

#include "kernels/simd/generic.h"

#include "kernels/training/generic.h"

namespace eke::kernels {

void channel_sums_scalar(const ChannelSumsArgs& a) noexcept { channel_sums(a); }
void batch_norm_scalar(const BatchNormArgs& a) noexcept { batch_norm(a); }
void batch_norm_sums_scalar(const BatchNormSumsArgs& a) noexcept { batch_norm_sums(a); }
void batch_norm_grad_scalar(const BatchNormGradArgs& a) noexcept { batch_norm_grad(a); }
void clamp_grad_scalar(const ClampGradArgs& a) noexcept { clamp_grad(a); }
void momentum_scalar(const MomentumArgs& a) noexcept { momentum(a); }
void adam_scalar(const AdamArgs& a) noexcept { adam(a); }
void average_scalar(const AverageArgs& a) noexcept { average(a); }
void rounding_grad_scalar(const RoundingGradArgs& a) noexcept { rounding_grad(a); }

}  // namespace eke::kernels
