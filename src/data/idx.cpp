#include "data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/error.h"
#include "tensor/tensor.h"

namespace eke {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::uint8_t kUnsignedByte = 0x08;

using GzFile = std::unique_ptr<gzFile_s, int (*)(gzFile)>;

// zlib reads files that are not gzip as they are.
GzFile open_gz(const std::string& path) { return {gzopen(path.c_str(), "rb"), gzclose}; }

bool read_exactly(gzFile file, std::uint8_t* out, std::size_t count) {
  return gzread(file, out, static_cast<unsigned>(count)) == static_cast<int>(count);
}

bool is_idx_magic(const std::array<std::uint8_t, 4>& magic) {
  return magic[0] == 0 && magic[1] == 0 && magic[2] >= 0x08 && magic[2] <= 0x0e && magic[3] >= 1 &&
         magic[3] <= 4;
}

IdxArray read(gzFile file) {
  constexpr const char* kTruncated = "the IDX data are truncated or corrupt: download the file again";
  std::array<std::uint8_t, 4> magic;
  check(read_exactly(file, magic.data(), 4), "{}", kTruncated);
  check(is_idx_magic(magic), "not an IDX file: it starts with neither 00 00 nor gzip");
  check(magic[2] == kUnsignedByte,
        "IDX elements of type {:#x} are not supported: only unsigned bytes (0x8) are", magic[2]);
  IdxArray array;
  for (int i = 0; i < magic[3]; ++i) {
    std::array<std::uint8_t, 4> b;
    check(read_exactly(file, b.data(), 4), "{}", kTruncated);
    array.extents.push_back(std::int64_t{b[0]} << 24 | b[1] << 16 | b[2] << 8 | b[3]);
  }
  const std::size_t size = byte_size(DType::u8, Shape(array.extents));
  // The claimed size is believed only as far as data arrive.
  while (array.values.size() < size) {
    const std::size_t at = array.values.size(), count = std::min(kChunk, size - at);
    array.values.resize(at + count);
    check(read_exactly(file, array.values.data() + at, count), "{}", kTruncated);
  }
  return array;
}

}  // namespace

IdxArray read_idx(const std::string& path) {
  return with_context([&] { return fmt::format("file '{}'", path); },
                      [&] {
                        const GzFile file = open_gz(path);
                        check(file != nullptr, "cannot be opened: check the path and its permissions");
                        return read(file.get());
                      });
}

bool is_idx_file(const std::string& path) {
  const GzFile file = open_gz(path);
  std::array<std::uint8_t, 4> magic;
  return file && read_exactly(file.get(), magic.data(), 4) && is_idx_magic(magic);
}

}  // namespace eke
