// The readings of one domain in order of time, and the energy between two instants with an error bound.
//
// Counters: the energy up to instant t lies between the last reading that ended by t and the first one that began a
// refresh after t, because a counter never falls. Nothing is assumed of the power.
// Power: trapezoids over the middles of the reads. A change between two readings may have come at any time between
// them, or up to one refresh before; in a gap of more than three sampling periods the power may have been anything
// between the least and the greatest seen. Power that swings and returns between two readings is seen only because
// the sampler jitters its period.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eke/energy.h"

namespace eke::energy {

struct Integral {
  std::optional<double> energy_uj;  // none: `why_not`
  double bound_uj = 0, peak_uw = 0;
  std::int64_t samples = 0, missed = 0;
  Nanoseconds largest_gap{0};
  std::string why_not, note;
};

class Series {
 public:
  // `period`: the usual time between readings, which tells a gap.
  Series(const Domain& domain, Nanoseconds period);

  // Readings that do not begin after the last one ended are left out: a clock that steps, a value seen before. A
  // pinned one is an edge of a window and stays when old points are thinned.
  void add(const Reading& reading, bool pinned = false);

  Integral integrate(Nanoseconds from, Nanoseconds to) const;

  // Is there a reading that saw a refresh after `to`?
  bool settled(Nanoseconds to) const noexcept;
  bool empty() const noexcept { return points_.empty(); }
  std::size_t size() const noexcept { return points_.size(); }
  void set_period(Nanoseconds period) noexcept { period_ns_ = period.count(); }

 private:
  struct Point {
    std::int64_t begin_ns, end_ns;
    std::int64_t value;   // uW, or uJ without wraps
    double energy_uj;     // up to here
    double bound_uj;      // of the changes up to here
    std::int64_t gap_ns;  // to the point before, the largest of those that were thinned
    double peak_uw;       // since the point before
    bool pinned;
    double middle_ns() const noexcept {
      return 0.5 * (static_cast<double>(begin_ns) + static_cast<double>(end_ns));
    }
  };
  struct Gap {  // no reading for several periods
    double from_ns, to_ns, mean_uw;
  };
  struct Break {  // the readings before and after have nothing to do with each other
    std::int64_t from_ns, to_ns;
    std::string reason;
  };

  void add_counter(Point point);
  void add_power(Point point);
  void miss(Fault fault, std::int64_t at_ns);
  void thin();
  double energy_at(double t_ns) const;
  const Point* last_ended_by(std::int64_t t_ns) const;
  const Point* first_begun_from(std::int64_t t_ns) const;
  std::string uncovered(std::int64_t from_ns, std::int64_t to_ns) const;
  void integrate_counter(std::int64_t from_ns, std::int64_t to_ns, Integral& result) const;
  void integrate_power(std::int64_t from_ns, std::int64_t to_ns, Integral& result) const;
  void describe(std::int64_t from_ns, std::int64_t to_ns, Integral& result) const;

  Quantity quantity_;
  std::int64_t resolution_, wrap_uj_, refresh_ns_, period_ns_;
  std::vector<Point> points_;
  std::vector<Gap> gaps_;
  std::vector<Break> breaks_;
  std::int64_t raw_uj_ = 0;  // the last reading of the counter itself
  std::int64_t least_uw_ = 0, greatest_uw_ = 0;
  Fault last_fault_ = Fault::none;
  std::vector<std::int64_t> missed_ns_;
};

}  // namespace eke::energy
