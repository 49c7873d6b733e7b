// Functions of two tensors: of equal shapes, with one value for all, one a channel, or one row for all rows.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "base/error.h"
#include "kernels/eltwise/registry.h"
#include "ops/quantized.h"
#include "runtime/tactics/spread.h"
#include "runtime/tactics/table.h"

namespace eke {
namespace {

using op::BinaryFn;

const op::Binary& binary_of(const Query& query) { return std::get<op::Binary>(query.node.op); }

// How `b` spreads over `a`, which has the shape of the result.
enum class Spread : std::uint8_t { same, scalar, channel, row };

// a[N,C,H,W] with b [N or 1, C, 1, 1] or [C, 1, 1].
bool is_per_channel(const Shape& a, const Shape& b) {
  if (a.rank() != 4 || b.rank() < 3 || b.rank() > 4) return false;
  if (b.rank() == 4 && b[0] != 1 && b[0] != a[0]) return false;
  const int channel = b.rank() - 3;
  return b[channel] == a[1] && b[channel + 1] == 1 && b[channel + 2] == 1;
}

// b's extents are the last ones of a (of another rank than 4, which has a layout).
bool is_row(const Shape& a, const Shape& b) {
  if (a.rank() == 4 || b.rank() == 0) return false;
  int skip = 0;
  while (skip < b.rank() && b[skip] == 1) ++skip;
  return std::equal(b.begin() + skip, b.end(), a.end() - (b.rank() - skip));
}

std::optional<Spread> spread_of(const Shape& a, const Shape& b, const Shape& y) {
  if (a != y || y.count() == 0) return std::nullopt;
  if (a == b) return Spread::same;
  if (b.count() == 1) return Spread::scalar;
  if (is_per_channel(a, b)) return Spread::channel;
  if (is_row(a, b)) return Spread::row;
  return std::nullopt;
}

// The operands in the order of the kernel: `a` has the shape of the result.
struct Operands {
  Spread spread = Spread::same;
  bool swapped = false;
};

std::optional<Operands> operands_of(const Query& query) {
  const Shape &a = query.in(0).shape, &b = query.in(1).shape, &y = query.out().shape;
  if (const auto spread = spread_of(a, b, y)) return Operands{*spread, false};
  if (const auto spread = spread_of(b, a, y)) return Operands{*spread, true};
  return std::nullopt;
}

// One operand of a step: a slot of the plan, or a constant brought into the plan's layout.
class OperandSource {
 public:
  OperandSource(const Query& query, std::size_t index) : index_(index) {
    const Tensor* constant = query.constant(index);
    if (constant == nullptr) return;
    const bool permute = query.layout == Layout::nhwc && constant->shape().rank() == 4;
    constant_ = permute ? to_nhwc(*constant) : *constant;
    is_constant_ = true;
  }
  const std::byte* get(const StepArgs& args) const noexcept {
    return is_constant_ ? static_cast<const std::byte*>(constant_.data()) : args.in[index_];
  }

 private:
  std::size_t index_;
  bool is_constant_ = false;
  Tensor constant_;
};

// rows x cols elements a block; b starts again, or goes on, with each block.
struct Walk {
  std::int64_t blocks = 1, rows = 1, cols = 0;
  std::int64_t b_block = 0, b_row = 0;  // elements from one block, one row, to the next
  bool b_scalar = false;
};

Walk walk_of(Spread spread, const Query& query, const Shape& b) {
  const Shape& y = query.out().shape;
  switch (spread) {
    case Spread::same:
      return {1, 1, y.count(), 0, 0, false};
    case Spread::scalar:
      return {1, 1, y.count(), 0, 0, true};
    case Spread::row:
      return {1, y.count() / b.count(), b.count(), 0, 0, false};
    case Spread::channel:
      break;
  }
  const std::int64_t next = b.count() == y[1] ? 0 : y[1];
  if (query.layout == Layout::nhwc) return {y[0], y[2] * y[3], y[1], next, 0, false};
  return {y[0], y[1], y[2] * y[3], next, 1, true};
}

// Calls f(first element of a, rows, cols, first element of b): the whole walk, split over threads by rows, or
// by elements where there is a single row.
template <class F>
void for_walk(const Walk& walk, const Threads& threads, F&& f) noexcept {
  if (walk.rows == 1 && walk.blocks == 1) {
    spread(threads, static_cast<std::size_t>(walk.cols), [&](std::size_t first, std::size_t count) {
      f(first, std::size_t{1}, count, walk.b_scalar ? 0 : first);
    });
    return;
  }
  threads.for_ranges(
      static_cast<std::size_t>(walk.blocks * walk.rows), [&](std::size_t begin, std::size_t end) {
        auto row = static_cast<std::int64_t>(begin);
        while (row < static_cast<std::int64_t>(end)) {
          const std::int64_t block = row / walk.rows, in_block = row % walk.rows;
          const std::int64_t rows = std::min(walk.rows - in_block, static_cast<std::int64_t>(end) - row);
          f(static_cast<std::size_t>(row * walk.cols), static_cast<std::size_t>(rows),
            static_cast<std::size_t>(walk.cols),
            static_cast<std::size_t>(block * walk.b_block + in_block * walk.b_row));
          row += rows;
        }
      });
}

std::optional<kernels::BinaryF32Op> float_op(BinaryFn fn, bool swapped) {
  using kernels::BinaryF32Op;
  switch (fn) {
    case BinaryFn::Add:
      return BinaryF32Op::add;
    case BinaryFn::Sub:
      return swapped ? BinaryF32Op::rsub : BinaryF32Op::sub;
    case BinaryFn::Mul:
      return BinaryF32Op::mul;
    case BinaryFn::Div:
      return swapped ? BinaryF32Op::rdiv : BinaryF32Op::div;
    case BinaryFn::PRelu:
      return swapped ? std::nullopt : std::optional(BinaryF32Op::prelu);
    default:
      return std::nullopt;
  }
}

class FloatStep : public Step {
 public:
  FloatStep(const Query& query, const Operands& operands)
      : a_(query, operands.swapped ? 1 : 0),
        b_(query, operands.swapped ? 0 : 1),
        walk_(walk_of(operands.spread, query, query.in(operands.swapped ? 0 : 1).shape)),
        op_(*float_op(binary_of(query).fn, operands.swapped)),
        clamp_(binary_of(query).clamp),
        kernel_(kernels::select_binary_f32(query.isa)) {}

