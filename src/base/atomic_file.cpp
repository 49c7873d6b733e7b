#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/descriptor.h"
#include "base/error.h"

namespace eke {
namespace {

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

AtomicFile::AtomicFile(const std::string& path) : path_(written_path(path)), temporary_(path_ + ".XXXXXX") {
  fd_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
  check(fd_ >= 0, "cannot write '{}': {}", path_, reason(errno));
  set_mode(fd_, path_);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), std::min(bytes.size(), std::size_t{1} << 30));
    if (written < 0 && errno == EINTR) continue;
    check(written > 0, "cannot write '{}': {}", path_, reason(written < 0 ? errno : ENOSPC));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void AtomicFile::commit() {
  check(::fsync(fd_) == 0, "cannot write '{}': {}", path_, reason(errno));
  // Some file systems report a failed write only here.
  check(::close(std::exchange(fd_, -1)) == 0, "cannot write '{}': {}", path_, reason(errno));
  check(::rename(temporary_.c_str(), path_.c_str()) == 0, "cannot write '{}': {}", path_, reason(errno));
  temporary_.clear();
  sync_folder(folder_of(path_));
}

}  // namespace eke
