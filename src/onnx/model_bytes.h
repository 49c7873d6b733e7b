// A serialized ModelProto taken apart before protobuf sees it: the raw bytes of initializers, nearly all of a file, stay
// where they are instead of being copied into messages.
#pragma once

#include <onnx_schema.pb.h>

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace eke::onnx {

struct ModelParts {
  schema::ModelProto model;  // without raw_data in graph.initializer
  // One an initializer: its raw_data, where it has one; valid as long as the bytes that were parsed.
  std::vector<std::optional<std::span<const std::byte>>> raw;
};

// Throws for what is no ModelProto, is cut short, or is nested too deeply.
ModelParts parse_model(std::span<const std::byte> bytes);

}  // namespace eke::onnx
