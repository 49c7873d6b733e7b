#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "base/error.h"

namespace eke {
namespace {

std::string reason(int error) {
  if (error == ENOSPC || error == EDQUOT) return "the disk is full";
  return std::strerror(error);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return fd_; }
  // Some file systems report a failed write only here.
  bool close() noexcept { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

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

void write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), std::min(bytes.size(), std::size_t{1} << 30));
    if (written < 0 && errno == EINTR) continue;
    check(written > 0, "cannot write '{}': {}", path, reason(written < 0 ? errno : ENOSPC));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// mkstemp gives 0600; a file that people share follows their umask, or the file that it replaces.
void set_mode(int fd, const std::string& path) {
  struct stat info {};
  mode_t mode = 0666;
  if (::stat(path.c_str(), &info) == 0) {
    mode = info.st_mode & 0777;
  } else {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    mode &= ~mask;
  }
  // A file system without modes refuses this; the bytes are written all the same.
  [[maybe_unused]] const int ignored = ::fchmod(fd, mode);
}

// The rename is durable once its folder is; a file system that cannot sync folders has no stronger promise to
// give.
void sync_folder(const std::string& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() >= 0) ::fsync(descriptor.get());
}

void write_temporary(const std::string& temporary, int fd, const std::string& path, std::string_view bytes) {
  Descriptor descriptor(fd);
  set_mode(fd, path);
  write_all(fd, bytes, path);
  check(::fsync(fd) == 0, "cannot write '{}': {}", path, reason(errno));
  check(descriptor.close(), "cannot write '{}': {}", path, reason(errno));
  check(::rename(temporary.c_str(), path.c_str()) == 0, "cannot write '{}': {}", path, reason(errno));
}

// What the path names: a link leads to the file that is written, and what is no file is left alone.
std::string written_path(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return path;
  if (!S_ISLNK(info.st_mode)) {
    check(!S_ISDIR(info.st_mode), "cannot write '{}': it is a directory, not a file", path);
    check(S_ISREG(info.st_mode), "cannot write '{}': it is not a regular file", path);
    return path;
  }
  const std::unique_ptr<char, decltype(&std::free)> target(::realpath(path.c_str(), nullptr), &std::free);
  check(target != nullptr, "cannot write '{}': the link leads nowhere", path);
  return written_path(target.get());
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

void write_file_atomically(const std::string& link_or_path, std::string_view bytes) {
  const std::string path = written_path(link_or_path);
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  check(fd >= 0, "cannot write '{}': {}", path, reason(errno));
  try {
    write_temporary(temporary, fd, path, bytes);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(folder_of(path));
}

}  // namespace eke
