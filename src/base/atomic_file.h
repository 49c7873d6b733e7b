// A file that is written piece by piece beside its path and takes its place when it is complete: readers see the old bytes
// or all of the new ones. A link stays, and the file that it leads to is replaced; a device, a pipe or a folder is refused.
// Every Error names the path and the reason. One thread at a time.
#pragma once

#include <string>
#include <string_view>

namespace eke {

class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();  // what was not committed is gone
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  void commit();  // flushes to the disk, then renames; once

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

}  // namespace eke
