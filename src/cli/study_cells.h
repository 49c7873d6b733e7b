// The cells of a study: each runs in a process of its own, its result is a file, and what is finished is not run again.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/table.h"
#include "study/study.h"

namespace eke::cli {

// Held as long as the study runs: a second one in the same folder would write the same files. Throws where there is one.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

class CellRunner {
 public:
  // Results lie in `folder`.
  CellRunner(std::vector<study::Cell> cells, std::filesystem::path folder)
      : folder_(std::move(folder)), cells_(std::move(cells)) {}

  // Runs what is not finished, with a line for each on standard error. A cell that fails leaves a file that says why,
  // and is tried again by the next study; the others go on.
  void run() const;

  // The results of all cells, with what failed.
  Json results() const;

 private:
  std::filesystem::path path_of(const study::Cell& cell) const { return folder_ / (cell.name + ".json"); }
  std::filesystem::path failed_path_of(const study::Cell& cell) const {
    return folder_ / (cell.name + ".failed.json");
  }
  bool finished(const study::Cell& cell) const;
  void run_cell(const study::Cell& cell) const;
  void keep_failure(const study::Cell& cell, const std::string& reason, int code) const;

  std::filesystem::path folder_;
  std::vector<study::Cell> cells_;
};

std::string text_of(const Json& json);  // as files hold it

}  // namespace eke::cli
