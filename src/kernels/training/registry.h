// The training kernels of this build.
#pragma once

#include <span>
#include <string_view>

#include "kernels/registry.h"
#include "kernels/training/training.h"

namespace eke::kernels {

template <class Fn>
struct TrainingKernel {
  std::string_view name;
  Isa isa;
  Fn run;
};

// Best first; the last is scalar.
std::span<const TrainingKernel<ChannelSumsFn>> channel_sums_kernels() noexcept;
std::span<const TrainingKernel<BatchNormFn>> batch_norm_kernels() noexcept;
std::span<const TrainingKernel<BatchNormSumsFn>> batch_norm_sums_kernels() noexcept;
std::span<const TrainingKernel<BatchNormGradFn>> batch_norm_grad_kernels() noexcept;
std::span<const TrainingKernel<ClampGradFn>> clamp_grad_kernels() noexcept;
std::span<const TrainingKernel<MomentumFn>> momentum_kernels() noexcept;
std::span<const TrainingKernel<AdamFn>> adam_kernels() noexcept;
std::span<const TrainingKernel<AverageFn>> average_kernels() noexcept;
std::span<const TrainingKernel<RoundingGradFn>> rounding_grad_kernels() noexcept;

inline ChannelSumsFn select_channel_sums(Isa isa) noexcept { return select(channel_sums_kernels(), isa).run; }
inline BatchNormFn select_batch_norm(Isa isa) noexcept { return select(batch_norm_kernels(), isa).run; }
inline BatchNormSumsFn select_batch_norm_sums(Isa isa) noexcept {
  return select(batch_norm_sums_kernels(), isa).run;
}
inline BatchNormGradFn select_batch_norm_grad(Isa isa) noexcept {
  return select(batch_norm_grad_kernels(), isa).run;
}
inline ClampGradFn select_clamp_grad(Isa isa) noexcept { return select(clamp_grad_kernels(), isa).run; }
inline MomentumFn select_momentum(Isa isa) noexcept { return select(momentum_kernels(), isa).run; }
inline AdamFn select_adam(Isa isa) noexcept { return select(adam_kernels(), isa).run; }
inline AverageFn select_average(Isa isa) noexcept { return select(average_kernels(), isa).run; }
inline RoundingGradFn select_rounding_grad(Isa isa) noexcept {
  return select(rounding_grad_kernels(), isa).run;
}

}  // namespace eke::kernels
