// TensorProto to Tensor and back, and ONNX's numbers for element types.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "base/file.h"
#include "tensor/tensor.h"

namespace eke::schema {
class TensorProto;
}

namespace eke::onnx {

// TensorProto.DataType: "FLOAT8E4M3FN", "STRING", ...
std::string data_type_name(std::int64_t data_type);
std::optional<DType> dtype_from_onnx(std::int64_t data_type) noexcept;
std::int64_t dtype_to_onnx(DType dtype) noexcept;

// INT4 and UINT4, two elements a byte: they are read as i8 and u8.
bool is_four_bit(std::int64_t data_type) noexcept;
std::optional<DType> expanded_from_onnx(
    std::int64_t data_type) noexcept;  // dtype_from_onnx, and of those the wider

// The files beside a model that hold its large tensors. Paths that leave the folder are refused.
class ExternalData {
 public:
  explicit ExternalData(std::string folder) : folder_(std::move(folder)) {}

  // The `size` bytes that `tensor` refers to; valid while this lives.
  std::span<const std::byte> find(const schema::TensorProto& tensor, std::size_t size);

 private:
  const MappedFile& open(const std::string& location);

  std::string folder_;
  std::map<std::string, MappedFile> files_;
};

// `raw`: its raw_data, where that is not in the message.
Tensor read_tensor(const schema::TensorProto& proto, ExternalData& external,
                   std::optional<std::span<const std::byte>> raw = {});
void write_tensor(const Tensor& tensor, schema::TensorProto& proto);
void write_four_bit(const Tensor& tensor, schema::TensorProto& proto);  // i8 in [-8, 7], as INT4

}  // namespace eke::onnx
