#include "energy/check.h"

#include <gtest/gtest.h>

#include <thread>

#include "energy/host.h"
#include "energy/report.h"
#include "energy/synthetic.h"

namespace eke::energy {
namespace {

using namespace test;
using namespace std::chrono_literals;

// 12 W of the real clock; a broken one adds a joule each time it has been read often enough.
class ClockMeter : public Meter {
 public:
  explicit ClockMeter(double joules_a_window) : Meter("clock", {domain()}), extra_(joules_a_window) {}
  void read(std::span<Reading> out) noexcept override {
    out[0].begin = raw_time();
    const double seconds = std::chrono::duration<double>(out[0].begin - start_).count();
    out[0].value = shown(constant(12), domains_[0], seconds, 0) + std::llround(1e6 * extra_ * ++reads_);
    out[0].end = raw_time();
  }

 private:
  static Domain domain() {
    Domain d;
    d.name = "package-0";
    d.in_total = true;
    d.resolution = 61;
    d.refresh = 1ms;
    return d;
  }
  double extra_;
  int reads_ = 0;
  Nanoseconds start_ = raw_time();
};

Additivity run(double extra) {
  std::vector<std::unique_ptr<Meter>> meters;
  meters.push_back(std::make_unique<ClockMeter>(extra));
  Session session(std::move(meters), {.period = 10s});
  return check_additivity(
      session, [](std::int64_t units) { std::this_thread::sleep_for(units * 1ms); }, 60, 4);
}

TEST(Additivity, HoldsForAMeterThatCounts) {
  const Additivity good = run(0);
  EXPECT_TRUE(good.passed()) << good.ratio << good.why_not;
  EXPECT_EQ(good.pairs, 4);
}

// A meter that charges each window the same on top shows less than twice as much for twice the work.
TEST(Additivity, FailsForAMeterThatChargesWindows) {
  const Additivity bad = run(5);
  EXPECT_TRUE(bad.why_not.empty());
  EXPECT_FALSE(bad.passed()) << bad.ratio << " " << bad.interval.low << " " << bad.interval.high;
}

TEST(Additivity, SaysWhenThereIsNothingToCompare) {
  Session session({});
  const Additivity none = check_additivity(
      session, [](std::int64_t) {}, 1, 2);
  EXPECT_FALSE(none.passed());
  EXPECT_EQ(none.why_not, "there is no meter");
}

TEST(Timing, MeasuresTheRefresh) {
  ClockMeter meter(0);
  const MeterTiming timing = time_meter(meter, 200ms);
  ASSERT_TRUE(timing.refresh[0]);
  EXPECT_NEAR(static_cast<double>(timing.refresh[0]->count()), 1e6, 3e5);
  EXPECT_GT(timing.reads, 100);
}

}  // namespace
}  // namespace eke::energy
