#include "energy/series.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace eke::energy {

namespace {

constexpr std::size_t kMaxPoints = std::size_t{1} << 18;
constexpr double kUjPerUwNs = 1e-9;
// No domain of a machine that runs this takes more; a counter that says so was reset.
constexpr double kMaxPowerUw = 5e9;
// Before any power is known, a gap in which this much could have wrapped a counter is not trusted.
constexpr double kUnknownPowerUw = 1e9;
constexpr std::int64_t kLongGapPeriods = 3;
constexpr std::int64_t kPeakRefreshes = 20;
constexpr std::int64_t kFrozenRefreshes = 20, kFrozenNs = 1'000'000'000;
constexpr std::int64_t kSuspiciousSamples = 100;

double seconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-9; }

}  // namespace

Series::Series(const Domain& domain, Nanoseconds period)
    : quantity_(domain.quantity),
      resolution_(std::max<std::int64_t>(domain.resolution, 0)),
      wrap_uj_(domain.wrap_uj),
      refresh_ns_(domain.refresh.count()),
      period_ns_(period.count()) {}

void Series::add(const Reading& reading, bool pinned) {
  if (reading.fault != Fault::none) {
    miss(reading.fault, reading.end.count());
    return;
  }
  const std::int64_t begin = reading.begin.count(), end = reading.end.count();
  const Point point{begin, end, reading.value, 0, 0, 0, 0, pinned};
  if (end < begin) return;
  if (!points_.empty() && (begin < points_.back().end_ns || point.middle_ns() <= points_.back().middle_ns()))
    return;
  if (quantity_ == Quantity::energy && reading.value < 0) {
    miss(Fault::garbage, end);
    return;
  }
  if (points_.size() >= kMaxPoints) thin();
  quantity_ == Quantity::energy ? add_counter(point) : add_power(point);
}

void Series::miss(Fault fault, std::int64_t at_ns) {
  last_fault_ = fault;
  if (missed_ns_.size() < kMaxPoints) missed_ns_.push_back(at_ns);
}

void Series::add_counter(Point point) {
  const std::int64_t raw = point.value;
  if (points_.empty()) {
    point.value = 0;
    raw_uj_ = raw;
    points_.push_back(point);
    return;
  }
  const Point& last = points_.back();
  const double ns = point.middle_ns() - last.middle_ns();
  const bool wrapped = raw < raw_uj_ && wrap_uj_ > 0 && raw <= wrap_uj_ && raw_uj_ <= wrap_uj_;
  const std::int64_t delta = wrapped ? raw + (wrap_uj_ - raw_uj_) : raw - raw_uj_;
  const double limit =
      kMaxPowerUw * kUjPerUwNs * (ns + static_cast<double>(refresh_ns_)) + static_cast<double>(resolution_);
  const double history_ns = last.middle_ns() - points_.front().middle_ns();
  const double usual = history_ns > 0 && last.value > 0 ? 2 * static_cast<double>(last.value) / history_ns
                                                        : kUnknownPowerUw * kUjPerUwNs;
  if (delta < 0) {
    breaks_.push_back(
        {last.end_ns, point.begin_ns,
         fmt::format("the counter ran backwards, from {} to {} uJ: it was reset", raw_uj_, raw)});
  } else if (static_cast<double>(delta) > limit) {
    breaks_.push_back(
        {last.end_ns, point.begin_ns,
         fmt::format("the counter jumped by {} uJ in {:.3g} s: it was reset", delta, ns * 1e-9)});
  } else if (wrap_uj_ > 0 && usual * ns > static_cast<double>(wrap_uj_)) {
    breaks_.push_back(
        {last.end_ns, point.begin_ns,
         fmt::format("no reading for {:.3g} s, in which the counter may have wrapped more than once",
                     ns * 1e-9)});
  }
  raw_uj_ = raw;
  point.value = last.value + std::max<std::int64_t>(delta, 0);
  point.energy_uj = static_cast<double>(point.value);
  // The range is known to one step only.
  point.bound_uj = last.bound_uj + (wrapped ? static_cast<double>(resolution_) : 0);
  point.gap_ns = point.begin_ns - last.end_ns;
  // The mean over less than twenty refreshes says more of the refresh than of the power.
  const std::int64_t since = point.end_ns - kPeakRefreshes * refresh_ns_;
  for (auto p = points_.rbegin(); p != points_.rend(); ++p) {
    if (p->end_ns > since) continue;
    point.peak_uw = (point.energy_uj - p->energy_uj) / (point.middle_ns() - p->middle_ns()) / kUjPerUwNs;
    break;
  }
  points_.push_back(point);
}

