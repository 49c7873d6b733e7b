// One process at a time works on an output: a lock that the kernel drops when its holder ends, however it ends.
#pragma once

#include <string>

namespace eke {

class RunLock {
 public:
  // Locks `path` (which is created, and removed at the end). Throws an Error that names the process that holds it.
  explicit RunLock(std::string path);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace eke
