// What the walk tried, told as text or JSON.
#pragma once

#include <string>

#include "cli/table.h"
#include "ptq/walk.h"

namespace eke::cli {

Json to_json(const Walk& walk);
std::string walk_text(const Walk& walk);

}  // namespace eke::cli
