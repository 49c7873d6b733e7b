// NumPy's .npy files, versions 1 to 3:
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Little-endian or single-byte
// elements in C order; other files are refused with the remedy.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace eke {

bool is_npy(std::span<const std::byte> bytes) noexcept;

// `name` is what errors call the array. Throws on anything that is not a complete, supported array.
Tensor parse_npy(std::span<const std::byte> bytes, std::string_view name);
Tensor read_npy(const std::string& path);

// Version 1. Throws for bf16, which NumPy does not have.
std::string to_npy(const TensorView& tensor);
void write_npy(const std::string& path, const TensorView& tensor);

}  // namespace eke
