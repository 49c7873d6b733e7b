#include "onnx/tensor_proto.h"

#include <onnx_schema.pb.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "onnx/onnx.h"

namespace eke::onnx {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian and copied as it is");

// In the order of DType.
constexpr std::array<std::int64_t, 13> kNumbers{1, 11, 10, 16, 3, 2, 5, 4, 6, 12, 7, 13, 9};

constexpr std::array<std::string_view, 24> kNames{
    "UNDEFINED",      "FLOAT",      "UINT8",          "INT8",       "UINT16",   "INT16",
    "INT32",          "INT64",      "STRING",         "BOOL",       "FLOAT16",  "DOUBLE",
    "UINT32",         "UINT64",     "COMPLEX64",      "COMPLEX128", "BFLOAT16", "FLOAT8E4M3FN",
    "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "UINT4",      "INT4",     "FLOAT4E2M1"};

constexpr std::int64_t kUint4 = 21, kInt4 = 22;

Shape shape_of(const schema::TensorProto& proto) {
  Shape shape;
  for (const std::int64_t extent : proto.dims()) {
    check(extent >= 0, "has a negative extent, {}", extent);
    shape.push_back(extent);
  }
  return shape;
}

void copy_raw(std::span<const std::byte> bytes, Tensor& tensor) {
  check(bytes.size() == tensor.bytes(), "holds {} bytes, but {} needs {}", bytes.size(),
        to_string(tensor.type()), tensor.bytes());
  if (bytes.empty()) return;
  if (tensor.dtype() != DType::boolean) {
    std::memcpy(tensor.mutable_data(), bytes.data(), bytes.size());
    return;
  }
  bool* out = static_cast<bool*>(tensor.mutable_data());
  for (std::size_t i = 0; i < bytes.size(); ++i) out[i] = bytes[i] != std::byte{0};
}

// Elements stored in a field of a wider type.
template <class T, class Field>
void copy_field(const Field& field, Tensor& tensor) {
  T* out = static_cast<T*>(tensor.mutable_data());
  for (int i = 0; i < field.size(); ++i) {
    const auto value = field.Get(i);
    if constexpr (std::is_same_v<T, bool>) {
      out[i] = value != 0;
    } else {
      const T element = static_cast<T>(value);
      if constexpr (std::is_integral_v<T>) {
        check(static_cast<std::remove_const_t<decltype(value)>>(element) == value,
              "element {} is {}, out of range for {}", i, value, to_string(tensor.dtype()));
      }
      out[i] = element;
    }
  }
}

std::int64_t field_size(const schema::TensorProto& proto, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return proto.float_data_size();
    case DType::f64:
      return proto.double_data_size();
    case DType::i64:
      return proto.int64_data_size();
    case DType::u32:
    case DType::u64:
      return proto.uint64_data_size();
    default:
      return proto.int32_data_size();
  }
}

void copy_fields(const schema::TensorProto& proto, Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32:
      return copy_field<float>(proto.float_data(), tensor);
    case DType::f64:
      return copy_field<double>(proto.double_data(), tensor);
    case DType::i64:
      return copy_field<std::int64_t>(proto.int64_data(), tensor);
    case DType::u32:
      return copy_field<std::uint32_t>(proto.uint64_data(), tensor);
    case DType::u64:
      return copy_field<std::uint64_t>(proto.uint64_data(), tensor);
    case DType::i32:
      return copy_field<std::int32_t>(proto.int32_data(), tensor);
    case DType::i16:
      return copy_field<std::int16_t>(proto.int32_data(), tensor);
    case DType::i8:
      return copy_field<std::int8_t>(proto.int32_data(), tensor);
    case DType::u8:
      return copy_field<std::uint8_t>(proto.int32_data(), tensor);
    case DType::boolean:
      return copy_field<bool>(proto.int32_data(), tensor);
    case DType::u16:
    case DType::f16:
    case DType::bf16:
      return copy_field<std::uint16_t>(proto.int32_data(), tensor);
  }
}

