// Gemm, and MatMul by a constant matrix: products over the rows of x.
#include <memory>

#include "runtime/tactics/bf16.h"
#include "runtime/tactics/gemm_driver.h"

namespace eke {
namespace {

op::Clamp clamp_of(const Query& query) {
  const auto* gemm = std::get_if<op::Gemm>(&query.node.op);
  return gemm == nullptr ? op::Clamp{} : gemm->clamp;
}

bool transposed(const Query& query) {
  const auto* gemm = std::get_if<op::Gemm>(&query.node.op);
  return gemm != nullptr && gemm->transB != 0;
}

// A bias of one value a column; C of a Gemm may also be a matrix.
bool has_row_bias(const Query& query) {
  if (!query.has(2)) return true;
  const Shape& c = query.in(2).shape;
  return c.count() == 1 ||
         (c.count() == query.out().shape[query.out().shape.rank() - 1] && c[c.rank() - 1] == c.count());
}

bool is_matrix_product(const Query& query) {
  if (const auto* gemm = std::get_if<op::Gemm>(&query.node.op))
    if (gemm->alpha != 1 || (gemm->beta != 1 && query.has(2)) || gemm->transA != 0) return false;
  const Shape& x = query.in(0).shape;
  return query.has(1) && query.in(1).shape.rank() == 2 && x.rank() >= 2 && query.out().shape.count() > 0 &&
         x.count() < (std::int64_t{1} << 30) && query.in(1).shape.count() > 0 && has_row_bias(query);
}

template <class Kind>
void set_epilogue(typename Kind::Args& args, const IntegerEpilogue& epilogue, std::int64_t channel) noexcept {
  args.epilogue = epilogue.at(channel, nullptr);
}
template <class Kind>
void set_epilogue(typename Kind::Args& args, const FloatEpilogue& epilogue, std::int64_t channel) noexcept {
  args.bias = epilogue.bias.data() + channel;
  args.lo = epilogue.lo;
  args.hi = epilogue.hi;
}

template <class Kind, class Epilogue>
class MatrixStep : public Step {
 public:
  MatrixStep(const Query& query, const ProductWeights<typename Kind::Weight>& weights, int halves,
             Epilogue epilogue)
      : kernel_(Kind::select(query.isa)),
        weights_(kernel_, weights.channels, weights.taps, weights.depth, weights.values.data()),
        epilogue_(std::move(epilogue)),
        halves_(halves),
        block_(block_of_pixels(kernel_.mr, halves)),
        depth_(weights.depth),
        columns_(weights.channels),
        rows_(query.out().shape.count() / weights.channels),
        out_element_(size_of(query.out().dtype)) {}

  std::size_t scratch_bytes(int threads) const noexcept override {
    return static_cast<std::size_t>(threads) * pointers() * sizeof(void*);
  }
  std::size_t weight_bytes() const noexcept override { return weights_.bytes(); }

  void run(const StepArgs& args) const noexcept override {
    const auto count = static_cast<std::size_t>(args.threads->count());
    const std::int64_t panels = (columns_ + kernel_.nr - 1) / kernel_.nr;
    args.threads->for_ranges(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t thread = begin; thread < end; ++thread) {
        auto** rows = reinterpret_cast<const std::byte**>(args.scratch) + thread * pointers();
        const Part part = part_of(rows_, kernel_.mr, panels, static_cast<std::int64_t>(thread),
                                  static_cast<std::int64_t>(count));
        for_tiles(part, block_, weights_.panel_bytes(),
                  [&](std::int64_t row, std::int64_t m, std::int64_t panel, std::int64_t blocks) {
                    tile(args, rows, row, m, panel, blocks);
                  });
      }
    });
  }

 private:
  std::size_t pointers() const noexcept { return static_cast<std::size_t>(block_ * halves_); }

  void tile(const StepArgs& step, const std::byte** rows, std::int64_t row, std::int64_t m,
            std::int64_t panel, std::int64_t blocks) const noexcept {
    const std::int64_t row_bytes = depth_ * static_cast<std::int64_t>(sizeof(typename Kind::In));
    for (std::int64_t i = 0; i < m * halves_; ++i) rows[i] = step.in[0] + (row + i / halves_) * row_bytes;
    const std::int64_t column = panel * kernel_.nr;
    typename Kind::Args args;
    args.rows = reinterpret_cast<const typename Kind::In* const*>(rows);
    args.row_stride = halves_;
    args.m = static_cast<int>(m);
    args.n = static_cast<int>(std::min<std::int64_t>(blocks * kernel_.nr, columns_ - column));
    args.taps = halves_;
    args.k = static_cast<int>(depth_);
    args.weights = weights_.panel(panel);
    set_epilogue<Kind>(args, epilogue_, column);
    args.out_stride = columns_ * static_cast<std::ptrdiff_t>(out_element_);
    std::byte* out = step.out[0] + row * args.out_stride + column * static_cast<std::ptrdiff_t>(out_element_);
    args.out = reinterpret_cast<decltype(args.out)>(out);
    kernel_.run(args);
  }

  const typename Kind::Kernel& kernel_;
  PackedWeights<Kind> weights_;
  Epilogue epilogue_;
  int halves_;
  std::int64_t block_, depth_, columns_, rows_;
  std::size_t out_element_;
};

Prepared prepare_integer(const Query& query) {
  const IntegerWeights weights = integer_matrix_weights(*query.constant(1), transposed(query));
  IntegerEpilogue epilogue(query, weights.sums, clamp_of(query), {});
  return {std::make_unique<MatrixStep<U8S8, IntegerEpilogue>>(query, weights, weights.halves,
                                                              std::move(epilogue)),
          std::string(U8S8::select(query.isa).name)};
}

Prepared prepare_float(const Query& query) {
  const auto weights = matrix_weights<float>(*query.constant(1), transposed(query));
  FloatEpilogue epilogue(query, weights.channels, clamp_of(query));
  return {std::make_unique<MatrixStep<F32, FloatEpilogue>>(query, weights, 1, std::move(epilogue)),
          std::string(F32::select(query.isa).name)};
}

}  // namespace

std::span<const Tactic> matmul_tactics() {
  static const Tactic list[] = {
      {"matrix_u8s8", LayoutNeed::plain,
       [](const Query& q) { return is_matrix_product(q) && is_integer_product(q); }, prepare_integer},
      {"matrix_bf16", LayoutNeed::plain,
       [](const Query& q) { return is_matrix_product(q) && is_bf16_matrix(q); },
       [](const Query& q) { return prepare_bf16_matrix(q, transposed(q), clamp_of(q)); }},
      {"matrix_f32", LayoutNeed::plain,
       [](const Query& q) { return is_matrix_product(q) && is_float_product(q); }, prepare_float},
  };
  return list;
}

}  // namespace eke