void Series::add_power(Point point) {
  point.peak_uw = static_cast<double>(point.value);
  if (points_.empty()) {
    least_uw_ = greatest_uw_ = point.value;
    points_.push_back(point);
    return;
  }
  const Point& last = points_.back();
  least_uw_ = std::min(least_uw_, point.value);
  greatest_uw_ = std::max(greatest_uw_, point.value);
  const double ns = point.middle_ns() - last.middle_ns();
  const double before = static_cast<double>(last.value), now = static_cast<double>(point.value);
  const double uncertain_ns =
      ns / 2 + static_cast<double>(refresh_ns_) + 0.5 * static_cast<double>(point.end_ns - point.begin_ns);
  point.energy_uj = last.energy_uj + 0.5 * (before + now) * ns * kUjPerUwNs;
  point.bound_uj = last.bound_uj + std::abs(now - before) * uncertain_ns * kUjPerUwNs;
  point.gap_ns = point.begin_ns - last.end_ns;
  const std::int64_t regular = std::max(kLongGapPeriods * period_ns_, kLongGapPeriods * refresh_ns_);
  if (period_ns_ > 0 && point.gap_ns > regular) gaps_.push_back({last.middle_ns(), point.middle_ns()});
  points_.push_back(point);
}

// Drops every other point of the older half. What was added up stays; only edges that fall in between are less sharp.
void Series::thin() {
  std::vector<Point> kept;
  kept.reserve(points_.size());
  const std::size_t half = points_.size() / 2;
  for (std::size_t i = 0; i < points_.size(); ++i) {
    Point point = points_[i];
    if (!kept.empty() && i > 0 && kept.back().end_ns != points_[i - 1].end_ns) {
      point.gap_ns = std::max(point.gap_ns, points_[i - 1].gap_ns);
      point.peak_uw = std::max(point.peak_uw, points_[i - 1].peak_uw);
    }
    if (i > 0 && i < half && i % 2 == 1 && !point.pinned) continue;
    kept.push_back(point);
  }
  points_ = std::move(kept);
}

double Series::energy_at(double t_ns) const {
  const auto after = std::upper_bound(points_.begin(), points_.end(), t_ns,
                                      [](double t, const Point& p) { return t < p.middle_ns(); });
  if (after == points_.begin()) {
    const Point& first = points_.front();
    const double held = quantity_ == Quantity::power ? static_cast<double>(first.value) : 0;
    return first.energy_uj + held * (t_ns - first.middle_ns()) * kUjPerUwNs;
  }
  const Point& a = *(after - 1);
  if (after == points_.end()) {
    const double held = quantity_ == Quantity::power ? static_cast<double>(a.value) : 0;
    return a.energy_uj + held * (t_ns - a.middle_ns()) * kUjPerUwNs;
  }
  const Point& b = *after;
  const double share = (t_ns - a.middle_ns()) / (b.middle_ns() - a.middle_ns());
  double part = share;
  if (quantity_ == Quantity::power) {
    const double p = static_cast<double>(a.value), q = static_cast<double>(b.value);
    if (p + q != 0) part = share * (2 * p + (q - p) * share) / (p + q);
  }
  return a.energy_uj + (b.energy_uj - a.energy_uj) * part;
}

const Series::Point* Series::last_ended_by(std::int64_t t_ns) const {
  const auto after = std::upper_bound(points_.begin(), points_.end(), t_ns,
                                      [](std::int64_t t, const Point& p) { return t < p.end_ns; });
  return after == points_.begin() ? nullptr : &*(after - 1);
}

const Series::Point* Series::first_begun_from(std::int64_t t_ns) const {
  const auto at = std::lower_bound(points_.begin(), points_.end(), t_ns,
                                   [](const Point& p, std::int64_t t) { return p.begin_ns < t; });
  return at == points_.end() ? nullptr : &*at;
}

bool Series::settled(Nanoseconds to) const noexcept {
  return !points_.empty() && points_.back().begin_ns >= to.count() + refresh_ns_;
}

// Why the readings do not say what happened in the window; empty when they do.
std::string Series::uncovered(std::int64_t from_ns, std::int64_t to_ns) const {
  const auto fault = [&] {
    return last_fault_ == Fault::none ? std::string("no reading") : std::string(to_string(last_fault_));
  };
  if (points_.empty()) return fmt::format("the meter gave no reading: {}", fault());
  if (points_.front().end_ns > from_ns) {
    return fmt::format("the window began {:.3g} s before the first reading",
                       seconds(points_.front().end_ns - from_ns));
  }
  const std::int64_t silent = to_ns - points_.back().end_ns;
  if (silent > std::max(kLongGapPeriods * period_ns_, refresh_ns_)) {
    const Point& last = points_.back();
    const bool any = last.end_ns > from_ns;
    const double uj = any ? last.energy_uj - energy_at(static_cast<double>(from_ns)) : 0;
    return fmt::format(
        "the meter gave no reading for the last {:.3g} s of the window: {}{}", seconds(silent), fault(),
        any ? fmt::format("; {:.4g} J in the {:.3g} s before", uj * 1e-6, seconds(last.end_ns - from_ns))
            : "");
  }
  for (const Break& b : breaks_) {
    if (b.from_ns < to_ns && b.to_ns > from_ns) return b.reason;
  }
  return "";
}

