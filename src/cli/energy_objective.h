// The joules of an inference as what tuning and searching make least.
#pragma once

#include <string>

#include "cli/energy_report.h"
#include "tune/tune.h"

namespace eke::cli {

// By windows of `window_s` seconds, or where that is 0 as long as the meter needs. Of the meter's total, or of the domain
// named; it throws where that is not measured. The metering must outlive it.
Objective energy_objective(Metering& metering, const std::string& domain, double window_s);

}  // namespace eke::cli
