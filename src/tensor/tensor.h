// Element types, shapes, quantization parameters, and tensors: a type with shared bytes, copied on write.
// Knows nothing of graphs or kernels. Const access may be shared between threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace eke {

enum class DType : std::uint8_t { f32, f64, f16, bf16, i8, u8, i16, u16, i32, u32, i64, u64, boolean };

std::string_view to_string(DType dtype) noexcept;  // "f32", ..., "bool"
std::optional<DType> parse_dtype(std::string_view) noexcept;
std::size_t size_of(DType dtype) noexcept;  // bytes of one element
constexpr bool is_float(DType d) noexcept { return d <= DType::bf16; }
constexpr bool is_integer(DType d) noexcept { return d >= DType::i8 && d <= DType::u64; }

// DType of a C++ element type; half and bfloat16 have none (they are stored as std::uint16_t bits).
template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::f32;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::f64;
}
template <>
constexpr DType dtype_of<std::int8_t>() {
  return DType::i8;
}
template <>
constexpr DType dtype_of<std::uint8_t>() {
  return DType::u8;
}
template <>
constexpr DType dtype_of<std::int16_t>() {
  return DType::i16;
}
template <>
constexpr DType dtype_of<std::uint16_t>() {
  return DType::u16;
}
template <>
constexpr DType dtype_of<std::int32_t>() {
  return DType::i32;
}
template <>
constexpr DType dtype_of<std::uint32_t>() {
  return DType::u32;
}
template <>
constexpr DType dtype_of<std::int64_t>() {
  return DType::i64;
}
template <>
constexpr DType dtype_of<std::uint64_t>() {
  return DType::u64;
}
template <>
constexpr DType dtype_of<bool>() {
  return DType::boolean;
}

float half_to_float(std::uint16_t bits) noexcept;
std::uint16_t float_to_half(float value) noexcept;  // round to nearest even
float bfloat16_to_float(std::uint16_t bits) noexcept;
std::uint16_t float_to_bfloat16(float value) noexcept;  // round to nearest even

// Up to kMaxRank extents, held inline. An extent of kDynamic is not known yet (graph inputs before specialize).
inline constexpr std::int64_t kDynamic = -1;

class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const std::int64_t> dims);  // throws above kMaxRank
  static Shape filled(int rank, std::int64_t extent);

  int rank() const noexcept { return rank_; }
  std::int64_t operator[](int i) const noexcept { return dims_[i]; }
  std::int64_t& operator[](int i) noexcept { return dims_[i]; }
  const std::int64_t* begin() const noexcept { return dims_.data(); }
  const std::int64_t* end() const noexcept { return dims_.data() + rank_; }
  std::int64_t* begin() noexcept { return dims_.data(); }
  std::int64_t* end() noexcept { return dims_.data() + rank_; }
  std::span<const std::int64_t> dims() const noexcept { return {begin(), end()}; }
  void push_back(std::int64_t extent);  // throws above kMaxRank

  bool is_dynamic() const noexcept;
  std::int64_t count() const noexcept;                  // product of the extents; 1 for rank 0
  std::int64_t count(int from, int to) const noexcept;  // product over [from, to)

  friend bool operator==(const Shape& a, const Shape& b) noexcept;

 private:
  int rank_ = 0;
  std::array<std::int64_t, kMaxRank> dims_{};
};

std::string to_string(const Shape& shape);  // "1x3x224x224", "?" for a dynamic extent, "scalar"

// Element i along `axis` means (q - zero_point[i]) * scale[i]; one entry and axis -1 for the whole tensor.
struct QParams {
  std::vector<float> scale;
  std::vector<std::int32_t> zero_point;
  int axis = -1;
  bool per_tensor() const noexcept { return axis < 0; }
  friend bool operator==(const QParams&, const QParams&) = default;
};

struct Type {
  DType dtype = DType::f32;
  Shape shape;
  std::optional<QParams> quant = std::nullopt;
  friend bool operator==(const Type&, const Type&) = default;
};

std::string to_string(const Type& type);  // "f32[1,3,224,224]"

// Bytes of a dense tensor. Throws when an extent is negative, or when the size overflows or exceeds
// kMaxTensorBytes: the size of everything that comes from a file passes through here before it is used.
inline constexpr std::int64_t kMaxTensorBytes = std::int64_t{1} << 33;
std::size_t byte_size(DType dtype, const Shape& shape);

