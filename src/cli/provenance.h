// Where a result comes from: what eke report needs to tell it apart from others, and a reader to repeat it.
#pragma once

#include "cli/table.h"

namespace eke::cli {

// `result`, an object, behind the command, its arguments, the version, the time and the machine.
Json with_provenance(const char* command, Json result);

// The processor as it names itself, or the board; "unknown" where neither does.
std::string processor_name();

}  // namespace eke::cli
