// From a range to a scale and a zero point, and from weights to int8. Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "quant/observer.h"
#include "tensor/tensor.h"

namespace eke {

// How activations are stored: u8 or i8, or in 16 bits; symmetric means a zero point in the middle (128 or 0).
struct ActivationScheme {
  DType dtype = DType::u8;
  bool symmetric = false;
  friend bool operator==(const ActivationScheme&, const ActivationScheme&) = default;
};
bool is_wide(DType dtype) noexcept;                      // u16 or i16
ActivationScheme in_16_bits(ActivationScheme) noexcept;  // the same in 16 bits

struct ScaleZero {
  float scale = 1;
  std::int32_t zero_point = 0;
  friend bool operator==(const ScaleZero&, const ScaleZero&) = default;
};

// The integers that the scheme uses: 0..255 or -128..127; symmetric: 1..255 or -127..127; likewise in 16 bits.
struct Levels {
  std::int32_t lo, hi;
};
Levels levels_of(const ActivationScheme& scheme);  // throws on a dtype other than u8, i8, u16 and i16

// The range is widened to contain 0, which is represented exactly: the zero point is rounded, so that either
// end moves by at most half a step. An empty range gives scale 1; no scale is below kMinScale.
inline constexpr float kMinScale = 0x1p-60f;
ScaleZero qparams_for(Range range, const ActivationScheme& scheme);

// The largest integer of symmetric weights: 127 for 8 bits, 7 for 4.
constexpr std::int32_t weight_levels(int bits) { return (1 << (bits - 1)) - 1; }

// How the range of weights is chosen: their largest magnitude, or the clipping with the least squared error.
enum class WeightRange : std::uint8_t { max, mse };
std::string_view to_string(WeightRange range) noexcept;

struct WeightOptions {
  bool per_channel = true;
  WeightRange range = WeightRange::max;
  int bits = 8;  // 2 to 8
  // For engines that choose the scales of weights by themselves, by the largest magnitude: a learned scale cuts weights, but
  // leaves no level unused, so that they choose the same.
  bool all_levels = false;
  friend bool operator==(const WeightOptions&, const WeightOptions&) = default;
};

// The data input that the weights meet: it decides how large the bias is in units of sx * sw. With the means
// of its channels, what the rounding of the weights adds to the mean of each output channel is taken off the
// bias (Nagel et al. 2019, "Data-Free Quantization", section 4.2, with measured means).
struct ProductInput {
  ScaleZero qparams;
  Levels levels;
  std::span<const float> channel_means = {};  // empty: no correction; else one an input channel
  std::int64_t groups = 1;
};

struct QuantizedWeights {
  Tensor weights;            // int8 in [-levels, levels] of weight_levels(), the shape of the float weights
  std::vector<float> scale;  // one, or one a channel
  std::vector<std::int32_t>
      bias;                  // one a channel in units of input scale * scale; empty without bias and means
  int dead_channels = 0;     // channels whose weights are all zero
  int widened_channels = 0;  // channels whose scale was enlarged for the sake of the accumulator
  double sqnr_db = 0;        // signal to quantization noise of the weights; infinite when exact
  int bits = 8;
};

// `weights` is f32 with its output channels along `axis`, input channels along the other of the first two
// axes, and the kernel behind; `bias` is empty or holds one value a channel. Symmetric with zero point 0. A
// scale is enlarged where |bias| would exceed 2^30 or where the int32 accumulator could overflow for some
// input of 8 bits. `learned`, where it is not empty, holds the scales to use: one, or one a channel. All values must be finite.
QuantizedWeights quantize_weights(const Tensor& weights, int axis, std::span<const float> bias,
                                  const ProductInput& input, const WeightOptions& options,
                                  std::span<const float> learned = {});

// A constant operand of an elementwise operator: per tensor, exact where all elements are equal.
ScaleZero constant_qparams(std::span<const float> values, const ActivationScheme& scheme);

// QuantizeLinear by rule 1 of docs/integer-semantics.md, per tensor.
Tensor quantize_tensor(const Tensor& values, const ScaleZero& qparams, const ActivationScheme& scheme);

}  // namespace eke