std::size_t parse_size(const std::string& text, std::string_view key) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc{} && end == text.data() + text.size(),
        "external data has {} '{}', which is no size", key, text);
  return value;
}

// Of each byte the low half comes first; a last half that is left over is not looked at.
Tensor expanded(std::span<const std::byte> bytes, bool has_sign, const Shape& shape) {
  Tensor tensor(has_sign ? DType::i8 : DType::u8, shape);
  auto* const out = static_cast<std::uint8_t*>(tensor.mutable_data());
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape.count()); ++i) {
    const auto half = static_cast<std::uint8_t>(static_cast<unsigned>(bytes[i / 2]) >> (i % 2 * 4) & 15u);
    out[i] = has_sign && half >= 8 ? static_cast<std::uint8_t>(half - 16) : half;
  }
  return tensor;
}

Tensor read_four_bit(const schema::TensorProto& proto, const Shape& shape, ExternalData& external,
                     std::optional<std::span<const std::byte>> raw) {
  const bool has_sign = proto.data_type() == kInt4;
  const std::size_t bytes = (byte_size(DType::u8, shape) + 1) / 2;
  if (proto.data_location() == schema::TensorProto::EXTERNAL)
    return expanded(external.find(proto, bytes), has_sign, shape);
  std::string fields;
  if (!raw) {
    for (const std::int32_t pair : proto.int32_data()) fields.push_back(static_cast<char>(pair));
    raw = std::as_bytes(std::span(fields));
  }
  check(raw->size() == bytes, "holds {} bytes, but {} of shape {} needs {}", raw->size(),
        data_type_name(proto.data_type()), to_string(shape), bytes);
  return expanded(*raw, has_sign, shape);
}

}  // namespace

std::string data_type_name(std::int64_t data_type) {
  if (data_type >= 0 && data_type < static_cast<std::int64_t>(kNames.size()))
    return std::string(kNames[static_cast<std::size_t>(data_type)]);
  return fmt::format("element type {}", data_type);
}

std::optional<DType> dtype_from_onnx(std::int64_t data_type) noexcept {
  for (std::size_t i = 0; i < kNumbers.size(); ++i)
    if (kNumbers[i] == data_type) return static_cast<DType>(i);
  return std::nullopt;
}

std::int64_t dtype_to_onnx(DType dtype) noexcept { return kNumbers[static_cast<std::size_t>(dtype)]; }

bool is_four_bit(std::int64_t data_type) noexcept { return data_type == kUint4 || data_type == kInt4; }

std::optional<DType> expanded_from_onnx(std::int64_t data_type) noexcept {
  if (is_four_bit(data_type)) return data_type == kInt4 ? DType::i8 : DType::u8;
  return dtype_from_onnx(data_type);
}

const MappedFile& ExternalData::open(const std::string& location) {
  namespace fs = std::filesystem;
  check(!folder_.empty(), "lies in the external file '{}', which needs a model that is loaded from a folder",
        location);
  if (const auto found = files_.find(location); found != files_.end()) return found->second;
  const fs::path relative(location);
  bool leaves = location.empty() || location.find('\0') != std::string::npos || relative.is_absolute();
  for (const fs::path& part : relative) leaves = leaves || part == "..";
  std::error_code error;
  const fs::path folder = fs::canonical(folder_, error);
  const fs::path file = leaves || error ? fs::path() : fs::weakly_canonical(folder / relative, error);
  // Symbolic links are resolved by now.
  const auto [rest, unused] = std::mismatch(folder.begin(), folder.end(), file.begin(), file.end());
  check(!leaves && !error && rest == folder.end(),
        "external data '{}' leaves the folder of the model; put the file beside the model", location);
  return files_.emplace(location, MappedFile(file.string())).first->second;
}

