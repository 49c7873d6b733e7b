#include "energy/check.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "energy/host.h"
#include "energy/report.h"

namespace eke::energy {
namespace {

using namespace std::chrono_literals;

// Counts a tenth of a joule for each unit of work, and `extra` joules for each time that it is read.
class WorkMeter : public Meter {
 public:
  WorkMeter(const std::atomic<std::int64_t>& done, double extra)
      : Meter("work", {domain()}), done_(done), extra_(extra) {}
  void read(std::span<Reading> out) noexcept override {
    out[0].begin = raw_time();
    out[0].value = done_ * 100'000 + std::llround(1e6 * extra_ * ++reads_);
    out[0].end = raw_time();
  }

 private:
  static Domain domain() {
    Domain d;
    d.name = "package-0";
    d.in_total = true;
    d.resolution = 25'000'000;  // a step of `extra` is no reset
    return d;
  }
  const std::atomic<std::int64_t>& done_;
  double extra_;
  int reads_ = 0;
};

Additivity run(double extra) {
  std::atomic<std::int64_t> done = 0;
  std::vector<std::unique_ptr<Meter>> meters;
  meters.push_back(std::make_unique<WorkMeter>(done, extra));
  Session session(std::move(meters), {.period = 10s});
  const auto work = [&](std::int64_t units) {
    std::this_thread::sleep_for(20ms);  // the sampler reads once after the beginning
    done += units;
  };
  return check_additivity(session, work, 60, 4);
}

TEST(Additivity, HoldsForAMeterThatCounts) {
  const Additivity good = run(0);
  EXPECT_TRUE(good.passed()) << good.ratio << good.why_not;
  EXPECT_NEAR(good.ratio, 1, 0.01);
  EXPECT_EQ(good.pairs, 4);
}

// A meter that charges each window the same on top shows less than twice as much for twice the work.
TEST(Additivity, FailsForAMeterThatChargesWindows) {
  const Additivity bad = run(20);
  EXPECT_TRUE(bad.why_not.empty());
  EXPECT_LT(bad.ratio, 0.9);
}

// Shows the milliseconds of the clock.
class ClockMeter : public Meter {
 public:
  ClockMeter() : Meter("clock", {Domain{}}) {}
  void read(std::span<Reading> out) noexcept override {
    out[0].begin = out[0].end = raw_time();
    out[0].value = out[0].begin / 1ms;
  }
};

TEST(Additivity, SaysWhenThereIsNothingToCompare) {
  Session session({});
  const Additivity none = check_additivity(
      session, [](std::int64_t) {}, 1, 2);
  EXPECT_FALSE(none.passed());
  EXPECT_EQ(none.why_not, "there is no meter");
}

TEST(Timing, MeasuresTheRefresh) {
  ClockMeter meter;
  const MeterTiming timing = time_meter(meter, 200ms);
  ASSERT_TRUE(timing.refresh[0]);
  EXPECT_NEAR(static_cast<double>(timing.refresh[0]->count()), 1e6, 3e5);
  EXPECT_GT(timing.reads, 100);
}

}  // namespace
}  // namespace eke::energy
