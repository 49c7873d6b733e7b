// Files, whole: read with a limit, mapped read-only, or written so that a failure leaves the old file as it
// was. Every Error names the path and the reason.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace eke {

// The bytes of a regular file. Throws when it is not one (a directory, a device) or holds more than
// `max_bytes`.
std::string read_file(const std::string& path, std::size_t max_bytes);

// A regular file in memory, read only. Nobody may shorten the file while it is mapped.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const noexcept { return {static_cast<const std::byte*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

// Writes beside `path`, flushes to the disk, then renames: readers see the old bytes or all of the new ones. A
// link stays, and the file that it leads to is replaced; a device, a pipe or a folder is refused.
void write_file_atomically(const std::string& path, std::string_view bytes);

}  // namespace eke