void Series::integrate_counter(std::int64_t from_ns, std::int64_t to_ns, Integral& result) const {
  struct Edge {
    double low, best, high;
  };
  const auto edge = [&](std::int64_t t) {
    const Point* low = last_ended_by(t);
    const Point* high = first_begun_from(t + refresh_ns_);
    const double step = static_cast<double>(resolution_);
    Edge e{};
    e.low = static_cast<double>(low ? low->value : points_.front().value);
    if (high) {
      e.high = static_cast<double>(high->value) + step;
    } else {
      // The meter failed before it was refreshed: what may have been used since then, at the greatest power seen.
      const double unseen = static_cast<double>(t + refresh_ns_ - points_.back().end_ns);
      e.high = static_cast<double>(points_.back().value) + step +
               result.peak_uw * std::max(unseen, 0.0) * kUjPerUwNs;
    }
    e.best = std::clamp(energy_at(static_cast<double>(t)), e.low, e.high);
    return e;
  };
  const Edge a = edge(from_ns), b = edge(to_ns);
  const double energy = b.best - a.best;
  const Point* end = last_ended_by(to_ns);
  const Point* begin = last_ended_by(from_ns);
  if (end && begin && end->value == begin->value &&
      to_ns - from_ns >= std::max(kFrozenRefreshes * refresh_ns_, kFrozenNs)) {
    result.why_not = fmt::format("the counter did not move in {:.3g} s: it is frozen or counts nothing",
                                 seconds(to_ns - from_ns));
    return;
  }
  result.energy_uj = energy;
  result.bound_uj = std::max(b.high - a.low - energy, energy - (b.low - a.high)) +
                    (end && begin ? end->bound_uj - begin->bound_uj : 0);
}

void Series::integrate_power(std::int64_t from_ns, std::int64_t to_ns, Integral& result) const {
  const double from = static_cast<double>(from_ns), to = static_cast<double>(to_ns);
  result.energy_uj = energy_at(to) - energy_at(from);
  const Point* first = last_ended_by(from_ns);
  const Point* last = first_begun_from(to_ns + refresh_ns_);
  const double unseen = last ? 0 : to + static_cast<double>(refresh_ns_) - points_.back().middle_ns();
  if (!last) last = &points_.back();
  const double range = static_cast<double>(greatest_uw_ - least_uw_);
  // Few readings may all have met the same side of a swing.
  const double few = 1 + 40 / static_cast<double>(std::max<std::int64_t>(result.samples, 1));
  double bound = few * (last->bound_uj - (first ? first->bound_uj : 0));
  bound += static_cast<double>(resolution_) * (to - from) * kUjPerUwNs;
  for (const Gap& gap : gaps_) {
    const double overlap = std::min(gap.to_ns, to) - std::max(gap.from_ns, from);
    if (overlap > 0) bound += range * overlap * kUjPerUwNs;
  }
  bound += range * std::max(unseen, 0.0) * kUjPerUwNs;
  result.bound_uj = bound;
}

// Counts, gaps and the peak of the readings inside.
void Series::describe(std::int64_t from_ns, std::int64_t to_ns, Integral& result) const {
  const Point* begin = last_ended_by(from_ns);
  const Point* end = first_begun_from(to_ns);
  if (!begin) begin = &points_.front();
  if (!end) end = &points_.back();
  std::int64_t gap = 0;
  bool same = true;
  result.peak_uw = quantity_ == Quantity::power ? static_cast<double>(begin->value) : 0;
  for (const Point* p = begin + 1; p <= end; ++p) {
    gap = std::max(gap, p->gap_ns);
    if (p->end_ns > to_ns) break;
    ++result.samples;
    result.peak_uw = std::max(result.peak_uw, p->peak_uw);
    same = same && p->value == begin->value;
  }
  result.largest_gap = Nanoseconds(gap);
  if (quantity_ == Quantity::power && same && result.samples >= kSuspiciousSamples &&
      to_ns - from_ns >= kSuspiciousSamples * refresh_ns_) {
    result.note = fmt::format("the reading did not change once in {} samples", result.samples);
  }
}

Integral Series::integrate(Nanoseconds from, Nanoseconds to) const {
  Integral result;
  result.missed = std::count_if(missed_ns_.begin(), missed_ns_.end(),
                                [&](std::int64_t t) { return t >= from.count() && t <= to.count(); });
  result.why_not = to <= from ? "the window is empty" : uncovered(from.count(), to.count());
  if (points_.empty() || to <= from) return result;
  describe(from.count(), to.count(), result);
  if (!result.why_not.empty()) return result;
  quantity_ == Quantity::energy ? integrate_counter(from.count(), to.count(), result)
                                : integrate_power(from.count(), to.count(), result);
  if (!result.energy_uj) return result;
  const double mean_uw = *result.energy_uj / static_cast<double>((to - from).count()) / kUjPerUwNs;
  result.peak_uw = std::max(result.peak_uw, mean_uw);
  if (*result.energy_uj < 0 && result.note.empty()) result.note = "negative: the current flowed backwards";
  return result;
}

}  // namespace eke::energy
