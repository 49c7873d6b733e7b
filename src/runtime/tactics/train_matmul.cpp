// Gemm, and MatMul by a matrix, of float32 matrices that change from run to run: forward and both gradients. The right
// matrix is packed in each run; where the left one is transposed, the product is a sum over rows.
#include <algorithm>
#include <cstring>
#include <memory>

#include "kernels/convgrad/registry.h"
#include "runtime/tactics/train_product.h"

namespace eke {
namespace {

// A Gemm's attributes; those of a MatMul are the defaults.
op::Gemm gemm_of(const Query& query) {
  const auto* gemm = std::get_if<op::Gemm>(&query.node.op);
  return gemm == nullptr ? op::Gemm{} : *gemm;
}

bool is_float_matrix(const Query& query, std::size_t i) {
  const Type& type = query.in(i);
  return type.dtype == DType::f32 && !type.quant && type.shape.rank() == 2 && type.shape.count() > 0 &&
         type.shape.count() < (std::int64_t{1} << 31);
}

// One value a column.
bool has_column_bias(const Query& query) {
  if (!query.has(2)) return true;
  const Shape& bias = query.in(2).shape;
  return query.in(2).dtype == DType::f32 && bias.count() == query.out().shape[1] &&
         bias[bias.rank() - 1] == bias.count();
}

bool is_product(const Query& query) {
  const op::Gemm gemm = gemm_of(query);
  return query.has(0) && query.has(1) && is_float_matrix(query, 0) && is_float_matrix(query, 1) &&
         gemm.alpha == 1 && (gemm.beta == 1 || !query.has(2)) && query.out().shape.count() > 0;
}

// --- x times a packed matrix -------------------------------------------------------------------------------

class RowsStep : public Step {
 public:
  explicit RowsStep(const Query& query)
      : kind_(query.isa),
        rows_(query.out().shape[0]),
        panels_{query.out().shape[1], query.in(0).shape[1], kind_.kernel.nr},
        transposed_(gemm_of(query).transB != 0),
        clamp_(gemm_of(query).clamp) {}

  std::size_t scratch_bytes(int threads) const noexcept override {
    return panels_.bytes() + bias_bytes() +
           static_cast<std::size_t>(threads * kind_.kernel.mr) * sizeof(const std::byte*);
  }

  void run(const StepArgs& args) const noexcept override {
    std::byte* packed = args.scratch;
    auto* bias = reinterpret_cast<float*>(args.scratch + panels_.bytes());
    std::fill_n(bias, bias_bytes() / sizeof(float), 0.0f);
    if (args.in_count > 2 && args.in[2] != nullptr) std::memcpy(bias, args.in[2], float_size(panels_.n));
    args.threads->for_ranges(
        static_cast<std::size_t>(panels_.count()), [&](std::size_t begin, std::size_t end) {
          for (auto panel = static_cast<std::int64_t>(begin); panel < static_cast<std::int64_t>(end); ++panel)
            pack(reinterpret_cast<const float*>(args.in[1]), panel,
                 packed + static_cast<std::size_t>(panel) * panels_.panel_bytes());
        });
    on_threads(*args.threads, [&](std::size_t thread, std::size_t count) {
      work(args, packed, bias, static_cast<std::int64_t>(thread), static_cast<std::int64_t>(count));
    });
  }

 private:
  static std::size_t float_size(std::int64_t count) noexcept {
    return static_cast<std::size_t>(count) * sizeof(float);
  }
  std::size_t bias_bytes() const noexcept {
    return float_bytes(panels_.count() * panels_.nr + kernels::kChannelSlack);
  }

  void pack(const float* matrix, std::int64_t panel, std::byte* out) const noexcept {
    if (transposed_) return kind_.pack_rows(panels_, panel, matrix, panels_.depth, out);
    const std::int64_t width = panels_.width(panel);
    if (width < panels_.nr) std::fill_n(out, panels_.panel_bytes(), std::byte{});
    kind_.pack_columns(matrix + panel * panels_.nr, panels_.n, panels_.depth, width, out);
  }