std::span<const std::byte> ExternalData::find(const schema::TensorProto& tensor, std::size_t size) {
  std::string location;
  std::size_t offset = 0, length = size;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = parse_size(entry.value(), "offset");
    if (entry.key() == "length") length = parse_size(entry.value(), "length");
  }
  check(length == size, "external data has {} bytes, but the tensor needs {}", length, size);
  const std::span<const std::byte> bytes = open(location).bytes();
  check(offset <= bytes.size() && size <= bytes.size() - offset,
        "external data '{}' ends at {} bytes, but the tensor lies at {} and has {}", location, bytes.size(),
        offset, size);
  return bytes.subspan(offset, size);
}

Tensor read_tensor(const schema::TensorProto& proto, ExternalData& external,
                   std::optional<std::span<const std::byte>> raw) {
  check(!proto.has_segment(), "is a segment of a tensor, which is not supported");
  const Shape shape = shape_of(proto);
  if (proto.has_raw_data()) raw = std::as_bytes(std::span(proto.raw_data()));
  if (is_four_bit(proto.data_type())) return read_four_bit(proto, shape, external, raw);
  const std::optional<DType> dtype = dtype_from_onnx(proto.data_type());
  check(dtype.has_value(), "holds {}, which is not supported", data_type_name(proto.data_type()));
  const std::size_t bytes = byte_size(*dtype, shape);

  // What the file holds is compared with what the shape asks for before the memory is taken.
  if (proto.data_location() == schema::TensorProto::EXTERNAL) {
    const auto data = external.find(proto, bytes);
    Tensor tensor(*dtype, shape);
    copy_raw(data, tensor);
    return tensor;
  }
  if (raw) {
    check(raw->size() == bytes, "holds {} bytes, but {} needs {}", raw->size(),
          to_string(Type{*dtype, shape}), bytes);
    Tensor tensor(*dtype, shape);
    copy_raw(*raw, tensor);
    return tensor;
  }
  const std::int64_t elements = field_size(proto, *dtype);
  check(elements == shape.count(), "holds {} elements, but {} needs {}", elements,
        to_string(Type{*dtype, shape}), shape.count());
  Tensor tensor(*dtype, shape);
  copy_fields(proto, tensor);
  return tensor;
}

void write_tensor(const Tensor& tensor, schema::TensorProto& proto) {
  for (const std::int64_t extent : tensor.shape()) proto.add_dims(extent);
  proto.set_data_type(static_cast<std::int32_t>(dtype_to_onnx(tensor.dtype())));
  check(tensor.bytes() <= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()),
        "has {} bytes; one ONNX file holds less than 2 GiB", tensor.bytes());
  proto.set_raw_data(tensor.data(), tensor.bytes());
}

void write_four_bit(const Tensor& tensor, schema::TensorProto& proto) {
  for (const std::int64_t extent : tensor.shape()) proto.add_dims(extent);
  proto.set_data_type(static_cast<std::int32_t>(kInt4));
  const auto values = tensor.values<std::int8_t>();
  std::string packed((values.size() + 1) / 2, '\0');
  for (std::size_t i = 0; i < values.size(); ++i) {
    const unsigned half = static_cast<unsigned>(values[i]) & 15u;
    packed[i / 2] = static_cast<char>(static_cast<unsigned char>(packed[i / 2]) | half << (i % 2 * 4));
  }
  proto.set_raw_data(packed);
}

}  // namespace eke::onnx

namespace eke {

Tensor parse_tensor_proto(std::span<const std::byte> bytes) {
  check(bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()),
        "{} bytes are too many for a TensorProto", bytes.size());
  schema::TensorProto proto;
  check(proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())), "the bytes are no TensorProto");
  onnx::ExternalData external("");
  return with_context([&] { return fmt::format("tensor '{}'", proto.name()); },
                      [&] { return onnx::read_tensor(proto, external); });
}

}  // namespace eke
