#include "tensor/tensor.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#include "base/block_memory.h"

namespace eke {
namespace {

struct DTypeInfo {
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array<DTypeInfo, 13> kDTypes{{{"f32", 4},
                                             {"f64", 8},
                                             {"f16", 2},
                                             {"bf16", 2},
                                             {"i8", 1},
                                             {"u8", 1},
                                             {"i16", 2},
                                             {"u16", 2},
                                             {"i32", 4},
                                             {"u32", 4},
                                             {"i64", 8},
                                             {"u64", 8},
                                             {"bool", 1}}};

constexpr std::size_t kAlignment = 64, kSlack = 64;

std::shared_ptr<void> allocate(std::size_t bytes) {
  const std::size_t space = bytes + kSlack;
  if (space >= kLeastBlock) return {allocate_block(space), [space](void* p) { free_block(p, space); }};
  void* data = ::operator new (space, std::align_val_t{kAlignment});
  std::memset(data, 0, space);
  return {data, [](void* p) { ::operator delete (p, std::align_val_t{kAlignment}); }};
}

struct Half {
  std::uint16_t bits;
};
struct BFloat {
  std::uint16_t bits;
};

// Calls f with a value of the C++ type that stores `dtype`.
template <class F>
decltype(auto) visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::f16:
      return f(Half{});
    case DType::bf16:
      return f(BFloat{});
    case DType::i8:
      return f(std::int8_t{});
    case DType::u8:
      return f(std::uint8_t{});
    case DType::i16:
      return f(std::int16_t{});
    case DType::u16:
      return f(std::uint16_t{});
    case DType::i32:
      return f(std::int32_t{});
    case DType::u32:
      return f(std::uint32_t{});
    case DType::i64:
      return f(std::int64_t{});
    case DType::u64:
      return f(std::uint64_t{});
    case DType::boolean:
      break;
  }
  return f(bool{});
}

// The arithmetic value of a stored element: float kinds widen, integers and bool stay.
template <class T>
auto load(T stored) noexcept {
  if constexpr (std::is_same_v<T, Half>)
    return half_to_float(stored.bits);
  else if constexpr (std::is_same_v<T, BFloat>)
    return bfloat16_to_float(stored.bits);
  else
    return stored;
}

// C++ leaves an out-of-range float to integer conversion undefined: wide values go through 64 bits and wrap,
// what does not fit 64 bits (or is NaN) becomes 0 or the nearest 64-bit integer.
template <class To, class From>
To to_integer(From value) noexcept {
  if constexpr (std::is_floating_point_v<From>) {
    const double x = std::trunc(static_cast<double>(value));
    if (std::isnan(x)) return 0;
    if (x >= 18446744073709551616.0) return static_cast<To>(std::numeric_limits<std::uint64_t>::max());
    if (x >= 9223372036854775808.0) return static_cast<To>(static_cast<std::uint64_t>(x));
    if (x < -9223372036854775808.0) return static_cast<To>(std::numeric_limits<std::int64_t>::min());
    return static_cast<To>(static_cast<std::int64_t>(x));
  } else {
    return static_cast<To>(value);
  }
}

template <class To, class From>
To store(From value) noexcept {
  if constexpr (std::is_same_v<To, Half>)
    return {float_to_half(static_cast<float>(value))};
  else if constexpr (std::is_same_v<To, BFloat>)
    return {float_to_bfloat16(static_cast<float>(value))};
  else if constexpr (std::is_same_v<To, bool>)
    return value != From{};
  else if constexpr (std::is_integral_v<To>)
    return to_integer<To>(value);
  else
    return static_cast<To>(value);
}

}  // namespace

std::string_view to_string(DType dtype) noexcept { return kDTypes[static_cast<std::size_t>(dtype)].name; }

std::optional<DType> parse_dtype(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kDTypes.size(); ++i)
    if (kDTypes[i].name == name) return static_cast<DType>(i);
  return std::nullopt;
}

std::size_t size_of(DType dtype) noexcept { return kDTypes[static_cast<std::size_t>(dtype)].bytes; }

