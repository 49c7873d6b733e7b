// IDX files of bytes (MNIST, http://yann.lecun.com/exdb/mnist), plain or compressed by gzip.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace eke {

struct IdxArray {
  std::vector<std::int64_t> extents;
  std::vector<std::uint8_t> values;
};

// Throws when the file is not IDX of unsigned bytes, is truncated, or holds more than 8 GiB.
IdxArray read_idx(const std::string& path);

// Whether the file, decompressed where it is gzip, starts as IDX does. False for files that cannot be read.
bool is_idx_file(const std::string& path);

}  // namespace eke
