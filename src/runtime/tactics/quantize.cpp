// QuantizeLinear and DequantizeLinear in the form that lowering leaves: parameters in the types.
#include <memory>

#include "kernels/eltwise/registry.h"
#include "ops/quantized.h"
#include "runtime/tactics/spread.h"
#include "runtime/tactics/table.h"

namespace eke {
namespace {

bool is_8bit(const Type& type) {
  return (type.dtype == DType::u8 || type.dtype == DType::i8) && type.quant && type.quant->per_tensor();
}

bool is_quantize(const Query& query) {
  return std::holds_alternative<op::QuantizeLinear>(query.node.op) && query.inputs() == 1;
}

class QuantizeStep : public Step {
 public:
  explicit QuantizeStep(const Query& query)
      : params_(quantized::params(query.out())),
        count_(static_cast<std::size_t>(query.out().shape.count())),
        kernel_(kernels::select_quantize(query.isa)) {}

  // Sixteen lanes at a time.
  bool reads_exactly() const noexcept override { return count_ % 16 == 0; }

  void run(const StepArgs& args) const noexcept override {
    const auto* in = reinterpret_cast<const float*>(args.in[0]);
    auto* out = reinterpret_cast<std::uint8_t*>(args.out[0]);
    const auto zero = params_.zero_point;
    spread(*args.threads, count_, [&](std::size_t first, std::size_t count) {
      kernel_({in + first, out + first, count, params_.scale, zero, static_cast<float>(-zero),
               static_cast<float>(255 - zero)});
    });
  }

 private:
  quantized::Params params_;
  std::size_t count_;
  kernels::QuantizeFn kernel_;
};

class DequantizeStep : public Step {
 public:
  explicit DequantizeStep(const Query& query)
      : params_(quantized::params(query.in(0))),
        count_(static_cast<std::size_t>(query.out().shape.count())),
        kernel_(kernels::select_dequantize(query.isa)) {}

  void run(const StepArgs& args) const noexcept override {
    const auto* in = reinterpret_cast<const std::uint8_t*>(args.in[0]);
    auto* out = reinterpret_cast<float*>(args.out[0]);
    spread(*args.threads, count_, [&](std::size_t first, std::size_t count) {
      kernel_({in + first, out + first, count, params_.scale, params_.zero_point});
    });
  }

 private:
  quantized::Params params_;
  std::size_t count_;
  kernels::DequantizeFn kernel_;
};

}  // namespace

std::span<const Tactic> quantize_tactics() {
  static const Tactic list[] = {
      {"quantize_u8", LayoutNeed::any,
       [](const Query& q) { return is_quantize(q) && q.in(0).dtype == DType::f32 && is_stored_u8(q.out()); },
       [](const Query& q) {
         return Prepared{std::make_unique<QuantizeStep>(q), "quantize_u8"};
       }},
      {"requantize_u8", LayoutNeed::any,
       [](const Query& q) { return is_quantize(q) && is_8bit(q.in(0)) && is_8bit(q.out()); },
       [](const Query& q) { return table_step(q, requantize_table(q.in(0), q.out())); }},
      {"dequantize_u8", LayoutNeed::any,
       [](const Query& q) {
         return std::holds_alternative<op::DequantizeLinear>(q.node.op) && q.inputs() == 1 &&
                is_stored_u8(q.in(0));
       },
       [](const Query& q) {
         return Prepared{std::make_unique<DequantizeStep>(q), "dequantize_u8"};
       }},
  };
  return list;
}

}  // namespace eke
