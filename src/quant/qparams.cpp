#include "quant/qparams.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace eke {
namespace {

constexpr double kMaxBias = 1 << 30;

double rounded(double x) { return std::nearbyint(x); }  // half to even

std::int32_t to_i32(double x) {
  constexpr double kMost = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::int32_t>(std::clamp(rounded(x), -kMost, kMost));
}

// The elements of one channel: `outer` runs of `inner` adjacent elements, `stride` apart.
struct Channel {
  const float* first;
  std::int64_t outer, inner, stride;
  template <class F>
  void for_each(F&& f) const {
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < inner; ++i) f(o * stride + i, first[o * stride + i]);
    }
  }
};

float largest(const Channel& channel) {
  float most = 0;
  channel.for_each([&](std::int64_t, float w) { most = std::max(most, std::fabs(w)); });
  return most;
}

double squared_error(const Channel& channel, float scale, float levels) {
  const float per_step = 1 / scale;
  double error = 0;
  channel.for_each([&](std::int64_t, float w) {
    const float q = std::clamp(std::nearbyintf(w * per_step), -levels, levels);
    const double e = double{w} - double{q} * scale;
    error += e * e;
  });
  return error;
}

// Clippings from none down to half of the largest magnitude.
float best_scale(const Channel& channel, float max_scale, float levels) {
  constexpr int kSteps = 40;
  float best = max_scale;
  double least = squared_error(channel, max_scale, levels);
  for (int i = 1; i <= kSteps; ++i) {
    const float scale = max_scale * (1.0f - 0.5f * static_cast<float>(i) / kSteps);
    const double error = squared_error(channel, scale, levels);
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

// The largest magnitude that the accumulator of a channel can reach.
struct Accumulator {
  double largest_input;  // |q - zero point|
  double levels;         // of the weights
  double sum_of_weights(const Channel& channel, float scale) const {
    double sum = 0;
    channel.for_each(
        [&](std::int64_t, float w) { sum += std::min(levels, std::fabs(rounded(double{w} / scale))); });
    return sum * largest_input;
  }
};

// The least scale >= `scale` under which bias and accumulator stay within bounds.
float widened(const Channel& channel, float scale, double bias, double input_scale,
              const Accumulator& accumulator) {
  constexpr float kStep = 1.0625f;
  const double for_bias = std::fabs(bias) / (input_scale * kMaxBias);
  while (scale < for_bias) scale = std::max(scale * kStep, static_cast<float>(for_bias));
  const auto overflows = [&] {
    return accumulator.sum_of_weights(channel, scale) + std::fabs(bias) / (input_scale * scale) >
           double{std::numeric_limits<std::int32_t>::max()};
  };
  while (overflows()) scale *= kStep;
  return scale;
}

struct Channels {
  const Tensor& weights;
  int axis;
  bool per_channel;

  std::int64_t output_channels() const { return weights.shape()[axis]; }
  std::int64_t inner() const { return weights.shape().count(axis + 1, weights.shape().rank()); }
  Channel channel(std::int64_t c) const {
    const Shape& shape = weights.shape();
    return {weights.values<float>().data() + c * inner(), shape.count(0, axis), inner(),
            shape[axis] * inner()};
  }
  // Elements that one output channel has for each channel of the input.
  std::int64_t kernel() const {
    return weights.shape().rank() < 2 ? 1 : weights.shape().count(2, weights.shape().rank());
  }
  Channel all() const { return {weights.values<float>().data(), 1, weights.count(), 0}; }
};

// The mean that the errors of a channel's rounded weights add to its output.
class MeanError {
 public:
  MeanError(const Channels& channels, const ProductInput& input) : means_(input.channel_means) {
    if (means_.empty()) return;
    const std::int64_t outputs = channels.output_channels();
    kernel_ = channels.kernel();
    inputs_ = outputs == 0 ? 0 : channels.weights.count() / outputs / std::max<std::int64_t>(kernel_, 1);
    outputs_per_group_ = std::max<std::int64_t>(outputs / input.groups, 1);
    const auto count = static_cast<std::int64_t>(means_.size());
    check(count == inputs_ * input.groups, "{} means for {} input channels", count, inputs_ * input.groups);
  }

  // `errors` is what rounding added to the elements of the channel, in the order of Channel::for_each.
  double of(std::size_t channel, std::span<const double> errors) const {
    const std::int64_t first = static_cast<std::int64_t>(channel) / outputs_per_group_ * inputs_;
    double sum = 0;
    for (std::size_t i = 0; i < errors.size(); ++i) {
      sum += errors[i] * means_[static_cast<std::size_t>(first + static_cast<std::int64_t>(i) / kernel_)];
    }
    return sum;
  }
  bool known() const { return !means_.empty(); }

 private:
  std::span<const float> means_;
  std::int64_t kernel_ = 1, inputs_ = 0, outputs_per_group_ = 1;
};

// A scale for each channel before widening; of dead channels 0.
std::vector<float> ranged_scales(const Channels& channels, const WeightOptions& options) {
  const auto levels = static_cast<float>(weight_levels(options.bits));
  const auto scale_of = [&](const Channel& channel) {
    const float max_scale = std::max(largest(channel) / levels, 0.0f);
    if (max_scale == 0) return 0.0f;
    const float scale = std::max(max_scale, kMinScale);
    return options.range == WeightRange::mse ? best_scale(channel, scale, levels) : scale;
  };
  const auto count = static_cast<std::size_t>(channels.output_channels());
  if (!options.per_channel) return std::vector<float>(count, scale_of(channels.all()));
  std::vector<float> scales(count);
  for (std::size_t c = 0; c < count; ++c)
    scales[c] = scale_of(channels.channel(static_cast<std::int64_t>(c)));
  return scales;
}

// Learned scales with a level for the largest weight at most.
std::vector<float> at_most(std::vector<float> scales, const std::vector<float>& most) {
  for (std::size_t c = 0; c < scales.size(); ++c)
    if (most[c] > 0) scales[c] = std::min(scales[c], most[c]);
  return scales;
}

// One scale a channel from one for all, or as many.
std::vector<float> spread_over(std::span<const float> scales, std::size_t count) {
  check(scales.size() == 1 || scales.size() == count, "{} scales for {} output channels", scales.size(),
        count);
  if (scales.size() == 1) return std::vector<float>(count, scales[0]);
  return {scales.begin(), scales.end()};
}

}  // namespace

bool is_wide(DType dtype) noexcept { return dtype == DType::u16 || dtype == DType::i16; }

ActivationScheme in_16_bits(ActivationScheme scheme) noexcept {
  if (scheme.dtype == DType::u8) scheme.dtype = DType::u16;
  if (scheme.dtype == DType::i8) scheme.dtype = DType::i16;
  return scheme;
}

Levels levels_of(const ActivationScheme& scheme) {
  check(scheme.dtype == DType::u8 || scheme.dtype == DType::i8 || is_wide(scheme.dtype),
        "activations of {} are not supported; use u8, i8, u16 or i16", to_string(scheme.dtype));
  const bool is_signed = scheme.dtype == DType::i8 || scheme.dtype == DType::i16;
  const std::int32_t most = is_wide(scheme.dtype) ? 65535 : 255, lo = scheme.symmetric ? 1 : 0;
  return is_signed ? Levels{lo - (most + 1) / 2, most / 2} : Levels{lo, most};
}

ScaleZero qparams_for(Range range, const ActivationScheme& scheme) {
  check(std::isfinite(range.lo) && std::isfinite(range.hi) && range.lo <= range.hi,
        "a range of [{}, {}] cannot be quantized", range.lo, range.hi);
  const Levels levels = levels_of(scheme);
  const double lo = std::min(range.lo, 0.0f), hi = std::max(range.hi, 0.0f);
  const std::int32_t middle = (levels.lo + levels.hi) / 2;  // where lo is the symmetric scheme's
  if (lo == hi) return {1, scheme.symmetric ? middle : std::max(levels.lo, 0)};
  if (scheme.symmetric) {
    const auto scale = static_cast<float>(std::max(-lo, hi) / (levels.hi - middle));
    return {std::max(scale, kMinScale), middle};
  }
  const float scale = std::max(static_cast<float>((hi - lo) / (levels.hi - levels.lo)), kMinScale);
  const double zero = rounded(levels.lo - lo / scale);
  return {scale, static_cast<std::int32_t>(std::clamp(zero, double(levels.lo), double(levels.hi)))};
}

std::string_view to_string(WeightRange range) noexcept { return range == WeightRange::max ? "max" : "mse"; }

QuantizedWeights quantize_weights(const Tensor& weights, int axis, std::span<const float> bias,
                                  const ProductInput& input, const WeightOptions& options,
                                  std::span<const float> learned) {
  const Channels channels{weights, axis, options.per_channel};
  const auto count = static_cast<std::size_t>(channels.output_channels());
  check(bias.empty() || bias.size() == count, "{} biases for {} output channels", bias.size(), count);
  const auto is_finite = [](float x) { return std::isfinite(x); };
  check(std::ranges::all_of(weights.values<float>(), is_finite),
        "the weights contain NaN or infinite values");
  check(std::ranges::all_of(bias, is_finite), "the bias contains NaN or infinite values");

  check(options.bits >= 2 && options.bits <= 8, "weights of {} bits are not supported; 2 to 8 are",
        options.bits);
  QuantizedWeights result{Tensor(DType::i8, weights.shape()),
                          learned.empty() ? ranged_scales(channels, options) : spread_over(learned, count),
                          {}};
  result.bits = options.bits;
  const double levels = weight_levels(options.bits);
  std::vector<float>& scales = result.scale;
  if (options.all_levels && !learned.empty())
    scales = at_most(std::move(scales),
                     ranged_scales(channels, {.per_channel = options.per_channel, .bits = options.bits}));
  const float live = count == 0 ? 1 : *std::ranges::max_element(scales);
  const double sx = input.qparams.scale;
  // What reads 16 bits sums in wider numbers than 32 bits.
  const bool is_narrow = input.levels.hi - input.levels.lo <= 255;
  const Accumulator accumulator{is_narrow ? double(std::max(input.levels.hi - input.qparams.zero_point,
                                                            input.qparams.zero_point - input.levels.lo))
                                          : 0,
                                levels};
  for (std::size_t c = 0; c < count; ++c) {
    const Channel channel = channels.channel(static_cast<std::int64_t>(c));
    if (largest(channel) == 0) ++result.dead_channels;
    // A dead channel's scale matters to its bias alone; that of a live one keeps all scales alike.
    if (scales[c] == 0) scales[c] = live == 0 ? 1 : live;
    const float before = scales[c];
    scales[c] = widened(channel, before, bias.empty() ? 0 : bias[c], sx, accumulator);
    if (scales[c] != before) ++result.widened_channels;
  }
  if (!options.per_channel && count != 0) std::ranges::fill(scales, *std::ranges::max_element(scales));

  double signal = 0, noise = 0;
  const MeanError mean_error(channels, input);
  std::vector<double> errors;
  std::int8_t* const out = result.weights.mutable_values<std::int8_t>().data();
  for (std::size_t c = 0; c < count; ++c) {
    const auto first = static_cast<std::int64_t>(c) * channels.inner();
    channels.channel(static_cast<std::int64_t>(c)).for_each([&](std::int64_t i, float w) {
      const double q = std::clamp(rounded(double{w} / scales[c]), -levels, levels);
      out[first + i] = static_cast<std::int8_t>(q);
      errors.push_back(q * scales[c] - w);
      signal += double{w} * w;
      noise += errors.back() * errors.back();
    });
    double corrected = bias.empty() ? 0 : bias[c];
    if (mean_error.known()) corrected -= mean_error.of(c, errors);
    errors.clear();
    if (!bias.empty() || mean_error.known()) result.bias.push_back(to_i32(corrected / (sx * scales[c])));
  }
  result.sqnr_db = noise == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / noise);
  if (!options.per_channel && count != 0) scales.resize(1);
  return result;
}

