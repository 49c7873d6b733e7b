// A bench as a table, as CSV and as JSON; the JSON holds every run and window, from which the others can be computed.
#pragma once

#include <string>

#include "cli/bench_run.h"
#include "cli/table.h"

namespace eke::cli {

std::string bench_text(const BenchResult& result);
std::string bench_csv(const BenchResult& result);
Json bench_json(const BenchResult& result);

}  // namespace eke::cli
