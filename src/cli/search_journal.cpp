#include "cli/search_journal.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace eke::cli {

namespace {
constexpr std::size_t kMostBytes = std::size_t{64} << 20;
}

SearchJournal::SearchJournal(std::string file, std::string key, bool again) : file_(std::move(file)) {
  std::error_code none;
  if (!again && std::filesystem::exists(file_, none)) {
    try {
      json_ = Json::parse(read_file(file_, kMostBytes));
    } catch (const Json::exception&) {
      fail("'{}' is no journal of a search: name another --journal, or --again to replace it", file_);
    }
    check(json_.is_object() && json_.contains("search") && json_["search"] == key,
          "'{}' belongs to another search (model, images or options differ): name another --journal, or "
          "--again to "
          "replace it",
          file_);
    return;
  }
  json_ = {{"search", std::move(key)}};
}

Json SearchJournal::get(const std::vector<std::string>& path, const std::function<Json()>& measure) {
  Json* at = &json_;
  for (const std::string& part : path) at = &(*at)[part];  // where there is nothing, an object comes to be
  if (!at->is_null()) {
    found_ += !measured_.contains(path);
    return *at;
  }
  const Json value = measure();
  measured_.insert(path);
  at = &json_;  // measuring may have added to the journal
  for (const std::string& part : path) at = &(*at)[part];
  *at = value;
  write_file_atomically(file_, json_.dump(1));
  return value;
}

}  // namespace eke::cli
