// What the tactics of products with constant weights (convolutions, Gemm, MatMul) share: the parameters of
// the epilogue, worked out at compile time by rules 3 to 7 of docs/integer-semantics.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/epilogue.h"
#include "runtime/tactic.h"
#include "runtime/tactics/aligned.h"

namespace eke {

// Numbers that were put into the order of a product, or lie in it in a constant that outlives this.
template <class T>
class WeightValues {
 public:
  WeightValues() = default;
  explicit WeightValues(std::span<const T> there) : there_(there) {}

  std::vector<T>& own() noexcept { return own_; }
  std::span<const T> span() const noexcept { return own_.empty() ? there_ : std::span<const T>(own_); }
  const T* data() const noexcept { return span().data(); }
  std::size_t size() const noexcept { return span().size(); }
  const T& operator[](std::size_t i) const noexcept { return span()[i]; }
  auto begin() const noexcept { return span().begin(); }
  auto end() const noexcept { return span().end(); }

 private:
  std::vector<T> own_;
  std::span<const T> there_;
};

// The weights of a product as [channels][taps][depth].
template <class T>
struct ProductWeights {
  std::int64_t channels = 0, taps = 0, depth = 0;
  WeightValues<T> values;
};

// int8 weights in the order of the kernels. int16 ones (asymmetric files) become two int8 halves: `halves` is
// then 2 and the taps come twice.
struct IntegerWeights : ProductWeights<std::int8_t> {
  int halves = 1;
  std::vector<std::int64_t> sums;  // of each channel's weights
};

// The epilogue of an integer product, with the arrays that it points to.
class IntegerEpilogue {
 public:
  // `sums` as of IntegerWeights. Inputs of the node: x, w, bias, slope, residual.
  IntegerEpilogue(const Query& query, const std::vector<std::int64_t>& sums, const op::Clamp& clamp,
                  const op::Rounding& mid);

  // The channels so many times one after the other, as many pixels side by side have them.
  void repeat(std::int64_t channels, int times);

  // For the channels from `channel` on and a residual at `residual` (null: none).
  kernels::Epilogue at(std::int64_t channel, const std::byte* residual) const noexcept;

 private:
  void set_output(const Query& query, const op::Clamp& clamp, const op::Rounding& mid);
  bool is_bounded() const;

  LineVector<std::int32_t> bias_;
  LineVector<float> scale_, negative_scale_;
  kernels::Epilogue common_;
};

// Bias and slope of a float product, padded as kernels read them.
struct FloatEpilogue {
  FloatEpilogue(const Query& query, std::int64_t channels, const op::Clamp& clamp);
  LineVector<float> bias, slope;  // slope is empty when there is none
  float lo, hi;
};

// True where the node is an integer product with all constants known, and weights that fit two int8 halves.
bool is_integer_product(const Query& query);
bool is_float_product(const Query& query);

// Weights w [M, C, kernel...] as [M][kernel][C]; w outlives them.
template <class T>
ProductWeights<T> conv_weights(const Tensor& w);
IntegerWeights integer_conv_weights(const Tensor& w);
// Weights of a Gemm or MatMul, [N, K] or [K, N], as [N][1][K].
template <class T>
ProductWeights<T> matrix_weights(const Tensor& w, bool transposed);
IntegerWeights integer_matrix_weights(const Tensor& w, bool transposed);

}  // namespace eke