  void run(const StepArgs& args) const noexcept override {
    const auto *a = reinterpret_cast<const float*>(a_.get(args)),
               *b = reinterpret_cast<const float*>(b_.get(args));
    auto* out = reinterpret_cast<float*>(args.out[0]);
    for_walk(walk_, *args.threads,
             [&](std::size_t first, std::size_t rows, std::size_t cols, std::size_t in_b) {
               const auto stride = static_cast<std::ptrdiff_t>(cols * sizeof(float));
               kernel_({op_, a + first, b + in_b, out + first, rows, cols, stride,
                        walk_.b_row * static_cast<std::ptrdiff_t>(sizeof(float)), stride, walk_.b_scalar,
                        clamp_.lo, clamp_.hi});
             });
  }

 private:
  OperandSource a_, b_;
  Walk walk_;
  kernels::BinaryF32Op op_;
  op::Clamp clamp_;
  kernels::BinaryF32Fn kernel_;
};

bool is_float(const Query& query) {
  if (query.in(0).dtype != DType::f32 || query.in(1).dtype != DType::f32 || query.out().dtype != DType::f32)
    return false;
  const auto operands = operands_of(query);
  return operands && float_op(binary_of(query).fn, operands->swapped);
}

class IntegerStep : public Step {
 public:
  IntegerStep(const Query& query, const Operands& operands)
      : a_(query, operands.swapped ? 1 : 0),
        b_(query, operands.swapped ? 0 : 1),
        walk_(walk_of(operands.spread, query, query.in(operands.swapped ? 0 : 1).shape)) {
    const quantized::Params a = quantized::params(query.in(operands.swapped ? 1 : 0)),
                            b = quantized::params(query.in(operands.swapped ? 0 : 1)),
                            y = quantized::params(query.out());
    const op::Binary& binary = binary_of(query);
    const bool product = binary.fn == BinaryFn::Mul;
    kernel_ = product ? kernels::select_mul_u8(query.isa) : kernels::select_add_u8(query.isa);
    const double sa = a.scale, sb = b.scale, sy = y.scale;
    common_.a_zero = a.zero_point;
    common_.b_zero = b.zero_point;
    common_.out_zero = y.zero_point;
    common_.ka = static_cast<float>(product ? sa * sb / sy : sa / sy);
    common_.kb = static_cast<float>(binary.fn == BinaryFn::Sub ? -(sb / sy) : sb / sy);
    check(std::isfinite(common_.ka) && std::isfinite(common_.kb),
          "the ratios of quantization scales are {} and {}: they are too far apart; quantize the model again",
          common_.ka, common_.kb);
    const quantized::Bounds bounds = quantized::clamped(quantized::bounds_of(DType::u8), binary.clamp, y);
    common_.lo = static_cast<float>(bounds.lo - y.zero_point);
    common_.hi = static_cast<float>(bounds.hi - y.zero_point);
  }

  void run(const StepArgs& args) const noexcept override {
    const auto *a = reinterpret_cast<const std::uint8_t*>(a_.get(args)),
               *b = reinterpret_cast<const std::uint8_t*>(b_.get(args));
    auto* out = reinterpret_cast<std::uint8_t*>(args.out[0]);
    for_walk(walk_, *args.threads,
             [&](std::size_t first, std::size_t rows, std::size_t cols, std::size_t in_b) {
               kernels::BinaryU8Args call = common_;
               call.a = a + first;
               call.b = b + in_b;
               call.out = out + first;
               call.rows = rows;
               call.cols = cols;
               call.a_stride = call.out_stride = static_cast<std::ptrdiff_t>(cols);
               call.b_stride = walk_.b_row;
               kernel_(call);
             });
  }