// Non-owning views; the type outlives the view.
struct TensorView {
  const Type* type = nullptr;  // null: an absent optional input
  const void* data = nullptr;

  explicit operator bool() const noexcept { return type != nullptr; }
  const Shape& shape() const noexcept { return type->shape; }
  DType dtype() const noexcept { return type->dtype; }
  std::int64_t count() const noexcept { return type->shape.count(); }
  template <class T>
  const T* as() const noexcept {
    return static_cast<const T*>(data);
  }
};

struct MutTensorView {
  const Type* type = nullptr;
  void* data = nullptr;

  explicit operator bool() const noexcept { return type != nullptr; }
  const Shape& shape() const noexcept { return type->shape; }
  DType dtype() const noexcept { return type->dtype; }
  std::int64_t count() const noexcept { return type->shape.count(); }
  template <class T>
  T* as() const noexcept {
    return static_cast<T*>(data);
  }
  operator TensorView() const noexcept { return {type, data}; }
};

// A value: copies share the bytes until one of them is written. Bytes are 64-byte aligned and followed by 64
// bytes of slack, so that vector kernels may read past the end. Equality compares types and bytes.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Type type);  // zero-filled; throws as byte_size does
  Tensor(DType dtype, Shape shape) : Tensor(Type{dtype, shape}) {}

  template <class T>
  static Tensor from(const Shape& shape, std::span<const T> values);
  template <class T>
  static Tensor from(const Shape& shape, std::initializer_list<T> values) {
    return from<T>(shape, std::span<const T>(values.begin(), values.size()));
  }
  template <class T>
  static Tensor scalar(T value) {
    return from<T>({}, {value});
  }

  const Type& type() const noexcept { return type_; }
  DType dtype() const noexcept { return type_.dtype; }
  const Shape& shape() const noexcept { return type_.shape; }
  std::int64_t count() const noexcept { return type_.shape.count(); }
  std::size_t bytes() const noexcept { return size_of(type_.dtype) * static_cast<std::size_t>(count()); }

  const void* data() const noexcept { return bytes_.get(); }
  void* mutable_data();  // copies first when the bytes are shared
  template <class T>
  std::span<const T> values() const;  // throws on another dtype
  template <class T>
  std::span<T> mutable_values();

  TensorView view() const noexcept { return {&type_, data()}; }
  MutTensorView mutable_view() { return {&type_, mutable_data()}; }

  // Same bytes under another shape of equal count (throws otherwise) or other quantization parameters.
  Tensor reshaped(const Shape& shape) const;
  Tensor with_quant(std::optional<QParams> quant) const;

  friend bool operator==(const Tensor& a, const Tensor& b);

 private:
  Type type_;
  std::shared_ptr<void> bytes_;
};

// Element i of any numeric dtype as a double / as an integer (floats truncated); for parameters, not for bulk data.
double element_as_double(const TensorView& tensor, std::int64_t i) noexcept;
std::int64_t element_as_int(const TensorView& tensor, std::int64_t i) noexcept;
std::vector<std::int64_t> as_ints(const Tensor& tensor);  // any integer dtype; throws otherwise
std::vector<float> as_floats(const Tensor& tensor);       // any float dtype, dequantizing if quantized ints

// Value conversion with the rules of ONNX Cast (saturation is not applied to integers).
Tensor converted(const Tensor& tensor, DType dtype);

template <class T>
Tensor Tensor::from(const Shape& shape, std::span<const T> values) {
  Tensor tensor(dtype_of<T>(), shape);
  check(static_cast<std::int64_t>(values.size()) == shape.count(), "{} values for shape {}", values.size(),
        to_string(shape));
  T* out = static_cast<T*>(tensor.mutable_data());
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = values[i];
  return tensor;
}

template <class T>
std::span<const T> Tensor::values() const {
  check(dtype() == dtype_of<T>(), "tensor holds {}, not {}", to_string(dtype()), to_string(dtype_of<T>()));
  return {static_cast<const T*>(data()), static_cast<std::size_t>(count())};
}

template <class T>
std::span<T> Tensor::mutable_values() {
  check(dtype() == dtype_of<T>(), "tensor holds {}, not {}", to_string(dtype()), to_string(dtype_of<T>()));
  return {static_cast<T*>(mutable_data()), static_cast<std::size_t>(count())};
}

}  // namespace eke
