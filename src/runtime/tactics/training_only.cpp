// What inference does without. A program for inference alone is linked with an empty definition instead.
#include "runtime/tactic.h"

namespace eke {

std::vector<TrainingTactics> training_only_tactics() {
  return {
      {op::BatchStatistics{}, statistics_tactics()},
      {op::BatchNormalizationGrad{}, batch_norm_grad_tactics()},
      {op::ClampGrad{}, clamp_grad_tactics()},
      {op::ClampGrad{}, rounding_grad_tactics()},
      {op::MovingAverage{}, average_tactics()},
      {op::Momentum{}, momentum_tactics()},
      {op::Adam{}, adam_tactics()},
      {op::AdamW{}, adam_tactics()},
      {op::MaxPoolGrad{}, max_pool_grad_tactics()},
      {op::AveragePoolGrad{}, average_pool_grad_tactics()},
      {op::Reduce{}, channel_sum_tactics()},
      {op::QuantizeLinear{}, run_time_rounding_tactics()},
      {op::DequantizeLinear{}, run_time_rounding_tactics()},
      {op::ConvGradWeight{}, depthwise_grad_weight_tactics()},
      {op::ConvGradWeight{}, conv_grad_weight_tactics()},
  };
}

}  // namespace eke
