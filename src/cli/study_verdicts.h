// What a study comes to, in words: which one to ship, and which variant costs accuracy.
#pragma once

#include <string>
#include <vector>

#include "report/runs.h"

namespace eke::cli {

// Of one network; the first of the variants is the float one, to which the others are compared on the images that both saw.
std::vector<report::Verdict> verdicts_of(const std::vector<report::Run>& runs,
                                         const std::vector<std::string>& variants,
                                         const study::Limits& limits);

}  // namespace eke::cli
