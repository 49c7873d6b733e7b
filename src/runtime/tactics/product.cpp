#include "runtime/tactics/product.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/quantized.h"

namespace eke {
namespace {

constexpr std::size_t kSlack = kernels::kChannelSlack;

// A factor formed in double, as float. Kernels rely on its being finite: infinity times zero would be no number.
float finite_factor(double value) {
  const auto factor = static_cast<float>(value);
  check(std::isfinite(factor),
        "a ratio of quantization scales is {}: they are too far apart; quantize the model again", value);
  return factor;
}

float slope_of(const Query& query, std::int64_t channel) {
  const Tensor& slope = *query.constant(3);
  return static_cast<float>(element_as_double(slope.view(), slope.count() == 1 ? 0 : channel));
}

float scale_of(const QParams& params, std::int64_t channel) {
  return params.scale[params.scale.size() == 1 ? 0 : static_cast<std::size_t>(channel)];
}

// Two int8 halves hold -256 to 254.
bool fits_halves(const Tensor& w) {
  if (w.dtype() != DType::i16) return w.dtype() == DType::i8;
  const auto values = w.values<std::int16_t>();
  return std::all_of(values.begin(), values.end(), [](std::int16_t v) { return v >= -256 && v <= 254; });
}

template <class T>
T element(const Tensor& tensor, std::int64_t i) {
  if constexpr (std::is_same_v<T, float>)
    return static_cast<float>(element_as_double(tensor.view(), i));
  else
    return static_cast<T>(element_as_int(tensor.view(), i));
}

template <class T>
void repeat_channels(LineVector<T>& values, std::int64_t channels, int times) {
  if (values.empty()) return;
  const LineVector<T> once(values.begin(), values.begin() + channels);
  values.assign(static_cast<std::size_t>(channels * times) + kSlack, T{});
  for (int i = 0; i < times; ++i) std::copy(once.begin(), once.end(), values.begin() + i * channels);
}

// Calls f(the elements as they are stored) where their type is one of weights that models have, else f(elements as T).
template <class T, class F>
void with_elements(const Tensor& w, F f) {
  switch (w.dtype()) {
    case DType::i8:
      return f(w.values<std::int8_t>().data());
    case DType::i16:
      return f(w.values<std::int16_t>().data());
    case DType::f32:
      return f(w.values<float>().data());
    default:
      std::vector<T> values(static_cast<std::size_t>(w.count()));
      for (std::int64_t i = 0; i < w.count(); ++i) values[static_cast<std::size_t>(i)] = element<T>(w, i);
      return f(values.data());
  }
}

// to[j][i] = from[i][j], block by block so that both stay in the cache.
template <class To, class From>
void transpose(const From* from, std::int64_t rows, std::int64_t cols, To* to) {
  if (rows == 1 || cols == 1) {
    std::transform(from, from + rows * cols, to, [](From w) { return static_cast<To>(w); });
    return;
  }
  constexpr std::int64_t kBlock = 64;
  for (std::int64_t first = 0; first < rows; first += kBlock) {
    const std::int64_t end = std::min(first + kBlock, rows);
    for (std::int64_t j = 0; j < cols; ++j)
      for (std::int64_t i = first; i < end; ++i) to[j * rows + i] = static_cast<To>(from[i * cols + j]);
  }
}

template <class T>
std::vector<std::int64_t> sums_of(const ProductWeights<T>& weights) {
  std::vector<std::int64_t> sums(static_cast<std::size_t>(weights.channels));
  const std::int64_t block = weights.taps * weights.depth;
  constexpr std::int64_t kPart = 1 << 15;  // elements of up to 16 bits whose sum fits 32
  const T* w = weights.values.data();
  for (std::int64_t& sum : sums)
    for (std::int64_t first = 0; first < block; first += kPart) {
      const std::int64_t count = std::min(kPart, block - first);
      std::int32_t part = 0;
      for (std::int64_t i = 0; i < count; ++i) part += w[i];
      sum += part;
      w += count;
    }
  return sums;
}

IntegerWeights as_integers(ProductWeights<std::int8_t> weights) {
  IntegerWeights result;
  result.sums = sums_of(weights);
  static_cast<ProductWeights<std::int8_t>&>(result) = std::move(weights);
  return result;
}

IntegerWeights as_integers(const ProductWeights<std::int16_t>& weights) {
  IntegerWeights result;
  result.sums = sums_of(weights);
  result.channels = weights.channels;
  result.depth = weights.depth;
  const auto [lo, hi] = std::minmax_element(weights.values.begin(), weights.values.end());
  result.halves = *lo < -128 || *hi > 127 ? 2 : 1;
  result.taps = weights.taps * result.halves;
  const std::int64_t block = weights.taps * weights.depth;
  for (std::int64_t c = 0; c < weights.channels; ++c)
    for (int half = 0; half < result.halves; ++half)
      for (std::int64_t i = 0; i < block; ++i) {
        const int w = weights.values[static_cast<std::size_t>(c * block + i)];
        const int first = result.halves == 1 ? w : std::clamp(w, -128, 127);
        result.values.own().push_back(static_cast<std::int8_t>(half == 0 ? first : w - first));
      }
  return result;
}

}  // namespace

IntegerEpilogue::IntegerEpilogue(const Query& query, const std::vector<std::int64_t>& sums,
                                 const op::Clamp& clamp, const op::Rounding& mid)
    : bias_(sums.size() + kSlack), scale_(sums.size() + kSlack) {
  const Type &x = query.in(0), &w = query.in(1), &y = query.out();
  const double sx = x.quant->scale[0];
  const std::int64_t zx = x.quant->zero_point[0];
  const bool real = !y.quant;
  if (query.has(3)) negative_scale_.resize(scale_.size());
  const double sy = real ? 1 : (mid.active() ? mid.scale : y.quant->scale[0]);
  for (std::size_t c = 0; c < sums.size(); ++c) {
    const auto channel = static_cast<std::int64_t>(c);
    const Tensor* bias = query.constant(2);
    const std::int64_t b = bias == nullptr ? 0 : element_as_int(bias->view(), channel);
    bias_[c] = static_cast<std::int32_t>(static_cast<std::uint32_t>(b - zx * sums[c]));
    const double sw = scale_of(*w.quant, channel);
    scale_[c] = finite_factor(sx * sw / sy);
    if (query.has(3)) negative_scale_[c] = finite_factor(sx * sw * slope_of(query, channel) / sy);
  }
  set_output(query, clamp, mid);
  common_.bounded = is_bounded();
}

void IntegerEpilogue::set_output(const Query& query, const op::Clamp& clamp, const op::Rounding& mid) {
  const Type& y = query.out();
  if (!y.quant) {
    common_.output = kernels::OutputKind::f32;
    common_.lo = clamp.lo;
    common_.hi = clamp.hi;
    return;
  }
  const quantized::Params out = quantized::params(y);
  const quantized::Bounds bounds = quantized::clamped(quantized::bounds_of(y.dtype), clamp, out);
  common_.lo = static_cast<float>(bounds.lo - out.zero_point);
  common_.hi = static_cast<float>(bounds.hi - out.zero_point);
  common_.zero_point = out.zero_point;
  if (!query.has(4)) return;
  const Type& r = query.in(4);
  common_.residual.zero = r.quant->zero_point[0];
  common_.residual.k = finite_factor(static_cast<double>(r.quant->scale[0]) / out.scale);
  common_.residual.kind = kernels::ResidualKind::direct;
  if (!mid.active()) return;
  const quantized::Bounds all = quantized::bounds_of(mid.dtype);
  common_.residual.kind = kernels::ResidualKind::rounded;
  common_.residual.ka = finite_factor(static_cast<double>(mid.scale) / out.scale);
  common_.residual.mid_lo = static_cast<float>(all.lo - mid.zero_point);
  common_.residual.mid_hi = static_cast<float>(all.hi - mid.zero_point);
}

// A factor of the accumulator below 1/2 leaves a value below 2^30; addends below 2^29 keep it within int32.
bool IntegerEpilogue::is_bounded() const {
  constexpr float kMost = 1 << 21;
  const auto is_small = [](float m) { return std::abs(m) < 0.5f; };
  const kernels::Residual& r = common_.residual;
  return std::ranges::all_of(scale_, is_small) && std::ranges::all_of(negative_scale_, is_small) &&
         std::abs(r.k) < kMost && std::abs(r.ka) < kMost;
}

void IntegerEpilogue::repeat(std::int64_t channels, int times) {
  repeat_channels(bias_, channels, times);
  repeat_channels(scale_, channels, times);
  repeat_channels(negative_scale_, channels, times);
}

kernels::Epilogue IntegerEpilogue::at(std::int64_t channel, const std::byte* residual) const noexcept {
  kernels::Epilogue epilogue = common_;
  epilogue.bias = bias_.data() + channel;
  epilogue.scale = scale_.data() + channel;
  if (!negative_scale_.empty()) epilogue.negative_scale = negative_scale_.data() + channel;
  if (residual != nullptr) epilogue.residual.data = reinterpret_cast<const std::uint8_t*>(residual);
  return epilogue;
}

FloatEpilogue::FloatEpilogue(const Query& query, std::int64_t channels, const op::Clamp& clamp)
    : bias(static_cast<std::size_t>(channels) + kSlack), lo(clamp.lo), hi(clamp.hi) {
  if (query.has(3)) slope.resize(bias.size());
  for (std::int64_t c = 0; c < channels; ++c) {
    if (const Tensor* b = query.constant(2))
      bias[static_cast<std::size_t>(c)] = element<float>(*b, b->count() == 1 ? 0 : c);
    if (query.has(3)) slope[static_cast<std::size_t>(c)] = slope_of(query, c);
  }
}

bool is_integer_product(const Query& query) {
  const Type& x = query.in(0);
  if (!x.quant || x.dtype != DType::u8 || !query.has(1) || !query.in(1).quant) return false;
  if (query.out().quant && query.out().dtype != DType::u8) return false;
  for (std::size_t i = 1; i < 4; ++i)
    if (query.has(i) && query.constant(i) == nullptr) return false;
  if (query.has(4) && (!query.in(4).quant || !query.out().quant)) return false;
  return fits_halves(*query.constant(1));
}

bool is_float_product(const Query& query) {
  if (query.in(0).dtype != DType::f32 || query.out().dtype != DType::f32) return false;
  for (std::size_t i = 1; i < 4; ++i)
    if (query.has(i) && (query.constant(i) == nullptr || query.in(i).dtype != DType::f32)) return false;
  return query.has(1);
}

template <class T>
ProductWeights<T> conv_weights(const Tensor& w) {
  const Shape& s = w.shape();
  ProductWeights<T> result{s[0], s.count(2, s.rank()), s[1], {}};
  if (result.taps == 1 && w.dtype() == dtype_of<T>()) {
    result.values = WeightValues<T>(w.values<T>());
    return result;
  }
  std::vector<T>& values = result.values.own();
  values.resize(static_cast<std::size_t>(w.count()));
  const std::int64_t block = result.taps * result.depth;
  with_elements<T>(w, [&](const auto* from) {
    for (std::int64_t m = 0; m < result.channels; ++m)
      transpose(from + m * block, result.depth, result.taps, values.data() + m * block);
  });
  return result;
}

IntegerWeights integer_conv_weights(const Tensor& w) {
  return w.dtype() == DType::i8 ? as_integers(conv_weights<std::int8_t>(w))
                                : as_integers(conv_weights<std::int16_t>(w));
}

template <class T>
ProductWeights<T> matrix_weights(const Tensor& w, bool transposed) {
  const std::int64_t n = w.shape()[transposed ? 0 : 1], k = w.shape()[transposed ? 1 : 0];
  ProductWeights<T> result{n, 1, k, {}};
  if (transposed && w.dtype() == dtype_of<T>()) {
    result.values = WeightValues<T>(w.values<T>());
    return result;
  }
  std::vector<T>& values = result.values.own();
  values.resize(static_cast<std::size_t>(w.count()));
  with_elements<T>(w, [&](const auto* from) {
    transposed ? transpose(from, n * k, 1, values.data()) : transpose(from, k, n, values.data());
  });
  return result;
}

IntegerWeights integer_matrix_weights(const Tensor& w, bool transposed) {
  return w.dtype() == DType::i8 ? as_integers(matrix_weights<std::int8_t>(w, transposed))
                                : as_integers(matrix_weights<std::int16_t>(w, transposed));
}

template ProductWeights<float> conv_weights<float>(const Tensor&);
template ProductWeights<float> matrix_weights<float>(const Tensor&, bool);

}  // namespace eke