ScaleZero constant_qparams(std::span<const float> values, const ActivationScheme& scheme) {
  if (values.empty()) return qparams_for({}, scheme);
  const auto [lo, hi] = std::ranges::minmax(values);
  return qparams_for({lo, hi}, scheme);
}

Tensor quantize_tensor(const Tensor& values, const ScaleZero& qparams, const ActivationScheme& scheme) {
  const Levels levels = levels_of({scheme.dtype, false});
  Tensor result(scheme.dtype, values.shape());
  const auto in = values.values<float>();
  const auto quantized = [&](float x) {
    const auto z = static_cast<float>(qparams.zero_point);
    const float steps =
        std::clamp(x / qparams.scale, static_cast<float>(levels.lo) - z, static_cast<float>(levels.hi) - z);
    return static_cast<std::int32_t>(std::nearbyintf(steps)) + qparams.zero_point;
  };
  const auto fill = [&]<class T>(std::span<T> out) {
    for (std::size_t i = 0; i < in.size(); ++i) out[i] = static_cast<T>(quantized(in[i]));
  };
  if (scheme.dtype == DType::u8) fill(result.mutable_values<std::uint8_t>());
  if (scheme.dtype == DType::i8) fill(result.mutable_values<std::int8_t>());
  if (scheme.dtype == DType::u16) fill(result.mutable_values<std::uint16_t>());
  if (scheme.dtype == DType::i16) fill(result.mutable_values<std::int16_t>());
  return result;
}

}  // namespace eke