 private:
  OperandSource a_, b_;
  Walk walk_;
  kernels::BinaryU8Args common_;
  kernels::BinaryU8Fn kernel_ = nullptr;
};

// Rule 8 rounds differently when its operands change places, so only a product may be swapped.
bool is_integer(const Query& query, bool per_channel) {
  const BinaryFn fn = binary_of(query).fn;
  if (fn != BinaryFn::Add && fn != BinaryFn::Sub && fn != BinaryFn::Mul) return false;
  if (!is_stored_u8(query.in(0)) || !is_stored_u8(query.in(1)) || !is_stored_u8(query.out())) return false;
  const auto operands = operands_of(query);
  if (!operands || (operands->swapped && fn != BinaryFn::Mul)) return false;
  if (operands->spread == Spread::scalar) return false;
  return (operands->spread == Spread::channel) == per_channel;
}

// A quantized tensor with one float constant: a table.
std::optional<std::size_t> table_input(const Query& query) {
  if (!is_stored_u8(query.out())) return std::nullopt;
  for (std::size_t data : {0, 1})
    if (is_stored_u8(query.in(data)) && query.constant(1 - data) != nullptr &&
        query.constant(1 - data)->count() == 1 && query.in(data).shape == query.out().shape &&
        !query.in(1 - data).quant)
      return data;
  return std::nullopt;
}

// A quantized tensor with float constants, one a channel: a table a channel (PRelu above all).
class ChannelTableStep : public Step {
 public:
  explicit ChannelTableStep(const Query& query) : pixels_(query.out().shape.count() / query.out().shape[1]) {
    const Tensor& slope = *query.constant(1);
    for (std::int64_t c = 0; c < slope.count(); ++c) {
      Graph one = {};
      const ValueId x = one.add_value("x", {DType::u8, {256}, query.in(0).quant});
      const ValueId s =
          one.add_constant("s", Tensor::scalar(static_cast<float>(element_as_double(slope.view(), c))));
      const ValueId y = one.add_value("y", {DType::u8, {256}, query.out().quant});
      const Node node{query.node.op, {x, s}, {y}, query.node.name};
      tables_.push_back(make_table({one, node, query.isa}));
    }
  }
  std::size_t weight_bytes() const noexcept override { return tables_.size() * sizeof(Table); }

  void run(const StepArgs& args) const noexcept override {
    const std::size_t channels = tables_.size();
    args.threads->for_ranges(static_cast<std::size_t>(pixels_), [&](std::size_t begin, std::size_t end) {
      const auto* in = reinterpret_cast<const std::uint8_t*>(args.in[0]) + begin * channels;
      auto* out = reinterpret_cast<std::uint8_t*>(args.out[0]) + begin * channels;
      for (std::size_t pixel = begin; pixel < end; ++pixel, in += channels, out += channels)
        for (std::size_t c = 0; c < channels; ++c) out[c] = tables_[c][in[c]];
    });
  }

 private:
  std::vector<Table> tables_;
  std::int64_t pixels_;
};

bool is_channel_table(const Query& query) {
  return is_stored_u8(query.in(0)) && is_stored_u8(query.out()) && query.constant(1) != nullptr &&
         !query.in(1).quant && query.in(0).shape == query.out().shape &&
         is_per_channel(query.in(0).shape, query.in(1).shape) &&
         query.in(1).shape.count() == query.in(0).shape[1] && query.out().shape.count() > 0;
}

}  // namespace

std::span<const Tactic> binary_tactics() {
  static const Tactic list[] = {
      {"binary_u8", LayoutNeed::any, [](const Query& q) { return is_integer(q, false); },
       [](const Query& q) {
         return Prepared{std::make_unique<IntegerStep>(q, *operands_of(q)), "binary_u8"};
       }},
      {"binary_u8_channel", LayoutNeed::nhwc, [](const Query& q) { return is_integer(q, true); },
       [](const Query& q) {
         return Prepared{std::make_unique<IntegerStep>(q, *operands_of(q)), "binary_u8_channel"};
       }},
      {"table_u8", LayoutNeed::any, [](const Query& q) { return table_input(q).has_value(); },
       [](const Query& q) {
         const std::size_t data = *table_input(q);
         return table_step(q, make_table(q, data), data);
       }},
      {"channel_table_u8", LayoutNeed::nhwc, is_channel_table,
       [](const Query& q) {
         return Prepared{std::make_unique<ChannelTableStep>(q), "channel_table_u8"};
       }},
      {"binary_f32", LayoutNeed::any, is_float,
       [](const Query& q) {
         const Operands operands = *operands_of(q);
         std::vector<Prepared::InPlace> in_place{{0, operands.swapped ? std::size_t{1} : std::size_t{0}}};
         if (operands.spread == Spread::same) in_place.push_back({0, 1});
         return Prepared{std::make_unique<FloatStep>(q, operands), "binary_f32", {}, std::move(in_place)};
       }},
  };
  return list;
}

}  // namespace eke
