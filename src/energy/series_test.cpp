#include "energy/series.h"

#include <gtest/gtest.h>

#include "energy/synthetic.h"

namespace eke::energy {
namespace {

using namespace test;
using namespace std::chrono_literals;

Domain counter(std::int64_t resolution, Nanoseconds refresh, std::int64_t wrap_uj = 0) {
  Domain domain;
  domain.quantity = Quantity::energy;
  domain.resolution = resolution;
  domain.refresh = refresh;
  domain.wrap_uj = wrap_uj;
  return domain;
}

Domain sensor(std::int64_t resolution, Nanoseconds refresh) {
  Domain domain = counter(resolution, refresh);
  domain.quantity = Quantity::power;
  return domain;
}

struct Sampling {
  double period = 0.01, jitter = 0.5, read = 0.0002;
  double missing = 0;   // share of the reads that fail
  double repeated = 0;  // share of the readings that are given twice
};

// A Series of the load over [0, until], with readings at the edges of the windows too, as a session makes them.
Series observe(const Load& load, const Domain& domain, const Sampling& sampling, double until,
               const std::vector<double>& edges, std::uint64_t seed) {
  Series series(domain, ns_of(sampling.period));
  Uniform uniform(seed);
  const double phase = uniform();
  std::vector<std::pair<double, bool>> times;
  for (double t = 0; t < until;) {
    times.push_back({t, false});
    t += sampling.period * (1 + sampling.jitter * (2 * uniform() - 1)) + sampling.read;
  }
  for (double edge : edges) {
    times.push_back({edge - sampling.read, true});
    times.push_back({edge + std::chrono::duration<double>(domain.refresh).count() + 1e-6, true});
  }
  std::sort(times.begin(), times.end());
  double last_end = -1;
  for (const auto& [due, pinned] : times) {
    const double t = std::max(due, last_end);
    last_end = t + sampling.read;
    Reading reading{ns_of(t), ns_of(last_end)};
    if (!pinned && t > 0 && uniform() < sampling.missing) {
      reading.fault = uniform() < 0.5 ? Fault::again : Fault::io_error;
    } else {
      // The value may belong to any instant of the read.
      reading.value = shown(load, domain, t + sampling.read * uniform(), phase);
      if (domain.wrap_uj > 0) reading.value %= domain.wrap_uj;
    }
    series.add(reading, pinned);
    if (uniform() < sampling.repeated) series.add(reading, pinned);
  }
  return series;
}

struct Errors {
  double largest = 0, mean_bound = 0;  // J
};

// Every window of `windows` at many phases keeps its bound.
Errors expect_within_bound(const Load& load, const Domain& domain, const Sampling& sampling, double length,
                           int windows, double spread = 1) {
  Errors errors;
  for (int i = 0; i < windows; ++i) {
    Uniform uniform(static_cast<std::uint64_t>(i) + 77);
    const double from = 0.5 + spread * uniform(), to = from + length * (1 + 0.2 * uniform());
    const Series series =
        observe(load, domain, sampling, to + 1.5, {from, to}, static_cast<std::uint64_t>(i));
    const Integral integral = series.integrate(ns_of(from), ns_of(to));
    EXPECT_TRUE(integral.energy_uj) << integral.why_not;
    if (!integral.energy_uj) return errors;
    const double truth = load.joules(to) - load.joules(from);
    const double error = std::abs(*integral.energy_uj * 1e-6 - truth);
    EXPECT_LE(error, integral.bound_uj * 1e-6 + 1e-6)
        << load.name << ", window " << i << " of " << length << " s: " << *integral.energy_uj * 1e-6
        << " J for " << truth;
    errors.largest = std::max(errors.largest, error);
    errors.mean_bound += integral.bound_uj * 1e-6 / windows;
  }
  return errors;
}

std::vector<Load> loads() {
  std::vector<Load> all = {constant(4.2137),
                           ramp(1.5, 2.25),
                           ramp(20, -3),
                           steps({{0, 2}, {0.9, 9}, {1.7, 3}, {2.2, 14}, {3.1, 2}}),
                           steps({{0, 5}, {1.31, 5.5}}),
                           steps({{0, 1}, {1.01, 30}, {1.06, 1}, {1.5, 30}, {1.56, 1}, {2.5, 30}, {2.6, 1}})};
  for (double hz : {0.1, 0.7, 3.0, 11.0, 37.0, 50.0, 100.0, 333.0}) all.push_back(sine(10, 6, hz));
  return all;
}

TEST(Series, CountersKeepTheirBoundForEveryLoad) {
  const std::vector<Domain> domains = {counter(61, 1ms), counter(1000, 100ms), counter(1, 0ns),
                                       counter(3'600'000, 1s)};
  for (const Domain& domain : domains) {
    for (const Load& load : loads()) {
      for (double length : {0.05, 0.4, 2.0}) expect_within_bound(load, domain, {}, length, 25);
      expect_within_bound(load, domain, {.missing = 0.4, .repeated = 0.2}, 1.0, 25);
    }
  }
}

TEST(Series, PowerKeepsItsBoundForEveryLoad) {
  const std::vector<Domain> domains = {sensor(1000, 0ns), sensor(100'000, 10ms), sensor(5000, 100ms)};
  for (const Domain& domain : domains) {
    for (const Load& load : loads()) {
      // What comes and goes while a sensor holds its value is not in its readings.
      if (std::chrono::duration<double>(domain.refresh).count() > load.shortest) continue;
      for (double length : {0.05, 0.4, 2.0}) expect_within_bound(load, domain, {}, length, 25);
    }
  }
}

TEST(Series, PowerKeepsItsBoundWithReadsThatFailAndRepeat) {
  for (const Load& load : loads()) {
    expect_within_bound(load, sensor(1000, 0ns), {.missing = 0.3, .repeated = 0.3}, 2.0, 60);
  }
}

TEST(Series, ALoadAtTheRateOfTheSamplesIsSeenThroughTheJitter) {
  const Load load = sine(10, 6, 100);
  const Errors jittered = expect_within_bound(load, sensor(1000, 0ns), {.period = 0.01, .read = 0}, 5, 30);
  EXPECT_LT(jittered.largest, 0.15 * load.joules(5));
}

// The bound is honest in the other direction too: for steady power it is at most twice the largest error seen.
TEST(Series, TheBoundIsSharpForSteadyPower) {
  struct Case {
    const char* name;
    Domain domain;
    double watts;
  };
  const std::vector<Case> cases = {{"RAPL", counter(61, 1ms), 25},
                                   {"NVML energy", counter(1000, 100ms), 250},
                                   {"plug, 0.1 Wh", counter(360'000'000, 1s), 40},
                                   {"rail of 100 mW steps", sensor(100'000, 10ms), 4.2999}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Errors errors = expect_within_bound(constant(c.watts), c.domain, {.period = 0.02}, 10, 100, 20);
    EXPECT_LE(errors.mean_bound, 2 * errors.largest);
  }
}

TEST(Series, CountersAddUpOverWraps) {
  for (long long wrap_uj : {262'143'328'850ll, 10'000'000ll, 3'000'000ll}) {
    for (const Load& load : loads()) expect_within_bound(load, counter(61, 1ms, wrap_uj), {}, 2, 20);
  }
}

Series from_values(const Domain& domain, const std::vector<std::pair<double, std::int64_t>>& values,
                   double period = 0.1) {
  Series series(domain, ns_of(period));
  for (const auto& [t, value] : values) series.add({ns_of(t), ns_of(t), value});
  return series;
}

TEST(Series, ACounterThatRunsBackwardsIsNoEnergy) {
  struct Case {
    const char* name;
    std::int64_t wrap, before, after;
  };
  const std::vector<Case> cases = {
      {"reset without a range", 0, 5'000'000, 1'000'000},
      {"reset that would be a wrap of 162 kJ", 262'143'328'850, 100'000'000'000, 0},
      {"a step back of a little", 262'143'328'850, 100'000'000'000, 99'999'000'000},
      {"outside its own range", 200'000'000, 500'000'000, 300'000'000},
      {"a jump ahead", 0, 0, 9'000'000'000'000},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Series series = from_values(
        counter(1, 1ms, c.wrap),
        {{0, c.before}, {0.1, c.before}, {0.2, c.after}, {0.3, c.after + 1000}, {0.4, c.after + 2000}});
    const Integral over = series.integrate(50ms, 250ms);
    EXPECT_FALSE(over.energy_uj);
    EXPECT_NE(over.why_not.find("reset"), std::string::npos) << over.why_not;
    // Windows beside it are good.
    const Integral beside = series.integrate(310ms, 390ms);
    ASSERT_TRUE(beside.energy_uj) << beside.why_not;
    EXPECT_NEAR(*beside.energy_uj, 800, 1);
  }
}

TEST(Series, AWrapUnseenIsNotGuessed) {
  // 60 W wrap a range of 100 J in 1.7 s; nobody read for 5 s.
  std::vector<std::pair<double, std::int64_t>> values;
  for (double t = 0; t < 1; t += 0.1) values.push_back({t, std::llround(60e6 * t) % 100'000'000});
  values.push_back({6, std::llround(60e6 * 6) % 100'000'000});
  const Integral integral = from_values(counter(61, 1ms, 100'000'000), values, 10).integrate(100ms, 5900ms);
  EXPECT_FALSE(integral.energy_uj);
  EXPECT_NE(integral.why_not.find("more than once"), std::string::npos) << integral.why_not;
}

TEST(Series, FrozenCountersAndGarbageAreNoEnergy) {
  std::vector<std::pair<double, std::int64_t>> frozen, negative;
  for (int i = 0; i < 40; ++i) {
    frozen.push_back({0.1 * i, 123456});
    negative.push_back({0.1 * i, -1 - i});
  }
  EXPECT_NE(from_values(counter(61, 1ms), frozen).integrate(1s, 3s).why_not.find("did not move"),
            std::string::npos);
  const Integral integral = from_values(counter(61, 1ms), negative).integrate(1s, 3s);
  EXPECT_FALSE(integral.energy_uj);
  EXPECT_EQ(integral.missed, 21);
  EXPECT_NE(integral.why_not.find("not a number that can be right"), std::string::npos) << integral.why_not;
}

TEST(Series, ASensorThatNeverChangesIsNoticed) {
  std::vector<std::pair<double, std::int64_t>> same;
  for (int i = 0; i < 400; ++i) same.push_back({0.01 * i, 5'000'000});
  const Integral integral = from_values(sensor(1000, 1ms), same, 0.01).integrate(100ms, 3900ms);
  EXPECT_NEAR(*integral.energy_uj * 1e-6, 19, 1e-9);
  EXPECT_NE(integral.note.find("did not change"), std::string::npos);
}

TEST(Series, AMeterThatDiesSaysWhenAndWhatItHad) {
  for (const Domain& domain : {counter(61, 1ms), sensor(1000, 0ns)}) {
    Series series(domain, 100ms);
    for (int i = 0; i <= 50; ++i) {
      Reading reading{100ms * i, 100ms * i, domain.quantity == Quantity::energy ? 500'000 * i : 5'000'000};
      if (i > 20) reading.fault = Fault::io_error;
      series.add(reading);
    }
    const Integral died = series.integrate(1s, 4s);
    EXPECT_FALSE(died.energy_uj);
    EXPECT_NE(died.why_not.find("EIO"), std::string::npos) << died.why_not;
    EXPECT_NE(died.why_not.find("5 J in the 1 s before"), std::string::npos) << died.why_not;
    EXPECT_EQ(died.missed, 20);
    ASSERT_TRUE(series.integrate(500ms, 1500ms).energy_uj);
    EXPECT_NEAR(*series.integrate(500ms, 1500ms).energy_uj, 5e6, 1);
  }
}

TEST(Series, NothingIsKnownBeforeTheFirstReading) {
  EXPECT_NE(Series(counter(61, 1ms), 100ms).integrate(0s, 1s).why_not.find("no reading"), std::string::npos);
  const Series series = from_values(counter(61, 1ms), {{1, 0}, {2, 100}, {3, 200}});
  EXPECT_NE(series.integrate(500ms, 2s).why_not.find("before the first reading"), std::string::npos);
  EXPECT_FALSE(series.integrate(2s, 2s).energy_uj);
}

TEST(Series, AClockThatStepsBackAddsNothing) {
  const Series series =
      from_values(sensor(1, 0ns), {{0, 1000}, {1, 1000}, {0.5, 99999}, {1, 99999}, {2, 1000}}, 1);
  EXPECT_NEAR(*series.integrate(0s, 2s).energy_uj, 2000, 1e-9);
  EXPECT_EQ(series.size(), 3u);
}

TEST(Series, NegativePowerIsIntegratedAndNoted) {
  const Integral integral =
      from_values(sensor(1, 0ns), {{0, -1000}, {1, -1000}, {2, -1000}}, 1).integrate(0s, 2s);
  EXPECT_NEAR(*integral.energy_uj, -2000, 1e-9);
  EXPECT_NE(integral.note.find("negative"), std::string::npos);
}

// Peers integrate by left or right rectangles: a ramp then is off by slope x period / 2 x length.
TEST(Series, ARampIsExact) {
  const Load load = ramp(1, 3);
  std::vector<std::pair<double, std::int64_t>> values;
  for (int i = 0; i <= 40; ++i) values.push_back({0.1 * i, std::llround(1e6 * load.watts(0.1 * i))});
  const Series series = from_values(sensor(1, 0ns), values);
  EXPECT_NEAR(*series.integrate(1s, 3s).energy_uj * 1e-6, load.joules(3) - load.joules(1), 1e-6);
  // Edges between samples are interpolated.
  EXPECT_NEAR(*series.integrate(1030ms, 2971ms).energy_uj * 1e-6, load.joules(2.971) - load.joules(1.03),
              1e-4);
}

// A peer that keeps readings in blocks of 10,000 loses the step over a block's border, and sums a block from its
// beginning for a window that begins inside.
TEST(Series, NestedWindowsAddUpOverAnyNumberOfReadings) {
  Series series(counter(1, 0ns), 1ms);
  for (int i = 0; i <= 40000; ++i) series.add({1ms * i, 1ms * i, 7 * std::int64_t{i}});
  const double whole = *series.integrate(0s, 40s).energy_uj;
  EXPECT_EQ(whole, 280000);
  for (std::int64_t cut : {1, 5000, 9999, 10000, 10001, 20000, 39999}) {
    EXPECT_EQ(*series.integrate(0s, cut * 1ms).energy_uj, 7 * cut);
    EXPECT_EQ(*series.integrate(cut * 1ms, 40s).energy_uj, whole - 7 * cut);
  }
  EXPECT_EQ(*series.integrate(10s, 20s).energy_uj, 70000);  // of exactly one block
}

TEST(Series, LongSeriesAreThinnedAndStayExact) {
  constexpr int kReadings = 600'000;
  Series power(sensor(1, 0ns), 1ms), energy(counter(1, 0ns), 1ms);
  double truth = 0;
  for (int i = 0; i < kReadings; ++i) {
    const std::int64_t uw = 1000 + (i * 7919ll) % 1000;
    const bool pinned = i == 1000;
    power.add({1ms * i, 1ms * i, uw}, pinned);
    energy.add({1ms * i, 1ms * i, 3 * std::int64_t{i}}, pinned);
    if (i >= 1000) truth += (i == 1000 || i == kReadings - 1 ? 0.5 : 1) * static_cast<double>(uw) * 1e-3;
  }
  EXPECT_LE(power.size(), std::size_t{1} << 18);
  const Nanoseconds end = 1ms * (kReadings - 1);
  EXPECT_NEAR(*power.integrate(1s, end).energy_uj, truth, 1e-6 * truth);
  EXPECT_EQ(*energy.integrate(1s, end).energy_uj, 3.0 * (kReadings - 1001));
}

TEST(Series, PeakIsTheGreatestPowerNotTheGreatestTick) {
  const Load load = steps({{0, 10}, {1, 40}, {1.5, 10}});
  const Series counted = observe(load, counter(61, 1ms), {.period = 0.1}, 3.5, {0.5, 2.5}, 3);
  const Integral c = counted.integrate(500ms, 2500ms);
  EXPECT_GT(c.peak_uw, 38e6);
  EXPECT_LT(c.peak_uw, 42e6);
  const Series sensed = observe(load, sensor(1000, 0ns), {}, 3.5, {0.5, 2.5}, 3);
  EXPECT_EQ(sensed.integrate(500ms, 2500ms).peak_uw, 40e6);
}

}  // namespace
}  // namespace eke::energy
