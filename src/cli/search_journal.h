// What a search has measured, in a file from which it goes on.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "cli/table.h"

namespace eke::cli {

// A JSON file that is replaced whenever something was added. `key` says what the search is of.
class SearchJournal {
 public:
  // Throws where the file belongs to another search, or is no journal; begins it anew where `again`.
  SearchJournal(std::string file, std::string key, bool again);

  // The value at `path`; `measure` makes it where it is not there yet.
  Json get(const std::vector<std::string>& path, const std::function<Json()>& measure);
  std::size_t found() const noexcept { return found_; }  // values from an earlier run

 private:
  std::string file_;
  Json json_;
  std::size_t found_ = 0;
  std::set<std::vector<std::string>> measured_;  // in this run
};

}  // namespace eke::cli