float half_to_float(std::uint16_t bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1Fu;
  const std::uint32_t mantissa = bits & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

std::uint16_t float_to_half(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u)
    return static_cast<std::uint16_t>(sign | 0x7E00u | ((magnitude >> 13) & 0x3FFu));
  if (magnitude >= 0x477FF000u) return sign | 0x7C00u;  // rounds to 65536 or more
  if (magnitude < 0x38800000u) {
    // Below the smallest normal half: the sum is in units of 2^-24, and its addition rounds to nearest even.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000u));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xFFFu + odd) >> 13));
}

float bfloat16_to_float(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::uint16_t float_to_bfloat16(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

Shape::Shape(std::span<const std::int64_t> dims) {
  for (const std::int64_t extent : dims) push_back(extent);
}

Shape Shape::filled(int rank, std::int64_t extent) {
  Shape shape;
  for (int i = 0; i < rank; ++i) shape.push_back(extent);
  return shape;
}

void Shape::push_back(std::int64_t extent) {
  check(rank_ < kMaxRank, "a tensor of more than {} dimensions; at most {} are supported", kMaxRank,
        kMaxRank);
  dims_[static_cast<std::size_t>(rank_++)] = extent;
}

bool Shape::is_dynamic() const noexcept {
  for (const std::int64_t extent : *this)
    if (extent == kDynamic) return true;
  return false;
}

std::int64_t Shape::count() const noexcept { return count(0, rank_); }

std::int64_t Shape::count(int from, int to) const noexcept {
  std::int64_t product = 1;
  for (int i = from; i < to; ++i) product *= dims_[static_cast<std::size_t>(i)];
  return product;
}

bool operator==(const Shape& a, const Shape& b) noexcept {
  return a.rank_ == b.rank_ && std::equal(a.begin(), a.end(), b.begin());
}

std::string to_string(const Shape& shape) {
  if (shape.rank() == 0) return "scalar";
  std::string text;
  for (const std::int64_t extent : shape) {
    if (!text.empty()) text += 'x';
    text += extent == kDynamic ? "?" : fmt::to_string(extent);
  }
  return text;
}

std::string to_string(const Type& type) {
  std::string text(to_string(type.dtype));
  text += '[';
  for (int i = 0; i < type.shape.rank(); ++i) {
    if (i) text += ',';
    text += type.shape[i] == kDynamic ? "?" : fmt::to_string(type.shape[i]);
  }
  return text + ']';
}

std::size_t byte_size(DType dtype, const Shape& shape) {
  // The hottest check of all: messages are only made where it fails.
  std::int64_t bytes = static_cast<std::int64_t>(size_of(dtype));
  bool empty = false;
  for (const std::int64_t extent : shape) {
    if (extent == kDynamic) fail("shape {} has an extent that is not known yet", to_string(shape));
    if (extent < 0) fail("shape {} has a negative extent", to_string(shape));
    // An empty tensor still bounds its other extents, so that products over some of the axes stay safe.
    if (extent == 0) {
      empty = true;
      continue;
    }
    if (extent > kMaxTensorBytes / bytes)
      fail("a tensor of shape {} and type {} exceeds the limit of {} GiB", to_string(shape), to_string(dtype),
           kMaxTensorBytes >> 30);
    bytes *= extent;
  }
  return empty ? 0 : static_cast<std::size_t>(bytes);
}

Tensor::Tensor(Type type) : type_(std::move(type)) { bytes_ = allocate(byte_size(type_.dtype, type_.shape)); }

void* Tensor::mutable_data() {
  if (bytes_ && bytes_.use_count() > 1) {
    std::shared_ptr<void> copy = allocate(bytes());
    std::memcpy(copy.get(), bytes_.get(), bytes());
    bytes_ = std::move(copy);
  }
  return bytes_.get();
}

Tensor Tensor::reshaped(const Shape& shape) const {
  if (byte_size(dtype(), shape) != bytes())
    fail("a tensor of shape {} cannot become {}: the counts differ", to_string(type_.shape),
         to_string(shape));
  Tensor result = *this;
  result.type_.shape = shape;
  return result;
}

Tensor Tensor::with_quant(std::optional<QParams> quant) const {
  Tensor result = *this;
  result.type_.quant = std::move(quant);
  return result;
}

bool operator==(const Tensor& a, const Tensor& b) {
  if (!(a.type_ == b.type_) || !a.bytes_ != !b.bytes_) return false;
  return a.bytes_ == b.bytes_ || std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

double element_as_double(const TensorView& tensor, std::int64_t i) noexcept {
  return visit_dtype(tensor.dtype(),
                     [&]<class T>(T) { return static_cast<double>(load(tensor.as<T>()[i])); });
}

std::int64_t element_as_int(const TensorView& tensor, std::int64_t i) noexcept {
  return visit_dtype(tensor.dtype(),
                     [&]<class T>(T) { return to_integer<std::int64_t>(load(tensor.as<T>()[i])); });
}

std::vector<std::int64_t> as_ints(const Tensor& tensor) {
  check(is_integer(tensor.dtype()), "integers expected, found a tensor of {}", to_string(tensor.dtype()));
  std::vector<std::int64_t> values(static_cast<std::size_t>(tensor.count()));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = element_as_int(tensor.view(), static_cast<std::int64_t>(i));
  return values;
}

std::vector<float> as_floats(const Tensor& tensor) {
  const std::optional<QParams>& quant = tensor.type().quant;
  check(is_float(tensor.dtype()) || quant, "floats expected, found a tensor of {}",
        to_string(tensor.dtype()));
  std::vector<float> values(static_cast<std::size_t>(tensor.count()));
  const int axis = quant ? quant->axis : -1;
  const std::int64_t inner = axis < 0 ? 1 : tensor.shape().count(axis + 1, tensor.shape().rank());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    if (!quant) {
      values[i] = static_cast<float>(element_as_double(tensor.view(), at));
      continue;
    }
    const auto c = static_cast<std::size_t>(axis < 0 ? 0 : at / inner % tensor.shape()[axis]);
    values[i] =
        static_cast<float>(element_as_int(tensor.view(), at) - quant->zero_point[c]) * quant->scale[c];
  }
  return values;
}

Tensor converted(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return tensor;
  Tensor result(dtype, tensor.shape());
  const std::int64_t count = tensor.count();
  visit_dtype(tensor.dtype(), [&]<class From>(From) {
    visit_dtype(dtype, [&]<class To>(To) {
      const From* in = static_cast<const From*>(tensor.data());
      To* out = static_cast<To*>(result.mutable_data());
      for (std::int64_t i = 0; i < count; ++i) out[i] = store<To>(load(in[i]));
    });
  });
  return result;
}

}  // namespace eke
