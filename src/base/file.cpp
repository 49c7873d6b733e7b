#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/atomic_file.h"
#include "base/descriptor.h"
#include "base/error.h"

namespace eke {
namespace {

// Not blocking, so that a pipe is refused rather than waited for.
int open_to_read(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  check(fd >= 0, "cannot open '{}': {}", path, reason(errno));
  return fd;
}

std::size_t regular_size(const Descriptor& descriptor, const std::string& path) {
  struct stat info {};
  check(::fstat(descriptor.get(), &info) == 0, "cannot open '{}': {}", path, reason(errno));
  check(!S_ISDIR(info.st_mode), "cannot read '{}': it is a directory, not a file", path);
  check(S_ISREG(info.st_mode), "cannot read '{}': it is not a regular file", path);
  return static_cast<std::size_t>(info.st_size);
}

}  // namespace

std::string read_file(const std::string& path, std::size_t max_bytes) {
  const Descriptor descriptor(open_to_read(path));
  const std::size_t size = regular_size(descriptor, path);
  check(size <= max_bytes, "'{}' holds {} bytes; at most {} are accepted", path, size, max_bytes);
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(descriptor.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    check(got >= 0, "cannot read '{}': {}", path, reason(errno));
    check(got > 0, "cannot read '{}': it became shorter while it was read", path);
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

MappedFile::MappedFile(const std::string& path) {
  const Descriptor descriptor(open_to_read(path));
  const std::size_t size = regular_size(descriptor, path);
  if (size == 0) return;
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor.get(), 0);
  check(data != MAP_FAILED, "cannot map '{}': {}", path, reason(errno));
  data_ = data;
  size_ = size;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(data_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace eke
