// Rounding to 8 bits by scales that change from run to run, as training with simulated quantization does, and its
// gradient. Sums are taken in chunks whose size depends on the shape alone, and joined in order in double, so that no bit
// depends on the number of threads.
#include <algorithm>
#include <memory>

#include "kernels/eltwise/registry.h"
#include "kernels/training/registry.h"
#include "ops/quantized.h"
#include "runtime/tactic.h"

namespace eke {
namespace {

constexpr std::size_t kLanes = 16;

const float* floats(const StepArgs& args, std::size_t i) noexcept {
  return reinterpret_cast<const float*>(args.in[i]);
}

// The elements of each scale, one after the other, cut into chunks.
struct Chunks {
  Chunks(const Type& x, const Type& scale)
      : scales(static_cast<std::size_t>(scale.shape.count())),
        row(static_cast<std::size_t>(x.shape.count()) / scales),
        per_row((row + kChunk - 1) / kChunk) {}

  std::size_t count() const noexcept { return scales * per_row; }
  // Calls f(chunk, scale's index, first element, elements), split over threads.
  template <class F>
  void for_each(const Threads& threads, F&& f) const noexcept {
    threads.for_ranges(count(), [&](std::size_t begin, std::size_t end) {
      for (std::size_t chunk = begin; chunk < end; ++chunk) {
        const std::size_t k = chunk / per_row, at = chunk % per_row * kChunk;
        f(chunk, k, k * row + at, std::min(kChunk, row - at));
      }
    });
  }

  static constexpr std::size_t kChunk = 8192;
  std::size_t scales, row, per_row;
};

std::int32_t zero_point_of(const Query& query) {
  return query.has(2) ? static_cast<std::int32_t>(element_as_int(query.constant(2)->view(), 0)) : 0;
}

class QuantizeStep : public Step {
 public:
  explicit QuantizeStep(const Query& query)
      : chunks_(query.in(0), query.in(1)),
        zero_(zero_point_of(query)),
        kernel_(kernels::select_quantize(query.isa)) {}

  void run(const StepArgs& args) const noexcept override {
    auto* out = reinterpret_cast<std::uint8_t*>(args.out[0]);
    chunks_.for_each(*args.threads, [&](std::size_t, std::size_t k, std::size_t first, std::size_t count) {
      kernel_({floats(args, 0) + first, out + first, count, floats(args, 1)[k], zero_,
               static_cast<float>(-zero_), static_cast<float>(255 - zero_)});
    });
  }

 private:
  Chunks chunks_;
  std::int32_t zero_;
  kernels::QuantizeFn kernel_;
};

class DequantizeStep : public Step {
 public:
  explicit DequantizeStep(const Query& query)
      : chunks_(query.in(0), query.in(1)),
        zero_(zero_point_of(query)),
        kernel_(kernels::select_dequantize(query.isa)) {}

  void run(const StepArgs& args) const noexcept override {
    const auto* in = reinterpret_cast<const std::uint8_t*>(args.in[0]);
    auto* out = reinterpret_cast<float*>(args.out[0]);
    chunks_.for_each(*args.threads, [&](std::size_t, std::size_t k, std::size_t first, std::size_t count) {
      kernel_({in + first, out + first, count, floats(args, 1)[k], zero_});
    });
  }

 private:
  Chunks chunks_;
  std::int32_t zero_;
  kernels::DequantizeFn kernel_;
};

class RoundingGradStep : public Step {
 public:
  explicit RoundingGradStep(const Query& query)
      : chunks_(query.in(1), query.in(2)),
        clamp_(std::get<op::ClampGrad>(query.node.op).clamp),
        kernel_(kernels::select_rounding_grad(query.isa)) {}

  std::size_t scratch_bytes(int) const noexcept override { return chunks_.count() * kLanes * sizeof(float); }

  void run(const StepArgs& args) const noexcept override {
    auto *out = reinterpret_cast<float*>(args.out[0]), *sums = reinterpret_cast<float*>(args.scratch);
    chunks_.for_each(
        *args.threads, [&](std::size_t chunk, std::size_t k, std::size_t first, std::size_t count) {
          kernel_({floats(args, 0) + first, floats(args, 1) + first, out == nullptr ? nullptr : out + first,
                   count, floats(args, 2)[k], clamp_.lo, clamp_.hi, sums + chunk * kLanes});
        });
    if (args.out[1] == nullptr) return;
    const std::size_t lanes = chunks_.per_row * kLanes;
    for (std::size_t k = 0; k < chunks_.scales; ++k) {
      double sum = 0;
      for (std::size_t i = 0; i < lanes; ++i) sum += static_cast<double>(sums[k * lanes + i]);
      reinterpret_cast<float*>(args.out[1])[k] = static_cast<float>(sum);
    }
  }

 private:
  Chunks chunks_;
  op::Clamp clamp_;
  kernels::RoundingGradFn kernel_;
};

bool is_plain(const Type& type, DType dtype) {
  return type.dtype == dtype && !type.quant && type.shape.count() > 0;
}

bool one_zero_point(const Query& query) {
  if (!query.has(2)) return true;
  const Tensor* zero = query.constant(2);
  if (zero == nullptr) return false;
  for (std::int64_t i = 1; i < zero->count(); ++i)
    if (element_as_int(zero->view(), i) != element_as_int(zero->view(), 0)) return false;
  return true;
}

// One scale, or one for each index of the outermost axis.
bool is_rounding(const Query& query, DType from, DType to, std::int64_t axis, std::int64_t block) {
  return query.inputs() > 1 && is_plain(query.in(0), from) && is_plain(query.out(), to) && block == 0 &&
         is_plain(query.in(1), DType::f32) && query.constant(0) == nullptr && one_zero_point(query) &&
         (query.in(1).shape.count() == 1 || axis == 0);
}

}  // namespace

std::span<const Tactic> run_time_rounding_tactics() {
  static const Tactic list[] = {
      {"quantize_by_state", LayoutNeed::any,
       [](const Query& q) {
         const auto* op = std::get_if<op::QuantizeLinear>(&q.node.op);
         return op != nullptr && is_rounding(q, DType::f32, DType::u8, op->axis, op->block_size);
       },
       [](const Query& q) {
         return Prepared{std::make_unique<QuantizeStep>(q), "quantize_by_state"};
       }},
      {"dequantize_by_state", LayoutNeed::any,
       [](const Query& q) {
         const auto* op = std::get_if<op::DequantizeLinear>(&q.node.op);
         return op != nullptr && is_rounding(q, DType::u8, DType::f32, op->axis, op->block_size);
       },
       [](const Query& q) {
         return Prepared{std::make_unique<DequantizeStep>(q), "dequantize_by_state"};
       }}};
  return list;
}

std::span<const Tactic> rounding_grad_tactics() {
  static const Tactic list[] = {
      {"rounding_grad_f32", LayoutNeed::any,
       [](const Query& q) {
         return q.inputs() == 3 && is_plain(q.in(0), DType::f32) && is_plain(q.in(1), DType::f32) &&
                is_plain(q.in(2), DType::f32) && q.constant(0) == nullptr && q.constant(1) == nullptr;
       },
       [](const Query& q) {
         return Prepared{std::make_unique<RoundingGradStep>(q), "rounding_grad_f32", {}, {{0, 0}, {0, 1}}};
       }}};
  return list;
}

}  // namespace eke
