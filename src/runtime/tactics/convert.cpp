// Changes of layout at the edges of a plan.
#include <cstring>

#include "kernels/transpose/registry.h"
#include "runtime/tactic.h"

namespace eke {
namespace {

// Per image a transposition of [channels][pixels] to [pixels][channels] or back.
class LayoutStep : public Step {
 public:
  LayoutStep(const Type& type, Layout from, Isa isa)
      : images_(type.shape[0]), element_(static_cast<std::ptrdiff_t>(size_of(type.dtype))) {
    const std::int64_t channels = type.shape[1], pixels = type.shape[2] * type.shape[3];
    rows_ = from == Layout::plain ? channels : pixels;
    cols_ = from == Layout::plain ? pixels : channels;
    if (element_ == 1) kernel_ = kernels::select_transpose_x8(isa);
    if (element_ == 4) kernel_ = kernels::select_transpose_x32(isa);
  }

  bool reads_exactly() const noexcept override { return true; }

  void run(const StepArgs& args) const noexcept override {
    // Bands of the wider side, so that one image is shared by all threads.
    const bool by_cols = cols_ >= rows_;
    constexpr std::int64_t kBand = 256;
    const std::int64_t bands = ((by_cols ? cols_ : rows_) + kBand - 1) / kBand;
    args.threads->for_ranges(
        static_cast<std::size_t>(images_ * bands), [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) {
            const auto image = static_cast<std::int64_t>(i) / bands,
                       start = static_cast<std::int64_t>(i) % bands * kBand;
            const std::int64_t row = by_cols ? 0 : start, col = by_cols ? start : 0;
            const std::int64_t rows = by_cols ? rows_ : std::min(kBand, rows_ - start);
            const std::int64_t cols = by_cols ? std::min(kBand, cols_ - start) : cols_;
            const std::byte* in = args.in[0] + (image * rows_ * cols_ + row * cols_ + col) * element_;
            std::byte* out = args.out[0] + (image * rows_ * cols_ + col * rows_ + row) * element_;
            transpose(in, out, rows, cols);
          }
        });
  }

 private:
  void transpose(const std::byte* in, std::byte* out, std::int64_t rows, std::int64_t cols) const noexcept {
    if (kernel_ != nullptr) {
      kernel_({in, out, static_cast<std::size_t>(rows), static_cast<std::size_t>(cols), cols_ * element_,
               rows_ * element_});
      return;
    }
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < cols; ++c)
        std::memcpy(out + (c * rows_ + r) * element_, in + (r * cols_ + c) * element_,
                    static_cast<std::size_t>(element_));
  }

  std::int64_t images_, rows_ = 0, cols_ = 0;
  std::ptrdiff_t element_;
  kernels::TransposeFn kernel_ = nullptr;
};

}  // namespace

bool layouts_agree(const Shape& shape) noexcept {
  return shape.rank() != 4 || shape[1] == 1 || shape[2] * shape[3] == 1;
}

Prepared layout_step(const Type& type, Layout from, Isa isa) {
  return {std::make_unique<LayoutStep>(type, from, isa), from == Layout::plain ? "to nhwc" : "to nchw"};
}

Tensor to_nhwc(const Tensor& tensor) {
  const Shape& s = tensor.shape();
  Tensor result(tensor.type());
  const auto element = size_of(tensor.dtype());
  const auto* in = static_cast<const std::byte*>(tensor.data());
  auto* out = static_cast<std::byte*>(result.mutable_data());
  const std::int64_t pixels = s[2] * s[3];
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t c = 0; c < s[1]; ++c)
      for (std::int64_t p = 0; p < pixels; ++p)
        std::memcpy(out + static_cast<std::size_t>((n * pixels + p) * s[1] + c) * element,
                    in + static_cast<std::size_t>((n * s[1] + c) * pixels + p) * element, element);
  return result;
}

}  // namespace eke
