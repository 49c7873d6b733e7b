// Costs of operators from the types of their operands.
#pragma once

#include <span>

#include "ops/op_def.h"

namespace eke {

inline std::int64_t bytes_of(std::span<const Type> types) noexcept {
  std::int64_t bytes = 0;
  for (const Type& type : types) bytes += static_cast<std::int64_t>(size_of(type.dtype)) * type.shape.count();
  return bytes;
}

inline Cost cost_with(std::int64_t macs, std::span<const Type> in, std::span<const Type> out) noexcept {
  return {macs, bytes_of(in) + bytes_of(out)};
}

}  // namespace eke
