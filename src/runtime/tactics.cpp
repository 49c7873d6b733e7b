#include <algorithm>

#include "runtime/tactic.h"

namespace eke {
namespace {

std::vector<Tactic> joined(std::span<const Tactic> own) {
  std::vector<Tactic> list(own.begin(), own.end());
  list.push_back(reference_tactic());
  return list;
}

// Operators that have tactics beside the reference, by the index of their struct.
std::vector<std::vector<Tactic>> make_table() {
  std::vector<std::vector<Tactic>> table(kOpCount, joined({}));
  const auto set = [&](std::span<const Tactic> own, std::initializer_list<Op> ops) {
    for (const Op& op : ops) table[op.index()] = joined(own);
  };
  // Before the reference, after what is there.
  const auto add = [&](std::span<const Tactic> own, const Op& op) {
    std::vector<Tactic>& list = table[op.index()];
    list.insert(list.end() - 1, own.begin(), own.end());
  };
  set(conv_tactics(), {op::Conv{}});
  set(matmul_tactics(), {op::Gemm{}, op::MatMul{}});
  set(pool_tactics(),
      {op::MaxPool{}, op::AveragePool{}, op::GlobalAveragePool{}, op::GlobalMaxPool{}, op::Reduce{}});
  set(unary_tactics(), {op::Unary{}, op::LeakyRelu{}, op::Elu{}, op::Celu{}, op::Selu{}, op::HardSigmoid{},
                        op::Gelu{}, op::Swish{}, op::Clip{}, op::ThresholdedRelu{}, op::Shrink{}});
  set(binary_tactics(), {op::Binary{}});
  set(quantize_tactics(), {op::QuantizeLinear{}, op::DequantizeLinear{}});
  set(movement_tactics(),
      {op::Reshape{}, op::Flatten{}, op::Squeeze{}, op::Unsqueeze{}, op::Identity{}, op::Dropout{},
       op::Concat{}, op::Split{}, op::Slice{}, op::Pad{}, op::Transpose{}, op::Resize{}});
  set(softmax_tactics(), {op::Softmax{}});
  set(batch_norm_tactics(), {op::BatchNormalization{}});
  set(spread_tactics(), {op::Expand{}});
  for (const Op& op : {Op(op::Gemm{}), Op(op::MatMul{})}) add(train_matmul_tactics(), op);
  for (auto own : {train_depthwise_tactics, train_conv_tactics}) add(own(), op::Conv{});
  for (auto own : {depthwise_transpose_tactics, conv_transpose_tactics}) add(own(), op::ConvTranspose{});
  for (const TrainingTactics& own : training_only_tactics()) add(own.tactics, own.op);
  return table;
}

}  // namespace

std::span<const Tactic> tactics(const Op& op) {
  static const std::vector<std::vector<Tactic>> table = make_table();
  return table[op.index()];
}

const Tactic& first_legal(const Query& query) {
  const std::span<const Tactic> list = tactics(query.node.op);
  return *std::ranges::find_if(list, [&](const Tactic& tactic) { return tactic.legal(query); });
}

const Tactic* find_tactic(const Op& op, std::string_view id) {
  const std::span<const Tactic> list = tactics(op);
  const auto found = std::ranges::find(list, id, &Tactic::id);
  return found == list.end() ? nullptr : &*found;
}

bool is_supported(Isa isa) noexcept {
  const std::span<const Isa> tiers = supported_isas();
  return std::ranges::find(tiers, isa) != tiers.end();
}

}  // namespace eke
