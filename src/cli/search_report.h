// What a search tried, told as text or JSON.
#pragma once

#include <string>

#include "cli/table.h"
#include "ptq/precision_search.h"

namespace eke::cli {

Json to_json(const SearchResult& result, SearchObjective objective);
std::string search_text(const SearchResult& result, SearchObjective objective);

}  // namespace eke::cli
