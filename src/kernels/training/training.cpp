#include <array>

#include "kernels/training/registry.h"

namespace eke::kernels {

#define EKE_TRAINING(list, type, name, isa) void name(const type##Args&) noexcept;
#include "kernels/training/kernels.inc"
#undef EKE_TRAINING

namespace {

enum class List {
  channel_sums,
  batch_norm,
  batch_norm_sums,
  batch_norm_grad,
  clamp_grad,
  momentum,
  adam,
  average,
  rounding_grad
};

template <List kList>
constexpr std::size_t count_rows() {
  std::size_t count = 0;
#define EKE_TRAINING(list, type, name, isa) count += List::list == kList;
#include "kernels/training/kernels.inc"
#undef EKE_TRAINING
  return count;
}

// The rows of one list, in the order of kernels.inc.
template <class Fn, List kList>
constexpr auto rows() {
  std::array<TrainingKernel<Fn>, count_rows<kList>()> result{};
  std::size_t next = 0;
#define EKE_TRAINING(list, type, name, isa) \
  if constexpr (List::list == kList) result[next++] = {#name, Isa::isa, name};
#include "kernels/training/kernels.inc"
#undef EKE_TRAINING
  return result;
}

constexpr auto kChannelSums = rows<ChannelSumsFn, List::channel_sums>();
constexpr auto kBatchNorm = rows<BatchNormFn, List::batch_norm>();
constexpr auto kBatchNormSums = rows<BatchNormSumsFn, List::batch_norm_sums>();
constexpr auto kBatchNormGrad = rows<BatchNormGradFn, List::batch_norm_grad>();
constexpr auto kClampGrad = rows<ClampGradFn, List::clamp_grad>();
constexpr auto kMomentum = rows<MomentumFn, List::momentum>();
constexpr auto kAdam = rows<AdamFn, List::adam>();
constexpr auto kAverage = rows<AverageFn, List::average>();
constexpr auto kRoundingGrad = rows<RoundingGradFn, List::rounding_grad>();

}  // namespace

std::span<const TrainingKernel<ChannelSumsFn>> channel_sums_kernels() noexcept { return kChannelSums; }
std::span<const TrainingKernel<BatchNormFn>> batch_norm_kernels() noexcept { return kBatchNorm; }
std::span<const TrainingKernel<BatchNormSumsFn>> batch_norm_sums_kernels() noexcept { return kBatchNormSums; }
std::span<const TrainingKernel<BatchNormGradFn>> batch_norm_grad_kernels() noexcept { return kBatchNormGrad; }
std::span<const TrainingKernel<ClampGradFn>> clamp_grad_kernels() noexcept { return kClampGrad; }
std::span<const TrainingKernel<MomentumFn>> momentum_kernels() noexcept { return kMomentum; }
std::span<const TrainingKernel<AdamFn>> adam_kernels() noexcept { return kAdam; }
std::span<const TrainingKernel<AverageFn>> average_kernels() noexcept { return kAverage; }
std::span<const TrainingKernel<RoundingGradFn>> rounding_grad_kernels() noexcept { return kRoundingGrad; }

}  // namespace eke::kernels
