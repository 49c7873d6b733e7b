// What `eke meters` shows: every kind of meter, what it has and how good it is, or why it is not there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "eke/energy.h"
#include "energy/host.h"

namespace eke::energy {

struct MeterTiming {
  double read_seconds = 0;  // mean time of a read of all domains
  std::int64_t reads = 0;
  std::vector<std::optional<Nanoseconds>>
      refresh;  // median time between changes; none: it did not change enough
};

// Reads as fast as it can for a while.
MeterTiming time_meter(Meter& meter, Nanoseconds duration);

struct MeterReport {
  std::string specification, summary, argument;
  std::vector<Domain> domains;  // empty: the meter is not there
  std::string why_not, note;
  std::optional<MeterTiming> timing;
};

// All kinds without an argument, then the `extra` specifications. `measure` is the time for each meter, 0 for none.
std::vector<MeterReport> report_meters(Host& host, const std::vector<std::string>& extra,
                                       Nanoseconds measure);

std::string to_text(const std::vector<MeterReport>& reports);

}  // namespace eke::energy
