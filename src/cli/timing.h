// Latency, as a command measures and tells it.
#pragma once

#include "cli/table.h"
#include "tune/timing.h"

namespace eke::cli {

Timing timed_with_progress(std::span<Session* const> sessions, int warmup, int runs);

Json to_json(const Spread& spread);

}  // namespace eke::cli