  void work(const StepArgs& args, const std::byte* packed, const float* bias, std::int64_t thread,
            std::int64_t count) const noexcept {
    auto** rows = reinterpret_cast<const std::byte**>(args.scratch + panels_.bytes() + bias_bytes()) +
                  thread * kind_.kernel.mr;
    auto* out = reinterpret_cast<float*>(args.out[0]);
    const Product<SingleProducts> product{kind_, 1, 0, 1, 0, panels_.depth, bias, clamp_};
    const auto row_bytes = static_cast<std::ptrdiff_t>(float_size(panels_.depth));
    for_tiles(part_of(rows_, kind_.kernel.mr, panels_.count(), thread, count), kind_.kernel.mr,
              panels_.panel_bytes(),
              [&](std::int64_t row, std::int64_t m, std::int64_t panel, std::int64_t blocks) {
                for (std::int64_t i = 0; i < m; ++i) rows[i] = args.in[0] + (row + i) * row_bytes;
                product.run(rows, m, panels_, packed, panel, blocks, nullptr, 0,
                            out + row * panels_.n + panel * panels_.nr, panels_.n);
              });
  }

  SingleProducts kind_;
  std::int64_t rows_;
  Panels panels_;
  bool transposed_;
  op::Clamp clamp_;
};

// --- the product of x transposed ---------------------------------------------------------------------------

class OuterStep : public Step {
 public:
  explicit OuterStep(const Query& query)
      : kernel_(kernels::select_outer_f32(query.isa).run),
        rows_(query.in(0).shape[0]),
        m_(query.in(0).shape[1]),
        n_(query.in(1).shape[1]),
        row_blocks_((m_ + kRows - 1) / kRows),
        column_blocks_((n_ + kColumns - 1) / kColumns) {}

  std::size_t scratch_bytes(int) const noexcept override {
    return 2 * static_cast<std::size_t>(rows_) * sizeof(const float*);
  }

  void run(const StepArgs& args) const noexcept override {
    auto** a = reinterpret_cast<const float**>(args.scratch);
    auto** b = a + rows_;
    for (std::int64_t i = 0; i < rows_; ++i) {
      a[i] = reinterpret_cast<const float*>(args.in[0]) + i * m_;
      b[i] = reinterpret_cast<const float*>(args.in[1]) + i * n_;
    }
    args.threads->for_ranges(
        static_cast<std::size_t>(row_blocks_ * column_blocks_), [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i)
            block(a, b, static_cast<std::int64_t>(i), reinterpret_cast<float*>(args.out[0]));
        });
  }

 private:
  static constexpr std::int64_t kRows = 48, kColumns = 64, kDepth = 128;

  void block(const float* const* a, const float* const* b, std::int64_t i, float* out) const noexcept {
    const std::int64_t m = i / column_blocks_ * kRows, n = i % column_blocks_ * kColumns;
    for (std::int64_t row = 0; row < rows_; row += kDepth) {
      kernels::OuterF32Args call;
      call.a = a + row;
      call.b = b + row;
      call.a_offset = m;
      call.b_offset = n;
      call.pixels = static_cast<int>(std::min(kDepth, rows_ - row));
      call.m = static_cast<int>(std::min(kRows, m_ - m));
      call.n = static_cast<int>(std::min(kColumns, n_ - n));
      call.out = out + m * n_ + n;
      call.out_stride = n_;
      call.add = row > 0;
      kernel_(call);
    }
  }

  kernels::OuterF32Fn kernel_;
  std::int64_t rows_, m_, n_, row_blocks_, column_blocks_;
};

}  // namespace

std::span<const Tactic> train_matmul_tactics() {
  static const Tactic list[] = {
      {"train_matrix_f32", LayoutNeed::plain,
       [](const Query& q) {  // constant matrices are packed ahead of time, by matmul.cpp
         return !is_float_product(q) && is_product(q) && gemm_of(q).transA == 0 && has_column_bias(q);
       },
       [](const Query& q) {
         return Prepared{std::make_unique<RowsStep>(q), "train_" + std::string(F32::select(q.isa).name)};
       }},
      {"train_outer_f32", LayoutNeed::plain,
       [](const Query& q) {
         return is_product(q) && gemm_of(q).transA != 0 && gemm_of(q).transB == 0 && !q.has(2) &&
                !gemm_of(q).clamp.active();
       },
       [](const Query& q) {
         return Prepared{std::make_unique<OuterStep>(q), std::string(kernels::select_outer_f32(q.isa).name)};
       }}};
  return list;
}

}  // namespace eke
